"""What the user sees when something fails: the text so far, one message, and status 1."""

from unittest import mock

from tests.local_provider import DONE, DROP, answer, delta, event, stream
from tests.run_script import ASK, InProcessTest, ProcessTest

HELLO = delta(content="Hello")
ERROR = {"error": {"message": "overloaded"}}

# What fails, the provider's answer, the text so far, and the provider's own words.
FAULTS = [
    ("connection dropped", stream(HELLO, DROP), "Hello", ""),
    ("chunk that is not JSON", stream(HELLO, b"data: {nope\n\n"), "Hello", ""),
    ("error event", stream(HELLO, event(ERROR)), "Hello", "overloaded"),
    ("HTTP 500", answer(ERROR, 500), "", "overloaded"),
]

# g4f's message when all fail: a line for each service, thousands of characters.
EACH_SERVICE = "\n".join(f"Service {number} is too busy." for number in range(200))

# What ends the reply, and the message.
ERRORS = [
    (RuntimeError(EACH_SERVICE), EACH_SERVICE),
    (TypeError("not a string"), "not a string"),
    (AttributeError("no content"), "no content"),
    (LookupError("no choices"), "no choices"),
    (TimeoutError(), "TimeoutError()"),
]


class FaultTest(ProcessTest):
    def assert_one_message(self, result: tuple, text: str, reason: str) -> None:
        stdout, stderr, exit_status = result
        before, _, after = stdout.partition("\nError occurred: ")
        message, _, final_text = after.rpartition("\n\n\nFinal accumulated text: ")
        self.assertEqual((before, final_text), (text, f"{text}\n"), stdout)
        self.assertEqual((stderr, exit_status), ("", 1))
        self.assertTrue(message.strip(), stdout)
        self.assertIn(reason, message)

    async def test_a_fault_is_one_message_after_the_text_so_far_without_a_retry(self):
        for fault, chat, text, reason in FAULTS:
            with self.subTest(fault):
                provider = await self.serve(chat)
                result = await self.run_python(*ASK, provider.base_url)
                self.assert_one_message(result, text, reason)
                self.assertEqual(len(provider.chat_requests), 1)

    async def test_a_refused_connection_is_one_message(self):
        provider = await self.serve(stream(HELLO, DONE))
        base_url = provider.base_url
        await provider.close()
        self.assert_one_message(await self.run_python(*ASK, base_url), "", "")


class ErrorTest(InProcessTest):
    def test_an_error_is_shown_by_its_whole_text_or_else_by_its_name(self):
        for error, message in ERRORS:
            with self.subTest(message):

                async def reply(error=error):
                    yield "Hello"
                    raise error

                final_text = "Final accumulated text: Hello\n"
                output = f"Hello\nError occurred: {message}\n\n\n{final_text}"
                self.assertEqual(self.run_script(reply), (output, 1))

    def test_an_error_before_the_stream_is_one_message(self):
        error = ConnectionError("no network")
        client = mock.Mock()
        client.chat.completions.create.side_effect = error
        output = "\nError occurred: no network\n\n\nFinal accumulated text: \n"
        for create_client in (lambda: client, mock.Mock(side_effect=error)):
            self.assertEqual(self.run_with(create_client), (output, 1))
