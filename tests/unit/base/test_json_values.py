"""Every JSON that is written or printed is accepted by a strict parser."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.json_values import json_text, plain
from orchestrator.base.text.well_formed import well_formed
from orchestrator.model.manifest.document import render

TEXTS = st.text(st.characters() | st.characters(categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    TEXTS | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def strict(text: str) -> Any:
    """Return what a strict parser reads: UTF-8, and no escape of half a character."""
    found = json.loads(text.encode("utf-8"))
    json.dumps(found, ensure_ascii=False).encode("utf-8")
    return found


@given(VALUES, st.booleans())
def test_what_is_no_text_becomes_u_fffd(value: Any, ascii_only: bool) -> None:
    """Whatever the bytes that came from outside, a strict parser reads the document."""
    text = json_text({"value": value}, ensure_ascii=ascii_only)
    assert strict(text) == json.loads(json.dumps({"value": plain(value)}))
    assert strict(render({"value": value}).decode("utf-8")) == strict(text)


@given(st.text(st.characters(codec="utf-8")))
def test_text_that_is_valid_stays(text: str) -> None:
    """What UTF-8 has is left as it is."""
    assert well_formed(text) == text
    assert strict(json_text([text])) == [text]


def test_bytes_of_latin_1_are_shown() -> None:
    """A name in Latin-1, as Python has it from arguments and the environment, keeps its other letters."""
    assert well_formed(b"Andr\xe9".decode("utf-8", "surrogateescape")) == "Andr\ufffd"
