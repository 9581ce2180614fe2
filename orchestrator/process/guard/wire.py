"""Messages between the owner, the guard and its reapers: framed tuples on a Unix stream socket.

A frame is the length of its body (4 bytes, big end first) and the body, a tuple in ``marshal`` form. Both
ends are the same interpreter, so the form is the same; it is part of the interpreter, which costs no
import, and it carries bytes, so arguments that are not UTF-8 pass unchanged. A descriptor travels with
the first byte of the frame that it belongs to.
"""

from __future__ import annotations

import _socket
import marshal
import posix
import sys

TYPE_CHECKING = False  # as typing has it, without its import
if TYPE_CHECKING:
    from typing import Any

    Message = tuple[Any, ...]

HEAD = 4
CHUNK = 65536
FDS_AT_ONCE = 8
CLOEXEC: int = getattr(_socket, "MSG_CMSG_CLOEXEC", 0)


def frame(message: Message) -> bytes:
    """Return a message (a tuple of plain values, bytes among them) as bytes for the socket."""
    body = marshal.dumps(message)
    return len(body).to_bytes(HEAD, "big") + body


def send(sock: _socket.socket, message: Message, fd: int | None = None) -> None:
    """Send a whole message, with a descriptor if one is given; blocks while the peer is behind.

    Raises OSError when the peer is gone.
    """
    data = frame(message)
    if fd is not None:
        rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fd.to_bytes(4, sys.byteorder))
        data = data[sock.sendmsg([data], [rights]) :]
    sock.sendall(data)


class Inbox:
    """What has arrived on one socket; ``fds`` are the descriptors in order, none of them inheritable."""

    def __init__(self) -> None:
        self.fds: list[int] = []
        self._data = bytearray()

    def receive(self, sock: _socket.socket, flags: int = 0) -> bool:
        """Take what is there, and return False when the peer has closed its end.

        Raises BlockingIOError when nothing is there and the socket or ``flags`` forbid to wait.
        """
        try:
            data, control, _, _ = sock.recvmsg(CHUNK, _socket.CMSG_SPACE(4 * FDS_AT_ONCE), flags | CLOEXEC)
        except ConnectionResetError:
            return False
        for level, kind, packed in control:
            if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
                self._take(packed)
        self._data += data
        return bool(data)

    def feed(self, data: bytes) -> None:
        """Add bytes that came by another way."""
        self._data += data

    def messages(self) -> list[Message]:
        """Return the whole messages that have arrived, in order, and forget them."""
        found: list[Message] = []
        start = 0
        while len(self._data) - start >= HEAD:
            end = start + HEAD + int.from_bytes(self._data[start : start + HEAD], "big")
            if len(self._data) < end:
                break
            found.append(marshal.loads(self._data[start + HEAD : end]))  # noqa: S302  (both ends are this program)
            start = end
        if start:
            del self._data[:start]
        return found

    def _take(self, packed: bytes) -> None:
        for at in range(0, len(packed) - len(packed) % 4, 4):
            fd = int.from_bytes(packed[at : at + 4], sys.byteorder)
            posix.set_inheritable(fd, False)
            self.fds.append(fd)
