"""Whether a file system can keep the promises: locks that hold, on one machine."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress

from orchestrator.base.files import Seam
from orchestrator.base.finding import Finding
from orchestrator.model.manifest.document import HEARTBEAT_STALE_SECONDS

NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "gpfs", "fuse.sshfs"}
    | {"fuse.glusterfs", "fuse.s3fs", "fuse.rclone", "virtiofs", "vboxsf", "fuse.vmhgfs-fuse"}
)
"""File systems that other machines may write to (names as in mountinfo)."""

_NO_LOCKS = "make the runs folder on a local disk ($CODEX_ORCHESTRATOR_RUNS_DIR)"
_INSTEAD = (
    "where the lock of a run of another machine can't be seen, its lock file (host, boot id) and its heartbeat tell "
    f"for {HEARTBEAT_STALE_SECONDS} s whether it is alive; metrics and state have one writer only on one machine"
)
_STAND_IN = "locks of files below /tmp serve instead, for this user and on this machine"


def mount_type(mountinfo: str, path: str) -> str | None:
    """Return the type of the file system that the real ``path`` is on; ``mountinfo`` as in proc(5)."""
    found: tuple[int, str | None] = (-1, None)
    for line in mountinfo.splitlines():
        left, dash, right = line.partition(" - ")
        fields = left.split(" ")
        if not dash or len(fields) < 5 or not right:
            continue
        point = _unescaped(fields[4])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= found[0]:
            # Of two on one point, the later one hides the earlier.
            found = (len(point), right.split(" ")[0])
    return found[1]


def _unescaped(text: str) -> str:
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, char)
    return text


def inspect_file_system(path: str, place: str, seam: Seam, *, mountinfo: str | None = None) -> list[Finding]:
    """Return what keeps the file system of the existing folder ``path`` from keeping the promises. Writes nothing.

    ``mountinfo`` is read from ``/proc`` unless given.
    """
    if mountinfo is None:
        mountinfo = _mountinfo()
    kind = mount_type(mountinfo, os.path.realpath(path))
    findings = []
    if kind in NETWORK:
        message = f"it is on a network file system ({kind}): {_INSTEAD}"
        hint = f"let one machine work on a task at a time, or {_NO_LOCKS}"
        findings.append(Finding("network-file-system", place, message, hint=hint, level="warning"))
    cause = flock_fault(path, seam)
    if cause is not None:
        message = f"locks don't work there ({cause}): {_STAND_IN}; {_INSTEAD}"
        findings.append(Finding("no-flock", place, message, hint=_NO_LOCKS))
    return findings


def flock_fault(path: str, seam: Seam) -> str | None:
    """Return why a lock on the folder ``path`` doesn't keep a second holder out, or None when it does."""
    first, second = (os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) for _ in range(2))
    try:
        seam.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        seam.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    except OSError as error:
        # NFS gives a folder no exclusive lock (flock(2)); of its files nothing is known by that.
        return None if error.errno in (errno.EBADF, errno.EISDIR) else os.strerror(error.errno or 0)
    finally:
        os.close(first)
        os.close(second)
    return "two holders had one lock at once"


def _mountinfo() -> str:
    with suppress(OSError), open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return file.read()
    return ""
