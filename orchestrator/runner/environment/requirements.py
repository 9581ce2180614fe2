"""What install arguments and requirement files name on this disk: other files, folders, and folders of files to find.

pip's and uv's spellings (pip 25.3, "Requirements File Format"; uv 0.9, ``uv pip install --help``). What is not local
is passed over: an index's packages don't change without the words that name them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from orchestrator.base.record import Record

_LISTS = "requirement", "constraint", "build-constraint", "override", "exclude"
_OPTIONS = {
    **{f"--{name}{plural}": "list" for name in _LISTS for plural in ("", "s")},
    **dict.fromkeys(("-r", "-c", "-b"), "list"),
    **dict.fromkeys(("-e", "--editable"), "editable"),
    **dict.fromkeys(("-f", "--find-links"), "found"),
    "--requirements-from-script": "list",
    "--group": "group",
}
VARIABLES: Mapping[str, str] = {
    **{f"{tool}_{name.upper().replace('-', '_')}": "list" for tool in ("PIP", "UV") for name in _LISTS},
    "PIP_EDITABLE": "editable",
    "PIP_FIND_LINKS": "found",
    "UV_FIND_LINKS": "found",
    "PIP_CONFIG_FILE": "file",
    "UV_CONFIG_FILE": "file",
}
"""Variables of pip and uv whose value names files, as its option would; several are separated by blanks."""

_ARCHIVE = re.compile(r".*\.(?:whl|zip|tar(?:\.\w+)?|tgz|tbz|txz)", re.I | re.S)
_FILE_URL = re.compile(r"(?:(?P<vcs>git|hg|svn|bzr)\+)?file:(?P<path>[^\s;\"']+)")
_DIRECT = re.compile(r"[A-Za-z0-9._-]+\s*(?:\[[^\]]*\])?\s*@\s*(?P<where>\S.*)", re.S)
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_COMMENT = re.compile(r"(?:^|\s)#.*")


class Named(Record):
    """A local thing that an installation rests on; ``path`` as it was written, without extras, markers or ``file:``.

    ``kind``: ``list`` is a file of requirements or constraints, ``editable`` and ``copied`` a project's folder (or an
    archive), ``found`` a folder of archives, ``repository`` one of git, ``file`` any other file.
    """

    kind: Literal["list", "editable", "copied", "found", "repository", "file"]
    path: str


def named_by_arguments(arguments: Sequence[str], environ: Mapping[str, str]) -> Iterator[Named]:
    """Yield what the arguments of an install name, in their order; ``environ`` fills in ``${NAME}``."""
    following = iter(arguments)
    for argument in following:
        option, value = _option(argument)
        if option is None:
            yield from _requirement(argument, environ)
        elif value is None and option in _OPTIONS:
            yield from _of_option(option, next(following, ""), environ)
        elif value is not None:
            yield from _of_option(option, value, environ)


def named_by_lines(text: str, environ: Mapping[str, str]) -> Iterator[Named]:
    """Yield what the lines of a file of requirements or constraints name."""
    for line in re.sub(r"\\\r?\n", "", text).splitlines():
        words = _COMMENT.sub("", line).strip()
        option, value = _option(words.split(maxsplit=1)[0]) if words else (None, None)
        if option is not None:
            rest = words[len(words.split(maxsplit=1)[0]) :].strip()
            yield from _of_option(option, rest if value is None else value, environ)
        elif words:
            yield from _requirement(words, environ)


def named_by_variables(environ: Mapping[str, str]) -> Iterator[Named]:
    """Yield what pip's and uv's variables name."""
    for name, kind in VARIABLES.items():
        for value in environ.get(name, "").split():
            yield from _of_kind(kind, value, environ)


def named_by_urls(text: str, environ: Mapping[str, str]) -> Iterator[Named]:
    """Yield the folders and archives that ``file:`` URLs anywhere in ``text`` name, as direct references do."""
    for found in _FILE_URL.finditer(text):
        yield _of_url(found, "copied", environ)


def _option(word: str) -> tuple[str | None, str | None]:
    """Return the option that ``word`` begins with and its value, each None where there is none."""
    if not word.startswith("-"):
        return None, None
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return name, value if equals else None
    return word[:2], word[2:].lstrip("=").strip() or None


def _of_option(option: str, value: str, environ: Mapping[str, str]) -> Iterator[Named]:
    kind = _OPTIONS.get(option)
    if kind is not None:
        yield from _of_kind(kind, value.strip().strip("\"'"), environ)


def _of_kind(kind: str, value: str, environ: Mapping[str, str]) -> Iterator[Named]:
    if kind == "group":  # [path:]group (pip 25.1)
        yield Named("list", value.rpartition(":")[0] or "pyproject.toml")
    elif kind == "editable":
        yield from _requirement(value, environ, editable=True)
    elif kind in ("list", "found", "file"):
        url = _FILE_URL.fullmatch(value)
        path = _of_url(url, "copied", environ).path if url else _filled(value, environ)
        if path:
            yield Named("list" if kind == "list" else "found" if kind == "found" else "file", path)


def _requirement(text: str, environ: Mapping[str, str], *, editable: bool = False) -> Iterator[Named]:
    """Yield what one requirement names: ``./path[extra] ; marker``, ``name @ file:///path``, an archive."""
    kind: Literal["editable", "copied"] = "editable" if editable else "copied"
    text = re.split(r"\s--[a-z]", text, maxsplit=1)[0].strip().strip("\"'")
    direct = _DIRECT.fullmatch(text)
    where = direct["where"] if direct else text
    url = _FILE_URL.match(where)
    if url is not None:
        yield _of_url(url, kind, environ)
        return
    path = _filled(re.split(r"\s*;\s", where, maxsplit=1)[0].strip(), environ)
    if "://" in path or path.startswith("git@"):
        return
    path = path.split("#", 1)[0]
    bare = path[: path.rindex("[")] if path.endswith("]") and "[" in path else path
    if editable or os.sep in bare or bare.startswith(".") or direct or _ARCHIVE.fullmatch(bare):
        yield Named(kind, bare)


def _of_url(found: re.Match[str], kind: Literal["editable", "copied"], environ: Mapping[str, str]) -> Named:
    path = _filled(found["path"], environ).split("#", 1)[0]
    # urllib.parse costs more to import than all else here.
    path = os.fsdecode(_ESCAPE.sub(lambda escape: bytes([int(escape[1], 16)]), os.fsencode(path)))
    path = path.removeprefix("//localhost").removeprefix("//")
    path = path[: path.rindex("[")] if path.endswith("]") and "[" in path else path
    if found["vcs"]:
        return Named("repository", path.rpartition("@")[0] if "@" in os.path.basename(path) else path)
    return Named(kind, path)


def _filled(text: str, environ: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda found: environ.get(found[1], found[0]), text)


def paths_of(named: Iterable[Named], folders: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield kind and absolute path of what is named; a relative path is looked up from each of ``folders``.

    pip takes paths in a file of requirements from the current folder, and names of other files from that file's; uv
    takes both from the file's: what is there counts, and where nothing is, the first place, should it come to be.
    """
    for kind, path in ((item.kind, item.path) for item in named):
        places = [os.path.normpath(os.path.join(folder, path)) for folder in folders]
        there = [place for place in dict.fromkeys(places) if "\0" not in place and os.path.exists(place)]
        for place in there or places[:1]:
            yield kind, place
