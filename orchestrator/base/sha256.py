"""SHA-256 without OpenSSL where little is digested: ``hashlib`` takes 2.5 ms to load it.

The lean modules are those that CPython's own ``random.py`` prefers for the same reason; where an interpreter
has none, ``hashlib`` is used. OpenSSL uses the processor's instructions and is five times as fast.
"""

from __future__ import annotations

from orchestrator.base.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import _Hash, sha256
else:
    try:
        from _sha256 import sha256
    except ImportError:
        try:
            from _sha2 import sha256  # since Python 3.12
        except ImportError:
            from hashlib import sha256

__all__ = ("Digest", "RunningDigest", "sha256", "sha256_for")

_MUCH = 1 << 18
"""Bytes; the lean module digests as many in a millisecond, OpenSSL is loaded in two."""


def sha256_for(size: int) -> _Hash:
    """Return a new SHA-256 for about ``size`` bytes to come, of the module that is done with them sooner."""
    if size <= _MUCH:
        return sha256()
    import hashlib

    return hashlib.sha256()


class Digest(Record):
    """Size (bytes) and sha256 (hex) of a file's bytes; ``read_back`` when they were read from the disk again."""

    bytes: int
    sha256: str
    read_back: bool = False


class RunningDigest:
    """The digest of bytes as they pass, of the module that suits their number: it is chosen once that is known."""

    def __init__(self) -> None:
        self.size = 0
        self._few: bytearray | None = bytearray()
        self._much: _Hash | None = None

    def update(self, data: bytes | memoryview) -> None:
        """Add bytes. At most 256 KiB are held in memory."""
        self.size += len(data)
        if self._few is not None:
            self._few += data
            if len(self._few) <= _MUCH:
                return
            self._much, data, self._few = sha256_for(self.size), bytes(self._few), None
        if self._much is not None:
            self._much.update(data)

    def value(self) -> Digest:
        """Return the digest of what has passed so far."""
        state = sha256(self._few or b"") if self._much is None else self._much
        return Digest(self.size, state.hexdigest())
