"""What the README says: each quote is true, each block and each change runs as pasted."""

import asyncio
import runpy
import unittest
from pathlib import Path
from unittest.mock import patch

from aiohttp import web
from aiohttp.test_utils import RawTestServer, TestClient
from g4f.client import AsyncClient, create_custom_provider
from g4f.providers.response import ImageResponse

from tests.local_provider import SCRIPT
from tests.shared import ASK, GREETING, NO_CHOICES, ProcessTest, shown, stub_client

SOURCE = Path(SCRIPT).read_text(encoding="utf-8")
README = Path(SCRIPT).with_name("README.md").read_text(encoding="utf-8")
REQUIREMENTS = Path(SCRIPT).with_name("requirements.txt").read_text(encoding="utf-8")

# What the script says, and what the README says of it.
QUOTES = [
    ('# requires-python = ">=3.10"\n', "Python 3.10 or later"),
    ('model="gpt-4",\n', "one `gpt-4` reply"),
    ('print(f"\\nError occurred: ', "`Error occurred:` and the reason"),
    ("return 0\n    except", "The exit status is 0 when the reply has ended"),
    ("return 1\n    finally", "After an error it is 1"),
    ('"\\n\\nFinal accumulated text:"', "again after `Final accumulated text:`"),
    ("sys.exit(130)", "After Ctrl-C it is 130"),
]

BLOCKS = [block.partition("```")[0] for block in README.split("```python\n")[1:]]
OWN_PROGRAM = BLOCKS[1]

# The table of changes: what to find, and what to write.
CHANGES = [row.split("`")[1::2] for row in README.splitlines() if "` | `" in row]
OLLAMA = "http://127.0.0.1:11434/v1"
IMPORT = "from g4f.client import AsyncClient"

# The model, the message and the key that arrive after each of them.
ASKED = ("gpt-4", GREETING, None)
JOKE = ("gpt-4", GREETING | {"content": "Tell me a joke."}, None)
NAMED = ("gpt-4", GREETING, "Bearer named")
WITH_KEY = ("gpt-4", GREETING, "Bearer ...")
ARRIVES = [("gpt-4o", GREETING, None), JOKE, NAMED, ASKED, ASKED, WITH_KEY]


def quoted(words: str) -> str:
    """Return what the README quotes after `words`."""
    return README.partition(f"{words} `")[2].partition("`")[0]


class FilesTest(unittest.TestCase):
    def test_uv_and_pip_install_the_same(self):
        requirement = REQUIREMENTS.partition("#")[0].strip()
        self.assertIn(f'\n# dependencies = ["{requirement}"]\n# ///\n', SOURCE)
        self.assertEqual(REQUIREMENTS.count("\n"), 1)

    def test_the_readme_quotes_the_script_as_it_is(self):
        for script_says, readme_says in QUOTES:
            self.assertIn(script_says, SOURCE)
            self.assertIn(readme_says, README)

    def test_a_browser_does_not_take_a_reply_for_a_page(self):
        self.assertIn('(stream_text(prompt), media_type="text/plain")', README)

    def test_the_readme_shows_the_whole_file_and_one_program_more(self):
        self.assertEqual(BLOCKS[0], SOURCE)
        self.assertEqual(len(BLOCKS), 2, "A block of the README has no test.")


class PageTest(ProcessTest):
    def stream_text(self, create_client):
        """Return the program's function, without the last line, as in a web app."""
        path = self.paste(OWN_PROGRAM.removesuffix("asyncio.run(main())\n"))
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
        self.assertEqual(await self.finish(process), (" there!", 0))
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
        with_key = CHANGES[4][1].replace(")", f", {quoted('theirs.')})")
        changes = [*CHANGES, ["AsyncClient()", with_key]]
        self.assertEqual(len(changes), len(ARRIVES), "A change has no test.")
        for change, arrives in zip(changes, ARRIVES):
            with self.subTest(change):
                whole_file, own_program = await self.run_both([change], "Hello")
                self.assertEqual(whole_file, (shown("Hello"), 0, [arrives]))
                self.assertEqual(own_program, ("Hello", 0, [arrives]))

    async def test_a_longer_silence_is_an_error(self):
        change = ["stream=True", CHANGES[3][1].replace("60", "2")]
        for text, status, _ in await self.run_both([change], "Hello", asyncio.Event()):
            self.assertEqual((text[:5], status), ("Hello", 1), text)

    async def test_your_own_server_can_have_no_list_of_models(self):
        client = ["AsyncClient()", quoted("no `/models`, write")]
        name = [IMPORT, f"{IMPORT}, create_custom_provider"]
        none = (web.HTTPNotFound(),)
        for *_, requests in await self.run_both([client, name], "Hello", models=none):
            self.assertEqual(requests, [ASKED])

    async def test_each_attempt_can_be_shown(self):
        changes = [CHANGES[4], [IMPORT, f"{IMPORT}\n{quoted('attempt**, put')}"]]
        # g4f has something to log where the server offers the very model.
        models = (b'{"data": [{"id": "gpt-4"}]}',)
        for output, *_ in await self.run_both(changes, "Hello", models=models):
            self.assertIn("\nHello", output)
