"""What the tests share: a local server, a stub client, and Python run as a process.

Server and client stream a reply in pieces. A string is the content of a delta, an
`asyncio.Event` is waited for, and an exception is raised.
"""

import asyncio
import json
import os
import sys
import tempfile
import unittest
import warnings
from asyncio.subprocess import PIPE, STDOUT, Process
from pathlib import Path
from unittest import mock

from aiohttp import web
from aiohttp.test_utils import TestServer

import tests

# The script, untouched; the URL of the server to ask may follow, then another file.
ASK = ["-m", "tests.local_provider"]
GREETING = {"role": "user", "content": "Say hello there!"}

# Not gpt-4, because g4f would complete a wrong model name to one that is offered.
MODELS = b'{"data": [{"id": "another-model"}]}'
NO_CHOICES = mock.Mock(choices=[])


def error(message: str) -> str:
    return f"\nError occurred: {message}\n"


def shown(text: str, message: str = "") -> str:
    """Return all that the script prints: the text so far, an error, the text again."""
    what_failed = error(message) if message else ""
    return f"{text}{what_failed}\n\nFinal accumulated text: {text}\n"


async def each(pieces: tuple):
    for piece in pieces:
        if isinstance(piece, asyncio.Event):
            # Longer than read() waits, and shorter than finish().
            await asyncio.wait([asyncio.create_task(piece.wait())], timeout=25)
        elif isinstance(piece, BaseException):
            raise piece
        else:
            yield piece


def stub_client(*pieces: object) -> mock.Mock:
    """Return an AsyncClient that streams what no server can: NO_CHOICES, or objects."""

    async def create(**_):
        async for piece in each(pieces):
            chunk = mock.Mock(choices=[mock.Mock(**{"delta.content": piece})])
            yield NO_CHOICES if piece is NO_CHOICES else chunk

    return mock.Mock(**{"return_value.chat.completions.create": create})


class LocalServer(TestServer):
    """An OpenAI-compatible server, which streams `pieces`, and `models` for /models.

    Bytes are sent as they are, and ConnectionAbortedError drops the connection.
    """

    def __init__(self, *pieces: object, models: tuple = (MODELS,)):
        self.pieces = pieces
        self.models = models
        self.requests = []
        self.asked = asyncio.Event()
        self.answered = asyncio.Event()
        application = web.Application()
        application.router.add_get("/v1/models", self.answer)
        application.router.add_post("/v1/chat/completions", self.answer)
        super().__init__(application)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.set()
        pieces = self.models
        if request.method == "POST":
            body = await request.json()
            key = request.headers.get("Authorization")
            self.requests.append((body["model"], *body["messages"], key))
            pieces = (*self.pieces, b"data: [DONE]\n\n")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        # g4f never closes a connection kept alive, and aiohttp may complain at exit.
        response.force_close()
        try:
            async for piece in each(pieces):
                if isinstance(piece, str):
                    data = {"choices": [{"delta": {"content": piece}}]}
                    piece = f"data: {json.dumps(data)}\n\n".encode()
                if not response.prepared:
                    await response.prepare(request)
                await response.write(piece)
        except ConnectionAbortedError:
            request.transport.close()
        finally:
            self.answered.set()
        return response


class ProcessTest(unittest.IsolatedAsyncioTestCase):
    """Python as a process: a result is its output, errors included, and its status."""

    async def asyncSetUp(self):
        # A test run shows neither a library's warnings nor asyncio's of slow steps.
        warnings.simplefilter("ignore", DeprecationWarning)
        asyncio.get_running_loop().slow_callback_duration = 60

    async def serve(self, *pieces: object, **options: tuple) -> LocalServer:
        server = LocalServer(*pieces, **options)
        await server.start_server()
        server.url = str(server.make_url("/v1"))
        self.addAsyncCleanup(server.close)
        return server

    def paste(self, text: str) -> str:
        """Return the path of a file that holds `text`, alone in its directory."""
        path = Path(tempfile.mkdtemp(dir=tests.directory.name), "pasted.py")
        path.write_text(text, encoding="utf-8")
        return str(path)

    async def start(self, *arguments: str, **variables: str) -> Process:
        environment = os.environ | {
            "PYTHONIOENCODING": "utf-8",
            # A resource left open is in the output, and a missing flush not hidden.
            "PYTHONWARNINGS": "always::ResourceWarning",
            "PYTHONUNBUFFERED": "",
            # g4f's look-ups reach no other server, and no certificates are loaded.
            "https_proxy": "http://127.0.0.1:1",
            "SSL_CERT_FILE": os.devnull,
            **variables,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, env=environment, stdout=PIPE, stderr=STDOUT
        )
        self.addAsyncCleanup(self.stop, process)
        return process

    async def stop(self, process: Process) -> None:
        if process.returncode is None:
            process.kill()
        await process.communicate()

    async def bounded(self, wait, seconds: int = 20):
        return await asyncio.wait_for(wait, seconds)  # A broken script must not hang.

    async def read(self, process: Process, size: int = 100, seconds: int = 20) -> str:
        """Return what the process prints next, whatever ends a line on this system."""
        output = await self.bounded(process.stdout.read(size), seconds)
        return output.decode().replace("\r\n", "\n")

    async def finish(self, process: Process) -> tuple[str, int]:
        return await self.read(process, -1, 40), await self.bounded(process.wait())

    async def run_python(self, *arguments: str, **variables: str) -> tuple[str, int]:
        return await self.finish(await self.start(*arguments, **variables))
