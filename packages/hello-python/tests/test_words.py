"""What counts as a word, and in which order words come."""

import io

import pytest

from hello_python import Count, count_words, top_words
from hello_python.__main__ import main


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", {}),
        ("The cat saw the dog.", {"the": 2, "cat": 1, "saw": 1, "dog": 1}),
        ("don't DON'T", {"don't": 2}),
        ("Straße STRASSE", {"strasse": 2}),
        ("route 66, snake_case", {"route": 1, "snake": 1, "case": 1}),
    ],
)
def test_words_are_counted_whatever_their_case(text: str, words: dict[str, int]) -> None:
    """Case is folded, apostrophes belong to a word, digits and underscores don't."""
    assert count_words(text) == words


def test_equal_words_come_in_alphabetical_order() -> None:
    """The most frequent word comes first, then the alphabet decides."""
    assert top_words("b a c b", 3) == [Count("b", 2), Count("a", 1), Count("c", 1)]


def test_a_negative_limit_is_refused() -> None:
    """A limit below zero is a mistake of the caller."""
    with pytest.raises(ValueError, match="-1"):
        top_words("a", -1)


def test_the_command_prints_the_top_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command reads its standard input and prints one word a line."""
    monkeypatch.setattr("sys.stdin", io.StringIO("The cat saw the dog."))
    assert main(["--top", "2"]) == 0
    assert capsys.readouterr().out == "2  the\n1  cat\n"
