"""How the tests run the script, and that no run leaves this machine."""

import asyncio
import contextlib
import io
import os
import runpy
import signal
import sys
import tempfile
import unittest
import warnings
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from unittest import mock

import g4f.client
from g4f.client import AsyncClient
from g4f.Provider import AsyncGeneratorProvider

from tests.local_provider import SCRIPT, Handler, LocalProvider

# Bounds every wait, so that a broken script fails a test instead of hanging it.
TIMEOUT_SECONDS = 30

# The script, untouched; the base URL of the server that it asks comes next.
ASK = ["-m", "tests.local_provider"]


def decoded(output: bytes) -> str:
    """Return what a process printed, whatever ends a line on this system."""
    return output.decode().replace("\r\n", "\n")


def shown(text: str) -> str:
    """Return all that a run prints whose provider sends `text` and then no error."""
    return f"{text}\n\nFinal accumulated text: {text}\n"


def client_for(reply):
    """Return what creates a client whose provider sends what `reply()` yields."""

    class Provider(AsyncGeneratorProvider):
        @staticmethod
        def create_async_generator(model, messages, **kwargs):
            return reply()

    return lambda: AsyncClient(provider=Provider)


def paste(test: unittest.TestCase, text: str) -> Path:
    """Return a file that holds `text`, alone in its directory until `test` ends."""
    directory = tempfile.TemporaryDirectory()
    test.addCleanup(directory.cleanup)
    path = Path(directory.name, SCRIPT.name)
    path.write_text(text, encoding="utf-8")
    return path


class ProcessTest(unittest.IsolatedAsyncioTestCase):
    """A real process, whose real client asks a local server over real HTTP."""

    async def asyncSetUp(self):
        # Nothing of the script is in a library's warning, or in asyncio's of slow steps.
        warnings.simplefilter("ignore", DeprecationWarning)
        asyncio.get_running_loop().slow_callback_duration = TIMEOUT_SECONDS

    async def serve(self, *handlers: Handler) -> LocalProvider:
        provider = LocalProvider(*handlers)
        await provider.start_server()
        self.addAsyncCleanup(provider.close)
        return provider

    async def start(
        self, *arguments: str, cwd: Path = SCRIPT.parent, **variables: str
    ) -> Process:
        environment = {**os.environ, "PYTHONIOENCODING": "utf-8", **variables}
        # Loading certificates, which nothing here needs, is a fifth of each run.
        environment["SSL_CERT_FILE"] = os.devnull
        # Whoever asks another server than the local one is refused.
        environment["https_proxy"] = "http://127.0.0.1:1"
        # It would hide a missing flush.
        environment.pop("PYTHONUNBUFFERED", None)
        command = [sys.executable, *arguments]
        process = await asyncio.create_subprocess_exec(
            *command, cwd=cwd, env=environment, stdout=PIPE, stderr=PIPE
        )
        self.addAsyncCleanup(self.stop, process)
        return process

    async def stop(self, process: Process) -> None:
        if process.returncode is None:
            process.kill()
        await process.communicate()

    async def read(self, process: Process) -> str:
        content = await asyncio.wait_for(process.stdout.read(100), TIMEOUT_SECONDS)
        return decoded(content)

    async def finish(self, process: Process) -> tuple[str, str, int]:
        stdout, stderr = await asyncio.wait_for(process.communicate(), TIMEOUT_SECONDS)
        return decoded(stdout), decoded(stderr), process.returncode

    async def run_python(
        self, *arguments: str, **variables: str
    ) -> tuple[str, str, int]:
        return await self.finish(await self.start(*arguments, **variables))

    async def run_script(self, chat: Handler, *options: str, **variables: str) -> tuple:
        provider = await self.serve(chat)
        return await self.run_python(*options, *ASK, provider.base_url, **variables)

    async def start_pasted(self, text: str, *arguments: str) -> Process:
        """Run Python, with `arguments` or else with `text` as its file, beside that file."""
        path = paste(self, text)
        return await self.start(*arguments or [path.name], cwd=path.parent)

    async def run_pasted(self, text: str, *arguments: str) -> tuple[str, str, int]:
        return await self.finish(await self.start_pasted(text, *arguments))


class InProcessTest(unittest.TestCase):
    """The script in this process, for replies that no server can send."""

    def setUp(self):
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        self.stdout = stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        no_network = OSError("No test looks up a host.")
        stack.enter_context(mock.patch("socket.getaddrinfo", side_effect=no_network))
        # The script sets its own, which must not outlive the test.
        stack.callback(signal.signal, signal.SIGINT, signal.getsignal(signal.SIGINT))

    def run_script(self, reply) -> tuple[str, int]:
        """Run the script with a provider that sends what the generator `reply` yields."""
        return self.run_with(client_for(reply))

    def run_with(self, create_client, path=SCRIPT) -> tuple[str, int]:
        """Return the output and the exit status; AsyncClient() is `create_client()`."""
        with (
            mock.patch.object(g4f.client, "AsyncClient", create_client),
            self.assertRaises(SystemExit) as caught,
        ):
            runpy.run_path(str(path), run_name="__main__")
        output = self.stdout.getvalue()
        self.stdout.seek(self.stdout.truncate(0))
        return output, caught.exception.code
