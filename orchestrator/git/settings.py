"""The settings of a repository and a user that change what git says of a tree, and what takes them back."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from orchestrator.base.record import Record
from orchestrator.git.process import GitProcess
from orchestrator.git.repository import common_folder, git_folder, repository_top

_SUSPECT = (b"filter", b"excludesfile", b"include")
_USER_VALUES = frozenset((b"name", b"email"))
_UNSIMPLE = frozenset(b'\\"#;')
"""Escapes, quotes and comments inside a value."""
_MOST_BYTES = 1 << 20
_CHUNK = 1 << 14
_TIMEOUT_SECONDS = 10.0
_QUERY = ("config", "--null", "--get-regexp", r"^(filter\..*|core\.excludesfile)$")
LFS = "lfs"


class TreeSettings(Record):
    """What a tree must be asked with.

    ``filters`` are the names of configured filters (gitattributes(5)), which are not run; ``has_personal_excludes``:
    the user ignores files by rules that are not the repository's; ``pairs`` are settings for every git.
    """

    filters: frozenset[str] = frozenset()
    has_personal_excludes: bool = False
    pairs: tuple[tuple[str, str], ...] = ()

    @property
    def unknown_filters(self) -> tuple[str, ...]:
        """The filters whose files can't be compared with a commit; LFS has a digest in its pointers."""
        return tuple(sorted(self.filters - {LFS}))


def tree_settings(top: str, environ: Mapping[str, str]) -> TreeSettings:
    """Return the settings for the working tree at ``top``; git is asked where a config file names what matters.

    Raises OSError when git can't be started.
    """
    common = common_folder(top)
    pairs = list(_file_system(top))
    files = (*_repositorys(top), *_users(environ))
    personal = _has_rules(os.path.join(common, "info", "exclude")) or _has_rules(_default_excludes(environ))
    filters: frozenset[str] = frozenset()
    if any(word in content for content in (_content(file).lower() for file in files) for word in _SUSPECT):
        found = _configured(top, environ)
        filters = frozenset(name.split(".", 1)[1].rpartition(".")[0] for name in found if name.startswith("filter."))
        configured = found.get("core.excludesfile", "")
        personal = personal or bool(configured and _has_rules(_expanded(configured, environ)))
    for name in sorted(filters):
        pairs += [(f"filter.{name}.{key}", "") for key in ("clean", "smudge", "process")]
        pairs.append((f"filter.{name}.required", "false"))
    return TreeSettings(filters, personal, tuple(pairs))


def _file_system(top: str) -> Iterator[tuple[str, str]]:
    """Yield that modes and names are those on disk, unless the file system can't tell an executable file."""
    with suppress(OSError):
        if not os.stat(os.path.join(git_folder(top), "HEAD")).st_mode & 0o111:
            yield "core.fileMode", "true"
            if sys.platform == "linux":
                yield "core.ignoreCase", "false"


def _repositorys(top: str) -> tuple[str, str]:
    return os.path.join(common_folder(top), "config"), os.path.join(git_folder(top), "config.worktree")


def config_files(folder: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return git's config files for ``folder``, the one that decides last (git-config(1), "FILES")."""
    top = repository_top(folder)
    own = () if top is None else _repositorys(top)
    machine: list[str] = []
    users: list[str] = []
    for path in _users(environ):
        (users if path.startswith(environ.get("HOME") or "\0") else machine).append(path)
    return (*machine, *reversed(users), *own)


def user_settings(files: Iterable[str]) -> dict[str, str] | None:
    """Return ``user.name`` and ``user.email`` as simple config files have them, later ones first.

    None where only git can tell: a file includes another, or quotes or continues one of the two values.
    """
    found: dict[str, str] = {}
    for file in files:
        in_section = False
        for line in map(bytes.strip, _content(file).split(b"\n")):
            rest = line
            if line.startswith(b"["):
                section, _, rest = line[1:].lower().partition(b"]")
                if section.lstrip().startswith(b"include"):
                    return None
                in_section = section == b"user"
                rest = line[len(line) - len(rest) :]
            name, equals, value = rest.partition(b"=")
            name, value = name.strip().lower(), value.strip()
            if not (in_section and equals and name in _USER_VALUES):
                continue
            if value[:1] in (b'"', b"=") or not _UNSIMPLE.isdisjoint(value):
                return None
            found[f"user.{name.decode()}"] = value.decode("utf-8", "replace")
    return {key: value for key, value in found.items() if value}


def _users(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the config files of the user and of the machine (git-config(1), "FILES")."""
    if "GIT_CONFIG_GLOBAL" in environ:
        yield environ["GIT_CONFIG_GLOBAL"]
    else:
        yield os.path.join(environ.get("HOME", ""), ".gitconfig")
        yield os.path.join(_xdg(environ), "config")
    if environ.get("GIT_CONFIG_NOSYSTEM", "0").lower() in ("", "0", "false", "no", "off"):
        yield environ.get("GIT_CONFIG_SYSTEM", "/etc/gitconfig")
        yield from ("/usr/local/etc/gitconfig", "/opt/homebrew/etc/gitconfig")


def _default_excludes(environ: Mapping[str, str]) -> str:
    return os.path.join(_xdg(environ), "ignore")


def _xdg(environ: Mapping[str, str]) -> str:
    return os.path.join(environ.get("XDG_CONFIG_HOME") or os.path.join(environ.get("HOME", ""), ".config"), "git")


def _expanded(path: str, environ: Mapping[str, str]) -> str:
    return os.path.join(environ.get("HOME", ""), path[2:]) if path.startswith("~/") else path


def _has_rules(path: str) -> bool:
    return any(line.strip() and not line.startswith(b"#") for line in _content(path).splitlines())


def _content(path: str) -> bytes:
    with suppress(OSError, ValueError):
        return _bytes_of(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    return b""


def _bytes_of(fd: int) -> bytes:
    """Return what can be read of an open file, up to a limit, and close it: a start reads a dozen tiny ones."""
    data = b""
    try:
        while len(data) < _MOST_BYTES and (chunk := os.read(fd, _CHUNK)):
            data += chunk
    finally:
        os.close(fd)
    return data


def _configured(top: str, environ: Mapping[str, str]) -> dict[str, str]:
    try:
        answer = GitProcess.start(top, _QUERY, environ, paths=None).answer(_TIMEOUT_SECONDS)
    except TimeoutError:
        return {}
    entries = (entry.partition("\n") for entry in answer.output.decode("utf-8", "surrogateescape").split("\0"))
    return {name: value for name, _, value in entries if name}
