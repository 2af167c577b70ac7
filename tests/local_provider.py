"""The script, untouched, with a local provider in place of all that g4f knows.

    python -m tests.local_provider           stream a scripted reply, without a network
    python -m tests.local_provider URL       ask the server at http://HOST:PORT/v1 instead
    python -m tests.local_provider URL FILE  run another file than the script

The exit status is the file's own, or 1 if the first argument is not an http(s) URL.
"""

import asyncio
import functools
import runpy
import sys
from pathlib import Path

import g4f.client
from g4f.client import AsyncClient, create_custom_provider
from g4f.Provider import AsyncGeneratorProvider, ProviderUtils

SCRIPT = str(Path(__file__).resolve().parent.parent / "messages_stream.py")


class ScriptedProvider(AsyncGeneratorProvider):
    @staticmethod
    async def create_async_generator(model, messages, **kwargs):
        for piece in ("Hello", " there!", " How are you? 👋"):
            yield piece
            await asyncio.sleep(0.2)


def main() -> None:
    match sys.argv[1:]:
        case []:
            print("The reply is scripted: no model is asked.", file=sys.stderr)
            provider = ScriptedProvider
        case [url] | [url, _] if url.startswith(("http://", "https://")):
            provider = create_custom_provider(url)
            # The server sees by the key that a provider was named.
            named = create_custom_provider(url, api_key="named")
            ProviderUtils.convert = dict.fromkeys(ProviderUtils.convert.keys(), named)
        case _:
            sys.exit("Give the http(s) URL of a server, or nothing at all.")
    # What AsyncClient() asks unless it is given another provider.
    g4f.client.AsyncClient = functools.partial(AsyncClient, provider=provider)
    [file] = sys.argv[2:] or [SCRIPT]
    runpy.run_path(file, run_name="__main__")


if __name__ == "__main__":
    main()
