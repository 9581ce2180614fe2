"""Count the words of a text."""

from hello_python.words import Count, count_words, top_words

__all__ = ["Count", "count_words", "top_words"]
