"""What the user sees of the script: the reply, an error, what Ctrl-C left, any output."""

import asyncio
import io
import os
import runpy
import signal
import unittest
from unittest.mock import Mock, call, patch

from aiohttp import web
from g4f.providers.response import ImageResponse

from tests.local_provider import SCRIPT
from tests.shared import ASK, GREETING, NO_CHOICES, ProcessTest, shown, stub_client

PIECES = ["Hello", " ", " ", "there!\n", "How are you? ", "👋", "\n", "\n"]
REASONING = b'data: {"choices": [{"delta": {"reasoning_content": "A greeting?"}}]}\n\n'

# What fails, the pieces before it, what then comes, and the provider's own words.
FAULTS = [
    ("connection dropped", ["Hello"], ConnectionAbortedError(), ""),
    ("chunk that is not JSON", ["Hello"], b"data: {nope\n\n", ""),
    ("error event", ["Hello"], b'data: {"error": {"message": "busy"}}\n\n', "busy"),
    ("HTTP error", [], web.HTTPServiceUnavailable(text="overloaded"), "overloaded"),
]

# g4f's message when all fail: a line for each provider, thousands of characters.
EACH_PROVIDER = "\n".join(f"Provider {number} is too busy." for number in range(200))

# What is raised, and the message.
ERRORS = [
    (RuntimeError(EACH_PROVIDER), EACH_PROVIDER),
    (TypeError("not a string"), "not a string"),
    (AttributeError("no content"), "no content"),
    (LookupError("no choices"), "no choices"),
    (TimeoutError(), "TimeoutError()"),
]


class ReplyTest(ProcessTest):
    async def test_each_piece_is_shown_as_it_arrives_and_all_of_them_at_the_end(self):
        events = [asyncio.Event() for _ in PIECES]
        pieces = [item for pair in zip(PIECES, events) for item in pair]
        server = await self.serve(REASONING, *pieces)
        process = await self.start(*ASK, server.url)
        for piece, seen in zip(PIECES, events):
            self.assertEqual(await self.read(process), piece)
            seen.set()
        final_text = f"\n\nFinal accumulated text: {''.join(PIECES)}\n"
        self.assertEqual(await self.finish(process), (final_text, 0))
        self.assertEqual(server.requests, [("gpt-4", GREETING, None)])

    async def test_a_character_that_the_output_lacks_is_shown_as_its_escape(self):
        server = await self.serve("👋")
        result = await self.run_python(*ASK, server.url, PYTHONIOENCODING="ascii")
        self.assertEqual(result, (shown(r"\U0001f44b"), 0))

    async def test_a_fault_is_one_message_after_the_text_so_far_without_a_retry(self):
        for fault, pieces, end, reason in FAULTS:
            with self.subTest(fault):
                server = await self.serve(*pieces, end)
                output, exit_status = await self.run_python(*ASK, server.url)
                message = output.partition("Error occurred: ")[2].partition("\n\n\n")[0]
                self.assertEqual(output, shown("".join(pieces), message))
                self.assertIn(reason, message)
                self.assertEqual((exit_status, len(server.requests)), (1, 1))

    @unittest.skipIf(os.name == "nt", "There, Ctrl-C would reach the tests, too.")
    async def test_ctrl_c_in_a_stream_or_a_look_up_shows_the_text_so_far(self):
        stalled_stream = await self.serve("Hello", asyncio.Event())
        stalled_look_up = await self.serve(models=(asyncio.Event(),))
        for text, server in (("Hello", stalled_stream), ("", stalled_look_up)):
            process = await self.start(*ASK, server.url)
            await self.bounded(server.asked.wait())
            output = await self.read(process, len(text))
            await asyncio.sleep(0.2)  # By then, main() waits.
            process.send_signal(signal.SIGINT)
            rest, exit_status = await self.finish(process)
            self.assertEqual((output + rest, exit_status), (shown(text), 130))


class MainTest(unittest.TestCase):
    def run_main(self, client: Mock, stdout: object = None) -> tuple[str, int]:
        self.stdout = stdout or io.StringIO()
        with patch("g4f.client.AsyncClient", client), patch("sys.stdout", self.stdout):
            exit_status = asyncio.run(runpy.run_path(SCRIPT)["main"]())
        return self.stdout.getvalue(), exit_status

    def test_white_space_is_kept_and_an_image_is_shown_as_markdown(self):
        image = ImageResponse("https://example.com/cat.png", "a cat")
        client = stub_client(" \n", NO_CHOICES, image, "\n ")
        self.assertEqual(self.run_main(client), (shown(f" \n{image}\n "), 0))

    def test_an_error_is_shown_by_its_whole_text_or_else_by_its_name(self):
        for error, message in ERRORS:
            result = self.run_main(stub_client("Hello", error))
            self.assertEqual(result, (shown("Hello", message), 1))

    def test_an_error_before_the_stream_is_one_message(self):
        error = OSError("no network")
        create = "return_value.chat.completions.create.side_effect"
        for client in (Mock(side_effect=error), Mock(**{create: error})):
            self.assertEqual(self.run_main(client), (shown("", "no network"), 1))

    def test_cancelling_main_shows_the_text_so_far_and_passes_through(self):
        with self.assertRaises(asyncio.CancelledError):
            self.run_main(stub_client("Hello", asyncio.CancelledError()))
        self.assertEqual(self.stdout.getvalue(), shown("Hello"))

    def test_ctrl_c_just_after_a_piece_is_shown_loses_nothing(self):
        stdout = Mock(**{"flush.side_effect": SystemExit(130)})
        with self.assertRaises(SystemExit):
            self.run_main(stub_client("Hello"), stdout)
        # Both times as it is: the memory may have no room for a longer copy.
        self.assertEqual(stdout.write.mock_calls.count(call("Hello")), 2)

    def test_importing_it_asks_nothing_and_main_changes_nothing(self):
        client = stub_client("Hello")
        stdout = Mock()
        handler = signal.getsignal(signal.SIGINT)
        self.run_main(client, stdout)
        # Once, by main(), and for no provider, which would be asked alone.
        client.assert_called_once_with()
        stdout.reconfigure.assert_not_called()
        self.assertEqual(stdout.write.mock_calls[0], call("Hello"))
        self.assertEqual(signal.getsignal(signal.SIGINT), handler)

    def test_it_runs_where_the_output_is_captured_or_closed(self):
        self.addCleanup(signal.signal, signal.SIGINT, signal.getsignal(signal.SIGINT))
        client = patch("g4f.client.AsyncClient", stub_client("Hello"))
        for stdout in (io.StringIO(), None):
            exits = self.assertRaises(SystemExit)
            with self.subTest(stdout), client, patch("sys.stdout", stdout), exits:
                runpy.run_path(SCRIPT, run_name="__main__")
            self.assertEqual(exits.exception.code, 0)
