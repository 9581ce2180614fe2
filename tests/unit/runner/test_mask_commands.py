"""``::add-mask::``: the value is a secret from there on, in every stream, however output is cut."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.redaction import Redactor
from orchestrator.runner.mask_commands import LearningRedactor

VALUE = b"hunter-7-secret"


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Return data in pieces."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(edges)]


@given(st.lists(st.integers(0, 200), max_size=6), st.sampled_from([b"\n", b"\r\n", b""]))
def test_the_value_is_masked_from_its_own_line_on(places: list[int], end: bytes) -> None:
    """The command's own line and everything after it is masked, and the value is reported once."""
    reported: list[bytes] = []
    shared = Redactor(["earlier-secret"])
    stream = LearningRedactor(shared, reported.append).stream()
    text = b"before earlier-secret\n  ::add-mask::" + VALUE + (end + b"use " + VALUE + b"!\n" if end else b"")
    masked = b"".join(map(stream.feed, cut(text, places))) + stream.flush()
    assert VALUE not in masked
    assert b"earlier-secret" not in masked
    assert masked.startswith(b"before ")
    assert reported == [VALUE]
    assert VALUE.decode() not in shared.text(f"later {VALUE.decode()}")


def test_other_streams_mask_it_too() -> None:
    """A stage that runs beside masks it, also when half of an older secret was held back before."""
    redactor = LearningRedactor(Redactor(["earlier-secret"]), lambda value: None)
    one, other = redactor.stream(), redactor.stream()
    shown = other.feed(b"x earlier-se")
    one.feed(b"::add-mask::" + VALUE + b"\n")
    shown += other.feed(b"cret " + VALUE + b"\n") + other.flush()
    assert b"earlier" not in shown
    assert VALUE not in shown


def test_escapes_are_undone_and_short_values_only_reported() -> None:
    """GitHub's escapes name what is masked; five bytes are passed on, and masked nowhere here."""
    reported: list[bytes] = []
    redactor = LearningRedactor(Redactor(()), reported.append)
    stream = redactor.stream()
    masked = stream.feed(b"::add-mask::a%25b%0Acdef\n::add-mask::short\nshort a%b\ncdef\n") + stream.flush()
    assert reported == [b"a%b\ncdef", b"short"]
    assert b"short a%b" not in masked
    assert b"\nshort " in masked
