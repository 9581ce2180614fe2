"""All files or none: everything is staged beside its place first, then renamed one by one, and undone on a failure."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

from orchestrator.base.errors import Refused
from orchestrator.base.files import Folder, Seam, explained, take_patiently
from orchestrator.base.files.changes import MOST_BYTES, FileChange

CHANGED = "changed-meanwhile"


def write_files(root: str, changes: Sequence[FileChange], seam: Seam | None = None) -> None:
    """Carry out ``changes`` below ``root`` (made when it is missing), in their order, all of them or none.

    The root folder itself is locked meanwhile, so that two writers come one after the other. Raises
    Refused, with nothing written, when a file is no longer as it was when its change was made up, and
    StorageError, after everything was put back, when the disk refuses or a link stands in the way.
    """
    todo = [change for change in changes if change.action != "unchanged"]
    if not todo:
        return
    with Folder.at(os.path.realpath(root), seam or Seam(), create=True) as top:
        with explained(top.path):
            stand_in = take_patiently(top.seam, top.fd, top.path)  # given back when the folder is closed
        try:
            _Writing(top, todo).run()
        finally:
            if stand_in is not None:
                os.close(stand_in)


class _Writing:
    """One call's work, and what of it has to be undone."""

    def __init__(self, top: Folder, changes: Sequence[FileChange]) -> None:
        self.top = top
        self.changes = changes
        self.made: list[str] = []
        self.staged: list[FileChange] = []
        self.placed: list[FileChange] = []

    def run(self) -> None:
        try:
            for change in self.changes:
                self._stage(change)
            for change in self.changes:
                self._place(change)
        except BaseException:
            self._undo()
            raise

    def _stage(self, change: FileChange) -> None:
        self._make_folders(change.path)
        with self._folder_of(change) as (folder, name):
            _check_as_expected(folder, name, change)
            self.staged.append(change)
            folder.remove(_temporary(name))  # of a process that was killed; nobody else holds the lock
            folder.create(_temporary(name), change.after.encode())

    def _place(self, change: FileChange) -> None:
        with self._folder_of(change) as (folder, name):
            _check_as_expected(folder, name, change)
            self.placed.append(change)
            with explained(os.path.join(folder.path, name)):
                folder.seam.replace(_temporary(name), name, folder.fd, folder.fd)
            folder.sync()

    def _undo(self) -> None:
        """Put everything back as it was, as far as the disk lets us."""
        for change in reversed(self.placed):
            with contextlib.suppress(Exception), self._folder_of(change) as (folder, name):
                if change.before is not None:
                    folder.write(name, change.before.encode())
                elif not folder.has(_temporary(name)):  # else it was not renamed, and the name is not ours
                    folder.remove(name)
        for change in self.staged:
            with contextlib.suppress(Exception), self._folder_of(change) as (folder, name):
                folder.remove(_temporary(name))
        for path in reversed(self.made):
            with contextlib.suppress(Exception), self._folder(os.path.dirname(path)) as folder:
                folder.seam.rmdir(os.path.basename(path), folder.fd)

    def _make_folders(self, path: str) -> None:
        parts = path.split("/")[:-1]
        for count in range(1, len(parts) + 1):
            inner = "/".join(parts[:count])
            with self._folder(os.path.dirname(inner)) as above:
                if not above.has(parts[count - 1]):
                    self.made.append(inner)
                above.sub(parts[count - 1], create=True).close()

    @contextlib.contextmanager
    def _folder_of(self, change: FileChange) -> Iterator[tuple[Folder, str]]:
        folder, name = os.path.split(change.path)
        with self._folder(folder) as opened:
            yield opened, name

    @contextlib.contextmanager
    def _folder(self, path: str) -> Iterator[Folder]:
        with contextlib.ExitStack() as stack:
            folder = self.top
            for part in path.split("/") if path else []:
                folder = stack.enter_context(folder.sub(part))
            yield folder


def _temporary(name: str) -> str:
    return f".{name.lstrip('.')}.onboarding"


def _check_as_expected(folder: Folder, name: str, change: FileChange) -> None:
    try:
        found: str | None = folder.read(name, MOST_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        found = None
    if found != change.before:
        raise Refused(
            f"'{change.path}' was changed by somebody else in the meantime; nothing was written",
            hint="run the command again",
            code=CHANGED,
        )
