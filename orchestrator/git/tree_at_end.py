"""What changed in a project's tree while stages ran (contract, section 7, "The tree").

Git's index knows the time of every tracked file, so that a second look reads only what was written since: it costs
two processes of git beside each other, and nothing of what they find unchanged is read.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from orchestrator.git.porcelain import LIST, STATUS, UNTRACKED, Status, parse_list, parse_status, prefix_of
from orchestrator.git.process import GitProcess
from orchestrator.git.scope import NO_FILE, Scope
from orchestrator.git.tree import Entry, Hasher, TooMuch, TreeAtStart, status_of, walk
from orchestrator.git.tree_on_disk import tree_on_disk
from orchestrator.git.work_tree import WorkTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CLOCK_STEP_NS = 20_000_000
"""A file's change time is that of the kernel's last tick, which may lie so far behind the clock."""

_NAMED = 20
_STAT_DIRTY = ("diff-files", "--name-only", "-z", "--ignore-submodules=all")
_TREE_OF_COMMIT = ("ls-tree", "-r", "-z", "--full-tree")


class SecondLook:
    """A second look at a tree, under way. ``finish`` it, or ``abandon`` it."""

    def __init__(self, folder: str, scope: Scope, start: TreeAtStart, work: WorkTree | None, seconds: float) -> None:
        self._folder = folder
        self._scope = scope
        self._start = start
        self._work = work
        self._deadline = time.monotonic() + seconds
        self._processes: list[GitProcess] = []

    @classmethod
    def begin(
        cls, folder: str, scope: Scope, start: TreeAtStart, work: WorkTree | None, *, timeout_seconds: float
    ) -> SecondLook:
        """Start looking without waiting for anything; raises nothing."""
        look = cls(folder, scope, start, work, timeout_seconds)
        if work is not None and start.index_status is not None:
            try:
                commands = (STATUS, _STAT_DIRTY, *((UNTRACKED,) if work.settings.has_personal_excludes else ()))
                look._processes = [work.start(command, folder) for command in commands]
            except OSError:
                look.abandon()
        return look

    def finish(self) -> dict[str, Any]:
        """Return ``commit, dirty, moved, left_behind, touched, note`` as the attempt ends.

        ``moved`` are files that were there at the beginning, or are tracked, and have another content; ``left_behind``
        new files that git doesn't track; ``touched`` were written and are as before: paths from the project's folder,
        the first of each, and how many in ``counts``. ``note`` says why nothing can be known. Raises nothing.
        """
        commit, dirty, note = self._start.commit, None, None
        groups: tuple[set[bytes], set[bytes], set[bytes]] = (set(), set(), set())
        try:
            if self._processes and self._work is not None:
                commit, dirty, groups = self._by_git(self._work)
            elif self._start.index_status is None and self._start.entries is not None:
                scope = self._scope._replace(code=NO_FILE)
                groups = self._compared(walk(os.fsencode(self._folder), scope, self._hasher()), frozenset())
            else:
                why = "git can't be started" if self._start.index_status is not None else "its beginning is not known"
                note = f"the tree was not compared: {why}"
        except TooMuch as error:
            note = f"the tree was not compared: {error}"
        except (OSError, ValueError) as error:
            note = f"the tree was not looked at again: {error}"
        finally:
            self.abandon()
        names = ("moved", "left_behind", "touched")
        found = {name: [os.fsdecode(path) for path in sorted(group)] for name, group in zip(names, groups, strict=True)}
        counts = {name: len(paths) for name, paths in found.items()}
        return {
            "commit": commit,
            "dirty": dirty,
            **{name: paths[:_NAMED] for name, paths in found.items()},
            "counts": counts,
            "note": note,
        }

    def abandon(self) -> None:
        """End git's processes and forget them; harmless when repeated."""
        for process in self._processes:
            process.end()
        self._processes = []

    def _by_git(self, work: WorkTree) -> tuple[str | None, bool | None, tuple[set[bytes], set[bytes], set[bytes]]]:
        status, stat_dirty, *personal = (process.answer(self._left()) for process in self._processes)
        if status.code != 0 or stat_dirty.code != 0:
            raise OSError(os.fsdecode(status.complaint or stat_dirty.complaint).strip()[:200])
        found = parse_status(status.output)
        prefix = prefix_of(work.top, self._folder)
        ours = [name for answer in personal for name in self._scope.personal_code(answer.output, found.changes, prefix)]
        same_index = found.commit == self._start.commit and status_of(work.index_file) == self._start.index_status
        if same_index and self._start.is_plain and not ours:
            names = {path.removeprefix(prefix) for path in stat_dirty.output.split(b"\0") if path}
            return found.commit, bool(self._counting(found, prefix)), self._of_written(found, prefix, names)
        listing = work.start(LIST, self._folder).answer(self._left())
        tree = tree_on_disk(work, self._folder, found, parse_list(listing.output), self._scope, self._hasher(), ours)
        return found.commit, tree.is_dirty, self._compared(tree.entries, tree.untracked)

    def _of_written(
        self, found: Status, prefix: bytes, stat_dirty: set[bytes]
    ) -> tuple[set[bytes], set[bytes], set[bytes]]:
        """Return what moved, is new and was touched where the index is as it was; only written files are read."""
        moved, new, touched = set(), set(), set()
        changes = self._counting(found, prefix)
        for path in changes.keys() | self._start.changed.keys() | stat_dirty:
            if self._is_left_out(path):
                continue
            if path not in self._start.changed and path in changes and changes[path]:
                new.add(path)
            elif self._was_written(path) or not os.path.lexists(self._place(path)):
                before = self._start.changed.get(path)
                is_same = self._hasher().entry(self._place(path)) == before
                if path not in self._start.changed:
                    is_same = path not in changes
                if not is_same:
                    moved.add(path)
                elif self._was_written(path, exactly=True):
                    touched.add(path)
        return moved, new, touched

    def _compared(
        self, entries: Mapping[bytes, Entry], untracked: frozenset[bytes]
    ) -> tuple[set[bytes], set[bytes], set[bytes]]:
        before = self._start.entries if self._start.entries is not None else self._of_commit()
        counting = {path for path in before.keys() | entries.keys() if not self._is_left_out(path)}
        has_git = self._start.index_status is not None
        new = {path for path in counting if path not in before and (path in untracked or not has_git)}
        moved = {path for path in counting - new if before.get(path) != entries.get(path)}
        same = counting - new - moved
        return moved, new, {path for path in same if self._was_written(path, exactly=True)}

    def _of_commit(self) -> Mapping[bytes, Entry]:
        """Return the entries of the commit that the clean tree was."""
        work, commit = self._work, self._start.commit
        if work is None or commit is None:
            return {}
        answer = work.start((*_TREE_OF_COMMIT, commit)).answer(self._left())
        prefix = prefix_of(work.top, self._folder)
        entries = {}
        for record in filter(None, answer.output.split(b"\0")):
            head, _, path = record.partition(b"\t")
            mode, _, blob = head.split(b" ")
            inner = path.removeprefix(prefix)
            if path.startswith(prefix) and self._scope.holds(inner):
                entries[inner] = (mode, blob)
        return entries

    def _counting(self, found: Status, prefix: bytes) -> dict[bytes, bool]:
        """Return the changed paths that count, from the project's folder; True for one that git doesn't track."""
        counting = {}
        for path, change in found.changes.items():
            inner, is_new = path.removeprefix(prefix), change.kind == "?"
            if self._scope.holds_untracked(inner.rstrip(b"/")) if is_new else self._scope.holds(inner):
                counting[inner] = is_new
        return counting

    def _is_left_out(self, path: bytes) -> bool:
        return self._scope.is_output(path)

    def _was_written(self, path: bytes, *, exactly: bool = False) -> bool:
        try:
            changed = os.lstat(self._place(path)).st_ctime_ns
        except OSError:
            return False
        return changed >= self._start.began_ns - (0 if exactly else _CLOCK_STEP_NS)

    def _place(self, path: bytes) -> bytes:
        return os.path.join(os.fsencode(self._folder), path)

    def _hasher(self) -> Hasher:
        return Hasher(deadline=self._deadline)

    def _left(self) -> float:
        return max(0.0, self._deadline - time.monotonic())
