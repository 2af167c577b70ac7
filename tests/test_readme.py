"""What the README says: each quote is true, each block and each change runs as pasted."""

import asyncio
import runpy
import textwrap
import unittest
from pathlib import Path
from unittest.mock import patch

from aiohttp import web
from aiohttp.test_utils import RawTestServer, TestClient
from g4f.client import AsyncClient, create_custom_provider
from g4f.providers.response import ImageResponse

from tests.local_provider import SCRIPT, ScriptedProvider
from tests.shared import (
    ASK,
    GREETING,
    NO_CHOICES,
    ProcessTest,
    error,
    shown,
    stub_client,
)

SOURCE = Path(SCRIPT).read_text(encoding="utf-8")
README = Path(SCRIPT).with_name("README.md").read_text(encoding="utf-8")
REQUIREMENTS = Path(SCRIPT).with_name("requirements.txt").read_text(encoding="utf-8")

# What the script says, and what the README says of it.
QUOTES = [
    ('# requires-python = ">=3.10"\n', "Python 3.10 or later"),
    ('model="gpt-4",\n', "one `gpt-4` reply"),
    ('print(f"\\nError occurred: ', "`Error occurred:` and the reason"),
    ("return 0\n    except", "exit status is 0 when the reply has ended"),
    ("return 1\n    finally", "1 after an error"),
    ('"\\n\\nFinal accumulated text:"', "again after `Final accumulated text:`"),
    ("sys.exit(130)", "130 after Ctrl-C"),
]

BLOCKS = [block.partition("```")[0] for block in README.split("```python\n")[1:]]
OWN_PROGRAM = BLOCKS[1]

OLLAMA = "http://127.0.0.1:11434/v1"

# The model, the message and the key that arrive after each of them.
ASKED = ("gpt-4", GREETING, None)
JOKE = ("gpt-4", GREETING | {"content": "Tell me a joke."}, None)
NAMED = ("gpt-4", GREETING, "Bearer named")
WITH_KEY = ("gpt-4", GREETING, "Bearer ...")
ARRIVES = [("gpt-4o", GREETING, None), JOKE, NAMED, ASKED, ASKED, WITH_KEY]


def quoted(words: str) -> str:
    """Return what the README quotes after `words`."""
    return README.partition(f"{words} `")[2].partition("`")[0]


# The table of changes: what to find, and what to write.
CHANGES = [row.split("`")[1::2] for row in README.splitlines() if "` | `" in row]
OWN_SERVER = [quoted("For your own server, find"), quoted("`AsyncClient()` and write")]


class FilesTest(unittest.TestCase):
    def test_uv_and_pip_install_the_same(self):
        requirement = REQUIREMENTS.partition("#")[0].strip()
        self.assertIn(f'\n# dependencies = ["{requirement}"]\n# ///\n', SOURCE)
        self.assertEqual(REQUIREMENTS.count("\n"), 1)

    def test_the_readme_quotes_the_script_as_it_is(self):
        for script_says, readme_says in QUOTES:
            self.assertIn(script_says, SOURCE)
            self.assertIn(readme_says, README)

    def test_a_browser_neither_guesses_the_type_of_a_reply_nor_waits_for_more(self):
        header = 'headers={"X-Content-Type-Options": "nosniff"}'
        line = f'(stream_text(prompt), media_type="text/plain", {header})'
        self.assertEqual(f"StreamingResponse{line}", quoted("Return"))

    def test_the_readme_shows_the_whole_file_and_one_program_more(self):
        self.assertEqual(BLOCKS[0], SOURCE)
        self.assertEqual(len(BLOCKS), 2, "A block of the README has no test.")


class PageTest(ProcessTest):
    def stream_text(self, create_client, program=OWN_PROGRAM):
        """Return the program's function, without the last line, as in a web app."""
        path = self.paste(program.removesuffix("asyncio.run(main())\n"))
        with patch("g4f.client.AsyncClient", create_client):
            return runpy.run_path(path)["stream_text"]

    async def run_both(self, changes: list, *pieces: object, **options) -> list:
        """Return what both programs, so changed, print, their status and requests."""

        async def run(text):
            server = await self.serve(*pieces, **options)
            for find, write in changes:
                before, after = text.split(find)
                text = before + write + after
            # Your own server is asked by the change itself.
            ask = [] if OLLAMA in text else [*ASK, server.url]
            path = self.paste(text.replace(OLLAMA, server.url))
            return *await self.run_python(*ask, path), server.requests

        return await asyncio.gather(*map(run, BLOCKS[:2]))

    async def test_the_scripted_reply_streams_and_is_the_output_that_is_shown(self):
        process = await self.start(*ASK)
        self.assertIn("scripted", await self.read(process))
        first_piece = await self.read(process)
        output, exit_status = await self.finish(process)
        shown_output = README.partition("```text\n")[2].partition("```")[0]
        self.assertEqual((first_piece + output, exit_status), (shown_output, 0))
        self.assertNotIn("you?", first_piece)

    async def test_an_argument_that_is_not_an_http_url_gets_one_line(self):
        output, exit_status = await self.run_python(*ASK, "127.0.0.1:8000/v1")
        self.assertEqual((output.count("\n"), exit_status), (1, 1))

    async def test_it_runs_as_pasted_and_shows_each_piece_as_it_arrives(self):
        seen = asyncio.Event()
        server = await self.serve("Hello", seen, " there!")
        process = await self.start(*ASK, server.url, self.paste(OWN_PROGRAM))
        self.assertEqual(await self.read(process), "Hello")
        seen.set()
        self.assertEqual(await self.finish(process), (" there!\n", 0))
        self.assertEqual(server.requests, [ASKED])

    async def test_it_gives_even_an_image_as_text(self):
        image = ImageResponse("https://example.com/cat.png", "a cat")
        stream_text = self.stream_text(stub_client(NO_CHOICES, image))
        self.assertEqual([text async for text in stream_text("")], [str(image)])

    async def test_a_web_handler_streams_it_and_ends_the_request_with_its_own(self):
        async def handle(request):
            response = web.StreamResponse()
            await response.prepare(request)
            async for text in stream_text("Say hello there!"):
                await response.write(text.encode())

        server = await self.serve("Hello", asyncio.Event())
        # A look-up would block the very event loop that has to answer it.
        provider = create_custom_provider(server.url, models=["gpt-4"])
        stream_text = self.stream_text(lambda: AsyncClient(provider=provider))
        async with TestClient(RawTestServer(handle)) as browser:
            response = await browser.get("/")
            self.assertEqual(await self.bounded(response.content.readany()), b"Hello")
            response.close()
            ended = asyncio.create_task(server.answered.wait())
            await asyncio.wait([ended], timeout=5)
        self.assertTrue(ended.done(), "The request went on, as with curl_cffi.")

    async def test_each_change_fits_both_programs_and_arrives_at_the_server(self):
        find, write = OWN_SERVER
        with_key = [find, write.replace(")", f"{quoted('after the address:')})")]
        changes = [*CHANGES, OWN_SERVER, with_key]
        self.assertEqual(len(changes), len(ARRIVES), "A change has no test.")
        for change, arrives in zip(changes, ARRIVES):
            with self.subTest(change):
                whole_file, own_program = await self.run_both([change], "Hello")
                self.assertEqual(whole_file, (shown("Hello"), 0, [arrives]))
                self.assertEqual(own_program, ("Hello\n", 0, [arrives]))

    async def test_a_longer_silence_is_one_message_after_the_text_so_far(self):
        change = ["stream=True", CHANGES[3][1].replace("60", "2")]
        for text, status, _ in await self.run_both([change], "Hello", asyncio.Event()):
            message = text.partition("Error occurred: ")[2].partition("\n")[0]
            self.assertIn(text, (shown("Hello", message), f"Hello{error(message)}"))
            self.assertEqual(status, 1)

    async def test_an_error_that_is_yielded_comes_after_the_text_so_far(self):
        body = OWN_PROGRAM.partition("stream_text(prompt):\n")[2].partition("\n\n\n")[0]
        caught = (
            "    except" + OWN_PROGRAM.partition("    except")[2].partition("\n\n")[0]
        )
        caught = caught.replace(quoted("`yield` for"), quoted("after it, and"))
        tried = f"    try:\n{textwrap.indent(body, '    ')}\n{caught}"
        client = stub_client("Hello", TimeoutError())
        stream_text = self.stream_text(client, OWN_PROGRAM.replace(body, tried))
        pieces = [text async for text in stream_text("")]
        self.assertEqual("".join(pieces) + "\n", f"Hello{error('TimeoutError()')}")

    async def test_a_repeated_message_is_deleted_from_the_list_but_not_from_a_copy(
        self,
    ):
        self.assertEqual(quoted("pass a copy,"), "list(history)")
        answer = {"role": "assistant", "content": "Hello"}
        history = [GREETING, answer, GREETING]
        client = AsyncClient(provider=ScriptedProvider)
        for messages in (list(history), history):
            self.assertEqual(history, [GREETING, answer, GREETING])
            stream = client.chat.completions.create(messages, stream=True)
            self.assertTrue([chunk async for chunk in stream])
        self.assertEqual(history, [GREETING, answer])
