"""A file, untouched, with a local provider in place of all that g4f knows.

python -m tests.local_provider           stream a scripted reply, without a network
python -m tests.local_provider URL FILE  run FILE with the server at http://HOST:PORT/v1
"""

import asyncio
import functools
import runpy
import sys
from pathlib import Path
from unittest.mock import patch

from g4f.client import AsyncClient, create_custom_provider
from g4f.Provider import AsyncGeneratorProvider, ProviderUtils

SCRIPT = str(Path(__file__).resolve().parent.parent / "messages_stream.py")


def scripted_provider(*pieces: object, pause: float = 0, error: object = None) -> type:
    """Return a provider that streams `pieces`, pauses after each, and may then fail."""

    class ScriptedProvider(AsyncGeneratorProvider):
        @classmethod
        async def create_async_generator(cls, model, messages, **kwargs):
            cls.requests.append((model, messages))
            for piece in pieces:
                yield piece
                await asyncio.sleep(pause)
            if error:
                raise error

    ScriptedProvider.requests = []
    return ScriptedProvider


# A provider's name stands for a local one, too; only your own server is asked itself.
named = dict.fromkeys(ProviderUtils.convert.keys(), scripted_provider("Named."))
ProviderUtils.convert = named | {"Custom": ProviderUtils.convert["Custom"]}


def run(file: str, provider: type, name: str = "__main__") -> dict:
    """Run a file with `provider` for g4f's own, or import it; return its globals."""
    client = functools.partial(AsyncClient, provider=provider)
    with patch("g4f.client.AsyncClient", client):
        return runpy.run_path(file, run_name=name)


if __name__ == "__main__":
    if sys.argv[1:]:
        url, file = sys.argv[1:]
        run(file, create_custom_provider(url))
    else:
        print("The reply is scripted: no model is asked.", file=sys.stderr)
        texts = ("Hello", " there!", " How are you? 👋")
        run(SCRIPT, scripted_provider(*texts, pause=0.2))
