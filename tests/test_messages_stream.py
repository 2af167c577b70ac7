"""What a user of messages_stream.py sees."""

import asyncio
import contextlib
import io
import os
import signal
import sys
import unittest
from collections.abc import Iterator
from types import SimpleNamespace
from unittest import mock

from aiohttp import web
from g4f.client import AsyncClient
from g4f.Provider import AsyncGeneratorProvider
from g4f.providers.response import ImageResponse

import messages_stream
from tests import local_provider
from tests.local_provider import (
    DONE,
    DROP,
    SCRIPT,
    Handler,
    LocalProvider,
    answer,
    delta,
    event,
    forever,
    stream,
)

# Bounds every wait, so that a broken script fails a test instead of hanging it.
TIMEOUT_SECONDS = 30

RUN = ["-m", "tests.local_provider"]

# Standard output, standard error, exit status.
Result = tuple[str, str, int | None]

HELLO = delta(content="Hello")
THERE = delta(content=" there!\n")
WAVE = delta(content="👋")
GOOD_REPLY = stream(HELLO, THERE, WAVE, DONE)
GOOD_OUTPUT = "Hello there!\n👋\n\nFinal accumulated text: Hello there!\n👋\n"
DROPPED_REPLY = stream(HELLO, DROP)

ERROR = {"error": {"message": "overloaded"}}

# What happens, the provider's answer, the text so far, and what the message must tell.
FAILURES = [
    ("connection dropped", DROPPED_REPLY, "Hello", "not completed"),
    ("chunk that is not JSON", stream(HELLO, b"data: {nope\n\n"), "Hello", "nope"),
    ("error event", stream(HELLO, event(ERROR)), "Hello", "overloaded"),
    ("HTTP 401", answer(ERROR, 401), "", "overloaded"),
    ("HTTP 429", answer(ERROR, 429), "", "overloaded"),
    ("HTTP 500", answer(ERROR, 500), "", "overloaded"),
]

IMPORT_IT = """
import signal, sys
import tests.local_provider

tests.local_provider.use_provider(sys.argv[1])
before = signal.getsignal(signal.SIGINT), sys.stdout.errors
import messages_stream
assert before == (signal.getsignal(signal.SIGINT), sys.stdout.errors)
"""

CANCEL_IT_WHEN_THE_INPUT_ENDS = """
import asyncio, sys
import tests.local_provider

tests.local_provider.use_provider(sys.argv[1])
import messages_stream

async def run():
    task = asyncio.create_task(messages_stream.main())
    await asyncio.to_thread(sys.stdin.read)
    task.cancel()
    await asyncio.wait([task])
    print("Cancelled:", task.cancelled())

asyncio.run(run())
"""


class ProcessTest(unittest.IsolatedAsyncioTestCase):
    """A real process, whose real client asks a local server over real HTTP."""

    async def serve(self, *handlers: Handler) -> LocalProvider:
        provider = LocalProvider(*handlers)
        await provider.start_server()
        self.addAsyncCleanup(provider.close)
        return provider

    async def start(
        self, *arguments: str, **variables: str
    ) -> asyncio.subprocess.Process:
        environment = {
            **os.environ,
            "PYTHONIOENCODING": "utf-8",
            # A proxy that the machine uses must not get the local requests.
            "no_proxy": "127.0.0.1",
            # Loading certificates, which nothing here needs, is a fifth of each run.
            "SSL_CERT_FILE": os.devnull,
            **variables,
        }
        # It would hide a missing flush.
        environment.pop("PYTHONUNBUFFERED", None)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            cwd=SCRIPT.parent,
            env=environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        self.addAsyncCleanup(self.stop, process)
        return process

    async def stop(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is None:
            process.kill()
        await process.communicate()

    async def read(self, process: asyncio.subprocess.Process) -> str:
        shown = await asyncio.wait_for(process.stdout.read(100), TIMEOUT_SECONDS)
        return shown.decode()

    async def finish(self, process: asyncio.subprocess.Process) -> Result:
        stdout, stderr = await asyncio.wait_for(process.communicate(), TIMEOUT_SECONDS)
        return stdout.decode(), stderr.decode(), process.returncode

    async def run_python(self, *arguments: str, **variables: str) -> Result:
        return await self.finish(await self.start(*arguments, **variables))

    async def run_script(
        self, chat: Handler, *python_options: str, **variables: str
    ) -> Result:
        provider = await self.serve(chat)
        arguments = [*python_options, *RUN, provider.base_url]
        return await self.run_python(*arguments, **variables)

    def assert_one_message(self, result: Result, text: str, reason: str) -> None:
        stdout, stderr, exit_status = result
        self.assertRegex(
            stdout,
            rf"\A{text}\nError occurred: .*{reason}.*"
            rf"\n\n\nFinal accumulated text: {text}\n\Z",
        )
        self.assertEqual((stderr, exit_status), ("", 1))

    async def test_each_delta_appears_before_the_next_one_is_sent(self):
        shown = asyncio.Semaphore(0)
        wait = shown.acquire
        reply = stream(HELLO, wait, THERE, wait, WAVE, wait, DONE)
        provider = await self.serve(reply)
        process = await self.start(*RUN, provider.base_url)
        for content in ("Hello", " there!\n", "👋"):
            self.assertEqual(await self.read(process), content)
            shown.release()
        final_text = "\n\nFinal accumulated text: Hello there!\n👋\n"
        self.assertEqual(await self.finish(process), (final_text, "", 0))

    async def test_a_good_run_asks_gpt_4_once_and_prints_exactly_the_reply(self):
        provider = await self.serve(GOOD_REPLY)
        result = await self.run_python(*RUN, provider.base_url)
        self.assertEqual(result, (GOOD_OUTPUT, "", 0))
        asked = [
            (request["model"], request["messages"], request["stream"])
            for request in provider.chat_requests
        ]
        greeting = {"role": "user", "content": "Say hello there!"}
        self.assertEqual(asked, [("gpt-4", [greeting], True)])

    async def test_chunks_without_text_are_passed_over(self):
        reply = stream(
            delta(role="assistant"),
            event({"choices": []}),
            delta(reasoning_content="The user wants a greeting."),
            HELLO,
            delta(content=None),
            delta(content=""),
            THERE,
            WAVE,
            event({"choices": [], "usage": {"total_tokens": 3}}),
            DONE,
        )
        self.assertEqual(await self.run_script(reply), (GOOD_OUTPUT, "", 0))

    async def test_a_failure_is_one_message_after_the_text_so_far(self):
        results = await asyncio.gather(
            *(self.run_script(chat) for _, chat, _, _ in FAILURES)
        )
        for (failure, _, text, reason), result in zip(FAILURES, results, strict=True):
            with self.subTest(failure):
                self.assert_one_message(result, text, reason)

    async def test_a_refused_connection_is_one_message(self):
        provider = await self.serve(GOOD_REPLY)
        base_url = provider.base_url
        await provider.close()
        provider_refused, proxy_refused = await asyncio.gather(
            self.run_python(*RUN, base_url),
            # By itself the script asks g4f's own site, from within create().
            self.run_python(str(SCRIPT), https_proxy=base_url),
        )
        self.assert_one_message(provider_refused, "", "refused")
        self.assert_one_message(proxy_refused, "", "connect to proxy")

    async def test_ctrl_c_in_a_stalled_stream_shows_the_text_so_far(self):
        provider = await self.serve(stream(HELLO, forever))
        process = await self.start(*RUN, provider.base_url)
        self.assertEqual(await self.read(process), "Hello")
        process.send_signal(signal.SIGINT)
        self.assertEqual(
            await self.finish(process), ("\n\nFinal accumulated text: Hello\n", "", 130)
        )

    async def test_ctrl_c_ends_the_wait_for_a_provider_that_does_not_answer(self):
        asked = asyncio.Event()

        async def never_answer(_: web.Request) -> None:
            asked.set()
            await forever()

        provider = await self.serve(GOOD_REPLY, never_answer)
        process = await self.start(*RUN, provider.base_url)
        await asyncio.wait_for(asked.wait(), TIMEOUT_SECONDS)
        process.send_signal(signal.SIGINT)
        self.assertEqual(
            await self.finish(process), ("\n\nFinal accumulated text: \n", "", 130)
        )

    async def test_cancelling_main_shows_the_text_so_far_and_passes_through(self):
        provider = await self.serve(stream(HELLO, forever))
        process = await self.start(
            "-c", CANCEL_IT_WHEN_THE_INPUT_ENDS, provider.base_url
        )
        self.assertEqual(await self.read(process), "Hello")
        process.stdin.close()
        self.assertEqual(
            await self.finish(process),
            ("\n\nFinal accumulated text: Hello\nCancelled: True\n", "", 0),
        )

    async def test_a_character_that_the_output_lacks_is_shown_as_its_escape(self):
        results = await asyncio.gather(
            self.run_script(GOOD_REPLY, PYTHONIOENCODING="ascii"),
            self.run_script(GOOD_REPLY, PYTHONIOENCODING="cp1251"),
        )
        output = GOOD_OUTPUT.replace("👋", r"\U0001f44b")
        self.assertEqual(results, [(output, "", 0)] * 2)

    async def test_development_mode_shows_no_warning(self):
        results = await asyncio.gather(
            self.run_script(GOOD_REPLY, "-X", "dev"),
            self.run_script(DROPPED_REPLY, "-X", "dev"),
        )
        for (_, stderr, exit_status), expected_status in zip(results, (0, 1)):
            # asyncio reports each step that took long, as it does on a busy machine.
            warnings = [line for line in stderr.splitlines() if " took " not in line]
            self.assertEqual((warnings, exit_status), ([], expected_status))

    async def test_importing_the_module_shows_asks_and_changes_nothing(self):
        provider = await self.serve(GOOD_REPLY)
        result = await self.run_python("-c", IMPORT_IT, provider.base_url)
        self.assertEqual(result, ("", "", 0))
        self.assertEqual(provider.chat_requests, [])

    async def test_without_a_network_a_scripted_reply_streams_and_is_called_so(self):
        process = await self.start(*RUN)
        first_line = await asyncio.wait_for(process.stderr.readline(), TIMEOUT_SECONDS)
        self.assertIn(b"scripted", first_line)
        stdout, stderr, exit_status = await self.finish(process)
        self.assertRegex(
            stdout, r"\A(Hello there! 👋.*)\n\nFinal accumulated text: \1\n\Z"
        )
        self.assertEqual((stderr, exit_status), ("", 0))


class InProcessTest(unittest.IsolatedAsyncioTestCase):
    """What no server can send, or what needs no process of its own."""

    @contextlib.contextmanager
    def captured_output(self, client: object) -> Iterator[io.StringIO]:
        with (
            mock.patch.object(messages_stream, "AsyncClient", return_value=client),
            contextlib.redirect_stdout(io.StringIO()) as stdout,
        ):
            yield stdout

    def client_for(self, *contents: object) -> AsyncClient:
        class Provider(AsyncGeneratorProvider):
            @classmethod
            async def create_async_generator(cls, model, messages, **kwargs):
                for content in contents:
                    if isinstance(content, Exception):
                        raise content
                    yield content

        return AsyncClient(provider=Provider)

    async def test_an_image_is_shown_and_kept_as_markdown(self):
        url = "https://example.com/cat.png"
        image = ImageResponse(url, "a cat")
        with self.captured_output(self.client_for("Look: ", image, "!")) as stdout:
            self.assertEqual(await messages_stream.main(), 0)
        text = f"Look: [![a cat]({url})]({url})!"
        self.assertEqual(
            stdout.getvalue(), f"{text}\n\nFinal accumulated text: {text}\n"
        )

    async def test_an_error_is_shown_by_its_text_or_else_by_its_name(self):
        for error, message in (
            (TimeoutError("It took too long."), "It took too long."),
            (TimeoutError(), "TimeoutError()"),
        ):
            with self.subTest(message):
                client = self.client_for("Hello", error)
                with self.captured_output(client) as stdout:
                    self.assertEqual(await messages_stream.main(), 1)
                self.assertEqual(
                    stdout.getvalue(),
                    f"Hello\nError occurred: {message}\n\n\n"
                    "Final accumulated text: Hello\n",
                )

    async def test_a_chunk_with_no_choices_is_passed_over(self):
        async def chunks():
            yield SimpleNamespace(choices=[])
            choice = SimpleNamespace(delta=SimpleNamespace(content="Hello"))
            yield SimpleNamespace(choices=[choice])

        client = mock.Mock()
        client.chat.completions.create.return_value = chunks()
        with self.captured_output(client) as stdout:
            self.assertEqual(await messages_stream.main(), 0)
        self.assertEqual(stdout.getvalue(), "Hello\n\nFinal accumulated text: Hello\n")

    async def test_ctrl_c_just_after_a_delta_is_shown_does_not_lose_it(self):
        with self.captured_output(self.client_for("Hello")) as stdout:
            ctrl_c = mock.patch.object(stdout, "flush", side_effect=SystemExit(130))
            with ctrl_c, self.assertRaises(SystemExit):
                await messages_stream.main()
        self.assertEqual(stdout.getvalue(), "Hello\n\nFinal accumulated text: Hello\n")

    def test_an_argument_that_is_not_an_http_url_gets_one_line_and_status_2(self):
        for argument in ("ftp://127.0.0.1/v1", "127.0.0.1:8000/v1", "http://[::1"):
            with (
                self.subTest(argument),
                mock.patch.object(sys, "argv", ["local_provider", argument]),
                contextlib.redirect_stderr(io.StringIO()) as stderr,
            ):
                with self.assertRaises(SystemExit) as caught:
                    local_provider.main()
                self.assertEqual(caught.exception.code, 2)
                message = f"Not an http(s) URL: {argument!r}\n"
                self.assertEqual(stderr.getvalue(), message)
