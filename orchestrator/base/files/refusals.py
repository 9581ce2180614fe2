"""What the disk refuses, as StorageError with its cause, and what stands where a file belongs."""

from __future__ import annotations

import errno
import os
import stat

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
_TOO_MANY = frozenset({errno.EMFILE, errno.ENFILE})
_ELSEWHERE = (
    "let this user read and write it; what runs leave may lie elsewhere: $CODEX_ORCHESTRATOR_RUNS_DIR names the place "
    "of records, $CODEX_ORCHESTRATOR_OUT_DIR of snapshots, $CODEX_ORCHESTRATOR_ENV_DIR of environments"
)
_USED_UP = "close what holds files open, or raise the limit (ulimit -n), then run the command again"
_REPAIR = "make room or repair the disk, then run the command again"
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
        f"'{path}' is not what belongs there: a link, a file or something else stands in its place",
        hint="remove it; nothing was written through it",
        code="planted-link",
    )


class explained:  # noqa: N801 -- used as a function is; contextlib's form of it takes three times as long
    """Turn the operating system's refusals into StorageError; names that are missing or taken pass through."""

    __slots__ = ("_path",)

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        """Nothing is refused yet."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            refusal = _refusal(error, self._path)
            if refusal is not None:
                raise refusal from error
        elif isinstance(error, ValueError) and _is_of_a_name(error):
            raise FileNotFoundError(errno.ENOENT, "no file can have that name", self._path) from error


def _is_of_a_name(error: ValueError) -> bool:
    """Tell whether the operating system was not even asked: a name with a NUL, or with half of a surrogate pair."""
    # Python 3.13 says "character" where others say "byte".
    return isinstance(error, UnicodeEncodeError) or "embedded null" in str(error)


class creating(explained):  # noqa: N801 -- as ``explained``
    """As ``explained``; a name that can be made is missing only when somebody took the open folder away."""

    __slots__ = ()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, FileNotFoundError):
            raise StorageError(
                f"'{self._path}' can't be written: its folder was taken away meanwhile",
                hint="see who moves or removes folders of runs, then run the command again",
                code="enoent",
            ) from error
        super().__exit__(kind, error, trace)


def _refusal(error: OSError, path: str) -> OSError | StorageError | None:
    """Return what is raised in place of an error of the system's; None where it passes through."""
    if isinstance(error, (MissingError, FileExistsError, BlockingIOError)):
        return None
    if isinstance(error, FileNotFoundError):
        return MissingError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    if error.errno in _PLANTED:
        return planted(path)
    cause = _CAUSES.get(error.errno or 0, os.strerror(error.errno) if error.errno else str(error))
    hint = _ELSEWHERE if error.errno in _UNWRITABLE else _USED_UP if error.errno in _TOO_MANY else _REPAIR
    return StorageError(
        f"'{path}' can't be read or written: {cause}",
        hint=hint,
        code=errno.errorcode.get(error.errno or 0, "storage").lower(),
    )
