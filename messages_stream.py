# /// script
# requires-python = ">=3.10"
# dependencies = ["g4f>=8.8.6"]
# ///
"""Stream one reply from gpt-4 through g4f's AsyncClient, and never lose the text."""

import asyncio
import signal
import sys

from g4f.client import AsyncClient


async def main() -> int:
    """Ask gpt-4 for a greeting and print the reply piece by piece, as it arrives.

    Then print all the text that arrived: after success, after an error, and when
    cancelled. An error is printed just before it, as one message, and not raised.
    Cancellation passes through. Returns the exit status: 0, or 1 after an error.
    """
    accumulated_text = ""
    try:
        client = AsyncClient()
        # Inside the try, because create() itself asks the network for providers.
        stream = client.chat.completions.create(
            model="gpt-4",
            messages=[{"role": "user", "content": "Say hello there!"}],
            stream=True,
        )
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                # Not always text: an image or sources become their Markdown.
                content = str(chunk.choices[0].delta.content)
                # Added before it is printed: Ctrl-C between the two loses nothing.
                accumulated_text += content
                print(content, end="", flush=True)
        return 0
    except Exception as ex:
        # Some errors have a name but no text, such as a timeout in Python 3.10.
        print(f"\nError occurred: {str(ex) or repr(ex)}")
        return 1
    finally:
        print(f"\n\nFinal accumulated text: {accumulated_text}")


if __name__ == "__main__":
    # A character that the output's encoding lacks is shown as its escape.
    sys.stdout.reconfigure(errors="backslashreplace")
    # asyncio's own Ctrl-C handling would first wait for g4f's blocking requests.
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    sys.exit(asyncio.run(main()))
