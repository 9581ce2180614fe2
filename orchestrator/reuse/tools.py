"""Which tools a stage's command names, and which versions of what they need are installed."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping

from orchestrator.plan import PlannedStage, digest_of

_WORD = re.compile(r"[^\s;|&()<>`$\"'={},]+")
_WRITTEN_TO = re.compile(r">{1,2}[|&]?\s*[^\s;|&()<>]+")
_SHEBANG_BYTES = 256
_INSTALLED = (".dist-info", ".egg-info", ".egg-link", ".pth")
"""Names that installers write beside a Python package, and write anew for another version."""

_LOCKS_OF_INSTALLERS = ("node_modules/.package-lock.json", "node_modules/.modules.yaml", "node_modules/.yarn-state.yml")
"""What npm, pnpm and Yarn write when they have installed: which versions are there."""


def words_of(stage: PlannedStage) -> tuple[str, ...]:
    """Return the words of a stage's command that may name a tool or a file, whatever they are to a shell.

    More than what is meant is no harm: what is found counts, and what is not found does not. A file that a
    shell line only writes to is not meant.
    """
    text = _WRITTEN_TO.sub(" ", stage.shell or "") if stage.kind == "shell" else " ".join(stage.argv)
    return tuple(dict.fromkeys(_WORD.findall(text)))


def tools_of(
    stage: PlannedStage, env: Mapping[str, str], *, project_folder: str, env_dir: str | None
) -> dict[str, str]:
    """Return what stands for the versions of everything that the stage calls, by name or path.

    ``env`` is the stage's environment: its PATH says where tools are. ``env_dir`` is the session's
    environment, if it has one. A tool that is changed in place without a change of its file, or of what an
    installer notes, is not told.
    """
    path = [folder for folder in env.get("PATH", "").split(os.pathsep) if folder]
    found: dict[str, str] = {}
    prefixes = {} if env_dir is None else {env_dir: None}
    waiting = list(words_of(stage))
    if stage.kind == "shell":
        waiting.append("/bin/sh")
    for word in waiting:
        for name, place in _places(word, path):
            if name in found:
                continue
            signature = _signature(place)
            if signature is None:
                continue
            found[name] = signature
            prefix = os.path.dirname(os.path.dirname(place))
            if os.path.isfile(os.path.join(prefix, "pyvenv.cfg")):
                prefixes[prefix] = None
            elif os.path.basename(place).startswith("python"):
                prefixes[os.path.dirname(os.path.dirname(os.path.realpath(place)))] = None
    for prefix in prefixes:
        found.update(_packages(prefix))
    for name in _LOCKS_OF_INSTALLERS:
        signature = _signature(os.path.join(project_folder, name))
        if signature is not None:
            found[name] = signature
    return found


def _places(word: str, path: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the program that ``word`` names, and the interpreter in its first line."""
    place = word if word.startswith("/") else None if "/" in word else _on_path(word, path)
    if place is None:
        return
    yield word, place
    for interpreter in _first_line(place):
        inner = interpreter if interpreter.startswith("/") else _on_path(interpreter, path)
        if inner is not None:
            yield interpreter, inner


def _on_path(name: str, path: list[str]) -> str | None:
    for folder in path:
        place = os.path.join(folder, name)
        if os.access(place, os.X_OK) and os.path.isfile(place):
            return place
    return None


def _first_line(place: str) -> list[str]:
    """Return the words of a script's ``#!`` line, and none of another file."""
    try:
        with open(os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return []
            begin = file.read(_SHEBANG_BYTES) or b""
    except OSError:
        return []
    if not begin.startswith(b"#!"):
        return []
    return [os.fsdecode(word) for word in begin[2:].split(b"\n", 1)[0].split() if not word.startswith(b"-")]


def _signature(place: str) -> str | None:
    try:
        status = os.stat(place)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    told = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    return " ".join([os.path.realpath(place), *map(str, told)])


def _packages(prefix: str) -> Iterator[tuple[str, str]]:
    """Yield what is installed for the Python below ``prefix``: what installers note, and when they did."""
    try:
        versions = [name for name in os.listdir(os.path.join(prefix, "lib")) if name.startswith("python")]
    except OSError:
        return
    for version in sorted(versions):
        for kind in ("site-packages", "dist-packages"):
            folder = os.path.join(prefix, "lib", version, kind)
            try:
                with os.scandir(folder) as entries:
                    noted = sorted(
                        (entry.name, entry.stat(follow_symlinks=False).st_mtime_ns)
                        for entry in entries
                        if entry.name.endswith(_INSTALLED)
                    )
            except OSError:
                continue
            yield folder, digest_of(noted)
