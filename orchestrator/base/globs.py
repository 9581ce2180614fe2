"""Patterns of paths, in two dialects of one language.

``Globs`` are those of ``.gitignore`` (gitignore(5)), but for ``!`` and comments. A pattern with a slash at its
beginning or within it starts at the folder that patterns are relative to; any other matches at every depth.
What matches a folder matches all below it; a slash at the end means folders only.

``Paths`` are those of build tools' inputs and outputs: each starts at the folder, may lead out of it by ``..``,
and means files, or all files below a folder that is named without a wildcard; ``!`` takes files out again.

``re`` is loaded for patterns that need it: it takes 5 ms, and most configs have none.

In both, ``*`` and ``?`` stay within one part of a path, ``**`` crosses folders, ``[a-z]`` is one character of a
range, and a backslash takes a character as it is.
"""

from __future__ import annotations

import functools
import posixpath
from collections.abc import Callable, Iterable, Sequence

from orchestrator.base.record import Record

MOST_WILDCARDS = 16
"""In one pattern; matching takes time that grows with the power of their number."""

_WILD = frozenset("*?[\\")

Match = Callable[[str], object]
"""Returns something true for a path that is meant."""


class Globs:
    """A set of patterns. Raises ValueError for one that ``fault`` would name."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self.patterns = tuple(patterns)
        import re

        self._compiled = tuple(re.compile(_translated(pattern), re.S) for pattern in self.patterns)

    def match(self, path: str) -> bool:
        """Tell whether a pattern matches a file's ``path`` (relative, with ``/``), or a folder that it lies in."""
        return any(pattern.fullmatch(path) is not None for pattern in self._compiled)

    def starts(self) -> tuple[str, ...]:
        """Return the folders in which everything that can match lies; ``""`` is the top."""
        found = sorted({_start(pattern) for pattern in self.patterns})
        return tuple(one for one in found if not any(one != other and _holds(other, one) for other in found))


class Root(Record):
    """Where files that match may lie: a file or folder, and how many levels of folders below it (None: any)."""

    path: str
    levels: int | None


class Paths(Record):
    """A set of inputs or outputs, compiled: where to look, and which of the files there are meant."""

    roots: tuple[Root, ...]
    wanted: Match
    unwanted: Match | None

    def match(self, path: str) -> bool:
        """Tell whether a path (relative, with ``/``) is meant."""
        return bool(self.wanted(path)) and not (self.unwanted is not None and self.unwanted(path))

    def matching(self) -> Match:
        """Return what tells the same of many paths sooner."""
        return self.wanted if self.unwanted is None else self.match


@functools.lru_cache(maxsize=64)
def globs(patterns: tuple[str, ...]) -> Globs:
    """Return the set of ``patterns``, compiled once. Raises ValueError for one that ``fault`` would name."""
    return Globs(patterns)


@functools.lru_cache(maxsize=64)
def paths(patterns: tuple[str, ...]) -> Paths:
    """Return the set of ``patterns``; none of them, or only such as take files out, match nothing.

    Raises ValueError for one that ``path_fault`` would name.
    """
    wanted = [posixpath.normpath(pattern) for pattern in patterns if not pattern.startswith("!")]
    unwanted = [posixpath.normpath(pattern[1:]) for pattern in patterns if pattern.startswith("!")]
    return Paths(tuple(dict.fromkeys(map(_root, wanted))), _union(wanted), _union(unwanted) if unwanted else None)


def path_fault(pattern: str) -> str | None:
    """Return in words what is wrong with a pattern of ``paths``, or None."""
    inner = pattern.removeprefix("!")
    if not inner.strip():
        return "must not be empty"
    return _expression_fault(posixpath.normpath(inner), _path_translated)


def fault(pattern: str) -> str | None:
    """Return in words what is wrong with a pattern, or None."""
    if not pattern.strip("/ "):
        return "must not be empty"
    if pattern.startswith("!"):
        return "must not begin with '!': what is left out has a list of its own"
    if any(part in ("..", ".", "") for part in pattern.strip("/").split("/")):
        return "must not hold '.', '..' or '//' as parts: it begins at the folder itself, and stays in it"
    return _expression_fault(pattern, _translated)


def _expression_fault(pattern: str, translated: Callable[[str], str]) -> str | None:
    if sum(char in _WILD for char in pattern) > MOST_WILDCARDS:
        return f"must not hold more than {MOST_WILDCARDS} wildcards"
    import re

    try:
        re.compile(translated(pattern))
    except re.error:
        return "holds a range in brackets that means nothing"
    except ValueError as error:
        return str(error)
    return None


def _root(pattern: str) -> Root:
    parts = pattern.split("/")
    fixed = next((at for at, part in enumerate(parts) if not _WILD.isdisjoint(part)), len(parts))
    deep = fixed == len(parts) or "**" in parts
    return Root("/".join(parts[:fixed]) or ".", None if deep else len(parts) - fixed - 1)


def _union(patterns: Sequence[str]) -> Match:
    plain = [match for match in map(_plain_match, patterns) if match is not None]
    if len(plain) == len(patterns):
        return plain[0] if len(plain) == 1 else lambda path: any(match(path) for match in plain)
    import re

    try:
        return re.compile("|".join(map(_path_translated, patterns)), re.S).fullmatch
    except re.error as error:
        raise ValueError(str(error)) from error


def _plain_match(pattern: str) -> Match | None:
    """Return what matches as ``_path_translated`` says, without ``re``; None for a pattern of another form.

    The forms are those of nearly all configs: a file or folder, ``src/**``, ``src/*.py`` and ``src/**/*.py``.
    """
    if _WILD.isdisjoint(pattern):
        return bool if pattern == "." else lambda path: path == pattern or path.startswith(f"{pattern}/")
    head, _, last = pattern.rpartition("/")
    is_deep = last == "**" or head == "**" or head.endswith("/**")
    if last != "**":
        head = head.removesuffix("**").removesuffix("/")
    tail = "" if last == "**" else last[1:]
    if not (last.startswith("*") and _WILD.isdisjoint(head + tail)):
        return None
    above = f"{head}/" if head else ""
    if is_deep and not tail:
        return lambda path: path.startswith(above) and path != above
    least = len(above) + len(tail) + (last == "**")

    def match(path: str) -> bool:
        if not (path.startswith(above) and path.endswith(tail) and len(path) >= least):
            return False
        return is_deep or "/" not in path[len(above) :]

    return match


def _path_translated(pattern: str) -> str:
    if pattern == ".":
        return ".+"
    if _WILD.isdisjoint(pattern):
        return f"{_escape(pattern)}(?:/.+)?"
    *folders, last = pattern.split("/")
    written = ""
    for part, before in zip(folders, [None, *folders], strict=False):
        if part != "**":
            written += _part(part) + "/"
        elif before != "**":
            written += "(?:.+/)?"
    return written + (".+" if last == "**" else _part(last))


def _holds(folder: str, path: str) -> bool:
    return not folder or path == folder or path.startswith(folder + "/")


def _start(pattern: str) -> str:
    if "/" not in pattern.rstrip("/"):
        return ""
    parts = pattern.strip("/").split("/")
    plain = next((at for at, part in enumerate(parts) if not _WILD.isdisjoint(part)), len(parts) - 1)
    return "/".join(parts[:plain])


def _translated(pattern: str) -> str:
    """Return the regular expression of a pattern, for whole paths of files; ValueError says what is wrong."""
    only_folders = pattern.endswith("/")
    parts = pattern.strip("/").split("/")
    written = "" if "/" in pattern.rstrip("/") else "(?:.*/)?"
    for at, part in enumerate(parts):
        is_last = at == len(parts) - 1
        if part != "**":
            written += _part(part) + ("" if is_last else "/")
        elif is_last:
            written += "[^/].*" if at else ".*"
        elif at == 0 or parts[at - 1] != "**":
            written += "(?:.*/)?"
    return written + ("/.*" if only_folders else "(?:/.*)?")


def _part(part: str) -> str:
    written, at = "", 0
    while at < len(part):
        char = part[at]
        at += 1
        if char == "*":
            written += "[^/]*" if not written.endswith("[^/]*") else ""
        elif char == "?":
            written += "[^/]"
        elif char == "[":
            end = part.find("]", at + (2 if part[at : at + 1] in ("!", "^") else 1))
            if end < 0:
                raise ValueError("holds a '[' without its ']'")
            written += _range(part[at:end])
            at = end + 1
        elif char == "\\":
            if at == len(part):
                raise ValueError("ends in a backslash, which protects nothing")
            written += _escape(part[at])
            at += 1
        else:
            written += _escape(char)
    return written


def _range(inner: str) -> str:
    negated = inner[0] in "!^"
    rest, written = inner[1:] if negated else inner, ""
    while rest:
        span = rest[1:2] == "-" and len(rest) > 2
        written += f"{_escape(rest[0])}-{_escape(rest[2])}" if span else _escape(rest[0])
        rest = rest[3 if span else 1 :]
    return f"(?!/)[{'^' if negated else ''}{written}]"


def _escape(text: str) -> str:
    import re

    return re.escape(text)
