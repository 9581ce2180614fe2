"""``hello-words``: print the most frequent words of the standard input."""

import argparse
import sys
from collections.abc import Sequence

from hello_python.words import top_words


def main(argv: Sequence[str] | None = None) -> int:
    """Read a text from the standard input, print its top words, return the exit code."""
    parser = argparse.ArgumentParser(prog="hello-words", description=__doc__)
    parser.add_argument("--top", type=int, default=10, metavar="N", help="how many words (10)")
    options = parser.parse_args(argv)
    if options.top < 0:
        parser.error("--top must not be negative")
    for word, times in top_words(sys.stdin.read(), options.top):
        print(f"{times}  {word}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
