"""Relative links of documents: turned, so that the same line leads to the same file from another place."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from urllib.parse import unquote

from orchestrator.checks.checklists.markdown import code_spans

_LINK = re.compile(r"(?P<open>\]\(\s*|^ {0,3}\[[^\]]+\]:\s*)(?:<(?P<angled>[^<>\n]*)>|(?P<target>[^()\s<]+))")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def is_relative(target: str) -> bool:
    """Tell whether a link starts from the file that it stands in."""
    return bool(target) and not target.startswith(("/", "#")) and _SCHEME.match(target) is None


def resolved(path: str, target: str) -> str:
    """Return a relative link of a file as a path from the workspace; other links as they are."""
    if not is_relative(target):
        return target
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), target))


def linked(path: str, target: str) -> str:
    """Return the relative link from a file to a path from the workspace."""
    return posixpath.relpath(target, posixpath.dirname(path) or ".")


def target_of(path: str, link: str) -> str:
    """Return where a link (percent-encoded, as a Markdown reader gives it) leads, from the workspace."""
    return resolved(path, unquote(link))


def comparable(path: str, line: str) -> str:
    """Return a line with its relative links as paths from the workspace, so that mirrors can be compared."""
    return _turned(line.rstrip(), lambda target: resolved(path, target))


def moved(source: str, path: str, line: str) -> str:
    """Return a line of the file ``source`` as it stands in the file ``path``: with its links turned."""
    if posixpath.dirname(source) == posixpath.dirname(path):
        return line
    return _turned(line, lambda target: linked(path, resolved(source, target)) if is_relative(target) else target)


def _turned(line: str, turn: Callable[[str], str]) -> str:
    parts: list[str] = []
    at = begin = 0
    found = _LINK.search(line)
    for start, end in (*code_spans(line), (len(line), len(line))):
        while found is not None and found.start() < start:
            angled = found["angled"]
            target = f"<{turn(angled)}>" if angled is not None else turn(found["target"])
            parts += (line[at : found.start()], found["open"], target)
            at = begin = found.end()
            found = _LINK.search(line, begin)
        begin = max(begin, end)
        if found is not None and found.start() < begin:
            found = _LINK.search(line, begin)
    return "".join((*parts, line[at:]))
