"""Normal forms in time that grows with the length."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.text.normal_form import normal_form

MARKS = st.text(st.sampled_from("aé\u0301\u0323\u093cx"), max_size=29)


@given(st.text() | MARKS)
def test_text_is_as_unicode_says(text: str) -> None:
    """Text with fewer than 31 marks on a letter has Unicode's own normal form."""
    if not any(unicodedata.combining(char) for char in text) or len(text) < 30:
        assert normal_form("NFC", text) == unicodedata.normalize("NFC", text)
        assert normal_form("NFKC", text) == unicodedata.normalize("NFKC", text)


def test_many_marks_are_divided() -> None:
    """No run of marks is longer than 30, and texts that differ stay apart."""
    made = normal_form("NFC", "a" + "\u0323\u0301" * 40 + "b")
    assert max(len(run) for run in made.replace("b", "").split("\u034f")) <= 31
    assert made != normal_form("NFC", "a" + "\u0323\u0301" * 41 + "b")
