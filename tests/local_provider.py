"""A local OpenAI-compatible server, and messages_stream.py, untouched, run against one.

    python -m tests.local_provider           stream a scripted reply, without a network
    python -m tests.local_provider URL       ask the server at http://HOST:PORT/v1 instead
    python -m tests.local_provider URL FILE  run another file than the script

The exit status is the file's own, or 1 if the first argument is not an http(s) URL.
"""

import asyncio
import functools
import json
import queue
import runpy
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import g4f.client
from aiohttp import web
from aiohttp.test_utils import TestServer
from g4f.client import AsyncClient, create_custom_provider
from g4f.Provider import ProviderUtils

SCRIPT = Path(__file__).resolve().parent.parent / "messages_stream.py"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def event(data: dict) -> bytes:
    """Return one server-sent event that carries `data`."""
    return f"data: {json.dumps(data)}\n\n".encode()


def delta(**fields: object) -> bytes:
    """Return one chunk of a streamed reply, its delta made of `fields`."""
    return event({"choices": [{"index": 0, "delta": fields}]})


DONE = b"data: [DONE]\n\n"
DROP = object()


async def forever() -> None:
    await asyncio.Event().wait()


async def pause() -> None:
    await asyncio.sleep(0.2)


def stream(*parts: object) -> Handler:
    """Return a handler that streams `parts`, one after the other.

    Bytes are sent, DROP closes the connection, anything else is a function to await.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        # g4f never closes a connection kept alive, and aiohttp may complain at exit.
        response.force_close()
        await response.prepare(request)
        for part in parts:
            if isinstance(part, bytes):
                await response.write(part)
            elif part is DROP:
                request.transport.close()
            else:
                await part()
        return response

    return handle


SCRIPTED_REPLY = stream(
    delta(content="Hello"),
    pause,
    delta(content=" there!"),
    pause,
    delta(content=" How are you? 👋"),
    pause,
    DONE,
)


def answer(data: dict, status: int = 200) -> Handler:
    """Return a handler that answers with `data` as JSON."""

    async def handle(request: web.Request) -> web.Response:
        return web.json_response(data, status=status)

    return handle


# Not gpt-4, because g4f would complete a wrong model name to one that is offered.
MODELS = answer({"data": [{"id": "another-model"}]})


class LocalProvider(TestServer):
    """An OpenAI-compatible server on the loopback address.

    A handler ends at once when its client goes away. `chat_requests` holds the bodies
    of the requests for a reply.
    """

    def __init__(self, chat: Handler, models: Handler = MODELS):
        self.chat = chat
        self.chat_requests = []
        application = web.Application()
        application.router.add_get("/v1/models", models)
        application.router.add_post("/v1/chat/completions", self.handle_chat)
        super().__init__(application)

    async def handle_chat(self, request: web.Request) -> web.StreamResponse:
        self.chat_requests.append(await request.json())
        return await self.chat(request)

    @property
    def base_url(self) -> str:
        return str(self.make_url("/v1"))


def start_scripted_provider() -> str:
    """Serve SCRIPTED_REPLY as long as this process lives, and return the base URL."""
    base_urls = queue.SimpleQueue()

    async def serve() -> None:
        async with LocalProvider(SCRIPTED_REPLY) as provider:
            base_urls.put(provider.base_url)
            await forever()

    # A thread, because the script needs the main one: for its own loop and for Ctrl-C.
    threading.Thread(target=asyncio.run, args=[serve()], daemon=True).start()
    return base_urls.get()


def main() -> None:
    match sys.argv[1:]:
        case []:
            print("The reply is scripted: no model is asked.", file=sys.stderr)
            url, files = start_scripted_provider(), []
        case [url, *files] if url.startswith(("http://", "https://")):
            pass
        case _:
            sys.exit("Give the http(s) URL of a server, or nothing at all.")
    provider = create_custom_provider(url)
    # What AsyncClient() asks when it is given no provider, and when it is given a name.
    g4f.client.AsyncClient = functools.partial(AsyncClient, provider=provider)
    ProviderUtils.convert = dict.fromkeys(ProviderUtils.convert.keys(), provider)
    runpy.run_path(*files or [str(SCRIPT)], run_name="__main__")


if __name__ == "__main__":
    main()
