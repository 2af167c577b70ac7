"""A local OpenAI-compatible server, and messages_stream.py, untouched, run against one.

    python -m tests.local_provider        stream a scripted reply, without any network
    python -m tests.local_provider URL    ask the server at URL instead, for example
                                          http://127.0.0.1:11434/v1

The exit status is the script's own, or 2 if the argument is not an http(s) URL.
The tests script a reply for each case.
"""

import asyncio
import functools
import json
import os
import queue
import runpy
import sys
import threading
import urllib.parse
from collections.abc import Awaitable, Callable
from pathlib import Path

import g4f.client
from aiohttp import web
from aiohttp.test_utils import TestServer

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


def answer(data: dict, status: int = 200) -> Handler:
    """Return a handler that answers with `data` as JSON."""

    async def handle(request: web.Request) -> web.Response:
        return web.json_response(data, status=status)

    return handle


MODELS = answer({"data": [{"id": "gpt-4"}]})


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
    """Serve a scripted reply for as long as this process lives, and return the base URL."""
    pause = functools.partial(asyncio.sleep, 0.2)
    contents = ["Hello", " there", "! ", "👋", " How are", " you?"]
    parts = [part for content in contents for part in (delta(content=content), pause)]
    base_urls = queue.SimpleQueue()

    async def serve() -> None:
        async with LocalProvider(stream(*parts, DONE)) as provider:
            base_urls.put(provider.base_url)
            await forever()

    # A thread, because the script needs the main one: for its own loop and for Ctrl-C.
    threading.Thread(target=asyncio.run, args=[serve()], daemon=True).start()
    return base_urls.get()


def use_provider(base_url: str) -> None:
    """Let every AsyncClient that is created from now on ask the server at `base_url`."""
    g4f.client.AsyncClient = functools.partial(
        g4f.client.AsyncClient, provider=g4f.client.create_custom_provider(base_url)
    )


def is_http_url(text: str) -> bool:
    try:
        url = urllib.parse.urlsplit(text)
        # Reading the port checks it.
        return url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        return False


def main() -> None:
    match sys.argv[1:]:
        case []:
            print("The reply is scripted: no model is asked.", file=sys.stderr)
            # A proxy that the machine uses must not get the local requests.
            os.environ["no_proxy"] = "127.0.0.1"
            base_url = start_scripted_provider()
        case [base_url] if is_http_url(base_url):
            pass
        case arguments:
            print(f"Not an http(s) URL: {' '.join(arguments)!r}", file=sys.stderr)
            sys.exit(2)
    use_provider(base_url)
    runpy.run_path(str(SCRIPT), run_name="__main__")


if __name__ == "__main__":
    main()
