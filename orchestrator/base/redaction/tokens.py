"""Tokens of known shapes in a buffer: where they are, and what at the buffer's end could still become one."""

from __future__ import annotations

import re
from collections.abc import Iterable

from orchestrator.base.record import Record
from orchestrator.base.redaction.shapes import SHAPES, Shape

_HEADS_BEGUN = frozenset(head[:size] for shape in SHAPES for head in shape.heads for size in range(1, len(head)))
_LONGEST_BEGUN = max(map(len, _HEADS_BEGUN))
_WORD = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")


class Token(Record):
    """A token from ``start`` to ``end``; ``open``: its shape, when more of it may come after ``end``.

    A token that ends where it starts may become one, or not: the buffer's end came too early to tell.
    ``since``: where what it is recognised by begins, when that is before ``start``.
    """

    start: int
    end: int
    open: Shape | None = None
    since: int | None = None

    @property
    def undecided(self) -> bool:
        """Whether more bytes are needed to tell that this is a token."""
        return self.start == self.end


def tokens_in(data: bytes, places: Iterable[int], at: int, before: bytes, *, final: bool) -> list[Token]:
    """Return the tokens that begin at one of ``places`` in ``data[at:]``, in order, none inside another.

    ``before``: the byte before ``data``, if any. Only the last one may be open or undecided, and only when
    ``data`` isn't ``final``.
    """
    tokens: list[Token] = []
    ahead: list[Token] = []  # recognised, but others may begin before its start
    for place in places:
        if ahead and ahead[0].start <= place:
            tokens += ahead
            at, ahead = max(at, ahead[0].end), []
        token = _token_at(data, place, before, final=final) if place >= at else None
        if token is not None and token.since is not None:
            ahead = [token]
        elif token is not None:
            tokens.append(token)
            at = token.end
            if token.open or token.undecided:
                break
    return tokens + ahead


def _token_at(data: bytes, at: int, before: bytes, *, final: bool) -> Token | None:
    """Return the token that begins, or may begin, at ``data[at]``."""
    for shape in SHAPES:
        if not data.startswith(shape.heads, at) or (shape.apart and _joined(data, at, before)):
            continue
        if shape.whole and not final and re.compile(shape.unsure).fullmatch(data, at) is not None:
            return Token(at, at)
        begun = re.compile(shape.begin).match(data, at)
        if begun is not None and shape.whole:
            return Token(*begun.span(1), since=at)
        if begun is not None:
            return rest_of_token(shape, data, at, begun.end())
        if not final and re.compile(shape.unsure).fullmatch(data, at) is not None:
            return Token(at, at)
    return None


def rest_of_token(shape: Shape, data: bytes, start: int, at: int) -> Token:
    """Return the token of ``shape`` that began at ``start`` and whose beginning ended before ``data[at]``."""
    after = re.compile(shape.after_body).search(data, at)
    end = len(data) if after is None else after.start()
    if shape.end:
        whole = re.compile(shape.end).match(data, end)
        if whole is not None:
            return Token(start, whole.end())
    more = end == len(data) or (shape.unsure_end and re.compile(shape.unsure_end).fullmatch(data, end) is not None)
    return Token(start, end, shape if more else None)


def uncut(tokens: Iterable[Token], until: int) -> int:
    """Return ``until``, moved back to where a token is recognised that begins at or after it."""
    for token in tokens:
        if token.since is not None and token.since < until <= token.start:
            return token.since
    return until


def head_begun(data: bytes) -> int:
    """Return the length of the longest end of ``data`` that begins, but isn't, a head."""
    tail = data[-_LONGEST_BEGUN:]
    return next((length for length in range(len(tail), 0, -1) if tail[-length:] in _HEADS_BEGUN), 0)


def _joined(data: bytes, at: int, before: bytes) -> bool:
    """Tell whether a letter, digit or _ stands before ``data[at]``."""
    previous = data[at - 1 : at] if at else before
    return bool(previous) and previous[0] in _WORD
