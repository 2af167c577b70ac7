"""What the tests share: a local server, and two ways to run a file."""

import io
import json
import os
import queue
import signal
import sys
import tempfile
import threading
import unittest
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from pathlib import Path
from subprocess import PIPE, STDOUT, Popen
from unittest.mock import Mock, patch

import tests
from tests.local_provider import run

GREETING = [{"role": "user", "content": "Say hello there!"}]
no_choices = Mock(return_value=Mock(choices=[]))  # No server can make g4f stream it.
NO_CHOICES = patch("g4f.client.ChatCompletionChunk.model_construct", no_choices)

# What is raised, and the message. g4f's own has a line for each provider that failed.
ERRORS = [
    (RuntimeError("A provider is busy.\n" * 200), "A provider is busy.\n" * 200),
    (TypeError("not a string"), "not a string"),
    (TimeoutError(), "TimeoutError()"),
]


def shown(text: str, error: str = "") -> str:
    """Return all that the script prints: the text so far, an error, the text again."""
    message = f"\nError occurred: {error}\n" if error else ""
    return f"{text}{message}\n\nFinal accumulated text: {text}\n"


def delta(text: str) -> bytes:
    chunk = {"choices": [{"delta": {"content": text}}]}
    return f"data: {json.dumps(chunk)}\n\n".encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        # Not gpt-4, because g4f would complete a wrong name to one that is offered.
        status, pieces = 200, [b'{"data": [{"id": "another-model"}]}', b""]
        if self.command == "POST":
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            key = self.headers["Authorization"]
            self.server.requests.append((body["model"], body["messages"], key))
            status, pieces = self.server.status, self.server.pieces
        self.send_response(status)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()
        # After Ctrl-C nobody reads, and a broken script may show nothing to wait for.
        with suppress(OSError, queue.Empty):
            for piece in pieces:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))

    do_POST = do_GET

    def log_message(self, *arguments):
        """Stay quiet."""


class LocalTest(unittest.TestCase):
    def serve(self, pieces, status: int = 200) -> ThreadingHTTPServer:
        """Start an OpenAI-compatible server, which answers a prompt with `pieces`.

        An empty piece ends it: else the connection drops. A queue's are sent when put.
        """
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if isinstance(pieces, queue.Queue):
            pieces = chain(iter(partial(pieces.get, timeout=20), b""), [b""])
        server.pieces, server.status, server.requests = pieces, status, []
        server.url = f"http://127.0.0.1:{server.server_port}/v1"
        threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server

    def paste(self, text: str) -> str:
        """Return the path of a file that holds `text`, alone in its directory."""
        path = Path(tempfile.mkdtemp(dir=tests.directory.name), "pasted.py")
        path.write_text(text, encoding="utf-8")
        return str(path)

    def run_here(self, file: str, provider: type, output=None) -> tuple[str, object]:
        """Run a file in this process; return what it prints and what it exits with."""
        output = output or io.StringIO()
        errors = io.StringIO()
        exit_status = 0
        # The script sets a handler of its own.
        self.addCleanup(signal.signal, signal.SIGINT, signal.getsignal(signal.SIGINT))
        with redirect_stdout(output), redirect_stderr(errors):
            try:
                run(file, provider)
            except SystemExit as exit:
                exit_status = exit.code
        self.assertNotIn(file, errors.getvalue())  # As in a warning or a traceback.
        return output.getvalue(), exit_status

    def start(self, *arguments: str, **variables: str) -> Popen:
        """Start a file as a process, whose output holds its errors, too."""
        command = [sys.executable, "-m", "tests.local_provider", *arguments]
        output = {"stdout": PIPE, "stderr": STDOUT, "encoding": "utf-8"}
        process = Popen(command, env=os.environ | variables, **output)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process
