"""Taking secrets out of streams, texts and documents.

A byte is masked when it belongs to an occurrence of any needle, or to a token of a known shape, in the output as it
is or in the output without its noise (control sequences, NULs, invisible characters); so is noise inside of one, of
which only colours stay. Each run of masked bytes becomes one ``***``. As this says nothing of chunks, the output does
not depend on how the input was cut into them. Of needles that overlap, all bytes are masked.
"""

from __future__ import annotations

from orchestrator.base.record import Record
from orchestrator.base.redaction.finder import Finder
from orchestrator.base.redaction.names import MASK
from orchestrator.base.redaction.needles import Needles
from orchestrator.base.redaction.noise import Reading, colours_in, read_past_noise
from orchestrator.base.redaction.shapes import Shape
from orchestrator.base.redaction.tokens import Token, head_begun, rest_of_token, tokens_in, uncut

_MASK = MASK.encode()

MOST_NOISE = 64 * 1024
"""So many bytes of noise are kept inside of what could become a secret; then that noise is dropped."""


class _State(Record):
    """What is known of the bytes that are withheld, in one of their two readings.

    ``before``: the byte before them; ``covered``: as many of them are known to be masked; ``searched``: as many were
    searched for tokens; ``open``: the token that goes on after those.
    """

    before: bytes = b""
    covered: int = 0
    searched: int = 0
    open: Shape | None = None


class _Seen(Record):
    """What was found in a reading: its tokens, where needles begin, and up to where that is certain."""

    data: bytes
    places: list[int]
    tokens: list[Token]
    certain: int


class Stream:
    """One stream of bytes on its way through the mask.

    It holds back no more than the end of what came that could still become a secret: less than the
    longest needle, or about a KiB for an unfinished token, and the noise in it. A line without such an end comes
    out at once.
    """

    def __init__(self, needles: Needles, finder: Finder) -> None:
        self._needles = needles
        self._finder = finder
        self._held = b""
        self._state = _State()  # of the held bytes as they are
        self._bare = _State()  # of the held bytes without noise
        self._masking = False  # the last byte that came out was masked

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes and return what is certain by now, masked."""
        return self._pass(self._held + data if self._held else data, final=False) if data else b""

    def flush(self) -> bytes:
        """Return what was withheld; the stream has ended."""
        return self._pass(self._held, final=True)

    def whole(self, data: bytes) -> bytes:
        """Return all of ``data`` masked; for a new stream, instead of ``feed`` and ``flush``."""
        return self._pass(data, final=True)

    def _pass(self, data: bytes, *, final: bool) -> bytes:
        reading = read_past_noise(data, final=final)
        seen = self._look(data, self._state, final=final)
        if reading is None and self._state == self._bare:
            until = uncut(seen.tokens, seen.certain)
            spans, self._state = self._spans(seen, self._state, until)
            self._bare = self._state
        else:
            reading = reading or Reading(data, [], [], len(data))
            until, spans = self._pass_twice(seen, reading, final=final)
        masked = self._masked(data, until, spans, colours=reading is not None)
        self._held = data[until:]
        if len(self._held) > MOST_NOISE and not final:
            self._drop_noise()
        return masked

    def _pass_twice(self, seen: _Seen, reading: Reading, *, final: bool) -> tuple[int, list[tuple[int, int]]]:
        """Return up to where both readings are certain, and what is masked in either."""
        bare = self._look(reading.bare, self._bare, final=final)
        all_bare = bare.certain == len(reading.bare) and not (bare.tokens and bare.tokens[-1].open)
        until = min(seen.certain, reading.end if all_bare else reading.after(bare.certain))
        count, known = -1, until + 1
        while known > until:
            known = until
            count, until = reading.before(uncut(seen.tokens, until))
            fewer = uncut(bare.tokens, count)
            count, until = (fewer, reading.after(fewer)) if fewer < count else (count, until)
        spans, self._state = self._spans(seen, self._state, until)
        bare_spans, self._bare = self._spans(bare, self._bare, count)
        spans += [(reading.at(start) if start >= 0 else start, reading.after(end)) for start, end in bare_spans]
        return until, spans

    def _look(self, data: bytes, state: _State, *, final: bool) -> _Seen:
        """Return what is in one reading."""
        places = self._finder.positions(data)
        tokens = self._tokens(data, state, places, final=final)
        if final:
            return _Seen(data, places, tokens, len(data))
        certain = len(data) - self._needles.begun(data)
        last = tokens[-1] if tokens else Token(0, state.searched)
        if last.open or (tokens and last.undecided):
            return _Seen(data, places, tokens, min(certain, last.end))
        return _Seen(data, places, tokens, min(certain, len(data) - head_begun(data[last.end :])))

    def _tokens(self, data: bytes, state: _State, places: list[int], *, final: bool) -> list[Token]:
        """Return the tokens in ``data``, in order; the last one may be open or undecided."""
        if state.open is None:
            return tokens_in(data, places, state.searched, state.before, final=final)
        rest = rest_of_token(state.open, data, -1, state.searched)
        if rest.open:
            return [rest]
        return [rest, *tokens_in(data, places, rest.end, state.before, final=final)]

    def _spans(self, seen: _Seen, state: _State, until: int) -> tuple[list[tuple[int, int]], _State]:
        """Return what is masked of a reading before ``until``, and what the next bytes need to know."""
        tokens = [token for token in seen.tokens if token.start < until]
        spans = [(token.start, token.end) for token in tokens]
        if state.covered:
            spans.append((-1, state.covered))
        for place in seen.places:
            end = self._needles.end(seen.data, place) if place < until else place
            if place < end:
                spans.append((place, end))
        last = tokens[-1] if tokens else Token(0, state.searched)
        after = _State(
            seen.data[until - 1 : until] if until else state.before,
            max(0, max((end for _, end in spans), default=0) - until),
            max(0, last.end - until),
            last.open,
        )
        return spans, after

    def _masked(self, data: bytes, until: int, spans: list[tuple[int, int]], *, colours: bool) -> bytes:
        """Return ``data[:until]`` with a mask for each run of bytes in ``spans``, and the colours in it if wanted."""
        if not spans:
            self._masking = self._masking and not until
            return data if until == len(data) else data[:until]
        parts = []
        at = 0
        for start, end in sorted(spans):
            if start > at:
                parts.append(data[at : min(start, until)])
                self._masking = False
            begin, end = max(start, at), min(end, until)
            if begin < end:
                if not self._masking:
                    parts.append(_MASK)
                    self._masking = True
                if colours:
                    parts.append(colours_in(data[begin:end]))
            at = max(at, end)
        if at < until:
            parts.append(data[at:until])
            self._masking = False
        return b"".join(parts)

    def _drop_noise(self) -> None:
        """Forget the noise in what is withheld, when there is too much of it."""
        reading = read_past_noise(self._held, final=False)
        if reading is not None and reading.end - len(reading.bare) > MOST_NOISE:
            self._held = reading.bare + self._held[reading.end :]
            self._state = self._bare
