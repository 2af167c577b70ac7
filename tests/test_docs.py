"""What the project's files say of each other, and what the README's code does."""

import ast
import asyncio
import contextlib
import io
import json
import os
import re
import textwrap
import unittest
from collections.abc import Callable, Coroutine
from unittest import mock

import g4f.client
from g4f import debug
from g4f.config import AppConfig

from tests.local_provider import (
    DONE,
    SCRIPT,
    LocalProvider,
    delta,
    forever,
    stream,
    use_provider,
)

# Bounds every wait, so that a broken snippet fails a test instead of hanging it.
TIMEOUT_SECONDS = 30

SOURCE = SCRIPT.read_text(encoding="utf-8")
README = SCRIPT.with_name("README.md").read_text(encoding="utf-8")
REQUIREMENTS = SCRIPT.with_name("requirements.txt").read_text(encoding="utf-8")

# All the Python blocks of the README: one more, without a test, is an error here.
MAIN, OTHER_MODEL, NAMED_PROVIDER, OWN_SERVER, BOUND_ON_SILENCE = [
    textwrap.dedent(block)
    for block in re.findall(
        r"^ *```python\n(.*?)^ *```$", README, re.MULTILINE | re.DOTALL
    )
]
[DEBUG_LOG] = re.findall(r"put `(.+)` and `(.+)` below the script's imports", README)

# A fact in the script, and the words in which the README repeats it.
QUOTES = [
    (r'^# requires-python = ">=(.+)"$', "Python {} or later"),
    (r'^ +model="(.+)",$', "`{}`"),
    (r'print\(f"\\n(Error occurred:) ', "`{}`"),
    (r'print\("\\n\\n(Final accumulated text:)"', "`{}`"),
    (r"return (\d)\n    except", "same text after `Final accumulated text:` | {}"),
    (r"return (\d)\n    finally", "the reason, then the text so far again | {}"),
    (r"sys\.exit\((\d+)\)", "then the same after `Final accumulated text:` | {}"),
    (r"sys\.exit\((\d+)\)", "Ctrl-C makes it {}"),
]

REPLY = stream(delta(content="Hello"), DONE)
OUTPUT = "Hello\n\nFinal accumulated text: Hello\n"

# A base URL at which nothing answers.
NOWHERE = "http://127.0.0.1:1/v1"


def main_with(snippet: str) -> Callable[[], Coroutine]:
    """Return the script's main(), changed by `snippet` as the README says.

    What the snippet assigns takes the place of the script's own value, and all else
    goes to the top.
    """
    script = ast.parse(SOURCE)
    values = {}
    for statement in reversed(ast.parse(snippet).body):
        if isinstance(statement, ast.Assign):
            values[ast.unparse(statement.targets[0])] = statement.value
        else:
            script.body.insert(1, statement)
    for node in ast.walk(script):
        if isinstance(node, ast.Assign):
            node.value = values.pop(ast.unparse(node.targets[0]), node.value)
    if values:
        raise ValueError(f"The script does not assign {', '.join(values)}.")
    namespace = {"__name__": "readme"}
    exec(compile(script, "README.md", "exec"), namespace)  # noqa: S102 - our own code
    return namespace["main"]


class FilesTest(unittest.TestCase):
    def test_uv_and_pip_install_the_same(self):
        block = re.search(r"^# /// script\n((?:# .*\n)+)# ///$", SOURCE, re.MULTILINE)
        [dependencies] = re.findall(r"# dependencies = (.+)", block[1])
        requirements = [
            line.partition("#")[0].strip() for line in REQUIREMENTS.splitlines()
        ]
        self.assertEqual(json.loads(dependencies), requirements)

    def test_the_readme_quotes_the_script_as_it_is(self):
        for pattern, words in QUOTES:
            with self.subTest(words):
                [fact] = re.findall(pattern, SOURCE, re.MULTILINE)
                self.assertIn(words.format(fact), README)

    def test_the_readme_shows_main_as_it_is(self):
        [main] = [
            ast.get_source_segment(SOURCE, node)
            for node in ast.parse(SOURCE).body
            if isinstance(node, ast.AsyncFunctionDef)
        ]
        self.assertEqual(MAIN, f"{main}\n")


class SnippetTest(unittest.IsolatedAsyncioTestCase):
    """The script, changed by a snippet of the README, and a real local server."""

    async def run_with(self, snippet: str, base_url: str) -> tuple[str, int]:
        """Run the changed script; its provider is `base_url` if it names none itself."""
        with (
            # A proxy that the machine uses must not get the local requests.
            mock.patch.dict(os.environ, no_proxy="127.0.0.1"),
            # Put back at the end, because use_provider() replaces it.
            mock.patch.object(g4f.client, "AsyncClient", g4f.client.AsyncClient),
            contextlib.redirect_stdout(io.StringIO()) as stdout,
        ):
            use_provider(base_url)
            main = asyncio.wait_for(main_with(snippet)(), TIMEOUT_SECONDS)
            # A thread, because g4f blocks while it asks this one's server for models.
            exit_status = await asyncio.to_thread(asyncio.run, main)
        return stdout.getvalue(), exit_status

    async def test_another_model_and_prompt_are_what_the_provider_is_asked_for(self):
        async with LocalProvider(REPLY) as provider:
            result = await self.run_with(OTHER_MODEL, provider.base_url)
        self.assertEqual(result, (OUTPUT, 0))
        [request] = provider.chat_requests
        [message] = request["messages"]
        self.assertNotEqual(request["model"], "gpt-4")
        self.assertNotEqual(message["content"], "Say hello there!")
        for words in (request["model"], message["content"]):
            self.assertIn(f'"{words}"', OTHER_MODEL)

    async def test_a_named_provider_is_the_one_that_is_asked(self):
        asked = []

        async def refuse(reader, writer):
            asked.append(await reader.readline())
            writer.close()

        async with await asyncio.start_server(refuse, "127.0.0.1") as proxy:
            port = proxy.sockets[0].getsockname()[1]
            with mock.patch.object(AppConfig, "proxy", f"http://127.0.0.1:{port}"):
                await self.run_with(NAMED_PROVIDER, NOWHERE)
        self.assertRegex(b"".join(asked), rb"\ACONNECT \S+:443 ")

    async def test_your_own_server_is_the_one_that_is_asked(self):
        async with LocalProvider(REPLY) as provider:
            snippet = re.sub(r"(127\.0\.0\.1):\d+", rf"\1:{provider.port}", OWN_SERVER)
            result = await self.run_with(snippet, NOWHERE)
        self.assertEqual(result, (OUTPUT, 0))

    async def test_a_silence_beyond_the_bound_is_one_message(self):
        snippet = re.sub(r"(stream_timeout)=\d+", r"\1=0.1", BOUND_ON_SILENCE)
        async with LocalProvider(stream(delta(content="Hello"), forever)) as provider:
            output, exit_status = await self.run_with(snippet, provider.base_url)
        self.assertRegex(output, r"\AHello\nError occurred: .*(timed out|Timeout).*\n")
        self.assertEqual(exit_status, 1)

    async def test_the_debug_log_can_be_turned_on(self):
        with mock.patch.object(debug, "logging", False):
            async with LocalProvider(REPLY) as provider:
                await self.run_with("\n".join(DEBUG_LOG), provider.base_url)
            self.assertTrue(debug.logging)
