"""Capturing: git is started at once and read later, so that it works while this process does."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping

from orchestrator.base.record import Record
from orchestrator.git import porcelain as git
from orchestrator.git.process import GitAnswer, GitProcess, why_no_answer
from orchestrator.git.scope import EVERY_FILE, NO_FILE, CodePatterns, Scope, scope_of
from orchestrator.git.tree import FOLDER, Hasher, TooMuch, TreeAtStart, digest, digest_of_lines, status_of, walk
from orchestrator.git.work_tree import RULES, WorkTree, names_conversion

# What only a changed tree, a second look or a whole provenance needs is imported there: 0.2 ms for each module.

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.base.workspace import Workspace
    from orchestrator.git.digest_cache import TreeMemory
    from orchestrator.git.identity import AccountQuery
    from orchestrator.git.shared_look import SharedLook, Stated
    from orchestrator.git.tree_at_end import SecondLook
    from orchestrator.git.tree_on_disk import TreeOnDisk

TIMEOUT_SECONDS = 30.0
"""After this long, a run goes on without knowing its tree."""

_NAMED = 5


class _Tree(Record):
    commit: str | None = None
    branch: str | None = None
    dirty: bool | None = None
    tree_digest: str | None = None
    note: str | None = None

    def record(self) -> dict[str, Any]:
        return {
            "commit": self.commit,
            "branch": self.branch,
            "dirty": self.dirty,
            "tree_digest": self.tree_digest,
            "note": self.note,
        }


class Capture:
    """One capture, under way. ``finish`` it, or ``abandon`` it when the run is refused meanwhile."""

    def __init__(
        self,
        project_folder: str,
        scope: Scope,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = project_folder
        self._scope = scope
        self._monotonic = monotonic
        self._deadline = monotonic() + timeout_seconds
        self._timeout_seconds = timeout_seconds
        self._work: WorkTree | None = None
        self._processes: list[GitProcess | Stated] = []
        self._status: GitAnswer | None = None
        self._personal: GitProcess | None = None
        self._memory: TreeMemory | None = None
        self._note: str | None = None
        self._start_of_run = TreeAtStart(time.time_ns())
        self._second: SecondLook | None = None
        self._account: AccountQuery | None = None
        self._known_account: dict[str, Any] | None = None
        self._converts = False
        self._shared: SharedLook | None = None

    @classmethod
    def begin(
        cls,
        project_folder: str,
        root: str,
        environ: Mapping[str, str],
        *,
        ignored: Iterable[str] = (),
        code: CodePatterns = EVERY_FILE,
        ignored_names: bool = False,
        workspace: Workspace | None = None,
        account: bool = False,
        shared: SharedLook | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> Capture:
        """Start looking at ``project_folder``, of the workspace at ``root``, without waiting for anything.

        ``ignored`` and ``code`` are as in ``Scope``. ``ignored_names``: git is also asked what it ignores itself.
        ``workspace`` may keep the digest of the last commit. ``account``: git is also asked who works here.
        ``shared`` may know what others have seen, or waits for it.
        Raises nothing: what is unknown is null in the result, with a note.
        """
        scope = scope_of(project_folder, root, environ, ignored, code)
        capture = cls(project_folder, scope, timeout_seconds=timeout_seconds)
        capture._shared = shared
        try:
            around = WorkTree.around if shared is None else shared.work_tree
            capture._work = around(project_folder, environ)
        except OSError as error:
            capture._note = why_no_answer(error)
        if account:
            from orchestrator.git.identity import AccountQuery

            if shared is None:
                capture._account = AccountQuery.begin(project_folder, environ)
            else:
                capture._known_account = shared.account(
                    capture._work, lambda: AccountQuery.begin(project_folder, environ).answer()
                )
        work = capture._work
        if work is not None:
            capture._converts = work.may_convert(project_folder)
            if workspace is not None and not scope.excluded and capture._looks_whole(work):
                from orchestrator.git.digest_cache import TreeMemory

                capture._memory = TreeMemory(workspace, work.index_file, project_folder)
            capture._start(work, git.STATUS_AND_IGNORED if ignored_names else git.STATUS)
        return capture

    def finish(self) -> dict[str, Any]:
        """Return the provenance of an attempt, waiting for git until the timeout at most.

        Keys: ``commit, branch, dirty, tree_digest, note, host, platform, python, tools``. ``branch`` is
        null on a detached HEAD, ``commit`` before the first commit and outside git; ``note`` says why
        something else is null, or that the digest was made without git. ``account`` where it was asked for.
        """
        from orchestrator.git.host import host, tools

        known = self._known_account if self._account is None else self._account.answer()
        who = {} if known is None else {"account": known}
        found = tools(sys.path) if self._shared is None else self._shared.tools()
        return {**self.finish_tree(), **host(), "tools": found, **who}

    def finish_tree(self) -> dict[str, Any]:
        """Return only ``commit, branch, dirty, tree_digest, note``."""
        try:
            return self._tree().record()
        finally:
            self.abandon()

    def look_again(self) -> None:
        """Start looking at what changed since ``begin``, without waiting; ``moves`` waits for it. Raises nothing."""
        if self._second is None:
            from orchestrator.git.tree_at_end import SecondLook

            self._second = SecondLook.begin(
                self._folder, self._scope, self._start_of_run, self._work, timeout_seconds=self._timeout_seconds
            )

    def moves(self) -> dict[str, Any] | None:
        """Return what changed while stages ran (``tree_at_end.SecondLook.finish``); None when nobody looked again."""
        second, self._second = self._second, None
        return None if second is None else second.finish()

    def abandon(self) -> None:
        """End git's processes and forget them; harmless when repeated."""
        for process in (*self._processes, *filter(None, (self._personal,))):
            process.end()
        if self._account is not None:
            self._account.end()
        self._processes, self._personal = [], None
        if self._second is not None:
            self._second.abandon()

    def ignored_names(self) -> frozenset[str]:
        """Return the files and folders below the project's folder that git ignores; none where it can't tell.

        What lies in such a folder is not listed. Waits for git until the timeout at most.
        """
        if self._status is None and not self._processes:
            return frozenset()
        try:
            return git.ignored_below(self._top, self._folder, self._status_answer())
        except TimeoutError:
            return frozenset()

    def _status_answer(self) -> GitAnswer:
        if self._status is None:
            self._status = self._processes[0].answer(max(0.0, self._left()))
        return self._status

    @property
    def _top(self) -> str:
        return "" if self._work is None else self._work.top

    def _start(self, work: WorkTree, status: tuple[str, ...]) -> None:
        try:
            if self._shared is None or status is not git.STATUS_AND_IGNORED:
                self._processes.append(work.start(status, self._folder))
            else:
                self._processes.append(self._shared.status(work, self._folder, self._timeout_seconds))
            if work.settings.has_personal_excludes:
                self._personal = work.start(git.UNTRACKED, self._folder)
            if self._memory is None or not self._memory.is_likely:
                self._list(work)
        except OSError as error:
            self.abandon()
            self._note = why_no_answer(error)

    def _list(self, work: WorkTree) -> GitProcess | Stated:
        """Return the git that lists the index, started now if it was not."""
        if len(self._processes) == 1:
            self._processes.append(work.start(git.LIST, self._folder))
        return self._processes[1]

    def _tree(self) -> _Tree:
        work = self._work
        if work is None or not self._processes:
            return self._walked(self._note)
        try:
            return self._as_tree(work)
        except TimeoutError:
            return _Tree(note=f"git did not answer within {self._timeout_seconds:g} s")
        except OSError as error:
            return self._walked(why_no_answer(error))
        except ValueError as error:
            return self._walked(f"git's answer was not understood: {error}")

    def _as_tree(self, work: WorkTree) -> _Tree:
        """Return what git says; TimeoutError, OSError and ValueError as its processes raise them."""
        status = self._status_answer()
        personal = self._personal_names(status)
        remembered = None if personal else self._remembered(status)
        if remembered is not None:
            return remembered
        listed = self._list(work).answer(max(0.0, self._left()))
        for answer in (status, listed):
            if answer.code != 0:
                return self._walked(f"git could not read this folder: {_cause(answer.complaint)}")
        found = git.parse_status(status.output)
        is_plain = not (found.changes or personal or self._scope.excluded) and self._looks_whole(work, listed.output)
        whole = self._digest_of_index(listed.output) if is_plain else None
        if whole is not None:
            if self._memory is not None and found.commit is not None:
                self._memory.store(found.commit, whole)
            self._note_start(found.commit)
            return _Tree(found.commit, found.branch, False, whole)
        listing = git.parse_list(listed.output)
        if not listing.entries and not found.changes and os.path.realpath(self._folder) != work.top:
            return self._walked("the repository around this folder does not track it")
        from orchestrator.git.tree_on_disk import tree_on_disk

        try:
            tree = tree_on_disk(work, self._folder, found, listing, self._scope, self._hasher(), personal)
        except TooMuch as error:
            return _Tree(found.commit, found.branch, bool(found.changes), None, f"no digest of the tree: {error}")
        is_plain = not (listing.hidden or personal) and self._looks_whole(work, listed.output)
        is_plain = is_plain and all(entry[0] != FOLDER for entry in listing.entries.values())
        self._note_start(found.commit, tree, is_plain=is_plain)
        return _Tree(found.commit, found.branch, tree.is_dirty, tree.digest(), _unknown_note(tree))

    def _note_start(self, commit: str | None, tree: TreeOnDisk | None = None, *, is_plain: bool = True) -> None:
        """Keep what a second look compares with."""
        index = None if self._work is None else status_of(self._work.index_file)
        self._start_of_run = self._start_of_run._replace(
            commit=commit,
            index_status=index,
            changed={} if tree is None else tree.changed,
            entries=None if tree is None else tree.entries,
            is_plain=is_plain,
        )

    def _personal_names(self, status: GitAnswer) -> tuple[bytes, ...]:
        """Return the code, from the repository's top, that only the user's own rules ignore."""
        process, self._personal = self._personal, None
        if process is None or status.code != 0:
            return ()
        answer = process.answer(max(0.0, self._left()))
        known = git.parse_status(status.output).changes
        prefix = git.prefix_of(self._top, self._folder)
        return self._scope.personal_code(answer.output, known, prefix)

    def _remembered(self, status: GitAnswer) -> _Tree | None:
        """Return the tree that was kept of the same commit, if nothing differs from it."""
        if self._memory is None or status.code != 0:
            return None
        try:
            found = git.parse_status(status.output)
        except ValueError:
            return None
        digest = None if found.changes or found.commit is None else self._memory.digest_at(found.commit)
        if digest is not None:
            self._note_start(found.commit)
        return None if digest is None else _Tree(found.commit, found.branch, False, digest)

    def _looks_whole(self, work: WorkTree, listed: bytes = b"") -> bool:
        """Tell whether git's word on what differs is the disk's: no filter, and no conversion, has to be looked behind.

        ``listed`` is the index, whose own files of attributes are read where it has some.
        """
        if self._converts or work.settings.unknown_filters:
            return False
        if RULES.encode() not in listed:
            return True
        paths = git.parse_list(listed).entries
        folders = (os.fsdecode(os.path.dirname(path)) for path in paths if path.endswith(RULES.encode()))
        return not names_conversion(work.rules(folders))

    def _digest_of_index(self, listed: bytes) -> str | None:
        """Return the tree's digest where nothing differs from HEAD and all counts; None where it takes more care."""
        data = git.digested(listed, git.prefix_of(self._top, self._folder))
        return digest_of_lines(data) if data else None

    def _walked(self, note: str | None) -> _Tree:
        try:
            # Without git nobody can say which outputs are ignored: all are left out, as ignored ones are.
            scope = self._scope._replace(code=NO_FILE)
            entries = walk(os.fsencode(self._folder), scope, self._hasher())
        except TooMuch as error:
            return _Tree(note="; ".join(filter(None, (note, f"no digest of the tree: {error}"))))
        self._start_of_run = self._start_of_run._replace(entries=entries)
        return _Tree(tree_digest=digest(entries), note=note)

    def _hasher(self) -> Hasher:
        return Hasher(deadline=self._deadline, monotonic=self._monotonic)

    def _left(self) -> float:
        return self._deadline - self._monotonic()


def _cause(complaint: bytes) -> str:
    """Return the first line of what git said, and the command that it names for a checkout of another owner."""
    from orchestrator.git.ownership import exception_command

    text = complaint.decode("utf-8", "replace")
    lines = text.strip().splitlines()
    command = exception_command(text)
    return (lines[0][:200] if lines else "no cause given") + (f"; {command}" if command else "")


def _unknown_note(tree: TreeOnDisk) -> str | None:
    if not tree.unknown:
        return None
    names = ", ".join(os.fsdecode(path) for path in tree.unknown[:_NAMED])
    more = f" and {len(tree.unknown) - _NAMED} more" if len(tree.unknown) > _NAMED else ""
    return f"unknown whether it differs from the commit, since a filter stores it in another form: {names}{more}"
