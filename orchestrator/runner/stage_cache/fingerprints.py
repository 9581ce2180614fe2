"""What stands in the files that a stage reads or makes; a file is read again only where its status changed."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress

from orchestrator.base.globs import Paths, Root
from orchestrator.base.record import Record
from orchestrator.base.sha256 import sha256_for

FILES_LIMIT = 20_000
BYTES_LIMIT = 512 * 1024 * 1024
"""Beyond these, looking would cost a run seconds: such a stage always runs. As for the tree's digest."""

_TICK_NS = 20_000_000
"""Linux stamps files with the time of its last tick, at most 10 ms ago (CONFIG_HZ=100): twice that."""

_COARSE_TICK_NS = 2_000_000_000
"""FAT and some network file systems keep whole or even seconds only."""

_CHUNK = 1 << 20
_NEVER = frozenset({".git", "__pycache__"})
"""Folders whose files follow from others, and change by themselves."""


class FileState(Record):
    """What a file is: ``content`` says what stands in it, ``status`` what the system said when it was read.

    Not ``settled``, the status proves nothing: the file had changed so shortly before that another change
    could look the same (git's "racy" entries), or it is a link.
    """

    content: str
    settled: bool
    status: tuple[int, ...]


class Unfit(Exception):  # noqa: N818 -- named by what it says
    """Something among the files can't be distinguished reliably; the text says what and where."""


class Unmoved(Record):
    """Until when a file, and a folder above it, must have been the same for a known status to prove anything.

    What a cache keeps of statuses is its own account. The time of change can't be set, so that a file which did not
    change since the stage began whose proved record is cited is what it was then, if no folder above it was put there
    since that run ended. Both in nanoseconds of the wall clock.
    """

    files_ns: int
    folders_ns: int


class Survey:
    """One look at some files of the project's folder.

    ``known`` is what was found the last time, ``now_ns`` the wall clock in nanoseconds. What ``never`` names,
    files and folders, does not count, nor does what ``but`` means. ``reread`` counts files that were known and
    had to be read again although nothing but their status had changed. ``unmoved`` limits which statuses count;
    None where they come from this process itself.
    """

    def __init__(
        self,
        folder: str,
        known: Mapping[str, FileState],
        now_ns: Callable[[], int],
        never: frozenset[str],
        but: Paths | None = None,
        unmoved: Unmoved | None = None,
    ) -> None:
        self.folder = folder
        self.known = known
        self.now_ns = now_ns
        self.found: dict[str, FileState] = {}
        self.reread = 0
        self._never = never
        self._but = but
        self._unmoved = unmoved
        # Whatever the file system's clock, what changed before this was settled: one comparison for most files.
        self._surely_settled_ns = None if unmoved is None else unmoved.files_ns - _COARSE_TICK_NS
        self._moved_folders: dict[str, bool] = {}
        self._bytes = 0

    def add(self, patterns: Paths, ignored: frozenset[str] = frozenset()) -> None:
        """Look at every file that ``patterns`` match, but what lies in a folder, or is a file, that is ``ignored``.

        Raises Unfit.
        """
        for root in patterns.roots:
            self._add_below(root, self._never | ignored, patterns.matching())

    def add_file(self, path: str) -> None:
        """Look at one file, if there is a file of that name. Raises Unfit."""
        place = os.path.join(self.folder, path)
        if path not in self._never and os.path.isfile(place):
            with suppress(FileNotFoundError):
                self._take(path, os.lstat(place), moved=self._is_moved_above(path))

    def _add_below(self, root: Root, never: frozenset[str], match: Callable[[str], object]) -> None:
        try:
            status = os.lstat(os.path.join(self.folder, root.path))
        except (FileNotFoundError, NotADirectoryError):
            return
        except (OSError, ValueError) as error:
            raise Unfit(f"'{root.path}' can't be looked at: {error}") from error
        moved = self._is_moved_above(root.path)
        if stat.S_ISDIR(status.st_mode):
            prefix = "" if root.path == "." else f"{root.path}/"
            self._walk(os.path.join(self.folder, root.path), prefix, root.levels, never, match, moved=moved)
        elif root.path not in self._never:
            if stat.S_ISLNK(status.st_mode):
                self._refuse_folder(root.path)
            if match(root.path):
                self._take(root.path, status, moved=moved)

    def _walk(
        self,
        folder: str,
        prefix: str,
        levels: int | None,
        never: frozenset[str],
        match: Callable[[str], object],
        *,
        moved: bool,
    ) -> None:
        deeper: list[tuple[str, str]] = []
        take = self._take
        try:
            # By descriptor: the status of a thousand files takes a quarter less than by their paths.
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                moved = moved or self._has_moved(os.fstat(fd))
                with os.scandir(fd) as entries:
                    for entry in entries:
                        path = prefix + entry.name
                        if path in never:
                            continue
                        if not entry.is_dir(follow_symlinks=False):
                            if levels != 0 and entry.is_symlink():
                                self._refuse_folder(path)
                            if match(path):
                                take(path, entry.stat(follow_symlinks=False), moved=moved)
                        elif levels != 0 and entry.name not in _NEVER:
                            deeper.append((os.path.join(folder, entry.name), f"{path}/"))
            finally:
                os.close(fd)
        except OSError as error:
            raise Unfit(f"'{prefix or '.'}' can't be looked at: {error.strerror}") from error
        for inner, inner_prefix in deeper:
            self._walk(inner, inner_prefix, None if levels is None else levels - 1, never, match, moved=moved)

    def _refuse_folder(self, path: str) -> None:
        """Raise Unfit for a link to a folder: what is meant may lie behind it, and is not looked at."""
        place = os.path.join(self.folder, path)
        if os.path.isdir(place):
            raise Unfit(f"'{path}' is a link to a folder; name the folder that it leads to instead")

    def _has_moved(self, status: os.stat_result) -> bool:
        return self._unmoved is not None and not _is_settled(status, self._unmoved.folders_ns)

    def _is_moved_above(self, path: str) -> bool:
        """Tell whether a folder above ``path``, up to the project's, may have been put there since."""
        if self._unmoved is None or path == ".":
            return False
        above = os.path.dirname(path)
        if above not in self._moved_folders:
            try:
                moved = self._has_moved(os.lstat(os.path.join(self.folder, above)))
            except OSError:
                moved = True
            self._moved_folders[above] = moved or (above != "" and self._is_moved_above(above))
        return self._moved_folders[above]

    def _take(self, path: str, status: os.stat_result, *, moved: bool) -> None:
        found = self.found
        if path in found or (self._but is not None and self._but.match(path)):
            return
        if len(found) == FILES_LIMIT:
            raise Unfit(f"there are more than {FILES_LIMIT} files")
        changed = status.st_ctime_ns
        # ``_signature``, written out: this is done for each of a thousand files.
        signature = status.st_size, status.st_mtime_ns, changed, status.st_ino, status.st_dev, status.st_mode
        known = self.known.get(path)
        same = known is not None and known.status == signature
        if known is not None and same and known.settled and not moved:
            surely = self._surely_settled_ns
            if surely is None or changed < surely or self._is_as_then(status):
                found[path] = known
                return
        state = self._read(path, status, signature)
        if known is not None and not same and known.content == state.content and state.settled:
            self.reread += 1
        found[path] = state

    def _is_as_then(self, status: os.stat_result) -> bool:
        return self._unmoved is None or _is_settled(status, self._unmoved.files_ns)

    def _read(self, path: str, status: os.stat_result, signature: tuple[int, ...]) -> FileState:
        place = os.path.join(self.folder, path)
        if stat.S_ISLNK(status.st_mode):
            return self._linked(path, place)
        if not stat.S_ISREG(status.st_mode):
            raise Unfit(f"'{path}' is neither a file nor a folder")
        read_at = self.now_ns()
        content = self._content(path, place, os.O_NOFOLLOW, signature)
        return FileState(f"{_runnable(status)}{content}", _is_settled(status, read_at), signature)

    def _linked(self, path: str, place: str) -> FileState:
        """Return what a link leads to and what stands there; one to a folder is no file."""
        try:
            target = os.readlink(place)
            status = os.stat(place)
        except FileNotFoundError:
            return FileState(f"link to nothing: {target}", False, ())
        except OSError as error:
            raise Unfit(f"'{path}' can't be looked at: {error.strerror}") from error
        if not stat.S_ISREG(status.st_mode):
            raise Unfit(f"'{path}' is a link to '{target}', which is no file; name what it leads to instead")
        content = self._content(path, place, 0, _signature(status))
        return FileState(f"link to {target}: {_runnable(status)}{content}", False, _signature(status))

    def _content(self, path: str, place: str, flags: int, signature: tuple[int, ...]) -> str:
        try:
            with open(os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags), "rb", buffering=0) as file:
                state = sha256_for(signature[0])
                while chunk := file.read(_CHUNK):
                    state.update(chunk)
                    self._bytes += len(chunk)
                    if self._bytes > BYTES_LIMIT:
                        raise Unfit(f"more than {BYTES_LIMIT >> 20} MiB would have to be read")
                if _signature(os.fstat(file.fileno())) != signature:
                    raise Unfit(f"'{path}' changed while it was read")
        except OSError as error:
            raise Unfit(f"'{path}' can't be read: {error.strerror}") from error
        return state.hexdigest()


def _runnable(status: os.stat_result) -> str:
    return "x" if status.st_mode & stat.S_IXUSR else "-"


def _signature(status: os.stat_result) -> tuple[int, ...]:
    """Return all that changes when a file does. The time of change can't be set back, unlike that of modification."""
    size, changed = status.st_size, status.st_ctime_ns
    return size, status.st_mtime_ns, changed, status.st_ino, status.st_dev, status.st_mode


def _is_settled(status: os.stat_result, read_at: int) -> bool:
    coarse = status.st_ctime_ns % 1_000_000 == 0
    return status.st_ctime_ns + (_COARSE_TICK_NS if coarse else _TICK_NS) < read_at
