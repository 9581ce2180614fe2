"""Files to be written, as values: what stands there now, what shall stand there, and the difference."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass

MOST_BYTES = 4 * 1024 * 1024
"""Far above any file that is written here; a larger one is somebody else's."""


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file of a workspace. ``path`` is relative to its root, ``before`` None where there is no file."""

    path: str
    before: str | None
    after: str

    @property
    def action(self) -> str:
        """``create``, ``update`` or ``unchanged``."""
        if self.before is None:
            return "create"
        return "unchanged" if self.before == self.after else "update"


class UnfitFileError(Exception):
    """A file can't be taken over; the text says why."""


def current_text(root: str, path: str) -> str | None:
    """Return what stands in a file of the workspace at ``root``, None where there is none.

    Raises UnfitFileError for a link, for what is no regular file, and for one that is not UTF-8 text.
    """
    full = os.path.join(root, path)
    try:
        found = os.lstat(full)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(found.st_mode):
        raise UnfitFileError("it is no regular file")
    if found.st_size > MOST_BYTES:
        raise UnfitFileError(f"it is larger than {MOST_BYTES // 1024 // 1024} MiB")
    try:
        with open(full, encoding="utf-8", newline="") as stream:
            return stream.read()
    except UnicodeDecodeError:
        raise UnfitFileError("it is not UTF-8 text") from None
    except OSError as error:
        raise UnfitFileError(f"it cannot be read: {error.strerror or error}") from None


def diff_text(changes: Iterable[FileChange]) -> str:
    """Return the unified diff of the changes, as ``git apply`` takes it; empty when nothing changes."""
    return "".join(_diff(change) for change in changes if change.action != "unchanged")


def _diff(change: FileChange) -> str:
    import difflib

    old = "/dev/null" if change.before is None else f"a/{change.path}"
    before = (change.before or "").splitlines(keepends=True)
    lines = difflib.unified_diff(before, change.after.splitlines(keepends=True), old, f"b/{change.path}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
