"""Which of many literals may be in a chunk, by the few of its bytes that are rare in output.

``bytes.translate`` drops the frequent bytes (lower case letters, spaces) from the chunk as it drops them
from the literals. A literal that is in the chunk is then in what is left of it too, and so is each part of
what is left of the literal; and what is left is a tenth of usual output. Where it is most of the chunk
(base64, hex), the sieve is no faster than a search for each literal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

_SAME = bytes(range(256))
_NEEDLES_KEPT = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/%!$@&"
_PART = 6
"""Length of the parts looked for: long enough to be rare, short enough to be shared by many encodings of a value."""

_LEAST_PART = 4
_LOOKED_AT = 64
"""Of what is left of a needle, parts are taken from this many bytes, which bounds the work for large values."""

_HEADS_FOLD = bytes.maketrans(b"S", b"K")
_HEADS_KEPT = b"-.AEGIJKV_bcfghjklmpqtvwxyz"
"""Found by trying out which bytes make the search for token heads quickest, on source code, logs and listings."""


class Sieve:
    """Literals, grouped by the part whose absence tells that none of them is there."""

    def __init__(self, parts: Mapping[bytes, Sequence[bytes]], fold: bytes, kept: bytes) -> None:
        """``fold``: a translation of 256 bytes; bytes that are not in ``kept`` after it are dropped.

        The literals under the empty part are always possible.
        """
        self._parts = dict(parts)
        self._fold = fold
        self._dropped = _dropped(fold, kept)

    def possible(self, data: bytes) -> list[bytes]:
        """Return the literals that may be in ``data``; all that are in it are among them."""
        left = data.translate(self._fold, self._dropped)
        return [literal for part, literals in self._parts.items() if part in left for literal in literals]


def heads_sieve(heads: Iterable[bytes]) -> Sieve:
    """Return the sieve for the heads of token shapes."""
    parts: dict[bytes, list[bytes]] = {}
    dropped = _dropped(_HEADS_FOLD, _HEADS_KEPT)
    for head in heads:
        parts.setdefault(head.translate(_HEADS_FOLD, dropped), []).append(head)
    return Sieve(parts, _HEADS_FOLD, _HEADS_KEPT)


def needles_sieve(needles: Sequence[bytes]) -> Sieve:
    """Return the sieve for needles; those that share a part, as the escapes of one value do, share one search."""
    dropped = _dropped(_SAME, _NEEDLES_KEPT)
    sharing: dict[bytes, list[bytes]] = {}
    for needle in needles:
        left = needle.translate(None, dropped)[:_LOOKED_AT]
        last = max(0, len(left) - _PART)
        parts = {left[at : at + _PART] for at in range(last + 1)} if len(left) >= _LEAST_PART else {b""}
        for part in parts:
            sharing.setdefault(part, []).append(needle)
    chosen: dict[bytes, list[bytes]] = {}
    placed: set[bytes] = set()
    for part in sorted(sharing, key=lambda part: (-len(sharing[part]), part)):
        fresh = [needle for needle in sharing[part] if needle not in placed]
        if fresh:
            chosen[part] = fresh
            placed.update(fresh)
    return Sieve(chosen, _SAME, _NEEDLES_KEPT)


def _dropped(fold: bytes, kept: bytes) -> bytes:
    return bytes(byte for byte in range(256) if fold[byte] not in kept)
