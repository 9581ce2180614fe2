"""What the disk refuses, as StorageError with its cause, and what stands where a file belongs."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from orchestrator.base.errors import StorageError

_CAUSES = {
    errno.ENOSPC: "no space left on the device",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "the operation is not permitted",
    errno.EIO: "input/output error",
    errno.EMFILE: "too many open files in this process",
    errno.ENFILE: "too many open files on this machine",
}
_UNWRITABLE = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_ELSEWHERE = (
    "make it writable, or move it: $CODEX_ORCHESTRATOR_RUNS_DIR is where records are, $CODEX_ORCHESTRATOR_OUT_DIR "
    "snapshots, $CODEX_ORCHESTRATOR_ENV_DIR environments"
)
_PLANTED = frozenset({errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EMLINK})


class MissingError(FileNotFoundError):
    """A file or folder of the records is not there; ``filename`` is its whole path.

    Where it may be missing, it is caught as FileNotFoundError. Where it may not, somebody took it away.
    """


def refuse_irregular(fd: int, path: str) -> None:
    """Raise StorageError when the open file ``fd`` is no regular one."""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise planted(path)


def planted(path: str) -> StorageError:
    """Return the refusal for a link, a pipe or a device that stands at ``path``."""
    return StorageError(
        f"'{path}' is not what belongs there: a link, a pipe or a device stands in its place",
        hint="remove it; nothing was written through it",
        code="planted-link",
    )


@contextlib.contextmanager
def explained(path: str) -> Iterator[None]:
    """Turn the operating system's refusals into StorageError; names that are missing or taken pass through."""
    try:
        yield
    except FileNotFoundError as error:
        if isinstance(error, MissingError):
            raise
        raise MissingError(errno.ENOENT, os.strerror(errno.ENOENT), path) from error
    except (FileExistsError, BlockingIOError):
        raise
    except OSError as error:
        if error.errno in _PLANTED:
            raise planted(path) from error
        cause = _CAUSES.get(error.errno or 0, os.strerror(error.errno) if error.errno else str(error))
        raise StorageError(
            f"'{path}' can't be read or written: {cause}",
            hint=_ELSEWHERE
            if error.errno in _UNWRITABLE
            else "make room or repair the disk, then run the command again",
            code=errno.errorcode.get(error.errno or 0, "storage").lower(),
        ) from error


@contextlib.contextmanager
def creating(path: str) -> Iterator[None]:
    """As ``explained``; a name that can be made is missing only when somebody took the open folder away."""
    try:
        with explained(path):
            yield
    except FileNotFoundError as error:
        raise StorageError(
            f"'{path}' can't be written: its folder was taken away meanwhile",
            hint="see who moves or removes folders of runs, then run the command again",
            code="enoent",
        ) from error
