"""Reports that stages declare: looked at before a stage begins, copied into the record when it has ended.

The files are the codebase's, so nothing of them is trusted: they are opened by descriptor, without following links,
read up to a limit, and masked as logs are. What can't be copied is named in the record, and is no reason for a stage or
run to fail; a disk that refuses the copy is, as for logs.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from orchestrator.base.build_artifacts import CACHES
from orchestrator.base.errors import StorageError
from orchestrator.base.files import Folder, Seam, explained, write_all
from orchestrator.base.globs import Root, paths
from orchestrator.base.record import Record
from orchestrator.base.redaction import Redactor
from orchestrator.base.sha256 import Digest, RunningDigest, sha256
from orchestrator.base.text.safe_text import safe_text
from orchestrator.base.text.well_formed import well_formed
from orchestrator.base.workspace import Workspace
from orchestrator.model.failed_tests import MOST_TESTS, FailedTest, FailedTests, placed
from orchestrator.model.junit import JUnitReader
from orchestrator.model.manifest.command import Report
from orchestrator.model.plan import PlannedStage
from orchestrator.store.open_run import OpenRun
from orchestrator.store.run_files import parent_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

LARGEST = 16 << 20
"""Bytes of one report (contract, section 10)."""

MOST_FILES = 50
"""Reports of one attempt of a stage that are copied; more are named together."""

MOST_BYTES = 64 << 20
"""Bytes of all reports of one attempt of a stage."""

MOST_LOOKED_AT = 50_000
"""Names that are looked at for a pattern: a codebase's, without what tools install."""

_PIECE = 1 << 20
_TICK_NS = 20_000_000
"""Linux stamps files with the time of its last tick, at most 10 ms ago (CONFIG_HZ=100): twice that."""

_IRREGULAR = "is a link, a pipe or a device"
_STALE = "was not written by this attempt of the stage: its tests are not read"

Seen: TypeAlias = "Mapping[str, tuple[int, ...]]"
"""What was there: a path from the project's folder → all that changes when the file does."""


class Collected(Record):
    """What an attempt of a stage reported: the files, and the failed tests in them."""

    reports: tuple[Report, ...]
    tests: FailedTests


class _Uncopied(Exception):  # noqa: N818 -- named by what it says
    """A report can't be copied; the text says why."""


class StageReports:
    """The reports of the stages of one attempt of a run.

    ``folders`` are those that stand for the project's; ``now_ns`` is the wall clock in nanoseconds.
    """

    def __init__(
        self,
        run: OpenRun,
        workspace: Workspace,
        project_folder: str,
        redactor: Redactor,
        folders: Mapping[str, str],
        now_ns: Callable[[], int],
    ) -> None:
        self._run = run
        self._workspace = workspace
        self._project_folder = project_folder
        self._redactor = redactor
        self._folders = folders
        self._now_ns = now_ns
        self._before: dict[str, Seen] = {}

    def begin(self, stage: PlannedStage) -> None:
        """Note what is there before an attempt of ``stage`` begins: what stays as it is, that attempt did not write.

        What changed just before could be written again without a sign: it is not known to be older.
        """
        settled = self._now_ns() - _TICK_NS
        self._before[stage.id] = {path: seen for path, seen in self._found(stage) if seen[2] < settled}

    def collect(self, stage: PlannedStage, attempt: int) -> Collected:
        """Copy what ``attempt`` of ``stage`` has left, and read its failed tests. Raises StorageError."""
        before = self._before.pop(stage.id, {})
        found = dict(self._found(stage))
        reports: list[Report] = []
        tests = FailedTests()
        target: tuple[str, Folder] | None = None
        left = MOST_BYTES
        try:
            for path in sorted(found)[:MOST_FILES]:
                target = target or self._run.new_reports_folder(stage.id, attempt)
                reader = None if before.get(path) == found[path] else JUnitReader()
                try:
                    _refuse_irregular(found[path])
                    report = self._copied(stage, path, *target, reader, left)
                except _Uncopied as why:
                    report = _named(path, str(why))
                left -= report.bytes or 0
                if report.path is not None and reader is not None:
                    report, tests = self._read(stage, report, path, reader, tests)
                elif report.path is not None:
                    report = report._replace(problem=_STALE)
                reports.append(report)
        finally:
            if target is not None:
                target[1].close()
        more = sorted(found)[MOST_FILES:]
        if more:
            reports.append(
                _named(more[0], f"and {len(more) - 1} more are left out: {MOST_FILES} are copied of a stage")
            )
        reports += _unmatched(self._folder(stage), stage.reports, found)
        return Collected(tuple(reports), tests)

    def _folder(self, stage: PlannedStage) -> str:
        return os.path.realpath(self._folders.get(stage.id, self._project_folder))

    def _found(self, stage: PlannedStage) -> Iterator[tuple[str, tuple[int, ...]]]:
        folder = self._folder(stage)
        ours = {
            os.path.relpath(os.path.realpath(place), folder)
            for place in (self._workspace.runs_dir, self._workspace.out_dir, self._workspace.environments_dir)
        }
        yield from looked_at(folder, stage.reports, ours.__contains__)

    def _copied(
        self, stage: PlannedStage, path: str, place: str, target: Folder, reader: JUnitReader | None, left: int
    ) -> Report:
        """Copy one report into ``target``, which is ``place`` in the run's folder, and let ``reader`` read the copy."""
        source = _opened(self._folder(stage), path)
        try:
            if os.fstat(source).st_size > LARGEST:
                raise _Uncopied(f"has more than {LARGEST >> 20} MiB")
            if os.fstat(source).st_size > left:
                raise _Uncopied(f"is left out: {MOST_BYTES >> 20} MiB are copied of a stage")
            copied = f"{place}/{_copy_name(path)}"
            digest = copy_masked(source, target, _copy_name(path), self._redactor, reader)
        finally:
            os.close(source)
        self._run.note_report(copied, digest)
        return Report(_shown(path), f"{self._run.manifest.artifact_root}/{copied}", digest.bytes, digest.sha256)

    def _read(
        self, stage: PlannedStage, report: Report, path: str, reader: JUnitReader, tests: FailedTests
    ) -> tuple[Report, FailedTests]:
        """Return the report with what is wrong in it, and ``tests`` with those that failed in it."""
        read = reader.close()
        if read.problem is not None and (read.is_junit or path.lower().endswith(".xml")):
            report = report._replace(problem=read.problem)
        folder, project = self._folder(stage), self._workspace.shown(self._project_folder)
        room = MOST_TESTS - len(tests.tests)
        shown = tuple(
            self._masked(placed(test, folder, stage.cwd, project, os.path.isfile)) for test in read.failed[:room]
        )
        return report, FailedTests((*tests.tests, *shown), tests.total + read.total)

    def _masked(self, test: FailedTest) -> FailedTest:
        """Return a test as it may be shown: made harmless first, masked then."""
        mask = self._redactor.text
        return test._replace(name=mask(safe_text(test.name)), message=mask(safe_text(test.message)))


def looked_at(
    folder: str, patterns: tuple[str, ...], is_ours: Callable[[str], bool]
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield what matches below ``folder``, which holds no link: paths, and all that changes when the file does.

    What is no regular file is yielded too, to be named; no link is followed, and what tools install is not looked
    into, unless a pattern begins there.
    """
    meant = paths(patterns)
    left = MOST_LOOKED_AT
    for root in meant.roots:
        for path, status in _below(folder, root, is_ours):
            left -= 1
            if left < 0:
                return
            if meant.match(path):
                yield path, _signature(status)


def _below(folder: str, root: Root, is_ours: Callable[[str], bool]) -> Iterator[tuple[str, os.stat_result]]:
    """Yield all that is no folder at ``root``, or below it as deep as that says."""
    waiting = [("" if root.path == "." else root.path, root.levels)]
    try:
        top = Folder.at(folder, Seam())
    except (FileNotFoundError, StorageError):  # a stage may take its project's folder away
        return
    with top:
        while waiting:
            path, levels = waiting.pop()
            with suppress(FileNotFoundError, StorageError, OSError):
                for name, status in _entries(top, path):
                    below = f"{path}/{name}" if path and name else path or name
                    if not stat.S_ISDIR(status.st_mode):
                        yield below, status
                    elif levels != 0 and not is_ours(below) and os.fsencode(name) not in CACHES:
                        waiting.append((below, None if levels is None else levels - 1))


def _entries(top: Folder, path: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the names in a folder with their status; of what is no folder, itself with an empty name."""
    with parent_of(top, path) as (inner, name):
        status = os.stat(name, dir_fd=inner.fd, follow_symlinks=False) if name else None
    if status is not None and not stat.S_ISDIR(status.st_mode):
        yield "", status
        return
    with parent_of(top, f"{path}/" if path else "") as (inner, _):
        for name in sorted(inner.names()):
            with suppress(FileNotFoundError):
                yield name, os.stat(name, dir_fd=inner.fd, follow_symlinks=False)


def _signature(status: os.stat_result) -> tuple[int, ...]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev, status.st_mode


def _refuse_irregular(signature: tuple[int, ...]) -> None:
    """Raise _Uncopied for what is no regular file: opening a device may do something already."""
    if not stat.S_ISREG(signature[-1]):
        raise _Uncopied(_IRREGULAR)


def _opened(folder: str, path: str) -> int:
    """Open a report to be read. Raises _Uncopied."""
    try:
        with Folder.at(folder, Seam()) as top, parent_of(top, path) as (inner, name):
            return inner.open_read(name)
    except FileNotFoundError:
        raise _Uncopied("is missing") from None
    except StorageError as error:
        if error.code == "planted-link":
            raise _Uncopied(_IRREGULAR) from None
        raise _Uncopied(f"can't be read: {error.message.rpartition(': ')[2]}") from None


def copy_masked(source: int, target: Folder, path: str, redactor: Redactor, reader: JUnitReader | None) -> Digest:
    """Write the masked bytes of ``source`` to ``path`` below ``target`` and return their digest.

    Raises _Uncopied for what is binary, with nothing left of the copy, and StorageError.
    """
    *above, name = path.split("/")
    inner = target
    opened: list[Folder] = []
    try:
        for part in above:
            inner = inner.sub(part, create=True, sync=False)
            opened.append(inner)
        try:
            written = inner.open_new(name)
        except FileExistsError:
            raise _Uncopied("can't be copied: something stands in the place of its copy") from None
        try:
            with explained(os.path.join(inner.path, name)):
                return _pass(source, lambda data: write_all(inner.seam, written, data), redactor, reader)
        except _Uncopied:
            inner.remove(name)
            raise
        finally:
            os.close(written)
    finally:
        for folder in reversed(opened):
            folder.close()


def _pass(source: int, write: Callable[[bytes], None], redactor: Redactor, reader: JUnitReader | None) -> Digest:
    stream, digest, size, ended = redactor.stream(), RunningDigest(), 0, False
    while not ended:
        try:
            data = os.read(source, _PIECE)
        except OSError as error:
            raise _Uncopied(f"can't be read: {error.strerror}") from None
        ended = not data
        size += len(data)
        if size > LARGEST:
            raise _Uncopied(f"has more than {LARGEST >> 20} MiB")
        if b"\0" in data:
            raise _Uncopied("is binary")
        masked = stream.flush() if ended else stream.feed(data)
        if masked:
            write(masked)
            digest.update(masked)
            if reader is not None:
                reader.feed(masked)
    return digest.value()


def _unmatched(folder: str, patterns: tuple[str, ...], found: Mapping[str, object]) -> Iterator[Report]:
    """Yield a problem for each pattern that means none of the files that were found."""
    for pattern in patterns:
        meant = paths((pattern,))
        if pattern.startswith("!") or any(map(meant.match, found)):
            continue
        place = os.path.join(folder, meant.roots[0].path)
        is_behind = os.path.lexists(place) and os.path.realpath(place) != os.path.normpath(place)
        yield _named(pattern, "lies behind a link, which is not followed" if is_behind else "is missing")


def _named(path: str, problem: str) -> Report:
    return Report(_shown(path), None, None, None, problem)


def _shown(path: str) -> str:
    return safe_text(well_formed(path))


def _copy_name(path: str) -> str:
    """Return the path of a copy: the report's own, where every character of it can be shown."""
    if path.isprintable() and well_formed(path) == path:
        return path
    return f"file-{sha256(os.fsencode(path)).hexdigest()[:16]}"
