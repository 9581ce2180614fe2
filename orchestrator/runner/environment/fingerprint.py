"""When is an environment still the right one? A key over all that it was made from."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterator, Sequence

from orchestrator.base.sha256 import sha256
from orchestrator.model.plan import SessionPlan, digest_of

DEPENDENCY_FILES = re.compile(
    r"pyproject\.toml|setup\.(?:cfg|py)|(?:dev-)?(?:requirements|constraints)[^/]*\.(?:txt|in)"
    r"|uv\.lock|pdm\.lock|poetry\.lock|Pipfile(?:\.lock)?|pylock(?:\.[^/]+)?\.toml|environment\.ya?ml"
)
"""Names at the top of a codebase that say what is installed: pip, uv, PDM, Poetry, Pipenv, PEP 751, conda."""

_INTERPRETER = f"{sys.implementation.name}-{sys.version_info[0]}.{sys.version_info[1]}.{sys.version_info[2]}"
_FILE_OPTIONS = {"-r": "--requirement", "-c": "--constraint", "-b": "--build-constraint"}
_PATH_OPTIONS = {"-e": "--editable", **_FILE_OPTIONS}
_SKIPPED = frozenset({"build", "dist", "out", "node_modules", "__pycache__", "venv", "htmlcov"})
_FILES_LIMIT = 20_000
_NESTING_LIMIT = 10


def environment_key(session: SessionPlan, *, env_dir: str, project_folder: str, interpreter: str = _INTERPRETER) -> str:
    """Return the key of the environment that ``session`` asks for, as ``<made from>:<installed from>``.

    The first part covers the backend, the Python, the orchestrator's own interpreter (nox takes it when
    no Python is named) and the folder (an environment can't be moved): when it changes, the environment
    is made anew. The second covers the install arguments, PIP_* and UV_* of ``set_env``, and the
    dependency files: when only it changes, ``install`` runs again.

    Dependency files are those at the top of ``project_folder``, the files that ``-r`` and ``-c`` name
    (and the ones that these name), and those of local folders that are installed. A local folder that
    is installed without ``-e`` is a copy, so its files count too (name, size, time of change).
    Source: contract, section 2. Files that can't be read count as missing.
    """
    made_from = {
        "backend": session.backend,
        "python": session.python,
        "interpreter": interpreter,
        "folder": os.path.abspath(env_dir),
    }
    settings = {name: value for name, value in session.set_env.items() if name.startswith(("PIP_", "UV_"))}
    installed_from = {
        "install": list(session.install),
        "settings": settings,
        "files": dict(_files(session.install, project_folder)),
    }
    return f"{digest_of(made_from)[:32]}:{digest_of(installed_from)[:32]}"


def _files(arguments: Sequence[str], folder: str) -> Iterator[tuple[str, str | None]]:
    if not arguments:
        return
    yield from _dependency_files(folder)
    for option, value in _paths(arguments):
        path = os.path.join(folder, value)
        if option in _FILE_OPTIONS:
            yield from _requirements(path, 0)
        elif os.path.isdir(path):
            yield from _dependency_files(path)
            if not option:
                yield from _copied(path)
        elif os.path.isfile(path):
            yield path, _digest(path)


def _paths(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the local paths among install arguments, each with its short option, or "" for a bare one."""
    following = iter(arguments)
    for argument in following:
        for short, long in _PATH_OPTIONS.items():
            if argument in (short, long):
                yield short, _without_extras(short, next(following, ""))
                break
            if argument.startswith(f"{long}="):
                yield short, _without_extras(short, argument[len(long) + 1 :])
                break
            if argument.startswith(short) and not argument.startswith("--"):
                yield short, _without_extras(short, argument[2:].strip())
                break
        else:
            if not argument.startswith("-") and (os.sep in argument or argument.startswith(".")):
                yield "", _without_extras("-e", argument)


def _without_extras(option: str, value: str) -> str:
    if option in _FILE_OPTIONS:
        return value
    path = value.removeprefix("file://")
    return path[: path.rindex("[")] if path.endswith("]") and "[" in path else path


def _dependency_files(folder: str) -> Iterator[tuple[str, str | None]]:
    try:
        names = sorted(name for name in os.listdir(folder) if DEPENDENCY_FILES.fullmatch(name))
    except OSError:
        return
    for name in names:
        path = os.path.join(folder, name)
        yield path, _digest(path)


def _requirements(path: str, depth: int) -> Iterator[tuple[str, str | None]]:
    content = _content(path)
    yield path, None if content is None else sha256(content).hexdigest()
    if content is None or depth == _NESTING_LIMIT:
        return
    for line in content.decode("utf-8", "replace").splitlines():
        words = line.split("#", 1)[0].split(maxsplit=1)
        if words and words[0].startswith(("-r", "-c", "--requirement", "--constraint")):
            for _, value in _paths(words):
                yield from _requirements(os.path.join(os.path.dirname(path), value.strip()), depth + 1)


def _copied(folder: str) -> Iterator[tuple[str, str | None]]:
    seen = 0
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if f not in _SKIPPED and not f.startswith(".") and ".egg-info" not in f)
        for name in sorted(names):
            if name.startswith("."):
                continue
            path = os.path.join(parent, name)
            try:
                status = os.stat(path)
            except OSError:
                continue
            yield path, f"{status.st_size}-{status.st_mtime_ns}"
            seen += 1
            if seen == _FILES_LIMIT:
                return


def _digest(path: str) -> str | None:
    content = _content(path)
    return None if content is None else sha256(content).hexdigest()


def _content(path: str) -> bytes | None:
    try:
        # Looked at first, since opening a pipe would wait for its writer.
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
        with open(path, "rb") as file:
            return file.read()
    except (OSError, ValueError):
        return None
