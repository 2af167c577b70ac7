"""What the README says: each quote is true, each block and each change runs as pasted."""

import asyncio
import runpy
from collections.abc import Callable
from unittest import mock

import g4f.client
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from g4f.client import AsyncClient, create_custom_provider
from g4f.providers.response import ImageResponse

from tests.local_provider import (
    DONE,
    DROP,
    SCRIPT,
    Handler,
    answer,
    delta,
    forever,
    stream,
)
from tests.run_script import (
    ASK,
    TIMEOUT_SECONDS,
    InProcessTest,
    ProcessTest,
    client_for,
    paste,
    shown,
)

SOURCE = SCRIPT.read_text(encoding="utf-8")
README = SCRIPT.with_name("README.md").read_text(encoding="utf-8")
REQUIREMENTS = SCRIPT.with_name("requirements.txt").read_text(encoding="utf-8")

# What the script says, and what the README says of it.
QUOTES = [
    ('# requires-python = ">=3.10"\n', "Python 3.10 or later"),
    ('model="gpt-4",\n', "one `gpt-4` reply"),
    ('print(f"\\nError occurred: ', "`Error occurred:` and the reason"),
    ("return 0\n    except", "The exit status is 0 when the reply has ended"),
    ("return 1\n    finally", "After an error it is 1"),
    ('"\\n\\nFinal accumulated text:"', "again after `Final accumulated text:`"),
    ("sys.exit(130)", "After Ctrl-C it is 130"),
    ("", 'StreamingResponse(stream_text(prompt), media_type="text/plain")'),
]

# All the Python blocks of the README: one more, without a test, is an error here.
WHOLE_FILE, OWN_PROGRAM = [
    block.partition("```")[0] for block in README.split("```python\n")[1:]
]
SHOWN_OUTPUT = README.partition("```text\n")[2].partition("```")[0]

# The table of changes: what each is for, what to find, what to write.
CHANGES = [
    [cell.strip(" `") for cell in line.strip("|").split("|")]
    for line in README.splitlines()
    if line.startswith("| ") and "`" in line
]
OLLAMA = "http://127.0.0.1:11434/v1"
NO_MODELS = README.partition("has no `/models`, write `")[2].partition("`")[0]

# Where not what the script asks for: what arrives at the server after a change.
ARRIVES = {
    "Another model": ("gpt-4o", "Say hello there!"),
    "Another prompt": ("gpt-4", "Tell me a joke."),
}
GREETING = ("gpt-4", "Say hello there!")

HELLO = delta(content="Hello")
REPLY = stream(HELLO, DONE)


def changed(text: str, find: str, write: str) -> str:
    """Return `text` with `write` in place of `find`, which must be there once."""
    before, after = text.split(find)
    return before + write + after


class FilesTest(InProcessTest):
    def test_uv_and_pip_install_the_same(self):
        requirement = REQUIREMENTS.partition("#")[0].strip()
        self.assertIn(f'\n# dependencies = ["{requirement}"]\n# ///\n', SOURCE)
        self.assertEqual(REQUIREMENTS.count("\n"), 1)

    def test_the_readme_quotes_the_script_as_it_is(self):
        for script_says, readme_says in QUOTES:
            with self.subTest(readme_says):
                self.assertIn(script_says, SOURCE)
                self.assertIn(readme_says, README)

    def test_the_readme_shows_the_whole_file_as_it_is(self):
        self.assertEqual(WHOLE_FILE, SOURCE)


class ChangeTest(ProcessTest):
    async def run_both(self, find: str, write: str, *handlers: Handler) -> list:
        """Return what each program, so changed, shows, and what it asked the server."""
        runs = []
        for program in (WHOLE_FILE, OWN_PROGRAM):
            provider = await self.serve(*handlers)
            text = changed(program, find, write)
            if OLLAMA in write:
                text = text.replace(OLLAMA, provider.base_url)
                result = await self.run_pasted(text)
            else:
                path = paste(self, text)
                result = await self.run_python(*ASK, provider.base_url, str(path))
            runs.append((result, provider.chat_requests))
        return runs

    async def test_each_change_fits_both_programs_and_arrives_at_the_server(self):
        purposes = [purpose for purpose, _, _ in CHANGES]
        self.assertEqual(len(purposes), 5, "Say below what the new change does.")
        for purpose, find, write in CHANGES:
            with self.subTest(purpose):
                whole_file, own_program = await self.run_both(find, write, REPLY)
                for (result, [request]), output in (
                    (whole_file, shown("Hello")),
                    (own_program, "Hello"),
                ):
                    self.assertEqual(result, (output, "", 0))
                    [message] = request["messages"]
                    asked = (request["model"], message["content"])
                    self.assertEqual(asked, ARRIVES.get(purpose, GREETING))

    async def test_a_longer_silence_is_an_error(self):
        [(find, write)] = [row[1:] for row in CHANGES if "silence" in row[0]]
        write = changed(write, "60", "2")
        runs = await self.run_both(find, write, stream(HELLO, forever))
        (file_output, file_error, _), (own_output, own_error, _) = [
            run[0] for run in runs
        ]
        self.assertTrue(file_output.startswith("Hello\nError occurred: "), file_output)
        self.assertEqual((file_error, own_output), ("", "Hello"))
        self.assertTrue(own_error.startswith("Traceback"), own_error)

    async def test_your_own_server_can_want_a_key_or_have_no_models(self):
        keys = []

        async def chat(request):
            keys.append(request.headers.get("Authorization"))
            return await REPLY(request)

        _, find, write = CHANGES[-1]
        self.assertIn('`api_key="..."` can stand beside it', README)
        with_key = write.replace(")", ', api_key="YOUR KEY")')
        for (stdout, *_), _ in await self.run_both(find, with_key, chat):
            self.assertTrue(stdout.startswith("Hello"), stdout)
        self.assertEqual(keys, ["Bearer YOUR KEY"] * 2)
        programs = [WHOLE_FILE, OWN_PROGRAM]
        for program in programs:
            provider = await self.serve(REPLY, answer({}, 404))
            text = changed(program, "AsyncClient()", NO_MODELS)
            text = text.replace(
                "import AsyncClient", "import AsyncClient, create_custom_provider"
            )
            result = await self.run_pasted(text.replace(OLLAMA, provider.base_url))
            self.assertTrue(result[0].startswith("Hello"), result)

    async def test_each_attempt_is_shown(self):
        line = "import g4f.debug; g4f.debug.enable_logging()"
        self.assertIn(f"`{line}` below the imports", README)
        text = SOURCE.replace("import AsyncClient\n", f"import AsyncClient\n{line}\n")
        path = paste(self, text)
        provider = await self.serve(REPLY, answer({"data": [{"id": "gpt-4"}]}))
        result = await self.run_python(*ASK, provider.base_url, str(path))
        self.assertTrue(result[0].endswith(shown("Hello")), result)
        self.assertNotEqual(result[0], shown("Hello"))

    async def test_the_output_shown_is_that_of_the_scripted_reply(self):
        stdout, _, _ = await self.run_python(*ASK)
        self.assertEqual(stdout, SHOWN_OUTPUT)


class OwnProgramTest(ProcessTest):
    def lifted_out(self, program: str) -> Callable:
        """Return the function of `program`, without what uses it there."""
        path = paste(self, program.removesuffix("asyncio.run(main())\n"))
        return runpy.run_path(str(path))["stream_text"]

    async def test_it_runs_as_pasted_and_shows_each_piece_as_it_arrives(self):
        seen = asyncio.Event()
        provider = await self.serve(stream(HELLO, seen.wait, HELLO, DONE))
        path = paste(self, OWN_PROGRAM)
        process = await self.start(*ASK, provider.base_url, str(path))
        self.assertEqual(await self.read(process), "Hello")
        seen.set()
        self.assertEqual(await self.finish(process), ("Hello", "", 0))
        [request] = provider.chat_requests
        greeting = {"role": "user", "content": "Say hello there!"}
        self.assertEqual((request["model"], request["messages"]), ("gpt-4", [greeting]))

    async def test_it_raises_after_it_has_given_what_arrived(self):
        provider = await self.serve(stream(HELLO, DROP))
        path = paste(self, OWN_PROGRAM)
        result = await self.run_python(*ASK, provider.base_url, str(path))
        stdout, stderr, exit_status = result
        self.assertEqual((stdout, exit_status), ("Hello", 1))
        self.assertTrue(stderr.startswith("Traceback"), stderr)

    async def test_even_an_image_is_given_as_text(self):
        async def reply():
            yield ImageResponse("https://example.com/cat.png", "a cat")

        with mock.patch.object(g4f.client, "AsyncClient", client_for(reply)):
            stream_text = self.lifted_out(OWN_PROGRAM)
        [piece] = [piece async for piece in stream_text("Draw a cat.")]
        self.assertIn("https://example.com/cat.png", piece)
        self.assertIsInstance(piece, str)

    async def test_a_web_handler_streams_it_and_ends_the_request_with_its_own(self):
        seen, left = asyncio.Event(), asyncio.Event()

        async def wait_until_the_client_leaves():
            try:
                await asyncio.sleep(5)
            except asyncio.CancelledError:
                left.set()
                raise

        async def handle(request):
            response = web.StreamResponse()
            await response.prepare(request)
            async for text in stream_text("Say hello there!"):
                await response.write(text.encode())
            return response

        chat = stream(HELLO, seen.wait, HELLO, wait_until_the_client_leaves, DONE)
        provider = await self.serve(chat)
        # A look-up would block the very event loop that has to answer it.
        local = create_custom_provider(provider.base_url, models=["gpt-4"])
        client = AsyncClient(provider=local)
        with mock.patch.object(g4f.client, "AsyncClient", return_value=client):
            stream_text = self.lifted_out(OWN_PROGRAM)
        application = web.Application()
        application.router.add_get("/", handle)
        async with TestServer(application) as server, ClientSession() as browser:
            response = await browser.get(server.make_url("/"))
            for _ in range(2):
                piece = response.content.readany()
                piece = await asyncio.wait_for(piece, TIMEOUT_SECONDS)
                self.assertEqual(piece, b"Hello")
                seen.set()
            response.close()
            await asyncio.wait([asyncio.create_task(left.wait())], timeout=5)
        self.assertTrue(left.is_set(), "The request went on, as with curl_cffi.")
