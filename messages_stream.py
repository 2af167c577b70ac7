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
    """Ask gpt-4 for a greeting and print each piece of the reply as it arrives.

    Then print the error, if there was one, and last, even when cancelled, all the text
    that arrived. Return the exit status: 0, or 1 after an error.
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
            if chunk.choices and (content := chunk.choices[0].delta.content):
                # Not always a string: an image or sources become text.
                accumulated_text += str(content)
                # Printed last, so that Ctrl-C in between loses nothing.
                print(content, end="", flush=True)
        return 0
    except Exception as ex:
        # Some errors have no text, only a name: TimeoutError() is one.
        print(f"\nError occurred: {str(ex) or repr(ex)}")
        return 1
    finally:
        print("\n\nFinal accumulated text:", accumulated_text)


if __name__ == "__main__":
    # A character that the output lacks must not end the run. IDLE has no reconfigure().
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    # Without this, Ctrl-C ends in a traceback and may first wait for g4f's requests.
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    sys.exit(asyncio.run(main()))
