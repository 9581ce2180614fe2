"""What a terminal or a reader doesn't show as letters: control sequences, NULs, invisible characters.

Between the letters of a secret they hide nothing: masking also reads the output without them. Control
sequences are those of ECMA-48; invisible characters are Unicode's Default_Ignorable_Code_Point, C1 controls
and the controls of Annex 9.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right

from orchestrator.base.record import Record
from orchestrator.base.redaction.finder import occurrences

_LONGEST_STRING = 4096
"""Bytes of a title, link or clipboard sequence; a longer one is read as text behind two bytes of noise."""

_LONGEST_PARAMETERS = 256
_BODY = rb"(?:[^\x07\x18\x1a\x1b\n\r\xc2]|\xc2(?!\x9c))"

_INVISIBLE = (
    rb"\xc2[\x80-\x9f\xad]",  # C1 controls, soft hyphen
    rb"\xcd\x8f",  # combining grapheme joiner
    rb"\xd8\x9c",  # Arabic letter mark
    rb"\xe1(?:\x85[\x9f\xa0]|\x9e[\xb4\xb5]|\xa0[\x8b-\x8f])",  # Hangul fillers, Khmer vowels, Mongolian separators
    rb"\xe2(?:\x80[\x8b-\x8f\xa8-\xae]|\x81[\xa0-\xaf])",  # zero width, line separators, bidirectional
    rb"\xe3\x85\xa4",  # Hangul filler
    rb"\xef(?:\xbb\xbf|\xb8[\x80-\x8f]|\xbe\xa0|\xbf[\xb0-\xbb])",  # byte order mark, variation selectors
    rb"\xf3\xa0[\x80-\xbf][\x80-\xbf]",  # tags, more variation selectors
)
_CONTROLS = b"".join(b"%c" % byte for byte in (*range(9), 11, 12, *range(14, 27), *range(28, 32), 127))
_NOISE = re.compile(
    b"|".join(
        (
            rb"\x1b\[[ -?]{0,%d}[@-~]?" % _LONGEST_PARAMETERS,
            rb"\x1b[\]PX^_]%s{0,%d}(?:[\x07\x18\x1a]|\x1b\\|\xc2\x9c|(?=\x1b))" % (_BODY, _LONGEST_STRING),
            rb"\x1b[ -/]{0,3}[0-~]?",
            # Each by itself: only an alternative that begins with a literal is looked for quickly.
            *(b"\\x%02x" % byte for byte in _CONTROLS),
            *_INVISIBLE,
        )
    )
)
_UNFINISHED = re.compile(
    rb"(?:\x1b(?:\[[ -?]{0,%d}|[\]PX^_]%s{0,%d}[\x1b\xc2]?|[ -/]{0,3})?"
    % (_LONGEST_PARAMETERS, _BODY, _LONGEST_STRING)
    + rb"|\xc2|\xcd|\xd8|\xe1[\x85\x9e\xa0]?|\xe2[\x80\x81]?|\xe3\x85?|\xef[\xbb\xb8\xbe\xbf]?"
    rb"|\xf3(?:\xa0[\x80-\xbf]?)?)\Z"
)
_LONGEST_UNFINISHED = _LONGEST_STRING + 3
_LONGEST_CHARACTER = 4
"""Bytes of UTF-8."""

_COLOUR = re.compile(rb"\x1b\[[0-9;:]*m")
_FIRST = b"\x1b\xc2\xcd\xd8\xe1\xe2\xe3\xef\xf3" + _CONTROLS
_QUIET = bytes(byte for byte in range(256) if byte not in _FIRST)
"""Bytes that begin no noise; nearly all of any output."""

_FEW = 64
"""Where not one byte of so many may begin noise, each is looked at by itself: that is quicker than a search."""


class Reading(Record):
    """Bytes without their noise: ``bare``, and where the noise stood.

    ``places`` are the indexes of bare bytes that noise stands before, rising; ``removed`` how many bytes of noise
    stand before the bare byte of the same entry and earlier ones; ``end``: what is before it of the original was
    read, the rest is noise that has no end yet.
    """

    bare: bytes
    places: list[int]
    removed: list[int]
    end: int

    def at(self, index: int) -> int:
        """Return where bare byte ``index`` stands in the original."""
        known = bisect_right(self.places, index)
        return index + (self.removed[known - 1] if known else 0)

    def after(self, index: int) -> int:
        """Return the place in the original behind bare byte ``index - 1``; 0 for 0."""
        return self.at(index - 1) + 1 if index > 0 else 0

    def before(self, place: int) -> tuple[int, int]:
        """Return how many bare bytes stand before ``place``, and ``place``, moved back where it would cut noise."""
        count = bisect_left(range(len(self.bare)), place, key=self.at)
        return count, place if place >= self.at(count) else self.after(count)


def read_past_noise(data: bytes, *, final: bool) -> Reading | None:
    """Return ``data`` without its noise, or None when there is none in it.

    Unless ``final``, noise that ``data`` ends in, and that more bytes could make longer, is not yet read.
    """
    firsts = data.translate(None, _QUIET)
    if not firsts:
        return None
    end = len(data)
    if not final:
        # Only what an escape begins may be longer than a character; looking for one is quicker than a search.
        begin = max(0, end - _LONGEST_UNFINISHED)
        if data.find(b"\x1b", begin) < 0:
            begin = max(0, end - _LONGEST_CHARACTER)
        unfinished = _UNFINISHED.search(data, begin)
        end = end if unfinished is None else unfinished.start()
    few = len(firsts) * _FEW < len(data)
    noise = _noise_at(data, set(firsts), end) if few else _noise_before(data, end)
    if not noise and end == len(data):
        return None
    parts: list[bytes] = []
    places: list[int] = []
    removed: list[int] = []
    total = last = 0
    for start, stop in noise:
        if start > last or not places:
            parts.append(data[last:start])
            places.append(start - total)
            removed.append(0)
        total += stop - start
        removed[-1] = total
        last = stop
    parts.append(data[last:end])
    return Reading(b"".join(parts), places, removed, end)


def _noise_before(data: bytes, end: int) -> list[tuple[int, int]]:
    """Return where noise begins and ends before ``end``.

    The search itself sees what comes after: a string that an unfinished sequence cuts short ends before its escape.
    """
    found: list[tuple[int, int]] = []
    for match in _NOISE.finditer(data):
        if match.start() >= end:
            break
        found.append(match.span())
    return found


def _noise_at(data: bytes, firsts: set[int], end: int) -> list[tuple[int, int]]:
    """Return where noise begins and ends before ``end``, when few bytes of ``data`` are among its ``firsts``."""
    found: list[tuple[int, int]] = []
    last = 0
    for at in sorted(at for first in firsts for at in occurrences(data, bytes((first,)))):
        match = _NOISE.match(data, at) if last <= at < end else None
        if match is not None:
            last = match.end()
            found.append((at, last))
    return found


def colours_in(data: bytes) -> bytes:
    """Return the colour sequences in ``data``, one after the other."""
    return b"".join(_COLOUR.findall(data)) if b"\x1b" in data else b""
