"""What an attempt left beside its record: events, logs and error files, each with size and digest.

Digests are those of the bytes as they were written; what nobody saw being written is read from the disk, and says
so (``read_back``): a log that was cut to its limit, and the files of an attempt whose process died.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress

from orchestrator.base.errors import StorageError
from orchestrator.base.files import Folder
from orchestrator.base.sha256 import Digest
from orchestrator.store.layout import COMMANDS, ERRORS, REPORTS
from orchestrator.store.run_files import file_digest, files_below, parent_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from orchestrator.store.open_run import OpenRun


Entry: TypeAlias = "dict[str, Any]"

_CHUNK = 1 << 20


def evidence_of(run: OpenRun) -> Entry:
    """Return ``events`` and ``files`` of a chain line: what the last attempt of ``run`` left.

    Logs and reports of earlier attempts are in those attempts' lines. A file that can't be read has null for
    size and digest.
    """
    files = [*_logs(run), *_error_files(run), *_reports(run)]
    return {"events": _shown(run.events_digest()), "files": sorted(files, key=lambda entry: str(entry["path"]))}


def _logs(run: OpenRun) -> Iterator[Entry]:
    """Yield the logs of this attempt; one that was written and is gone is named all the same."""
    earlier = {
        os.path.basename(attempt.log_path)
        for command in run.manifest.commands
        for attempt in command.attempts
        if attempt.log_path and attempt.run_attempt < run.manifest.attempt
    }
    yield from _entries(run, COMMANDS, earlier, {})


def _reports(run: OpenRun) -> Iterator[Entry]:
    """Yield the copies of reports of this attempt; one that was written and is gone is named all the same."""
    if not run.folder.has(REPORTS):
        return
    shown = f"{run.manifest.artifact_root}/"
    earlier = {
        report.path.removeprefix(shown)
        for command in run.manifest.commands
        for attempt in command.attempts
        for report in attempt.reports
        if report.path is not None and attempt.run_attempt < run.manifest.attempt
    }
    there: list[str] = []
    with suppress(StorageError):
        there = files_below(run.folder, REPORTS)
    written = {path: digest for path, digest in run.digests.items() if path.startswith(f"{REPORTS}/")}
    for path in sorted({*there, *written} - earlier):
        digest = written.get(path) or _report_read_back(run.folder, path)
        yield {"path": path, **_shown(digest)}


def _report_read_back(folder: Folder, path: str) -> Digest | None:
    with suppress(FileNotFoundError, StorageError), parent_of(folder, path) as (inner, name):
        return _read_back(inner, name)
    return None


def _error_files(run: OpenRun) -> Iterator[Entry]:
    """Yield all error files; one that only an earlier attempt wrote is as that one's line says."""
    known = {} if run.line is None else entries_of(run.line)
    yield from _entries(run, ERRORS, set(), known)


def _entries(run: OpenRun, name: str, left_out: set[str], known: Mapping[str, Entry]) -> Iterator[Entry]:
    inner: Folder | None = None
    with suppress(FileNotFoundError, StorageError):
        inner = run.folder.sub(name)
    there = set() if inner is None else {entry for entry in inner.names() if not entry.startswith(".")}
    written = {path: digest for path, digest in run.digests.items() if path.startswith(f"{name}/")}
    for path in sorted({f"{name}/{entry}" for entry in there - left_out}.union(written)):
        if path in written:
            yield {"path": path, **_shown(written[path])}
        elif path in known:
            yield known[path]
        elif inner is not None:
            yield {"path": path, **_shown(_read_back(inner, os.path.basename(path)))}
    if inner is not None:
        inner.close()


def _read_back(folder: Folder, name: str) -> Digest | None:
    with suppress(FileNotFoundError, StorageError):
        size, digest = file_digest(folder, name)
        return Digest(size, digest, read_back=True)
    return None


def _shown(digest: Digest | None) -> Entry:
    if digest is None:
        return {"bytes": None, "sha256": None}
    entry: Entry = {"bytes": digest.bytes, "sha256": digest.sha256}
    return {**entry, "read_back": True} if digest.read_back else entry


def entries_of(line: Mapping[str, Any]) -> dict[str, Entry]:
    """Return the ``files`` of a chain line by their path below the run's folder; what is no such entry is left out."""
    files = line.get("files")
    return {
        entry["path"]: entry
        for entry in (files if isinstance(files, list) else ())
        if isinstance(entry, dict) and isinstance(entry.get("path"), str)
    }


def events_of(line: Mapping[str, Any]) -> tuple[int | None, str | None]:
    """Return size and digest that a chain line has of the events; None for what it doesn't know."""
    events = line.get("events")
    size, digest = (events.get("bytes"), events.get("sha256")) if isinstance(events, dict) else (None, None)
    return (size if isinstance(size, int) else None), (digest if isinstance(digest, str) else None)
