"""Globs of files, as ``inputs`` and ``outputs`` of a stage have them."""

from __future__ import annotations

import functools
import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass

_WILD = re.compile(r"[*?\[]")
_CLASS = re.compile(r"\[!?\]?[^\]/]*\]")


@dataclass(frozen=True, slots=True)
class Root:
    """Where files that match may lie: a file or folder, and how many levels of folders below it (None: any)."""

    path: str
    levels: int | None


@dataclass(frozen=True, slots=True)
class Patterns:
    """Some globs, compiled. Paths are relative to the project's folder, with ``/``.

    ``*`` and ``?`` stand for characters but ``/``, ``[abc]`` for one of some, ``**`` for any folders; a path
    without these that names a folder stands for all files in it; ``!`` before a glob takes files out.
    """

    roots: tuple[Root, ...]
    wanted: re.Pattern[str]
    unwanted: re.Pattern[str] | None

    def match(self, path: str) -> bool:
        """Tell whether a path is meant."""
        if self.wanted.fullmatch(path) is None:
            return False
        return self.unwanted is None or self.unwanted.fullmatch(path) is None


@functools.lru_cache(maxsize=64)
def compiled(globs: tuple[str, ...]) -> Patterns:
    """Return the patterns of ``globs``; none of them, or only such as take files out, match nothing.

    Raises ValueError for a glob that is none, as ``[z-a]``.
    """
    wanted = [posixpath.normpath(glob) for glob in globs if not glob.startswith("!")]
    unwanted = [posixpath.normpath(glob[1:]) for glob in globs if glob.startswith("!")]
    roots = dict.fromkeys(map(_root, wanted))
    return Patterns(tuple(roots), _expression(wanted), _expression(unwanted) if unwanted else None)


def _root(glob: str) -> Root:
    parts = glob.split("/")
    fixed = next((index for index, part in enumerate(parts) if _WILD.search(part)), len(parts))
    deep = fixed == len(parts) or "**" in parts
    return Root("/".join(parts[:fixed]) or ".", None if deep else len(parts) - fixed - 1)


def _expression(globs: Iterable[str]) -> re.Pattern[str]:
    try:
        return re.compile("|".join(map(_of_glob, globs)) or r"(?!)", re.DOTALL)
    except re.error as error:
        raise ValueError(f"is no glob: {error.msg}") from error


def _of_glob(glob: str) -> str:
    if glob == ".":
        return ".+"
    if _WILD.search(glob) is None:
        return f"{re.escape(glob)}(?:/.+)?"
    parts = glob.split("/")
    # Two of them in a row mean what one does, and would make the search take long.
    parts = [part for part, before in zip(parts, [None, *parts], strict=False) if part != "**" or before != "**"]
    *folders, last = parts
    above = "".join("(?:.+/)?" if part == "**" else f"{_of_part(part)}/" for part in folders)
    return above + (".+" if last == "**" else _of_part(last))


def _of_part(part: str) -> str:
    found, at = [], 0
    while at < len(part):
        character, group = part[at], _CLASS.match(part, at)
        if group is not None:
            inner = group[0][1:-1].replace("\\", r"\\").replace("[", r"\[").replace("&", r"\&").replace("~", r"\~")
            found.append(f"[{'^/' + inner[1:] if inner.startswith('!') else inner}]")
            at = group.end()
            continue
        found.append({"*": "[^/]*", "?": "[^/]"}.get(character) or re.escape(character))
        at += 1
    return "".join(found)
