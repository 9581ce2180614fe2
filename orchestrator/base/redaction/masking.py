"""Taking secrets out of streams, texts and documents.

A byte is masked when it belongs to an occurrence of any needle, or to a token of a known shape; each run
of masked bytes becomes one ``***``. As this says nothing of chunks, the output does not depend on how
the input was cut into them. Of needles that overlap, all bytes are masked.
"""

from __future__ import annotations

from orchestrator.base.redaction.finder import Finder
from orchestrator.base.redaction.names import MASK
from orchestrator.base.redaction.needles import Needles
from orchestrator.base.redaction.shapes import Shape
from orchestrator.base.redaction.tokens import Token, head_begun, rest_of_token, tokens_in

_MASK = MASK.encode()


class Stream:
    """One stream of bytes on its way through the mask.

    It holds back no more than the end of what came that could still become a secret: less than the
    longest needle, or about a KiB for an unfinished token. A line without such an end comes out at once.
    """

    def __init__(self, needles: Needles, finder: Finder) -> None:
        self._needles = needles
        self._finder = finder
        self._held = b""
        self._before = b""  # the byte before _held
        self._covered = 0  # as many bytes of _held are known to be masked
        self._searched = 0  # as many bytes of _held were searched for tokens
        self._open: Shape | None = None  # the token that goes on after _searched
        self._masking = False  # the last byte that came out was masked

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes and return what is certain by now, masked."""
        return self._pass(self._held + data if self._held else data, final=False) if data else b""

    def flush(self) -> bytes:
        """Return what was held back; the stream has ended."""
        return self._pass(self._held, final=True)

    def whole(self, data: bytes) -> bytes:
        """Return all of ``data`` masked; for a new stream, instead of ``feed`` and ``flush``."""
        return self._pass(data, final=True)

    def _pass(self, data: bytes, *, final: bool) -> bytes:
        places = self._finder.positions(data)
        tokens = self._tokens(data, places, final=final)
        until = len(data) if final else self._certain(data, tokens)
        tokens = [token for token in tokens if token.start < until]
        spans = [(token.start, token.end) for token in tokens]
        if self._covered:
            spans.append((0, self._covered))
        for place in places:
            end = self._needles.end(data, place) if place < until else place
            if place < end:
                spans.append((place, end))
        masked = self._masked(data, until, spans)
        self._keep(data, until, spans, tokens)
        return masked

    def _tokens(self, data: bytes, places: list[int], *, final: bool) -> list[Token]:
        """Return the tokens in ``data``, in order; the last one may be open or undecided."""
        if self._open is None:
            return tokens_in(data, places, self._searched, self._before, final=final)
        rest = rest_of_token(self._open, data, -1, self._searched)
        if rest.open:
            return [rest]
        return [rest, *tokens_in(data, places, rest.end, self._before, final=final)]

    def _certain(self, data: bytes, tokens: list[Token]) -> int:
        """Return up to where it is known what is masked."""
        until = len(data) - self._needles.begun(data)
        last = tokens[-1] if tokens else Token(0, self._searched)
        if last.open or (tokens and last.undecided):
            return min(until, last.end)
        return min(until, len(data) - head_begun(data[last.end :]))

    def _masked(self, data: bytes, until: int, spans: list[tuple[int, int]]) -> bytes:
        """Return ``data[:until]`` with a mask for each run of bytes in ``spans``."""
        if not spans:
            self._masking = self._masking and not until
            return data if until == len(data) else data[:until]
        parts = []
        at = 0
        for start, end in sorted(spans):
            if start > at:
                parts.append(data[at:start])
                self._masking = False
            if not self._masking and max(start, at) < min(end, until):
                parts.append(_MASK)
                self._masking = True
            at = max(at, min(end, until))
        if at < until:
            parts.append(data[at:until])
            self._masking = False
        return b"".join(parts)

    def _keep(self, data: bytes, until: int, spans: list[tuple[int, int]], tokens: list[Token]) -> None:
        """Remember what the next bytes need to know."""
        last = tokens[-1] if tokens else Token(0, self._searched)
        self._covered = max(0, max((end for _, end in spans), default=0) - until)
        self._searched = max(0, last.end - until)
        self._open = last.open
        self._before = data[until - 1 : until] if until else self._before
        self._held = data[until:]
