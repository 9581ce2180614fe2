"""Receivers on loopback for exports: one that answers, and those that don't, or not in time."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Got = list[tuple[str, dict[str, str], bytes]]
"""What came: path, headers, body."""


@contextlib.contextmanager
def receiver(status: int = 200, before: Callable[[], None] = lambda: None) -> Iterator[tuple[str, Got]]:
    """Run a receiver that answers ``status``; its address, and what came. ``before`` it answers, something is done.

    With a redirection it names a page that answers 200, as that of a login does.
    """
    got: Got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, {key.lower(): value for key, value in self.headers.items()}, body))
            before()
            with contextlib.suppress(OSError):  # who asked may have been killed
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "/login")
                self.end_headers()

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the base class's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def stalling(word: bytes = b"") -> Iterator[str]:
    """Listen and never answer; with ``word``, give a byte of it each 20 ms, again and again. Its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def dribble(connection: socket.socket) -> None:
        with connection:
            while word and not ended.wait(0.02):
                try:
                    connection.sendall(word)
                except OSError:
                    return
            ended.wait()

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=dribble, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        ended.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def down() -> str:
    """Return an address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"http://127.0.0.1:{listening.getsockname()[1]}"
