"""Where in a chunk a secret may begin: the fast part of masking, all of it without a loop over bytes.

Two ways with the same answer. ``CompiledFinder`` (Vectorscan) looks for all
literals at once with vector instructions. ``PlainFinder`` needs only Python: it searches what a ``Sieve`` leaves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import suppress

from orchestrator.base.redaction.rare_bytes import Sieve, heads_sieve, needles_sieve
from orchestrator.base.redaction.shapes import Shape
from orchestrator.base.redaction.values import MIN_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol
else:
    Protocol = object

_WORTH_COMPILING = 1024 * 1024
"""Bytes after which importing Vectorscan and compiling (30 ms for 20 secrets) cost less than the plain finder."""

_LITERAL = 16
"""Of a needle, this many bytes are searched for; the rest is compared. It keeps the tables small."""

_SMALL = 256
"""Chunks of up to this many bytes, single lines, are quicker looked through place by place."""


class Finder(Protocol):
    """Something that finds where needles, and tokens of known shapes, may begin."""

    def positions(self, data: bytes) -> list[int]:
        """Return, in rising order, every index of ``data`` at which one begins, and few others."""


FinderMaker = Callable[[tuple[bytes, ...], tuple[Shape, ...]], Finder]


class CannotCompileError(Exception):
    """There is too much to look for to make one automaton of it."""


class PlainFinder:
    """The finder that needs nothing but Python."""

    def __init__(self, needles: tuple[bytes, ...], shapes: tuple[Shape, ...]) -> None:
        """``needles`` have at least ``MIN_BYTES`` bytes."""
        self._needles = needles
        self._beginnings = frozenset(needle[:MIN_BYTES] for needle in needles)
        self._after: dict[bytes, list[bytes]] = {}
        for shape in shapes:
            for head in shape.heads:
                self._after.setdefault(head, []).append(shape.after)
        self._heads_begun = frozenset(head[:3] for head in self._after)
        self._sieves: tuple[Sieve, Sieve] | None = None

    def positions(self, data: bytes) -> list[int]:
        """Return, in rising order, every index of ``data`` at which a needle or a token may begin."""
        if len(data) <= _SMALL:
            begun, needles = self._heads_begun, self._beginnings
            places = range(len(data))
            return [at for at in places if data[at : at + 3] in begun or data[at : at + MIN_BYTES] in needles]
        found: set[int] = set()
        needle_sieve, head_sieve = self._sieves or self._make_sieves()
        for needle in needle_sieve.possible(data):
            found.update(occurrences(data, needle))
        for head in head_sieve.possible(data):
            pattern = re.compile(b"%s(?=%s)" % (re.escape(head), b"|".join(self._after[head])))
            found.update(match.start() for match in pattern.finditer(data))
        return sorted(found)

    def _make_sieves(self) -> tuple[Sieve, Sieve]:
        self._sieves = (needles_sieve(self._needles), heads_sieve(self._after))
        return self._sieves


class CompiledFinder:
    """The finder that runs Vectorscan, a fork of Intel's Hyperscan (the package ``hyperscan``).

    Raises ImportError where that isn't installed, and CannotCompileError when there is too much to look for.
    """

    def __init__(self, needles: tuple[bytes, ...], shapes: tuple[Shape, ...]) -> None:
        import hyperscan

        wanted = [_as_pattern(literal) for literal in shortest(needle[:_LITERAL] for needle in needles)]
        wanted += [b"(?:%s)(?:%s)" % (b"|".join(map(_as_pattern, shape.heads)), shape.after) for shape in shapes]
        self._database: Any = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        flags = hyperscan.HS_FLAG_SOM_LEFTMOST  # without it only the end of a match is reported
        try:
            self._database.compile(expressions=wanted, flags=flags)
        except hyperscan.error:  # it may show a pattern, and those are made of secrets
            raise CannotCompileError from None

    def positions(self, data: bytes) -> list[int]:
        """Return, in rising order, every index of ``data`` at which a needle or a token may begin."""
        found: set[int] = set()

        def note(_pattern: int, start: int, _end: int, _flags: int, _context: object) -> None:
            found.add(start)

        if data:  # nothing at all is refused
            self._database.scan(data, match_event_handler=note)
        return sorted(found)


def _as_pattern(literal: bytes) -> bytes:
    """Return the pattern for ``literal``; patterns are C strings, so that no byte can stand for itself."""
    return b"".join(b"\\x%02x" % byte for byte in literal)


class AdaptiveFinder:
    """The plain finder for small outputs; the compiled one, where it is installed, from ``after`` bytes on."""

    def __init__(
        self, needles: tuple[bytes, ...], shapes: tuple[Shape, ...], *, after: float = _WORTH_COMPILING
    ) -> None:
        self._wanted = (needles, shapes)
        self._finder: Finder = PlainFinder(needles, shapes)
        self._until_compiled = after

    def positions(self, data: bytes) -> list[int]:
        """Return, in rising order, every index of ``data`` at which a needle or a token may begin."""
        self._until_compiled -= len(data)
        if self._until_compiled <= 0:
            self._until_compiled = float("inf")
            with suppress(ImportError, CannotCompileError):
                self._finder = CompiledFinder(*self._wanted)
        return self._finder.positions(data)


def shortest(literals: Iterable[bytes]) -> list[bytes]:
    """Return ``literals``, sorted, without those that begin with another one."""
    kept: list[bytes] = []
    for literal in sorted(set(literals)):
        if not kept or not literal.startswith(kept[-1]):
            kept.append(literal)
    return kept


def occurrences(data: bytes, literal: bytes) -> list[int]:
    """Return every index of ``data`` at which ``literal`` begins, overlapping ones too."""
    found = []
    at = data.find(literal)
    while at >= 0:
        found.append(at)
        at = data.find(literal, at + 1)
    return found
