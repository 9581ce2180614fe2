"""What is compiled, or loaded, only when it is needed gives the same as what it stands for."""

from __future__ import annotations

import hashlib
import re
import shlex

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.identifiers import NAME_PATTERN, RUN_ID_PATTERN, is_run_id, make_run_id, name_fault
from orchestrator.base.redaction.masking import Stream
from orchestrator.base.redaction.redactor import TOKEN_HEADS, URL_HEAD, Redactor
from orchestrator.base.redaction.shapes import SHAPES
from orchestrator.base.sha256 import sha256, sha256_for
from orchestrator.model.plan import PlannedStage

NEAR_NAMES = st.text("ab9._-AZé \n", max_size=66)
NEAR_RUN_IDS = st.builds(
    lambda base, at, char: base[:at] + char + base[at + 1 :],
    st.just("2026-11-22T08-43-05-720Z-5087869c"),
    st.integers(0, 33),
    st.sampled_from(["", "0", "g", "f", "Z", "-", "٣", "\n", "00"]),
)


@given(st.binary(max_size=300), st.sampled_from([0, 1 << 17, 1 << 30]))
def test_every_digest_is_sha256(data: bytes, size: int) -> None:
    """The lean module and OpenSSL give the same digest."""
    expected = hashlib.sha256(data).hexdigest()
    state = sha256_for(size)
    state.update(data)
    assert (sha256(data).hexdigest(), state.hexdigest()) == (expected, expected)


@given(NEAR_NAMES)
def test_names_are_judged_as_their_pattern_says(name: str) -> None:
    """A name is allowed just when the published pattern matches it and it has no two dots in a row."""
    allowed = re.fullmatch(NAME_PATTERN, name) is not None and ".." not in name
    assert (name_fault("stage", name) is None) == allowed


@given(NEAR_RUN_IDS)
def test_run_ids_are_judged_as_their_pattern_says(text: str) -> None:
    """A text is a run id just when the published pattern matches it."""
    assert is_run_id(text) == (re.fullmatch(RUN_ID_PATTERN, text) is not None)


@given(st.datetimes(), st.binary(min_size=4, max_size=4))
def test_what_is_made_is_a_run_id(now: object, entropy: bytes) -> None:
    """Every id that is made for a run is one."""
    assert is_run_id(make_run_id(now, entropy)) or now.year < 1000  # type: ignore[arg-type, attr-defined]


@given(st.lists(st.text(max_size=6), min_size=1, max_size=4))
def test_a_command_line_is_quoted_as_shlex_does(words: list[str]) -> None:
    """What is shown of a command is what a shell would need."""
    assert PlannedStage(id="a", title="A", kind="command", argv=tuple(words)).command == shlex.join(words)


HEADS = [head.decode() for shape in SHAPES for head in shape.heads]


def test_the_heads_that_are_looked_for_are_those_of_all_shapes() -> None:
    """No shape of a token is left out of the first look."""
    assert {*TOKEN_HEADS, URL_HEAD} == set(HEADS)


@given(st.lists(st.one_of(st.sampled_from(HEADS), st.text("aB3_-. :@/\0\u200b", max_size=40)), max_size=4).map("".join))
def test_texts_are_masked_as_streams_are(text: str) -> None:
    """What is told from its first characters to hold no token is what the whole search leaves alone."""
    redactor = Redactor(())
    stream = redactor.stream()
    assert isinstance(stream, Stream)
    assert redactor.text(text) == stream.whole(text.encode()).decode()
