"""A link that can be cut: bytes go through it both ways, until they don't, and no end of it is closed."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType


class Link:
    """Listens on ``port`` of loopback and passes all on to another port there, until ``cut``."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._is_whole = threading.Event()
        self._is_whole.set()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Link:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in (self._listener, *self._sockets):
            with suppress(OSError):
                one.close()

    def cut(self) -> None:
        """Carry nothing more, of old connections and of new ones."""
        self._is_whole.clear()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += (near, far)
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                self._is_whole.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
