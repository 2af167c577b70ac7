"""What the README says: each quote is true, each block and each change runs as pasted."""

import asyncio
import queue
from pathlib import Path

from g4f.client import AsyncClient
from g4f.providers.response import ImageResponse
from g4f.providers.retry_provider import RotatedProvider

from tests.local_provider import SCRIPT, run, scripted_provider
from tests.shared import ERRORS, GREETING, NO_CHOICES, LocalTest, delta, shown

SOURCE = Path(SCRIPT).read_text(encoding="utf-8")
README = Path(SCRIPT).with_name("README.md").read_text(encoding="utf-8")

# What the script says, and what the README says of it.
QUOTES = [
    ('# requires-python = ">=3.10"\n', "Python 3.10 or later"),
    ('model="gpt-4",\n', "one `gpt-4` reply"),
    ('print(f"\\nError occurred: ', "`Error occurred:` and the reason"),
    ("return 0\n    except", "exit status is 0 when the reply has ended"),
    ("return 1\n    finally", "1 after an error"),
    ('"\\n\\nFinal accumulated text:"', "again after `Final accumulated text:`"),
    ("sys.exit(130)", "130 after Ctrl-C"),
    ("async def main()", "`from messages_stream import main`, then `await main();`"),
]

FILE, PROGRAM = [block.split("```")[0] for block in README.split("```python\n")[1:3]]

# The rows of the table of changes: what to find, and what to write.
ROWS = [row for row in README.splitlines() if "` | `" in row]
CHANGES = {row.split("|")[1].strip(): row.split("`")[1::2] for row in ROWS}

# What both programs print, and their exit statuses.
HELLO = [(shown("Hello"), 0), ("Hello\n", 0)]


def quoted(words: str) -> str:
    """Return what the README quotes after `words`."""
    return README.partition(f"{words} `")[2].partition("`")[0]


async def collect(stream):
    return [item async for item in stream]


class ReadmeTest(LocalTest):
    def test_uv_and_pip_install_the_same(self):
        [line] = Path(SCRIPT).with_name("requirements.txt").read_text().splitlines()
        requirement = line.partition("#")[0].strip()
        self.assertIn(f'\n# dependencies = ["{requirement}"]\n# ///\n', SOURCE)

    def test_it_quotes_the_script_as_it_is(self):
        for script_says, readme_says in QUOTES:
            self.assertIn(script_says, SOURCE)
            self.assertTrue(readme_says in README, readme_says)

    def test_it_shows_the_whole_file_and_nothing_that_is_not_tested(self):
        self.assertEqual(FILE, SOURCE)
        self.assertEqual(README.count("```"), 10, "A block of the README has no test.")
        self.assertEqual(len(CHANGES), 4, "A change of the README has no test.")

    def test_a_browser_neither_guesses_the_type_of_a_reply_nor_waits_for_more(self):
        header = 'headers={"X-Content-Type-Options": "nosniff"}'
        reply = f'stream_text(prompt), media_type="text/plain", {header}'
        self.assertEqual(quoted("Return"), f"StreamingResponse({reply})")

    def test_a_repeated_message_is_deleted_from_the_list_but_not_from_a_copy(self):
        self.assertEqual(quoted("pass a copy,"), "list(history)")
        create = AsyncClient(scripted_provider("Hello")).chat.completions.create
        answer = {"role": "assistant", "content": "Hello"}
        history = [*GREETING, answer, *GREETING]
        asyncio.run(collect(create(list(history), stream=True)))
        self.assertEqual(history, [*GREETING, answer, *GREETING])
        asyncio.run(collect(create(history, stream=True)))
        self.assertEqual(history, [*GREETING, answer])

    def test_the_scripted_reply_says_so_and_is_the_output_that_is_shown(self):
        first_line, _, output = self.start().stdout.read().partition("\n")
        self.assertIn("scripted", first_line)
        self.assertEqual(output, README.split("```text\n")[1].split("```")[0])

    def test_it_runs_as_pasted_and_shows_each_piece_as_it_arrives(self):
        pieces = queue.Queue()
        server = self.serve(pieces)
        process = self.start(server.url, self.paste(PROGRAM))
        for text in ("Hello", " there!"):
            pieces.put(delta(text))
            self.assertEqual(process.stdout.read(len(text)), text)
        pieces.put(b"")
        self.assertEqual((process.stdout.read(), process.wait()), ("\n", 0))
        self.assertEqual(server.requests, [("gpt-4", GREETING, None)])

    def test_it_passes_over_a_chunk_without_choices(self):
        with NO_CHOICES:
            result = self.run_here(self.paste(PROGRAM), scripted_provider("Hello"))
        self.assertEqual(result, ("\n", 0))

    def test_an_error_is_one_message_after_the_text_so_far(self):
        for error, message in ERRORS:
            provider = scripted_provider("Hello", error=error)
            result = self.run_here(self.paste(PROGRAM), provider)
            # Python prints what a program exits with, and the exit status is 1.
            self.assertEqual(result, ("Hello", f"\nError occurred: {message}"))

    def test_a_browser_gets_text_even_for_an_image_and_the_error_last(self):
        function = PROGRAM.partition("\n\n\nasync def main")[0]
        body = function.partition("(prompt):\n")[2]
        caught = "    except" + PROGRAM.split("    except")[1].split("\n\n")[0]
        caught = caught.replace(quoted("`yield` instead of"), quoted("`except`, and"))
        tried = "    try:\n    " + body.replace("\n", "\n    ") + f"\n{caught}"
        image = ImageResponse("https://example.com/cat.png", "a cat")
        provider = scripted_provider("Hello", image, error=TimeoutError())
        program = run(self.paste(function.replace(body, tried)), provider)
        texts = asyncio.run(collect(program["stream_text"]("Say hello there!")))
        error = "\nError occurred: TimeoutError()"
        self.assertEqual(texts, ["Hello", str(image), error])

    def run_both(self, find: str, write: str, provider: type) -> list[tuple]:
        """Return what both programs print and exit with after a change."""
        both = [text.split(find) for text in (FILE, PROGRAM)]
        files = [self.paste(before + write + after) for before, after in both]
        return [self.run_here(file, provider) for file in files]

    def test_another_model_or_prompt_is_asked(self):
        joke = [{"role": "user", "content": "Tell me a joke."}]
        requests = ("model", ("gpt-4o", GREETING)), ("prompt", ("gpt-4", joke))
        for name, request in requests:
            provider = scripted_provider("Hello")
            result = self.run_both(*CHANGES[f"Another {name}"], provider)
            self.assertEqual(result, HELLO)
            self.assertEqual(provider.requests, [request] * 2)

    def test_a_provider_is_asked_by_its_name(self):
        provider = scripted_provider("Hello")
        result = self.run_both(*CHANGES["A provider by name"], provider)
        self.assertEqual(result, [(shown("Named."), 0), ("Named.\n", 0)])

    def test_a_longer_silence_is_one_message_after_the_text_so_far(self):
        find, write = CHANGES["Seconds a provider may be silent"]
        provider = scripted_provider("Hello", pause=5)
        file, program = self.run_both(find, write.replace("60", "0.5"), provider)
        message = program[1].removeprefix("\nError occurred: ")
        self.assertEqual(file, (shown("Hello", message), 1))
        self.assertEqual(program, ("Hello", f"\nError occurred: {message}"))

    def test_your_own_server_is_asked_with_its_key_if_it_has_one(self):
        find = quoted("For your own server, find")
        for key, arrives in ("", None), (quoted("after the address:"), "Bearer ..."):
            server = self.serve([delta("Hello"), b"data: [DONE]\n\n", b""])
            write = quoted(f"`{find}` and write").replace(")", f"{key})")
            write = write.replace("http://127.0.0.1:11434/v1", server.url)
            self.assertEqual(self.run_both(find, write, scripted_provider()), HELLO)
            self.assertEqual(server.requests, [("gpt-4", GREETING, arrives)] * 2)

    def test_the_commonest_error_begins_as_the_table_says(self):
        message = README.split("to do |\n|---|---|\n| `")[1].partition("`")[0]
        busy = scripted_provider(error=OSError("busy"))
        both = RotatedProvider([busy, type("AlsoBusy", (busy,), {})], False)
        self.assertIn(f"occurred: {message}\n", self.run_here(SCRIPT, both)[0])
