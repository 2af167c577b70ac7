"""What the README says: each quote is true, each block and each change runs as pasted."""

import asyncio
import runpy
from collections.abc import Callable
from unittest import mock

import g4f.client
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from g4f.client import AsyncClient
from g4f.Provider import ProviderUtils
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
    ("return 0\n    except", "the same text after `Final accumulated text:` | 0"),
    ("return 1\n    finally", "the reason, then the text so far again | 1"),
    ('"\\n\\nFinal accumulated text:"', "same after `Final accumulated text:` | 130"),
    ("sys.exit(130)", "same after `Final accumulated text:` | 130"),
]

# All the Python blocks of the README: one more, without a test, is an error here.
WHOLE_FILE, OWN_PROGRAM = [
    block.partition("```")[0] for block in README.split("```python\n")[1:]
]

# All the changes, each a line of the file and the line in its place, once or twice.
MODEL, PROMPT, NAMED_PROVIDER, SILENCE, OWN_SERVER, OWN_SERVER_WITH_KEY = [
    [line.strip("`") for line in item.split("<br>")[1:]]
    for item in README.splitlines()
    if "<br>" in item
]
DEBUG_LOG = README.partition('.venv/bin/python -c "')[2].partition('"')[0]

# The providers of which the README says that they ignore a bound on silence.
UNBOUNDED = ["Copilot", "PhindAi", "Arena"]

HELLO = delta(content="Hello")
REPLY = stream(HELLO, DONE)


def changed(text: str, old: str, new: str) -> str:
    """Return `text` with the line `new` in place of `old`, which must be there once."""
    before, after = text.split(f"\n{old}\n")
    return f"{before}\n{new}\n{after}"


def asking(base_url: str, text: str, client: list[str] = OWN_SERVER[2:]) -> str:
    """Return `text`, made to ask the server at `base_url` as the README says."""
    text = changed(text, *OWN_SERVER[:2])
    return changed(text, *client).replace("http://127.0.0.1:11434/v1", base_url)


def own_program(base_url: str) -> str:
    """Return the README's own program, made to ask the server at `base_url`."""
    # It creates the client at the top of the file, without indentation.
    client = [line.strip() for line in OWN_SERVER_WITH_KEY]
    return asking(base_url, OWN_PROGRAM, client)


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

    def test_the_providers_that_the_readme_names_ignore_a_bound_on_silence(self):
        self.assertIn("`{}`, `{}` and `{}` ignore".format(*UNBOUNDED), README)
        for name in UNBOUNDED:
            bound = getattr(ProviderUtils.convert.get(name), "use_stream_timeout", None)
            self.assertIs(bound, False, f"Take {name} out of the README")


class BlockTest(ProcessTest):
    async def run_file(self, chat: Handler, text: str) -> tuple:
        provider = await self.serve(chat)
        result = await self.run_pasted(asking(provider.base_url, text))
        return result, provider.chat_requests

    async def test_the_whole_file_runs_as_pasted_and_asks_your_own_server(self):
        result, [request] = await self.run_file(REPLY, WHOLE_FILE)
        self.assertEqual(result, (shown("Hello"), "", 0))
        self.assertEqual(request["model"], "gpt-4")

    async def test_another_model_and_prompt_are_what_the_server_is_asked_for(self):
        text = changed(changed(SOURCE, *MODEL), *PROMPT)
        result, [request] = await self.run_file(REPLY, text)
        self.assertEqual(result, (shown("Hello"), "", 0))
        prompt = {"role": "user", "content": "Tell me a joke."}
        self.assertEqual((request["model"], request["messages"]), ("gpt-4o", [prompt]))

    async def test_a_silence_beyond_the_bound_is_one_message(self):
        text = changed(SOURCE, *SILENCE)
        self.assertIn("stream_timeout=60", text)
        text = text.replace("stream_timeout=60", "stream_timeout=2")
        chat = stream(HELLO, forever)
        (stdout, stderr, exit_status), _ = await self.run_file(chat, text)
        self.assertTrue(stdout.startswith("Hello\nError occurred: "), stdout)
        self.assertEqual((stderr, exit_status), ("", 1))

    async def test_a_server_can_want_a_key_and_have_no_list_of_models(self):
        keys = []

        async def chat(request):
            keys.append(request.headers["Authorization"])
            return await REPLY(request)

        provider = await self.serve(chat, answer({}, 404))
        text = asking(provider.base_url, SOURCE, OWN_SERVER_WITH_KEY)
        self.assertEqual(await self.run_pasted(text), (shown("Hello"), "", 0))
        self.assertEqual(keys, ["Bearer YOUR KEY"])

    async def test_the_debug_log_is_shown(self):
        # g4f has something to log where the server offers the very model.
        provider = await self.serve(REPLY, answer({"data": [{"id": "gpt-4"}]}))
        text = asking(provider.base_url, SOURCE)
        stdout, stderr, exit_status = await self.run_pasted(text, "-c", DEBUG_LOG)
        self.assertTrue(stdout.endswith(shown("Hello")), stdout)
        self.assertNotEqual(stdout, shown("Hello"))
        self.assertEqual((stderr, exit_status), ("", 0))


class OwnProgramTest(ProcessTest):
    def lifted_out(self, program: str) -> Callable:
        """Return the function of `program`, without what uses it there."""
        path = paste(self, program.partition("async def main")[0])
        return runpy.run_path(str(path))["stream_text"]

    async def test_it_runs_as_pasted_and_shows_each_piece_as_it_arrives(self):
        seen = asyncio.Event()
        provider = await self.serve(stream(HELLO, seen.wait, HELLO, DONE))
        process = await self.start_pasted(own_program(provider.base_url))
        self.assertEqual(await self.read(process), "Hello")
        seen.set()
        self.assertEqual(await self.finish(process), ("Hello", "", 0))
        [request] = provider.chat_requests
        greeting = {"role": "user", "content": "Say hello there!"}
        self.assertEqual((request["model"], request["messages"]), ("gpt-4", [greeting]))

    async def test_it_raises_after_it_has_given_what_arrived(self):
        provider = await self.serve(stream(HELLO, DROP))
        result = await self.run_pasted(own_program(provider.base_url))
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
        stream_text = self.lifted_out(own_program(provider.base_url))
        application = web.Application()
        application.router.add_get("/", handle)
        async with TestServer(application) as server, ClientSession() as browser:
            # g4f's look-ups would block the very event loop that has to answer them.
            with mock.patch("requests.get", side_effect=OSError("No look-up.")):
                async with browser.get(server.make_url("/")) as response:
                    for _ in range(2):
                        piece = response.content.readany()
                        piece = await asyncio.wait_for(piece, TIMEOUT_SECONDS)
                        self.assertEqual(piece, b"Hello")
                        seen.set()
                await asyncio.wait([asyncio.create_task(left.wait())], timeout=5)
        self.assertTrue(left.is_set(), "The request went on, as with curl_cffi.")


class NamedProviderTest(InProcessTest):
    def test_a_named_provider_is_the_one_that_is_asked(self):
        name = NAMED_PROVIDER[1].split('"')[1]
        provider = ProviderUtils.convert.get(name)
        self.assertTrue(provider, f"g4f has no {name}: name another in the README")

        async def reply(**_):
            yield "Hello"

        path = paste(self, changed(SOURCE, *NAMED_PROVIDER))
        with mock.patch.object(provider, "create_async_generator", reply):
            self.assertEqual(self.run_with(AsyncClient, path), (shown("Hello"), 0))
