"""One run against the lines of its attempts: its record, its events, its logs, error files and reports."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress

from orchestrator.base.errors import DamagedRecord, NotFound, StorageError
from orchestrator.base.files import Folder
from orchestrator.base.finding import Finding
from orchestrator.model.manifest.digest import manifest_digest
from orchestrator.model.manifest.document import VERSION
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.store.chain import FORM
from orchestrator.store.cited_run import reuse_findings
from orchestrator.store.decisions import compared
from orchestrator.store.event_log import NOTHING, by_attempt, children_left_out, contradictions, read_events, unproved
from orchestrator.store.find import read_manifest
from orchestrator.store.layout import COMMANDS, ERRORS, EVENTS, MANIFEST, REPORTS, Location
from orchestrator.store.liveness import sign_of_life
from orchestrator.store.run_files import file_digest, files_below, parent_of, whole_lines_size
from orchestrator.store.store import RunStore
from orchestrator.store.verification.chain_lines import EndLine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from orchestrator.store.prune_lines import Level, PrunedRun

Check: TypeAlias = "Callable[[dict[str, Any], str], Manifest]"
"""The full check of a record of version 2; raises DamagedRecord."""

_NOT_PRUNED: Mapping[Level, PrunedRun] = {}
_GONE_WITH_LOGS = frozenset({"events-missing", "log-missing", "error-file-missing"})
"""What is no finding of a run whose logs were pruned."""


def run_findings(
    store: RunStore,
    where: Location,
    links: Sequence[EndLine],
    chain_path: str,
    check: Check,
    *,
    is_moving: bool,
    decisions: Sequence[Mapping[str, Any]] = (),
    pruned: Mapping[Level, PrunedRun] = _NOT_PRUNED,
    judged: Callable[[Location, Mapping[str, Any]], None] = lambda where, record: None,
) -> Iterator[Finding]:
    """Yield what differs between a run and the ``links`` of its attempts and the lines of ``decisions``, oldest first.

    ``is_moving``: its end is not fully published, so that the last link may be missing. A run whose lock
    is held is judged by its earlier attempts only. What was ``pruned`` of it may be gone. ``judged`` gets the record,
    where it can be read.
    """
    paths = store.paths(where)
    try:
        with store.run_folder(where) as folder:
            busy = sign_of_life(folder, store.clock.now()) is not None
            settled = not busy and not is_moving
            path = os.path.join(paths.folder, MANIFEST)
            try:
                record = read_manifest(folder, where)
            except DamagedRecord as error:
                yield Finding("manifest-damaged", path, error.message)
                return
            logs = "logs" not in pruned
            found = list(_look(store, folder, where, record, links, paths.folder, check, settled, logs))
            yield from (each for each in found if "logs" not in pruned or each.code not in _GONE_WITH_LOGS)
            if settled and links:
                yield from _decision_findings(record, where, links, decisions, path)
            if not any(each.code == "manifest-damaged" for each in found):
                judged(where, record)
    except (FileNotFoundError, NotFound):
        for link in links[-1:] if "record" not in pruned else ():
            yield Finding("run-missing", chain_path, f"the record of {where.run_id} is gone", link.number)
    except StorageError as error:
        yield Finding(error.code, paths.folder, error.message, hint=error.hint)


def _look(
    store: RunStore,
    folder: Folder,
    where: Location,
    document: dict[str, Any],
    links: Sequence[EndLine],
    place: str,
    check: Check,
    settled: bool,
    logs: bool,
) -> Iterator[Finding]:
    """Yield what is wrong with the run in ``folder``; without ``logs`` the record has no events to contradict."""
    path = os.path.join(place, MANIFEST)
    if document["version"] == 1:
        if links:
            yield Finding("manifest-edited", path, "it says that it is of version 1, and the chain has its ends")
        return
    try:
        manifest = check(document, path)
    except DamagedRecord as error:
        yield Finding("manifest-damaged", path, error.message)
        return
    if manifest.task_id != where.task_id:
        yield Finding("manifest-misplaced", path, f"it is of task '{manifest.task_id}', not '{where.task_id}'")
    last = links[-1] if links else None
    is_last = last is not None and last.attempt == manifest.attempt
    if settled:
        yield from _record_findings(document, manifest, last, path)
        yield from reuse_findings(store, manifest, path)
        if logs and last is not None and is_last and last.content.get("form") == FORM:
            yield from _contradictions(folder, manifest, path)
    elif last is not None and is_last and not manifest.is_terminal:
        # A line is written after the record that ends its attempt, so this holds for a run that goes on too.
        message = f"it is {manifest.status}, and attempt {last.attempt} has ended (line {last.number} of the chain)"
        yield Finding("manifest-edited", path, message)
    if last is not None:
        is_still = settled and is_last
        yield from _events_findings(folder, links, place, is_still=is_still)
        yield from _file_findings(folder, links, place, is_still=is_still)


def _decision_findings(
    record: Mapping[str, Any],
    where: Location,
    links: Sequence[EndLine],
    lines: Sequence[Mapping[str, Any]],
    path: str,
) -> Iterator[Finding]:
    """Yield how the reviews in a record differ from those in the chain."""
    if record["version"] != VERSION:
        return
    forms = {link.attempt: link.content.get("form") for link in links}
    found = compared(record, lines, lambda attempt: forms.get(attempt) == FORM)
    if found.altered is not None:
        yield Finding("review-altered", path, found.altered)
    if found.missing:
        what = f"{found.missing} of the chain's decisions about it are not in the record; they count all the same"
        yield Finding("decision-missing", path, what, hint=f"codex-orchestrator review {where.run_id} takes them over")


def _contradictions(folder: Folder, manifest: Manifest, path: str) -> Iterator[Finding]:
    """Yield in which points a record says something else than its own events and error files."""
    attempts = by_attempt(read_events(folder))
    for why in contradictions(manifest, attempts, folder):
        yield Finding("record-contradicts-events", path, why)
    for why in children_left_out(folder, [child._asdict() for child in manifest.child_runs]):
        yield Finding("record-contradicts-events", path, why)
    for stage in unproved(manifest, attempts):
        yield Finding("record-contradicts-events", path, f"stage '{stage}' succeeded, and its events don't say so")
    if attempts.get(manifest.attempt, NOTHING).end is None and manifest.outcome != "error":
        yield Finding("record-contradicts-events", path, "it has ended, and its events don't say so")


def _record_findings(
    document: dict[str, Any], manifest: Manifest, last: EndLine | None, path: str
) -> Iterator[Finding]:
    if last is not None and manifest.attempt < last.attempt:
        yield Finding("manifest-edited", path, f"it is of attempt {manifest.attempt}; the chain knows {last.attempt}")
    elif last is not None and manifest.attempt == last.attempt:
        if manifest_digest(document) != last.content.get("manifest_digest"):
            message = f"it is not what attempt {last.attempt} left (line {last.number} of the task's chain)"
            yield Finding("manifest-edited", path, message)
    elif manifest.is_terminal:
        yield Finding("not-in-chain", path, f"attempt {manifest.attempt} ended, and the task's chain has no line of it")


def _events_findings(folder: Folder, links: Sequence[EndLine], place: str, *, is_still: bool) -> Iterator[Finding]:
    path = os.path.join(place, EVENTS)
    for link in links:
        said = link.content.get("events")
        size, digest = (said.get("bytes"), said.get("sha256")) if isinstance(said, dict) else (None, None)
        if not isinstance(size, int):
            continue
        try:
            found = file_digest(folder, EVENTS, size)
        except (FileNotFoundError, StorageError):
            yield Finding("events-missing", path, "there are no events of the run")
            return
        if found[0] < size:
            yield Finding("events-cut", path, f"attempt {link.attempt} left {size} bytes; {found[0]} are there")
            return
        if found[1] != digest:
            message = f"the events of attempt {link.attempt} are not as they were"
            yield Finding("events-edited", path, message, _first_bad(folder, size))
            return
        if is_still and link is links[-1] and whole_lines_size(folder, EVENTS) > size:
            yield Finding("events-added", path, f"there are events after the end of attempt {link.attempt}")


def _first_bad(folder: Folder, size: int) -> int | None:
    """Return the number of the first line that shows by itself that it was changed; None when none does."""
    fd = folder.open_read(EVENTS)
    with open(fd, "rb") as file:
        expected: int | None = None
        for number, line in enumerate(file.read(size).split(b"\n")[:-1], start=1):
            try:
                event = json.loads(line)
                sequence = event["seq"]
            except (ValueError, KeyError, TypeError, RecursionError):
                return number
            if expected is not None and sequence not in (expected, 1):
                return number
            expected = sequence + 1
    return None


def _file_findings(folder: Folder, links: Sequence[EndLine], place: str, *, is_still: bool) -> Iterator[Finding]:
    """Compare files with the last word on them; error files may be new where a later attempt goes on."""
    last_word: dict[str, dict[str, Any]] = {}
    for link in links:
        files = link.content.get("files")
        for entry in files if isinstance(files, list) else ():
            if isinstance(entry, dict) and isinstance(entry.get("path"), str):
                last_word[entry["path"]] = entry
    with ExitStack() as opened:
        above: tuple[str, Folder | None] = "", folder  # files of one folder follow each other: it is opened once
        for relative, entry in sorted(last_word.items()):
            if relative.partition("/")[0] not in (COMMANDS, REPORTS) and not is_still:
                continue
            parent, _, name = relative.rpartition("/")
            if parent != above[0]:
                above = parent, None
                with suppress(FileNotFoundError, StorageError):
                    above = parent, opened.enter_context(parent_of(folder, relative))[0]
            yield from _one_file(above[1], name, relative, entry, place)
    if is_still:
        yield from _added(folder, last_word, place)


def _added(folder: Folder, known: Collection[str], place: str) -> Iterator[Finding]:
    """Yield the files that are there and that no line knows."""
    for name in (COMMANDS, ERRORS):
        with suppress(FileNotFoundError, StorageError), folder.sub(name) as inner:
            for entry_name in sorted(inner.names()):
                if f"{name}/{entry_name}" not in known and not entry_name.startswith("."):
                    message = "it was not there when the run ended"
                    yield Finding("file-added", os.path.join(place, name, entry_name), message)
    with suppress(StorageError):
        for relative in files_below(folder, REPORTS):
            if relative not in known:
                yield Finding("file-added", os.path.join(place, relative), "it was not there when the run ended")


def _one_file(above: Folder | None, name: str, relative: str, entry: dict[str, Any], place: str) -> Iterator[Finding]:
    path = os.path.join(place, relative)
    kind = {COMMANDS: "log", REPORTS: "report"}.get(relative.partition("/")[0], "error-file")
    if entry.get("sha256") is None:
        yield Finding("undigested", path, "it could not be read when the run ended, so nothing proves it")
        return
    try:
        if above is None:
            raise FileNotFoundError
        size, digest = file_digest(above, name)
    except (FileNotFoundError, StorageError):
        yield Finding(f"{kind}-missing", path, "it is gone, or can't be read")
        return
    if size < entry["bytes"]:
        yield Finding(f"{kind}-cut", path, f"it had {entry['bytes']} bytes when the run ended, and has {size}")
    elif digest != entry["sha256"]:
        yield Finding(f"{kind}-edited", path, "it is not what the run left")
