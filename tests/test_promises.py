"""What the user sees: while a reply arrives, after Ctrl-C, and on any kind of output."""

import asyncio
import contextlib
import runpy
import signal
import sys
import unittest
from unittest import mock

import g4f.client
from g4f.providers.response import ImageResponse

from tests.local_provider import DONE, DROP, SCRIPT, delta, forever, stream
from tests.run_script import ASK, TIMEOUT_SECONDS, InProcessTest, ProcessTest, shown

CONTENTS = ["Hello", " ", " ", "there!\n", "👋", "\n", "\n"]
TEXT = "Hello  there!\n👋\n\n"
REPLY = stream(*(delta(content=content) for content in CONTENTS), DONE)
HELLO = delta(content="Hello")


async def hello():
    yield "Hello"


class ReplyTest(ProcessTest):
    async def test_each_delta_appears_before_the_next_one_is_sent(self):
        seen = asyncio.Semaphore(0)
        parts = []
        for content in CONTENTS:
            parts += [delta(content=content), seen.acquire]
        provider = await self.serve(stream(*parts, DONE))
        process = await self.start(*ASK, provider.base_url)
        for content in CONTENTS:
            self.assertEqual(await self.read(process), content)
            seen.release()
        final_text = f"\n\nFinal accumulated text: {TEXT}\n"
        self.assertEqual(await self.finish(process), (final_text, "", 0))

    async def test_a_good_run_asks_gpt_4_once_and_prints_exactly_the_reply(self):
        provider = await self.serve(REPLY)
        result = await self.run_python(*ASK, provider.base_url)
        self.assertEqual(result, (shown(TEXT), "", 0))
        [request] = provider.chat_requests
        self.assertEqual((request["model"], request["stream"]), ("gpt-4", True))
        greeting = {"role": "user", "content": "Say hello there!"}
        self.assertEqual(request["messages"], [greeting])

    async def test_reasoning_is_passed_over(self):
        reply = stream(delta(reasoning_content="A greeting?"), HELLO, DONE)
        self.assertEqual(await self.run_script(reply), (shown("Hello"), "", 0))

    async def test_an_empty_reply_is_an_empty_final_text_without_a_message(self):
        self.assertEqual(await self.run_script(stream(DONE)), (shown(""), "", 0))

    async def test_a_character_that_the_output_lacks_is_shown_as_its_escape(self):
        result = await self.run_script(REPLY, PYTHONIOENCODING="ascii")
        output = shown(TEXT).replace("👋", r"\U0001f44b")
        self.assertEqual(result, (output, "", 0))

    async def test_nothing_is_left_open_and_no_coroutine_is_left_unawaited(self):
        # Python warns of a coroutine by itself, of a resource only when asked to.
        for reply, status in ((REPLY, 0), (stream(HELLO, DROP), 1)):
            result = await self.run_script(reply, "-W", "always::ResourceWarning")
            self.assertEqual(result[1:], ("", status))

    async def test_without_a_network_a_scripted_reply_streams_and_is_called_so(self):
        process = await self.start(*ASK)
        first_pieces = await self.read(process)
        self.assertNotIn("you?", first_pieces)
        stdout, stderr, exit_status = await self.finish(process)
        self.assertEqual(first_pieces + stdout, shown("Hello there! How are you? 👋"))
        self.assertIn("scripted", stderr)
        self.assertEqual((stderr.count("\n"), exit_status), (1, 0))

    async def test_an_argument_that_is_not_an_http_url_gets_one_line(self):
        stdout, stderr, exit_status = await self.run_python(*ASK, "127.0.0.1:8000/v1")
        self.assertEqual((stdout, stderr.count("\n"), exit_status), ("", 1, 1))


@unittest.skipIf(
    sys.platform == "win32", "There, Ctrl-C reaches all of a console, the tests too."
)
class CtrlCTest(ProcessTest):
    async def test_ctrl_c_in_a_stalled_stream_shows_the_text_so_far(self):
        provider = await self.serve(stream(HELLO, forever))
        process = await self.start(*ASK, provider.base_url)
        self.assertEqual(await self.read(process), "Hello")
        process.send_signal(signal.SIGINT)
        final_text = "\n\nFinal accumulated text: Hello\n"
        self.assertEqual(await self.finish(process), (final_text, "", 130))

    async def test_ctrl_c_ends_the_wait_for_a_provider_that_does_not_answer(self):
        asked = asyncio.Event()

        async def never_answer(_):
            asked.set()
            await forever()

        provider = await self.serve(REPLY, never_answer)
        process = await self.start(*ASK, provider.base_url)
        await asyncio.wait_for(asked.wait(), TIMEOUT_SECONDS)
        process.send_signal(signal.SIGINT)
        self.assertEqual(await self.finish(process), (shown(""), "", 130))


class InterruptionTest(InProcessTest):
    def test_ctrl_c_just_after_a_delta_is_shown_does_not_lose_it(self):
        with mock.patch.object(self.stdout, "flush", side_effect=SystemExit(130)):
            self.assertEqual(self.run_script(hello), (shown("Hello"), 130))

    def test_cancelling_main_shows_the_text_so_far_and_passes_through(self):
        async def reply():
            yield "Hello"
            asyncio.current_task().cancel()
            await forever()

        with self.assertRaises(asyncio.CancelledError):
            self.run_script(reply)
        self.assertEqual(self.stdout.getvalue(), shown("Hello"))


class OddReplyTest(InProcessTest):
    def test_white_space_around_the_reply_is_kept(self):
        async def reply():
            yield " \nHello\n "

        self.assertEqual(self.run_script(reply), (shown(" \nHello\n "), 0))

    def test_an_image_is_shown_and_kept_as_markdown(self):
        url = "https://example.com/cat.png"

        async def reply():
            yield "Look: "
            yield ImageResponse(url, "a cat")

        output = shown(f"Look: [![a cat]({url})]({url})")
        self.assertEqual(self.run_script(reply), (output, 0))

    def test_a_chunk_with_no_choices_is_passed_over(self):
        async def chunks():
            yield mock.Mock(choices=[])

        client = mock.Mock()
        client.chat.completions.create.return_value = chunks()
        self.assertEqual(self.run_with(lambda: client), (shown(""), 0))


class AnywhereTest(InProcessTest):
    def test_the_final_text_is_not_copied_as_memory_may_be_full(self):
        with mock.patch.object(self.stdout, "write") as write:
            self.run_script(hello)
        self.assertEqual(write.mock_calls.count(mock.call("Hello")), 2)

    def test_it_runs_where_the_output_is_closed(self):
        with contextlib.redirect_stdout(None):
            self.assertEqual(self.run_script(hello), ("", 0))

    def test_importing_it_asks_nothing_and_changes_nothing(self):
        handler = signal.getsignal(signal.SIGINT)
        self.stdout.reconfigure = mock.Mock()
        with mock.patch.object(g4f.client, "AsyncClient") as create_client:
            main = runpy.run_path(str(SCRIPT))["main"]
            create_client.assert_not_called()
            self.assertEqual(self.stdout.getvalue(), "")
            # Nor does main(), called from another program, change that program.
            asyncio.run(main())
        self.stdout.reconfigure.assert_not_called()
        self.assertEqual(signal.getsignal(signal.SIGINT), handler)
