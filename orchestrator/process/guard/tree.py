"""Who belongs to a stage: the descendants of its reaper, or what can be known of them without a subreaper."""

from __future__ import annotations

import posix
import sys

from . import signals

TYPE_CHECKING = False  # as typing has it, without its import
if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import Any

    ProcessTable = list[tuple[int, tuple[int, int, str, str]]]

PR_SET_PDEATHSIG = 1  # prctl(2)
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h, since Linux 3.4
_START_FIELD = 19  # of /proc/pid/stat behind the command's name (proc(5): field 22)
_STOPPED = "Tt"
_GONE = "ZX"  # states of proc(5): a zombie only waits to be reaped


def become_subreaper() -> bool:
    """Let orphans among this process's descendants become its children; False where that cannot be had."""
    return _prctl(PR_SET_CHILD_SUBREAPER, 1)


def go_on_without_parent() -> None:
    """Have this process go on when its parent has died, should it be stopped then: it has a tree to end."""
    _prctl(PR_SET_PDEATHSIG, signals.CONT)


def is_stopped(pid: int) -> bool:
    """Tell whether a process is stopped; False where that can't be known."""
    return (_stat(pid) or ("", 0))[0] in _STOPPED


def _prctl(option: int, value: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    try:
        # The bare C module: ``ctypes`` itself takes a third of the guard's start.
        import _ctypes

        itself: Any = None  # dlopen(3) of NULL: what the interpreter is linked with, the C library among it
        prctl = _ctypes.dlsym(_ctypes.dlopen(itself, posix.RTLD_NOW), "prctl")
        return bool(_ctypes.call_function(prctl, (option, int(value), 0, 0, 0)) == 0)
    except (ImportError, AttributeError, OSError):
        return False


class ReapedTree:
    """The descendants of this process, a subreaper: none can leave, the kernel keeps the list.

    ``besides`` are children that are left out, with all of theirs. ``listed`` tells whether the kernel
    lists children (CONFIG_PROC_CHILDREN); left out, it is tried.
    """

    complete = True
    """Whether no process is left as soon as no child is left."""

    def __init__(self, *, besides: Collection[int] = (), listed: bool | None = None) -> None:
        self._besides = besides
        self._listed = _exists(f"/proc/self/task/{posix.getpid()}/children") if listed is None else listed

    def note(self) -> None:
        """Look at the tree while it is whole; there is no need here."""

    def members(self) -> list[int]:
        """Return the pids of all descendants, parents before children."""
        children = _children if self._listed else _ParentScan()
        found: list[int] = []
        waiting = [pid for pid in children(posix.getpid()) if pid not in self._besides]
        seen = set(waiting)
        while waiting:
            found += waiting
            fresh = {child for pid in waiting for child in children(pid)} - seen
            seen |= fresh
            waiting = sorted(fresh)
        return found

    def runs(self, pid: int) -> bool:
        """Tell whether a member is more than a zombie."""
        return (_stat(pid) or ("Z", 0))[0] not in _GONE


class GroupTree:
    """What can be known without a subreaper: the stage's process group and every descendant ever seen.

    A process counts as the one seen before only when its start time is the same. What leaves the group
    and loses its parent between two looks is out of reach. ``look`` returns the table of all processes.
    """

    complete = False

    def __init__(self, main: int, look: Callable[[], ProcessTable] | None = None) -> None:
        self._look = look or (proc_table if _exists("/proc/self/stat") else ps_table)
        self._known: dict[int, str] = {}
        self._main = main

    def note(self) -> None:
        """Remember today's descendants, for when their parents are gone."""
        self.members()

    def members(self) -> list[int]:
        """Return the pids of the known processes that are still there, those known longest first."""
        table = {pid: row for pid, row in self._look() if row[2][:1] not in _GONE and pid != posix.getpid()}
        known = {pid: began for pid, began in self._known.items() if pid in table and table[pid][3] == began}
        groups = {table[pid][1] for pid in known} | {self._main}
        known.update({pid: row[3] for pid, row in table.items() if row[1] in groups})
        waiting = True
        while waiting:
            fresh = {pid: row[3] for pid, row in table.items() if row[0] in known and pid not in known}
            known.update(fresh)
            waiting = bool(fresh)
        self._known = known
        return list(known)

    def runs(self, pid: int) -> bool:
        """Tell whether a member is more than a zombie: zombies are no members here."""
        return True


Tree = ReapedTree | GroupTree


def living(tree: Tree) -> list[int]:
    """Return the pids of the members that still run."""
    return [pid for pid in tree.members() if tree.runs(pid)]


def kill_all(tree: Tree) -> list[int]:
    """Send SIGKILL to every member once; return the pids of those that still ran.

    Zombies get the signal too: one whose main thread has ended may still have threads that run.
    """
    found = []
    for pid in tree.members():
        if tree.runs(pid):
            found.append(pid)
        signals.send(pid, signals.KILL)
    return found


def _exists(path: str) -> bool:
    try:
        posix.stat(path)
    except OSError:
        return False
    return True


def _read(path: str) -> bytes:
    # A process that ends while it is read gives ENOENT on opening and ESRCH on reading.
    try:
        fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return b""
    try:
        parts = []
        while part := posix.read(fd, 65536):
            parts.append(part)
        return b"".join(parts)
    except OSError:
        return b""
    finally:
        posix.close(fd)


def _children(pid: int) -> list[int]:
    # A child hangs on the thread that forked it (proc(5), /proc/pid/task/tid/children).
    try:
        threads = posix.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    return [int(child) for thread in threads for child in _read(f"/proc/{pid}/task/{thread}/children").split()]


def _stat(pid: int) -> tuple[str, int] | None:
    """Return state and parent; the name between them may hold spaces and brackets (proc(5))."""
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return (fields[0].decode(), int(fields[1])) if len(fields) > 1 else None


class _ParentScan:
    """``_children`` by a scan of all processes, for kernels without CONFIG_PROC_CHILDREN."""

    def __init__(self) -> None:
        self._of: dict[int, list[int]] = {}
        for name in posix.listdir("/proc"):
            row = _stat(int(name)) if name.isdigit() else None
            if row is not None:
                self._of.setdefault(row[1], []).append(int(name))

    def __call__(self, pid: int) -> list[int]:
        return self._of.get(pid, [])


def proc_table() -> ProcessTable:
    """Return (pid, (parent, group, state, start time in clock ticks)) of every process, from proc(5).

    There need be no ps, as in many container images, and its start times are whole seconds.
    """
    rows = []
    for name in posix.listdir("/proc"):
        fields = _read(f"/proc/{name}/stat").rpartition(b")")[2].split() if name.isdigit() else []
        if len(fields) > _START_FIELD:
            rows.append(
                (int(name), (int(fields[1]), int(fields[2]), fields[0].decode(), fields[_START_FIELD].decode()))
            )
    return rows


def ps_table() -> ProcessTable:
    """Return (pid, (parent, group, state, start time in words)) of every process, as ps tells it."""
    reading, writing = posix.pipe()
    pid = posix.fork()
    if pid == 0:
        try:
            posix.dup2(writing, 1)
            signals.default_all()
            columns = [word for name in ("pid", "ppid", "pgid", "stat", "lstart") for word in ("-o", f"{name}=")]
            posix.execve("/bin/ps", ["ps", "-A", *columns], {"LC_ALL": "C"})
        finally:
            posix._exit(127)
    posix.close(writing)
    parts = []
    while part := posix.read(reading, 65536):
        parts.append(part)
    posix.close(reading)
    posix.waitpid(pid, 0)
    return parse_ps(b"".join(parts).decode("ascii", "replace"), besides=pid)


def parse_ps(text: str, *, besides: int = 0) -> ProcessTable:
    """Return the rows of ``ps -o pid=,ppid=,pgid=,stat=,lstart=``, without the process ``besides``."""
    rows = []
    for line in text.splitlines():
        fields = line.split(None, 4)
        if len(fields) == 5 and fields[0].isdigit() and int(fields[0]) != besides:
            rows.append((int(fields[0]), (int(fields[1]), int(fields[2]), fields[3], fields[4].strip())))
    return rows
