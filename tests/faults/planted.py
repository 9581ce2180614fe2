"""Things that don't belong there: links, pipes and devices in the place of a workspace's files and folders."""

from __future__ import annotations

import io
import os
import shutil
import signal
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from orchestrator.cli.console import run as call
from orchestrator.cli.invocation import Invocation
from orchestrator.commands.context import Context

KINDS = ("link-to-folder", "link-to-file", "dangling-link", "fifo", "device", "socket")
PATIENCE_SECONDS = 20
"""No command here takes a second; a FIFO that is opened for reading or writing takes for ever."""


@dataclass(frozen=True, slots=True)
class Outside:
    """A folder outside the workspace that nothing may be written to."""

    folder: Path

    @classmethod
    def made(cls, folder: Path) -> Outside:
        """Make it, with a file, an empty folder and one that has something in it."""
        (folder / "victim").mkdir(parents=True)
        (folder / "victim" / "kept.txt").write_text("kept")
        (folder / "victim.txt").write_text("a victim's file\n")
        return cls(folder)

    def look(self) -> dict[str, tuple[int, int, bytes]]:
        """Return what is there: mode, time of the last change, and content, by path."""
        found: dict[str, tuple[int, int, bytes]] = {}
        for path in sorted([self.folder, *self.folder.rglob("*")]):
            status = path.lstat()
            content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
            found[str(path)] = (status.st_mode, status.st_mtime_ns, content)
        return found


def plant(kind: str, place: Path, outside: Outside) -> bool:
    """Put something of that kind in the place of whatever is there; False where the machine does not allow it."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    elif place.exists() or place.is_symlink():
        place.unlink()
    place.parent.mkdir(parents=True, exist_ok=True)
    if kind == "link-to-folder":
        place.symlink_to(outside.folder / "victim")
    elif kind == "link-to-file":
        place.symlink_to(outside.folder / "victim.txt")
    elif kind == "dangling-link":
        place.symlink_to(outside.folder / "not-yet")
    elif kind == "fifo":
        os.mkfifo(place)
    elif kind == "socket":
        os.mknod(place, stat.S_IFSOCK | 0o666)
    else:
        try:
            os.mknod(place, stat.S_IFCHR | 0o666, os.makedev(1, 3))  # /dev/null
        except OSError:
            return False
    return True


@dataclass(frozen=True, slots=True)
class Called:
    """What a command gave: its exit code and what it printed."""

    code: int
    stdout: str
    stderr: str


def orchestrate_here(root: Path, environ: Mapping[str, str], *words: str) -> Called:
    """Call the console script's function in this process: hundreds of calls, without hundreds of interpreters."""
    stdout, stderr = io.StringIO(), io.StringIO()
    invocation = Invocation(words, stdout, stderr, lambda: Context(str(root), environ, stdout, stderr))
    with no_hang():
        code = call(words, invocation=invocation)
    return Called(code, stdout.getvalue(), stderr.getvalue())


@contextmanager
def no_hang(seconds: int = PATIENCE_SECONDS) -> Iterator[None]:
    """Fail when what is done in here waits for ever."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"still waiting after {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
