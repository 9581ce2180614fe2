"""The chain of a task: one line for each attempt that ended, each resting on the one before.

A line of ``.runs/<task>/chain.jsonl`` holds the digests (sha256) of what an ended attempt left: its manifest
(the contract's manifest digest, so that approvals and child links don't break it), its metrics line, its
events, its logs and error files; then the manifest digest of the task's previous ended attempt, and the
digest of the line before. Whoever edits, removes or reorders something must write all later lines anew.
Lines are only ever appended, under the task's lock, once for each ``event_id``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress

from orchestrator.base.errors import StorageError
from orchestrator.base.files import Folder, whole_lines
from orchestrator.base.sha256 import Digest, sha256, sha256_for
from orchestrator.model.manifest.manifest import Manifest, manifest_digest
from orchestrator.model.plan import digest_of
from orchestrator.store.layout import CHAIN, COMMANDS, ERRORS, EVENTS
from orchestrator.store.metrics_line import event_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

_CHUNK = 1 << 20
_BLOCK = 1 << 16
UNDATED = frozenset({"recorded_at", "child_runs"})
"""Keys of a metrics line that its digest leaves out: ``doctor --repair`` can't know them of a lost line."""

Line: TypeAlias = "dict[str, Any]"


def metrics_digest(line: Mapping[str, Any]) -> str:
    """Return the digest of a metrics line, but for when it was written and how many children there were then."""
    return digest_of({key: value for key, value in line.items() if key not in UNDATED})


def evidence_of(folder: Folder, manifest: Manifest, written: Mapping[str, Digest] | None = None) -> Line:
    """Return the digests and sizes (bytes) of the events, logs and error files of a run's last attempt.

    Logs of earlier attempts are in those attempts' lines. What stands in ``written`` (``OpenRun.written``) is
    taken from there, whatever the disk holds now; other files are read. One that can't be has null for both.
    """
    written = written or {}
    earlier = {
        os.path.basename(attempt.log_path)
        for command in manifest.commands
        for attempt in command.attempts
        if attempt.log_path and attempt.run_attempt < manifest.attempt
    }
    files = [*_files(folder, COMMANDS, earlier, written), *_files(folder, ERRORS, set(), written)]
    files.sort(key=lambda line: str(line["path"]))
    return {"events": _noted(written[EVENTS]) if EVENTS in written else _measured_lines(folder), "files": files}


def _files(folder: Folder, name: str, left_out: set[str], written: Mapping[str, Digest]) -> Iterator[Line]:
    noted = {path.removeprefix(f"{name}/") for path in written if path.startswith(f"{name}/")}
    with suppress(FileNotFoundError, StorageError), folder.sub(name) as inner:
        for entry in sorted(set(inner.names()) - left_out - noted):
            if not entry.startswith("."):
                yield {"path": f"{name}/{entry}", **_measured(inner, entry)}
    for entry in sorted(noted):
        yield {"path": f"{name}/{entry}", **_noted(written[f"{name}/{entry}"])}


def _noted(digest: Digest) -> Line:
    return {"bytes": digest.bytes, "sha256": digest.sha256}


def _measured_lines(folder: Folder) -> Line:
    with suppress(FileNotFoundError, StorageError):
        size, digest = whole_lines_digest(folder, EVENTS)
        return {"bytes": size, "sha256": digest}
    return {"bytes": None, "sha256": None}


def _measured(folder: Folder, name: str) -> Line:
    with suppress(FileNotFoundError, StorageError):
        size, digest = file_digest(folder, name)
        return {"bytes": size, "sha256": digest}
    return {"bytes": None, "sha256": None}


def whole_lines_digest(folder: Folder, name: str) -> tuple[int, str]:
    """Return size and sha256 of a file up to its last newline: what is torn behind it is cut off one day."""
    fd = folder.open_read(name)
    try:
        size = whole_lines(fd, os.fstat(fd).st_size)
    finally:
        os.close(fd)
    return file_digest(folder, name, size)


def file_digest(folder: Folder, name: str, most: int | None = None) -> tuple[int, str]:
    """Return size and sha256 of a file, or of its first ``most`` bytes; flat in memory.

    Raises FileNotFoundError, StorageError.
    """
    fd = folder.open_read(name)
    try:
        there = os.fstat(fd).st_size
        digest, size = sha256_for(there if most is None else min(there, most)), 0
        while chunk := os.read(fd, _CHUNK if most is None else min(_CHUNK, most - size)):
            digest.update(chunk)
            size += len(chunk)
    except OSError as error:
        raise StorageError(f"'{folder.path}/{name}' can't be read: {error.strerror}") from error
    finally:
        os.close(fd)
    return size, digest.hexdigest()


def add_link(task: Folder, manifest: Manifest, evidence: Line, metrics: Mapping[str, Any], *, certain: bool) -> int:
    """Append the line of an attempt's end; the task's lock is held. Returns the bytes of a torn line it cut off.

    ``certain`` says that it was never appended; else it is looked for first. The file is synced, its name is
    the caller's to sync.
    """
    event = event_id(manifest.run_id, manifest.attempt)
    if not certain and has_link(task, event):
        task.sync_file(CHAIN)
        return 0
    before = last_line(task)
    line = {
        "run_id": manifest.run_id,
        "attempt": manifest.attempt,
        "status": manifest.status,
        "manifest_digest": manifest_digest(manifest.as_json()),
        "metrics_digest": metrics_digest(metrics),
        **evidence,
        "previous": _named(before),
        "previous_line": None if before is None else sha256(before).hexdigest(),
        "recorded_at": metrics.get("recorded_at"),
        "event_id": event,
    }
    return task.append_line(CHAIN, json.dumps(line, ensure_ascii=False).encode("utf-8", "backslashreplace"), sync=True)


def _named(line: bytes | None) -> Line | None:
    document = parsed(line) if line is not None else None
    return None if document is None else {key: document.get(key) for key in ("run_id", "attempt", "manifest_digest")}


def parsed(line: bytes) -> Line | None:
    """Return the object in a line, None when it holds none."""
    with suppress(ValueError, RecursionError):
        document = json.loads(line)
        if isinstance(document, dict):
            return document
    return None


def has_link(task: Folder, event: str) -> bool:
    """Tell whether a whole line of that ``event_id`` is in the chain."""
    wanted = f'"event_id": "{event}"'.encode()
    return any(wanted in line for line in lines_of(task))


def lines_of(task: Folder) -> Iterator[bytes]:
    """Yield the whole lines of a task's chain, without newlines; a torn last one is none."""
    try:
        fd = task.open_read(CHAIN)
    except FileNotFoundError:
        return
    with open(fd, "rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line[:-1]


def last_lines(folder: Folder, name: str, count: int) -> tuple[int, bytes]:
    """Return the last ``count`` whole lines of a file, with what is torn behind them, and where they begin.

    What is before them is not read. Raises FileNotFoundError, StorageError.
    """
    fd = folder.open_read(name)
    try:
        tail, at = b"", os.fstat(fd).st_size
        while at > 0 and tail.count(b"\n") <= count:
            begin = max(0, at - _BLOCK)
            tail, at = os.pread(fd, at - begin, begin) + tail, begin
    except OSError as error:
        raise StorageError(f"'{folder.path}/{name}' can't be read: {error.strerror}") from error
    finally:
        os.close(fd)
    surplus = tail.count(b"\n") - count
    start = 0
    for _ in range(max(0, surplus)):
        start = tail.index(b"\n", start) + 1
    return at + start, tail[start:]


def last_line(task: Folder) -> bytes | None:
    """Return the last whole line of the chain, without reading what is before it; None when there is none."""
    try:
        _, tail = last_lines(task, CHAIN, 1)
    except FileNotFoundError:
        return None
    line, end, _ = tail.partition(b"\n")
    return line if end else None
