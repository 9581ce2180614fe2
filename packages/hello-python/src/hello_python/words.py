"""What a word is, and how often each one stands in a text."""

import re
from collections import Counter
from typing import NamedTuple

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")


class Count(NamedTuple):
    """A word and how often it stands in a text."""

    word: str
    times: int


def count_words(text: str) -> Counter[str]:
    """Return how often each word stands in ``text``, whatever its case; digits are no words."""
    return Counter(found.group().casefold() for found in _WORD.finditer(text))


def top_words(text: str, limit: int = 10) -> list[Count]:
    """Return the ``limit`` most frequent words, equal ones in alphabetical order.

    Raises ValueError when ``limit`` is negative.
    """
    if limit < 0:
        raise ValueError(f"limit must not be negative: {limit}")
    ranked = sorted(count_words(text).items(), key=lambda item: (-item[1], item[0]))
    return [Count(word, times) for word, times in ranked[:limit]]
