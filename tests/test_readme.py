"""What the README says: each quote of the script is true, and each block does its work."""

import tempfile
import textwrap
from pathlib import Path
from unittest import mock

from g4f.client import AsyncClient
from g4f.Provider import ProviderUtils

from tests.local_provider import DONE, SCRIPT, answer, delta, pause, stream
from tests.run_script import InProcessTest, ProcessTest, shown

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
    ("sys.exit(130)", "Ctrl-C makes it 130"),
]

# All the Python blocks of the README: one more, without a test, is an error here.
MAIN, OTHER_MODEL, NAMED_PROVIDER, OWN_SERVER, BOUND_ON_SILENCE = [
    textwrap.dedent(block.partition("```")[0])
    for block in README.split("```python\n")[1:]
]
OWN_IMPORT, OWN_CLIENT = OWN_SERVER.split("\n\n")
DEBUG_LOG = ["from g4f import debug", "debug.enable_logging()"]

# The lines of the script that they replace.
IMPORT = "from g4f.client import AsyncClient\n"
CLIENT = "client = AsyncClient()\n"
STREAM = SOURCE[SOURCE.index("        stream = ") : SOURCE.index("        async for")]

REPLY = stream(delta(content="Hello"), DONE)


def changed(script: str, old: str, new: str) -> str:
    """Return `script` with `new` in place of `old`, which it must hold exactly once."""
    before, after = script.split(old)
    return before + new + after


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

    def test_the_readme_shows_main_as_it_is(self):
        self.assertIn(f"\n\n\n{MAIN}\n\nif __name__", SOURCE)


class BlockTest(ProcessTest):
    async def run_block(self, chat, script, *models):
        """Run `script` against a local server, which it is told as the README says."""
        provider = await self.serve(chat, *models)
        script = changed(script, IMPORT, f"{OWN_IMPORT}\n")
        script = changed(script, CLIENT, OWN_CLIENT)
        script = changed(script, "http://127.0.0.1:11434/v1", provider.base_url)
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "messages_stream.py")
            path.write_text(script, encoding="utf-8")
            return await self.run_python(str(path)), provider.chat_requests

    async def test_your_own_server_is_the_one_that_is_asked(self):
        result, requests = await self.run_block(REPLY, SOURCE)
        self.assertEqual((result, len(requests)), ((shown("Hello"), "", 0), 1))

    async def test_another_model_and_prompt_are_what_the_provider_is_asked_for(self):
        script = changed(SOURCE, STREAM, textwrap.indent(OTHER_MODEL, " " * 8))
        result, [request] = await self.run_block(REPLY, script)
        self.assertEqual(result, (shown("Hello"), "", 0))
        prompt = {"role": "user", "content": "Tell me a joke."}
        self.assertEqual((request["model"], request["messages"]), ("gpt-4o", [prompt]))

    async def test_a_silence_beyond_the_bound_is_one_message(self):
        script = changed(SOURCE, STREAM, textwrap.indent(BOUND_ON_SILENCE, " " * 8))
        script = changed(script, "stream_timeout=60", "stream_timeout=0.1")
        chat = stream(delta(content="Hello"), pause, pause, pause, DONE)
        (stdout, stderr, exit_status), _ = await self.run_block(chat, script)
        self.assertIn("Hello\nError occurred: ", stdout)
        self.assertEqual((stderr, exit_status), ("", 1))

    async def test_the_debug_log_can_be_turned_on(self):
        self.assertIn("put `{}` and `{}` below the".format(*DEBUG_LOG), README)
        script = changed(SOURCE, IMPORT, "\n".join([IMPORT, *DEBUG_LOG]))
        # g4f has something to log where the server offers the very model.
        models = answer({"data": [{"id": "gpt-4"}]})
        (stdout, stderr, exit_status), _ = await self.run_block(REPLY, script, models)
        self.assertTrue(stdout.endswith(shown("Hello")), stdout)
        self.assertNotEqual(stdout, shown("Hello"))
        self.assertEqual((stderr, exit_status), ("", 0))


class NamedProviderTest(InProcessTest):
    def test_a_named_provider_is_the_one_that_is_asked(self):
        name = NAMED_PROVIDER.split('"')[1]
        provider = ProviderUtils.convert.get(name)
        self.assertTrue(provider, f"g4f has no {name}: name another in the README")

        async def reply(**_):
            yield "Hello"

        script = changed(SOURCE, CLIENT, NAMED_PROVIDER)
        with (
            mock.patch.object(provider, "create_async_generator", reply),
            tempfile.TemporaryDirectory() as directory,
        ):
            path = Path(directory, "messages_stream.py")
            path.write_text(script, encoding="utf-8")
            result = self.run_with(AsyncClient, path)
        self.assertEqual(result, (shown("Hello"), 0))
