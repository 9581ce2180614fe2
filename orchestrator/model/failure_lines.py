r"""Which lines of an output say what failed: the last ones, and those before that name a failure.

The forms are those of tools that print advice, tables or usage after what went wrong: pytest with a long summary,
npm, tsc, go, cargo, make, TAP.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

GAP = "…"
"""Stands where lines were left out."""

_FIRST, _LATER = 5, 4
"""Of the lines that name a failure and stand before the last ones: a fifth of all first, and a quarter last ones."""

_NAMES_FAILURE = re.compile(
    r"""
    \s*(?:[\w.]+\.)?[A-Z]\w*(?:Error|Exception|Failure):\s   # Python, Node, Java
    | (?:FAILED|ERROR)\s \S                                  # pytest's summary
    | E\s{3,}\S                                              # pytest's lines of a failure
    | _{3,}\s.+\s_{3,}$                                      # and its heading
    | --- \s FAIL: | FAIL(?:\t|\s\s+)\S                                  # go
    | \S+\.go:\d+:\d+:
    | not \s ok \s
    | npm \s (?:error|ERR!) \s+ [^\s]                        # npm: code and reason come first
    | \s*(?:error|fatal|panic)(?:\[\w+\])?(?::\s|\s+-\s)     # cargo, uv, git, tsc, go
    | .*:\s(?:fatal\s)?error(?:\sTS\d+)?:\s                  # gcc, tsc
    | thread\s'.*'\spanicked\sat
    | make(?:\[\d+\])?:\s\*\*\*\s
    | \s*[✖✗×]\s
    | \s+\d+:\d+\s+error\s                                   # eslint
    """,
    re.X,
)
_CAUSE = re.compile(r"\s*(?:[\w.]+\.)?[A-Z]\w*(?:Error|Exception):\s\S")
_ADVICE = re.compile(
    r"\s*(?:hint:|for more information|see (?:above|https?:)|note: this (?:error|is)|npm (?:error|ERR!) a complete)",
    re.I,
)
_OF_MAKE = re.compile(r"make(?:\[\d+\])?:\s\*\*\*\s")
_NPM = re.compile(r"npm (?:error|ERR!)\s+\S")
_NPM_CODE = re.compile(r"npm (?:error|ERR!) code\s")
_NPM_PATH = re.compile(r"npm (?:error|ERR!) path\s")


def telling(lines: Sequence[str], most: int) -> list[str]:
    """Return at most ``most`` lines: the last ones and, with a mark at each gap, those before that name a failure.

    ``most`` is 10 or more.
    """
    last = list(lines[-most:])
    before = lines[: len(lines) - len(last)]
    if not any(map(_NAMES_FAILURE.match, before)):
        return last
    first, later = most // _FIRST, most // _LATER
    room = most - first - later - 3
    head = lines[: len(lines) - room]
    named = [place for place, line in enumerate(head) if _NAMES_FAILURE.match(line)]
    kept = sorted({*named[:first], *named[-later:], *range(len(head), len(lines))})
    found: list[str] = []
    for place, following in zip(kept, [*kept[1:], len(lines)], strict=True):
        found.append(lines[place])
        if following > place + 1:
            found.append(GAP)
    return found if len(found) <= most else _closed(found, most)


def _closed(lines: list[str], most: int) -> list[str]:
    """Return the lines with marks left out, the first of them first, until they are few enough."""
    over = len(lines) - most
    found = []
    for line in lines:
        if line == GAP and over > 0:
            over -= 1
        else:
            found.append(line)
    return found[-most:]


def cause_in(lines: Sequence[str]) -> str | None:
    """Return the line that says what went wrong in making an environment: the last exception, else as ``named_in``."""
    said = [line for line in lines if line.strip() and not _ADVICE.match(line)]
    exception = next((line for line in reversed(said) if _CAUSE.match(line)), None)
    return _plain(exception) if exception else named_in(lines)


def named_in(lines: Sequence[str]) -> str | None:
    """Return the last line that names a failure; without one the last that is no advice."""
    said = [line for line in lines if line.strip() and not _ADVICE.match(line)]
    every = [line for line in said if _NAMES_FAILURE.match(line)]
    # make only says that what it called failed.
    named = next((line for line in reversed(every) if not _OF_MAKE.match(line)), next(reversed(every), None))
    if named is not None and _NPM.match(named):
        named = _npms_reason(said) or named
    found = named or next(reversed(said), lines[-1] if lines else None)
    return _plain(found) if found is not None else None


def _npms_reason(lines: Sequence[str]) -> str | None:
    """Return npm's line after its last code: paths come before the reason at most, and advice after it."""
    code = next((place for place in reversed(range(len(lines))) if _NPM_CODE.match(lines[place])), len(lines))
    return next((line for line in lines[code + 1 :] if _NPM.match(line) and not _NPM_PATH.match(line)), None)


def _plain(line: str) -> str:
    return " ".join(line.split())
