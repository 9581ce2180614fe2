"""Real repositories for tests of snapshots."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ENVIRON = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}
_NAMES = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in (("NAME", "A"), ("EMAIL", "a@example.org"), ("DATE", "2024-01-02T03:04:05Z"))
}


def git(folder: Path, *words: str, given: bytes = b"") -> bytes:
    """Run the user's git in a folder and return what it prints."""
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, input=given, env={**ENVIRON, **_NAMES}, capture_output=True, check=True).stdout


def repository(folder: Path, files: dict[str, str | bytes]) -> Path:
    """Make a repository with one commit of these files on its branch ``main``."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q", "-b", "main")
    write(folder, files)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "first")
    return folder


def write(folder: Path, files: dict[str, str | bytes]) -> None:
    """Write files below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def everything(folder: Path) -> dict[str, tuple[object, ...]]:
    """Return all files, links and folders below a folder, with bytes, kinds, modes and times: none is to change.

    But for the time of an object or shared index that is there: git notes there that somebody asked for it.
    """
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        is_noted = path.is_file() and ("objects" in path.parts or path.name.startswith("sharedindex."))
        time = None if is_noted else status.st_mtime_ns
        found[os.fsencode(path.relative_to(folder)).hex()] = (status.st_mode, time, content)
    return found


def on_disk(folder: Path) -> dict[bytes, tuple[object, ...]]:
    """Return the files and links below a folder, a repository's own apart: their bytes, and whether they run."""
    found: dict[bytes, tuple[object, ...]] = {}
    for path in sorted(folder.rglob("*")):
        if ".git" in path.relative_to(folder).parts or (path.is_dir() and not path.is_symlink()):
            continue
        content = os.readlink(path) if path.is_symlink() else path.read_bytes()
        found[os.fsencode(path.relative_to(folder))] = (path.is_symlink(), path.lstat().st_mode & 0o100, content)
    return found
