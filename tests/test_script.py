"""What the user sees of the script: the reply, an error, what Ctrl-C left, any output."""

import asyncio
import io
import os
import queue
import signal
import socket
import unittest
from unittest.mock import Mock, patch

from g4f.client import create_custom_provider
from g4f.providers.response import ImageResponse

from tests.local_provider import SCRIPT, run, scripted_provider
from tests.shared import ERRORS, GREETING, NO_CHOICES, LocalTest, delta, shown

TEXTS = ["Hello", " ", " ", "there!\n", "How are you? ", "👋", "\n", "\n"]
REASONING = b'data: {"choices": [{"delta": {"reasoning_content": "A greeting?"}}]}\n\n'

# What fails, the HTTP status, the pieces, the text in them, and the server's own words.
FAULTS = [
    ("connection dropped", 200, [delta("Hello")], "Hello", ""),
    ("not JSON", 200, [delta("Hello"), b"data: {nope\n\n", b""], "Hello", ""),
    ("error", 200, [b'data: {"error": {"message": "busy"}}\n\n', b""], "", "busy"),
    ("HTTP error", 503, [b"overloaded", b""], "", "overloaded"),
]


class ScriptTest(LocalTest):
    def test_each_piece_is_shown_as_it_arrives_and_all_of_them_at_the_end(self):
        pieces = queue.Queue()
        server = self.serve(pieces)
        process = self.start(server.url, SCRIPT)
        pieces.put(REASONING)
        for text in TEXTS:
            pieces.put(delta(text))
            self.assertEqual(process.stdout.read(len(text)), text)
        pieces.put(b"")
        final_text = f"\n\nFinal accumulated text: {''.join(TEXTS)}\n"
        self.assertEqual((process.stdout.read(), process.wait()), (final_text, 0))
        self.assertEqual(server.requests, [("gpt-4", GREETING, None)])

    def test_a_character_that_the_output_lacks_is_shown_as_its_escape(self):
        server = self.serve([delta("👋"), b""])
        process = self.start(server.url, SCRIPT, PYTHONIOENCODING="ascii")
        result = process.stdout.read(), process.wait()
        self.assertEqual(result, (shown(r"\U0001f44b"), 0))

    def test_white_space_is_kept_and_an_image_is_shown_as_text(self):
        image = ImageResponse("https://example.com/cat.png", "a cat")
        result = self.run_here(SCRIPT, scripted_provider(" \n", image, "\n "))
        self.assertEqual(result, (shown(f" \n{image}\n "), 0))

    def test_a_chunk_without_choices_is_passed_over(self):
        with NO_CHOICES:
            self.assertEqual(self.run_here(SCRIPT, scripted_provider()), (shown(""), 0))

    def test_a_fault_is_one_message_after_the_text_so_far_without_a_retry(self):
        for fault, status, pieces, text, reason in FAULTS:
            with self.subTest(fault):
                server = self.serve(pieces, status)
                result = self.run_here(SCRIPT, create_custom_provider(server.url))
                message = result[0].partition("occurred: ")[2].partition("\n\n\n")[0]
                self.assertEqual(result, (shown(text, message), 1))
                self.assertIn(reason, message)
                self.assertEqual(len(server.requests), 1)

    def test_an_error_is_shown_by_its_whole_text_or_else_by_its_name(self):
        for error, message in ERRORS:
            result = self.run_here(SCRIPT, scripted_provider("Hello", error=error))
            self.assertEqual(result, (shown("Hello", message), 1))

    def test_an_error_before_the_stream_is_one_message(self):
        error = OSError("no network")
        create = "return_value.chat.completions.create.side_effect"
        for client in (Mock(side_effect=error), Mock(**{create: error})):
            with patch("tests.local_provider.AsyncClient", client):
                result = self.run_here(SCRIPT, None)
            self.assertEqual(result, (shown("", "no network"), 1))

    @unittest.skipIf(os.name == "nt", "There, Ctrl-C would reach the tests, too.")
    def test_ctrl_c_in_a_stream_shows_the_text_so_far(self):
        pieces = queue.Queue()
        pieces.put(delta("Hello"))
        process = self.start(self.serve(pieces).url, SCRIPT)
        text = process.stdout.read(len("Hello"))
        process.send_signal(signal.SIGINT)
        result = text + process.stdout.read(), process.wait()
        self.assertEqual(result, (shown("Hello"), 130))

    @unittest.skipIf(os.name == "nt", "There, Ctrl-C would reach the tests, too.")
    def test_ctrl_c_in_a_look_up_ends_it(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(60)
            url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
            process = self.start(url, SCRIPT)
            with server.accept()[0] as connection:
                self.assertIn(b"/models", connection.recv(1000))
                process.send_signal(signal.SIGINT)
                output, _ = process.communicate(timeout=60)
        self.assertEqual((output, process.returncode), (shown(""), 130))

    def test_ctrl_c_just_after_a_piece_is_shown_loses_nothing(self):
        output = io.StringIO()
        output.flush = Mock(side_effect=SystemExit(130))
        result = self.run_here(SCRIPT, scripted_provider("Hello"), output)
        self.assertEqual(result, (shown("Hello"), 130))

    def test_cancelling_main_shows_the_text_so_far_and_passes_through(self):
        provider = scripted_provider("Hello", error=asyncio.CancelledError())
        main = run(SCRIPT, provider, "messages_stream")["main"]
        cancelled = self.assertRaises(asyncio.CancelledError)
        with patch("sys.stdout", io.StringIO()) as output, cancelled:
            asyncio.run(main())
        self.assertEqual(output.getvalue(), shown("Hello"))

    def test_importing_it_asks_nothing_and_main_changes_nothing(self):
        provider = scripted_provider("Hello")
        handler = signal.getsignal(signal.SIGINT)
        with patch("sys.stdout", io.StringIO()) as output:
            main = run(SCRIPT, provider, "messages_stream")["main"]
            self.assertEqual((provider.requests, output.getvalue()), ([], ""))
            self.assertEqual(asyncio.run(main()), 0)
        self.assertEqual(signal.getsignal(signal.SIGINT), handler)
