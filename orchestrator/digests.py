"""SHA-256 and BLAKE2b without OpenSSL where little is digested: ``hashlib`` takes 2.5 ms to load it.

The lean modules are those that CPython's own ``random.py`` prefers for the same reason; where an interpreter
has none, ``hashlib`` is used. OpenSSL uses the processor's instructions and is five times as fast.
"""

from __future__ import annotations

from orchestrator.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import _Hash, blake2b, sha256
else:
    try:
        from _blake2 import blake2b

        try:
            from _sha2 import sha256
        except ImportError:  # before Python 3.12
            from _sha256 import sha256
    except ImportError:
        from hashlib import blake2b, sha256

__all__ = ("blake2b", "sha256", "sha256_for")

_MUCH = 1 << 18
"""Bytes; the lean module digests as many in a millisecond, OpenSSL is loaded in two."""


def sha256_for(size: int) -> _Hash:
    """Return a new SHA-256 for about ``size`` bytes to come, of the module that is done with them sooner."""
    if size <= _MUCH:
        return sha256()
    import hashlib

    return hashlib.sha256()
