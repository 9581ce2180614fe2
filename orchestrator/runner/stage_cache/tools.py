"""Which tools a stage's command names, and which versions of what they need are installed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping

from orchestrator.base.canonical import digest_of
from orchestrator.model.plan import PlannedStage

_SEPARATORS = dict.fromkeys(map(ord, ";|&()<>`$\"'={},"), " ")
_WRITTEN_TO = r">{1,2}[|&]?\s*[^\s;|&()<>]+"
_BEGIN_BYTES = 512
_INSTALLED = (".dist-info", ".egg-info", ".egg-link", ".pth")
"""Names that installers write beside a Python package, and write anew for another version."""

_OWN_ENVIRONMENTS = (".venv", "venv")
"""Where a codebase keeps a virtual environment of its own, which ``uv run`` and the like take by themselves."""

_NOTES_OF_INSTALLERS = (".package-lock.json", ".modules.yaml", ".yarn-state.yml", ".yarn-integrity")
"""What npm, pnpm and Yarn write into ``node_modules`` when they have installed: which versions are there."""


def words_of(stage: PlannedStage) -> tuple[str, ...]:
    """Return the words of a stage's command that may name a tool or a file, whatever they are to a shell.

    More than what is meant is no harm: what is found counts, and what is not found does not. A file that a
    shell line only writes to is not meant.
    """
    if stage.kind != "shell":
        return tuple(dict.fromkeys([*stage.argv, *_words(" ".join(stage.argv))]))
    line = stage.shell or ""
    if ">" in line:
        import re

        line = re.sub(_WRITTEN_TO, " ", line)
    return tuple(dict.fromkeys([*_words(line), *_quoted(line)]))


def tools_of(
    stage: PlannedStage, env: Mapping[str, str], *, project_folder: str, env_dir: str | None
) -> dict[str, str]:
    """Return what stands for the versions of everything that the stage calls, by name or path.

    ``env`` is the stage's environment: its PATH says where tools are. ``env_dir`` is the session's
    environment, if it has one. A tool that is changed in place without a change of its file, or of what an
    installer notes, is unknown.
    """
    cwd = os.path.join(project_folder, stage.cwd)
    path = [os.path.join(cwd, folder) for folder in env.get("PATH", "").split(os.pathsep) if folder]
    found: dict[str, str] = {}
    prefixes = dict.fromkeys(folder for folder in (project_folder, cwd) for folder in _own_environments(folder))
    if env_dir is not None:
        prefixes[env_dir] = None
    for word in (*words_of(stage), *(("/bin/sh",) if stage.kind == "shell" else ())):
        for name, place in _places(word, cwd, path):
            signature = _signature(place) if name not in found else None
            if signature is not None:
                prefixes.update(dict.fromkeys(_prefixes(place)))
                if "/" not in name or name.startswith("/"):
                    found[name] = signature  # what a relative path names is an input already, by its content
    for prefix in prefixes:
        found.update(_packages(prefix))
    if any(os.path.basename(name).startswith("py") for name in found):
        for folder in _user_folders(env):
            found.update(_noted(folder))
    found.update(_node_modules(cwd))
    return found


def _words(line: str) -> list[str]:
    return line.translate(_SEPARATORS).split()  # to compile a pattern takes 0.3 ms of a cached start


def _quoted(line: str) -> list[str]:
    """Return the words of a shell line as a shell would see them, with what quotes hold together."""
    import shlex

    try:
        return shlex.split(line)
    except ValueError:
        return []


def _places(word: str, cwd: str, path: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the program that ``word`` names, and the interpreter in its first lines."""
    place = os.path.join(cwd, word) if "/" in word else _on_path(word, path)
    if place is None:
        return
    yield word, place
    for interpreter in _first_lines(place):
        inner = interpreter if interpreter.startswith("/") else _on_path(interpreter, path)
        if inner is not None:
            yield interpreter, inner


def _on_path(name: str, path: list[str]) -> str | None:
    for folder in path:
        place = os.path.join(folder, name)
        try:
            if os.access(place, os.X_OK) and os.path.isfile(place):
                return place
        except ValueError:
            return None
    return None


def _first_lines(place: str) -> list[str]:
    """Return the words of a script's ``#!`` line, and of the ``exec`` line that installers write for a long path."""
    try:
        with open(os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return []
            begin = file.read(_BEGIN_BYTES) or b""
    except (OSError, ValueError):
        return []
    if not begin.startswith(b"#!"):
        return []
    first, _, rest = os.fsdecode(begin[2:]).partition("\n")
    words = [word for word in first.split() if not word.startswith("-")]
    if rest.startswith("'''exec'"):
        words += [word for word in _quoted(rest.partition("\n")[0][3:]) if word.startswith("/")]
    return words


def _signature(place: str) -> str | None:
    try:
        status = os.stat(place)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    parts = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    return " ".join([os.path.realpath(place), *map(str, parts)])


def _own_environments(folder: str) -> list[str]:
    places = [os.path.join(folder, name) for name in _OWN_ENVIRONMENTS]
    return [place for place in places if os.path.isfile(os.path.join(place, "pyvenv.cfg"))]


def _prefixes(place: str) -> Iterator[str]:
    """Yield the environments that a program belongs to, and the installation of an interpreter."""
    real = os.path.realpath(place)
    for program in dict.fromkeys((place, real)):
        prefix = os.path.dirname(os.path.dirname(program))
        if os.path.isfile(os.path.join(prefix, "pyvenv.cfg")):
            yield prefix
    if os.path.basename(place).startswith("py"):
        yield os.path.dirname(os.path.dirname(real))


def _packages(prefix: str) -> Iterator[tuple[str, str]]:
    """Yield what is installed for the Pythons below ``prefix``; Debian's pip installs below ``local``."""
    for library in ("lib", "lib64", "local/lib"):
        for version in _named(os.path.join(prefix, library), ("python", "pypy")):
            for kind in ("site-packages", "dist-packages"):
                yield from _noted(os.path.join(prefix, library, version, kind))


def _user_folders(env: Mapping[str, str]) -> Iterator[str]:
    """Yield where a Python finds packages besides its own: the user's site, and PYTHONPATH."""
    base = env.get("PYTHONUSERBASE") or (os.path.join(env["HOME"], ".local") if env.get("HOME") else "")
    for version in _named(os.path.join(base, "lib"), ("python", "pypy")) if base else ():
        yield os.path.join(base, "lib", version, "site-packages")
    yield from filter(None, env.get("PYTHONPATH", "").split(os.pathsep))


def _named(folder: str, beginnings: tuple[str, ...]) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if name.startswith(beginnings))
    except OSError:
        return []


def _noted(folder: str) -> Iterator[tuple[str, str]]:
    """Yield what installers note in a folder of packages, and when they did."""
    try:
        with os.scandir(folder) as entries:
            noted = sorted(_note(entry) for entry in entries if entry.name.endswith(_INSTALLED))
    except (OSError, ValueError):
        return
    yield folder, digest_of(noted)


def _note(entry: os.DirEntry[str]) -> tuple[str, int, int, int]:
    status = entry.stat(follow_symlinks=False)
    return entry.name, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _node_modules(folder: str) -> Iterator[tuple[str, str]]:
    """Yield what is noted in ``node_modules`` here and above, where node looks for packages too."""
    while True:
        modules = os.path.join(folder, "node_modules")
        if os.path.isdir(modules):
            for name in _NOTES_OF_INSTALLERS:
                place = os.path.join(modules, name)
                signature = _signature(place)
                if signature is not None:
                    yield place, signature
        above = os.path.dirname(folder)
        if above == folder:
            return
        folder = above
