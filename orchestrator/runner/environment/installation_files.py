"""All files that an installation rests on, at any depth: lists of requirements, named projects, their copies."""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence

from orchestrator.base.sha256 import sha256
from orchestrator.runner.environment.requirements import (
    Named,
    named_by_arguments,
    named_by_lines,
    named_by_urls,
    named_by_variables,
    paths_of,
)

DEPENDENCY_FILES = re.compile(
    r"pyproject\.toml|setup\.(?:cfg|py)|(?:dev-)?(?:requirements|constraints)[^/]*\.(?:txt|in)"
    r"|uv\.(?:lock|toml)|pdm\.lock|poetry\.lock|Pipfile(?:\.lock)?|pylock(?:\.[^/]+)?\.toml|environment\.ya?ml"
)
"""Names at the top of a codebase that say what is installed: pip, uv, PDM, Poetry, Pipenv, PEP 751, conda."""

PROJECT_FILES = ("pyproject.toml", "setup.cfg", "setup.py")
FILES_LIMIT = 20_000
"""Of one copied folder; beyond it, looking would cost a start seconds, and it is installed again each time."""

_LARGEST_LIST = 4 * 1024 * 1024
_ARTIFACTS = frozenset({"build", "dist", "out", "node_modules", "venv", "htmlcov"})
"""Made things at the top of a project; below it, and with an ``__init__.py``, these are code."""

_NODE_NOTES = (".package-lock.json", ".modules.yaml", ".yarn-integrity", ".yarn-state.yml", ".bin")
"""What npm, pnpm and Yarn write into a ``node_modules`` of theirs: without any, below the top, it is a package's."""

_NEVER = frozenset(
    {"__pycache__", ".git", ".hg", ".svn", ".tox", ".nox", ".venv", ".eggs", ".runs"}
    | {".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis"}
)
_SECTION = re.compile(r"^[ \t]*\[+[ \t]*([^\]\n]+?)[ \t]*\]+[ \t]*(?:#.*)?$", re.M)
_BUILD_SECTIONS = re.compile(
    r"build-system|project\b.*|dependency-groups"
    r"|tool\.(?:setuptools|setuptools_scm|hatch\.(?:version|metadata|build)|uv|poetry|pdm|flit|maturin|scikit-build)\b.*"
)
"""The tables of a ``pyproject.toml`` that a build backend or uv reads; other tools' name files that install nothing."""

_STRING = re.compile(r"\"([^\"\n]{0,300})\"|'([^'\n]{0,300})'")
_LOCAL = re.compile(r"[\"']?path[\"']?\s*=\s*[\"']([^\"'\n]+)[\"'][^\n]*")
_EDITABLE = re.compile(r"(?:editable|develop)\s*=\s*true")
_WORD = re.compile(r"[^\s,;:=\"'()\[\]]+")
_FOUND = re.compile(r"find-links\s*=\s*\[.*?\]|\burl\s*=\s*[^\n]+", re.S)
_ROOT = re.compile(r"\{root(?P<up>(?::parent)*)(?::real)?(?P<uri>:uri)?\}")
_WORKSPACE = re.compile(r"tool\.uv\.workspace|\bworkspace\s*=\s*\{\s*(?:members|exclude)")
_UTF_16 = b"\xff\xfe", b"\xfe\xff"
_MEMBERS = re.compile(r"members\s*=\s*\[(.*?)\]", re.S)
_DESCRIPTION = re.compile(r"(?:README|LICEN[CS]E|COPYING|NOTICE|CHANGE|HISTORY|AUTHORS).*", re.I)
"""Files that a project's metadata holds as text: a change of them changes nothing that runs."""


def rests_on(
    arguments: Sequence[str], project_folder: str, environ: Mapping[str, str]
) -> Iterator[tuple[str, str | None]]:
    """Yield path and state of each file that an install with ``arguments`` in ``project_folder`` rests on.

    The state is a digest, for copies size and time of change, or None for what is missing or can't be read.
    ``environ`` is what the installer sees: variables may name files, too.
    """
    yield from _Walk(project_folder, environ).all(arguments)


def copied_projects(arguments: Sequence[str], project_folder: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the folders that an install with ``arguments`` in ``project_folder`` would copy, at any depth.

    A project that is installed as editable is none of them. ``environ`` is what the installer sees.
    """
    walk = _Walk(project_folder, environ)
    for _ in walk.all(arguments):
        pass
    return tuple(walk.copied)


class _Walk:
    """One look at all of it; each file and folder is taken once, so that files that name each other end."""

    def __init__(self, cwd: str, environ: Mapping[str, str]) -> None:
        self._cwd = cwd
        self._environ = environ
        self._seen: set[tuple[str, str]] = set()
        self.copied: list[str] = []

    def all(self, arguments: Sequence[str]) -> Iterator[tuple[str, str | None]]:
        yield from self.dependency_files(self._cwd)
        yield from self.named(named_by_arguments(arguments, self._environ), [self._cwd])
        yield from self.named(named_by_variables(self._environ), [self._cwd])

    def named(self, named: Iterator[Named], folders: Sequence[str]) -> Iterator[tuple[str, str | None]]:
        for kind, path in paths_of(named, folders):
            if "\0" in path or not self._first(kind, path):  # no file has such a name
                continue
            if kind in ("editable", "copied") and os.path.isdir(path):
                yield from self._project(path, copied=kind == "copied")
            elif kind == "found" and os.path.isdir(path):
                yield from _statuses(path, os.listdir(path))
            elif kind == "repository":
                yield from _branches(path)
            else:
                content = _content(path)
                yield path, None if content is None else sha256(content).hexdigest()
                if kind == "list" and content is not None:
                    yield from self._list(path, content)

    def dependency_files(self, folder: str) -> Iterator[tuple[str, str | None]]:
        for name in _names(folder):
            if DEPENDENCY_FILES.fullmatch(name):
                yield os.path.join(folder, name), _digest(os.path.join(folder, name))

    def _first(self, kind: str, path: str) -> bool:
        seen = (kind, os.path.realpath(path))
        if seen in self._seen:
            return False
        self._seen.add(seen)
        return True

    def _list(self, path: str, content: bytes) -> Iterator[tuple[str, str | None]]:
        folder = os.path.dirname(path)
        if os.path.basename(path) in PROJECT_FILES:
            yield from self._backend_files(folder)
        elif len(content) <= _LARGEST_LIST:
            text = content.decode("utf-16" if content.startswith(_UTF_16) else "utf-8-sig", "replace")
            if path.endswith(".toml"):  # a lock file of PEP 751
                yield from self._sources(folder, text)
            yield from self.named(named_by_lines(text, self._environ), [folder, self._cwd])

    def _project(self, folder: str, *, copied: bool) -> Iterator[tuple[str, str | None]]:
        yield from self.dependency_files(folder)
        yield from self._backend_files(folder, copied=copied)
        if copied:
            self.copied.append(folder)
            yield from _copied(folder)

    def _backend_files(self, folder: str, *, copied: bool = False) -> Iterator[tuple[str, str | None]]:
        """Yield what the project files of ``folder`` name: files that its backend reads, other projects, URLs."""
        if not self._first("backend", folder):
            return
        for name in PROJECT_FILES:
            content = _content(os.path.join(folder, name))
            if content is None or len(content) > _LARGEST_LIST:
                continue
            text = content.decode("utf-8-sig", "replace")
            text = _with_root(text, folder)
            if name == "pyproject.toml":
                text = _build_tables(text)
                yield from self._sources(folder, text)
            yield from self.named(named_by_urls(text, self._environ), [folder, self._cwd])
            words = _WORD.findall(text) if name == "setup.cfg" else [one or two for one, two in _STRING.findall(text)]
            for word in dict.fromkeys(words):
                yield from self._read_by_backend(folder, word)
                place = os.path.normpath(os.path.join(folder, word))
                is_beside = word.startswith("../") and not f"{folder}/".startswith(f"{place}/")
                if copied and is_beside and self._first("beside", place):
                    yield from _copied(place)

    def _read_by_backend(self, folder: str, word: str) -> Iterator[tuple[str, str | None]]:
        path = os.path.join(folder, word)
        name = os.path.basename(word)
        if "." not in word or "\0" in word or _DESCRIPTION.fullmatch(name) or DEPENDENCY_FILES.fullmatch(word):
            return
        if os.path.isfile(path) and self._first("file", path):
            yield path, _digest(path)
            if name.endswith((".txt", ".in")):
                content = _content(path)
                yield from self._list(path, content or b"")

    def _sources(self, folder: str, text: str) -> Iterator[tuple[str, str | None]]:
        """Yield what ``path = "…"`` of uv, Poetry and PDM, uv's workspace and an in-tree backend lead to."""
        yield from self._local_sources(folder, text)
        backend = re.search(r"backend-path\s*=\s*\[(.*?)\]", text, re.S)
        for one, two in _STRING.findall(backend[1]) if backend else ():
            yield from _copied(os.path.join(folder, one or two or "."))
        yield from self._workspace(folder, text)

    def _local_sources(self, folder: str, text: str) -> Iterator[tuple[str, str | None]]:
        for found in _LOCAL.finditer(text):
            place = os.path.normpath(os.path.join(folder, found[1]))
            editable = _EDITABLE.search(found[0]) is not None
            if os.path.isfile(place) or any(os.path.isfile(os.path.join(place, name)) for name in PROJECT_FILES):
                yield from self.named(iter([Named("editable" if editable else "copied", place)]), [folder])
        for links in _FOUND.finditer(text):
            places = [one or two for one, two in _STRING.findall(links[0]) if one or two]
            there = (Named("found", place) for place in places if os.path.isdir(os.path.join(folder, place)))
            yield from self.named(there, [folder])

    def _workspace(self, folder: str, text: str) -> Iterator[tuple[str, str | None]]:
        """Yield what the uv workspace around ``folder`` names: its sources hold for each member (uv, "Workspaces")."""
        asked = "workspace" in text
        root: str | None = folder
        if _WORKSPACE.search(text) is None:
            root, text = _workspace_above(folder)
            if root is not None and self._first("sources", root):
                yield from self._local_sources(root, _build_tables(text))
        begin = _WORKSPACE.search(text)
        members = _MEMBERS.search(text, begin.start()) if root and begin and asked else None
        for one, two in _STRING.findall(members[1]) if members and root else ():
            for member in sorted(glob.glob(os.path.join(root or folder, one or two)))[:1000]:
                if self._first("editable", member) and os.path.isdir(member):
                    yield from self._project(member, copied=False)


def _workspace_above(folder: str) -> tuple[str | None, str]:
    """Return the folder of the uv workspace that ``folder`` is a member of, and its ``pyproject.toml``."""
    above = os.path.dirname(folder)
    while above != folder:
        content = _content(os.path.join(above, "pyproject.toml")) or b""
        if b"workspace" in content:
            text = content.decode("utf-8", "replace")
            if _WORKSPACE.search(text) is not None:
                return above, text
        folder, above = above, os.path.dirname(above)
    return None, ""


def _with_root(text: str, folder: str) -> str:
    """Return a project file's text with PDM's and hatchling's words for its folder filled in: ``{root:parent:uri}``."""

    def filled(found: re.Match[str]) -> str:
        place = os.path.normpath(os.path.join(folder, *(".." for _ in found["up"].split(":")[1:])))
        return f"file://{place}" if found["uri"] else place

    return _ROOT.sub(filled, text.replace("${PROJECT_ROOT}", folder))


def _build_tables(text: str) -> str:
    """Return the tables of a ``pyproject.toml`` that decide what is installed, and what stands before any table."""
    starts = [*_SECTION.finditer(text)]
    kept = [text[: starts[0].start()] if starts else text]
    for place, start in enumerate(starts):
        end = starts[place + 1].start() if place + 1 < len(starts) else len(text)
        if _BUILD_SECTIONS.fullmatch(start[1].replace('"', "").replace("'", "")):
            kept.append(text[start.start() : end])
    return "".join(kept)


def _copied(folder: str) -> Iterator[tuple[str, str | None]]:
    """Yield the files of a folder that is installed as a copy; what links lead to is copied, too."""
    try:
        status = os.stat(folder)
    except (OSError, ValueError):
        return
    seen = {(status.st_dev, status.st_ino)}
    count = 0
    waiting = [folder]
    while waiting:
        parent = waiting.pop()
        top = parent == folder
        for name in sorted(_names(parent)):
            path = os.path.join(parent, name)
            if name in _NEVER or name.endswith((".egg-info", ".pyc")) or (top and name.startswith(".")):
                continue
            try:
                status = os.stat(path)
            except OSError:
                continue
            if not stat.S_ISDIR(status.st_mode):
                yield path, f"{status.st_size}-{status.st_mtime_ns}"
                count += 1
            elif (status.st_dev, status.st_ino) not in seen and not _is_made(path, name, top=top):
                seen.add((status.st_dev, status.st_ino))
                waiting.append(path)
            if count == FILES_LIMIT:
                yield folder, f"more than {FILES_LIMIT} files: {os.urandom(8).hex()}"
                return


def _is_made(path: str, name: str, *, top: bool) -> bool:
    if os.path.exists(os.path.join(path, "pyvenv.cfg")):
        return True
    if name == "node_modules" and any(os.path.exists(os.path.join(path, note)) for note in _NODE_NOTES):
        return True
    return top and name in _ARTIFACTS and not os.path.exists(os.path.join(path, "__init__.py"))


def _branches(folder: str) -> Iterator[tuple[str, str | None]]:
    """Yield what tells which commits the branches of a git repository stand at."""
    git = os.path.join(folder, ".git") if os.path.isdir(os.path.join(folder, ".git")) else folder
    yield from ((os.path.join(git, name), _digest(os.path.join(git, name))) for name in ("HEAD", "packed-refs"))
    for parent, folders, names in os.walk(os.path.join(git, "refs")):
        folders.sort()
        yield from ((os.path.join(parent, name), _digest(os.path.join(parent, name))) for name in sorted(names))


def _statuses(folder: str, names: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    for name in sorted(names):
        path = os.path.join(folder, name)
        try:
            status = os.stat(path)
        except OSError:
            continue
        yield path, f"{status.st_size}-{status.st_mtime_ns}"


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (OSError, ValueError):
        return []


def _digest(path: str) -> str | None:
    content = _content(path)
    return None if content is None else sha256(content).hexdigest()


def _content(path: str) -> bytes | None:
    try:
        # Its kind comes first, since opening a pipe would wait for its writer.
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
        with open(path, "rb") as file:
            return file.read()
    except (OSError, ValueError):
        return None
