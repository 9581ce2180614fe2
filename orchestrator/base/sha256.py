"""SHA-256 without OpenSSL where little is digested: ``hashlib`` takes 2.5 ms to load it.

The lean modules are those that CPython's own ``random.py`` prefers for the same reason; where an interpreter
has none, ``hashlib`` is used. OpenSSL uses the processor's instructions and is five times as fast.
"""

from __future__ import annotations

from orchestrator.base.record import TYPE_CHECKING

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

__all__ = ("sha256", "sha256_for")

_MUCH = 1 << 18
"""Bytes; the lean module digests as many in a millisecond, OpenSSL is loaded in two."""


def sha256_for(size: int) -> _Hash:
    """Return a new SHA-256 for about ``size`` bytes to come, of the module that is done with them sooner."""
    if size <= _MUCH:
        return sha256()
    import hashlib

    return hashlib.sha256()
