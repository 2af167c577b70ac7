"""What a user of messages_stream.py sees: the real client, over real HTTP."""

import asyncio
import json
import os
import sys
import tempfile
import unittest
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer

SCRIPT = Path(__file__).resolve().parent.parent / "messages_stream.py"

# Runs the untouched script, its AsyncClient pointed at a local provider.
RUN_SCRIPT = """
import functools, runpy, sys
import g4f.client

script, base_url = sys.argv[1:]
provider = g4f.client.create_custom_provider(base_url)
g4f.client.AsyncClient = functools.partial(g4f.client.AsyncClient, provider=provider)
runpy.run_path(script, run_name="__main__")
"""

# Bounds every wait, so that a broken script fails a test instead of hanging it.
TIMEOUT_SECONDS = 30


def delta_event(content: str) -> bytes:
    """Return one server-sent event of a streamed reply, carrying `content`."""
    chunk = {"choices": [{"index": 0, "delta": {"content": content}}]}
    return f"data: {json.dumps(chunk)}\n\n".encode()


class StreamingTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.second_delta_may_go = asyncio.Event()
        application = web.Application()
        application.router.add_get("/v1/models", self.answer_models)
        application.router.add_post("/v1/chat/completions", self.answer_chat)
        server = TestServer(application)
        await server.start_server()
        self.addAsyncCleanup(server.close)
        self.base_url = str(server.make_url("/v1"))

    async def answer_models(self, request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "gpt-4"}]})

    async def answer_chat(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(delta_event("Hello"))
        await self.second_delta_may_go.wait()
        await response.write(delta_event(" there!"))
        await response.write(b"data: [DONE]\n\n")
        return response

    async def start_script(self) -> asyncio.subprocess.Process:
        config_dir = tempfile.TemporaryDirectory()
        self.addCleanup(config_dir.cleanup)
        environment = {
            **os.environ,
            # g4f would write its usage log and caches under the home directory.
            "G4F_CONFIG_DIR": config_dir.name,
            # A proxy that the machine uses must not get the local requests.
            "no_proxy": "127.0.0.1",
        }
        # It would hide a missing flush.
        environment.pop("PYTHONUNBUFFERED", None)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            RUN_SCRIPT,
            SCRIPT,
            self.base_url,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        self.addAsyncCleanup(self.stop, process)
        return process

    async def stop(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is None:
            process.kill()
        await process.communicate()

    async def test_each_delta_appears_before_the_next_one_is_sent(self):
        process = await self.start_script()

        shown = await asyncio.wait_for(process.stdout.read(100), TIMEOUT_SECONDS)
        self.assertEqual(shown, b"Hello")

        self.second_delta_may_go.set()
        stdout, stderr = await asyncio.wait_for(process.communicate(), TIMEOUT_SECONDS)
        self.assertEqual(stdout, b" there!\n\nFinal accumulated text: Hello there!\n")
        self.assertEqual(stderr, b"")
        self.assertEqual(process.returncode, 0)
