"""One incarnation as the local record has it: events, logs and stages as they come, and the whole at its end."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

from orchestrator.base.clock import Clock, parse_stamp, stamp
from orchestrator.base.errors import DamagedRecord
from orchestrator.base.files import Folder
from orchestrator.base.redaction import Redactor
from orchestrator.cloud.keeper_notes import KeeperNotes
from orchestrator.cloud.local_logs import LocalLogs, stage_of
from orchestrator.cloud.record_translation import (
    Translation,
    cleared,
    ended_unseen,
    lost,
    merged,
    relayed,
    report_below,
    shifting,
    with_log_digests,
)
from orchestrator.cloud.shipment import RunFolder
from orchestrator.model.manifest.command import Command, Report
from orchestrator.model.manifest.document import MANIFEST_LIMIT, parse
from orchestrator.model.manifest.engine import EngineClock
from orchestrator.model.manifest.json_schema import load
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.model.manifest.transitions import with_command
from orchestrator.runner.recorder import Recorder
from orchestrator.store.event_log import NOTHING, by_attempt, read_events
from orchestrator.store.layout import COMMANDS, ERRORS, EVENTS, MANIFEST, Location
from orchestrator.store.open_run import OpenRun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ERROR_LIMIT = 4 << 20


class Mirror:
    """Writes what the worker of incarnation ``notes.n`` writes into the local record, by ``recorder``."""

    def __init__(
        self, run: OpenRun, recorder: Recorder, notes: KeeperNotes, logs: LocalLogs, redactor: Redactor, clock: Clock
    ) -> None:
        self.n = notes.n
        self.seen = ""
        """The mark of the worker's manifest that was taken last."""
        self.clock: EngineClock | None = None
        self._run, self._recorder, self._notes, self._logs = run, recorder, notes, logs
        self._redactor, self._clock = redactor, clock
        recorder.replace(cleared(recorder.manifest, notes.done))
        self._base = recorder.manifest
        self._read = 0
        self._partial = b""
        self._relayed = 0

    def skip_relayed(self) -> None:
        """Pass over the events that an earlier keeper wrote."""
        ours = (event for event in read_events(self._run.folder) if event.get("attempt") == self._notes.attempt)
        numbers = [event["source_seq"] for event in ours if event.get("incarnation") == self.n]
        self._relayed = max((number for number in numbers if isinstance(number, int)), default=0)

    def offsets(self) -> dict[str, int]:
        """Return how far each of the worker's files has come."""
        return {EVENTS: self._read, **self._logs.offsets()}

    def take(self, found: Mapping[str, Any]) -> None:
        """Take what the worker's files have more. Raises StorageError, DamagedRecord."""
        files = dict(found["files"])
        events = files.pop(EVENTS, b"")
        logs = {name.removeprefix(f"{COMMANDS}/"): data for name, data in files.items()}

        def feed(stage: str | None) -> None:
            for name in [name for name in logs if stage in (None, stage_of(name))]:
                self._logs.feed(name, logs.pop(name))

        self._take_events(events, feed)
        feed(None)
        if found.get("manifest"):
            self.seen = str(found["seen"])
            self._merge(load(parse(found["manifest"], "the worker's manifest"), "the worker's manifest"))

    def lose(self, reason: str) -> None:
        """Note that nothing more comes: what ran has ended as an error, logs stay as far as they came."""
        self._logs.close_all()
        note_lost(self._recorder, self._run.folder, self._clock, self._notes, reason)
        self._recorder.replace(with_log_digests(self._recorder.manifest, self._logs.digests))

    def finish(self, folder: str) -> Iterator[None]:
        """Take the whole record that the worker left in ``folder``; yield after each piece of a log.

        Raises StorageError, and DamagedRecord for one that can't be read.
        """
        try:
            with open(os.path.join(folder, EVENTS), "rb") as stream:
                stream.seek(self._read)
                events = stream.read()
            with open(os.path.join(folder, MANIFEST), "rb") as stream:
                worker = load(parse(stream.read(MANIFEST_LIMIT), MANIFEST), MANIFEST)
        except FileNotFoundError as error:
            raise DamagedRecord(f"it has no {os.path.basename(str(error.filename))}") from error
        commands = os.path.join(folder, COMMANDS)
        for name in sorted(os.listdir(commands)) if os.path.isdir(commands) else ():
            yield from self._logs.complete(name, os.path.join(commands, name))
        self._logs.close_all()
        self._take_events(events)
        self._merge(worker)
        for command in worker.commands:
            if command.id not in self._notes.done:
                self._take_reports(folder, worker, command)
                self._take_error(folder, command)

    def _take_events(self, data: bytes, feed: Callable[[str], None] | None = None) -> None:
        """Relay events; before the end of a stage its output that came at the same time is fed."""
        self._read += len(data)
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            with suppress(ValueError, RecursionError):
                event = json.loads(line)
                if isinstance(event, dict) and type(seq := event.get("seq")) is int and seq > self._relayed:
                    if feed is not None and event.get("type") == "stage:end":
                        feed(str(event.get("stage")))
                    self._relay(event)

    def _relay(self, event: Mapping[str, Any]) -> None:
        self._relayed = event["seq"]
        found = relayed(event, self._notes.attempts)
        if found is not None:
            kind, fields = found
            masked = self._redactor.document(fields, keep=("stage", "reused_from"))
            self._recorder.event(kind, **masked, incarnation=self.n, source_seq=event["seq"])

    def _merge(self, worker: Manifest) -> None:
        clock = self.clock or EngineClock(0.0, 0.0)
        into = Translation(
            self._logs.local_name,
            self._redactor.text,
            shifting(clock.offset_seconds, clock.uncertainty_seconds),
            self._logs.digests,
        )
        self._recorder.replace(merged(self._base, self._recorder.manifest, worker, self._notes.done, into))

    def _take_error(self, folder: str, theirs: Command) -> None:
        """Copy the error file of a stage, with what is known here."""
        if theirs.error_file is None:
            return
        name = os.path.basename(theirs.error_file)
        try:
            with open(os.path.join(folder, ERRORS, name), "rb") as stream:
                note = parse(stream.read(_ERROR_LIMIT), name)
        except FileNotFoundError:
            return
        manifest = self._recorder.manifest
        here = manifest.command(theirs.id)
        masked = self._redactor.document(note)
        local = {"run_id": manifest.run_id, "attempt": manifest.attempt, "log_path": here.log_path}
        self._run.write_error(name, {**masked, **{key: value for key, value in local.items() if key in masked}})
        path = f"{manifest.artifact_root}/{ERRORS}/{name}"
        self._recorder.replace(with_command(manifest, here._replace(error_file=path)))

    def _take_reports(self, folder: str, worker: Manifest, theirs: Command) -> None:
        """Copy the reports of a stage's attempts, masked once more, under local names."""
        if not any(attempt.reports for attempt in theirs.attempts):
            return
        manifest = self._recorder.manifest
        here = manifest.command(theirs.id)
        before = len(here.attempts) - len(theirs.attempts)
        attempts = list(here.attempts)
        for number, attempt in enumerate(theirs.attempts):
            if attempt.reports:
                place, target = self._run.new_reports_folder(theirs.id, before + number + 1)
                with target:
                    reports = tuple(
                        self._report(folder, worker.artifact_root, report, place, target) for report in attempt.reports
                    )
                attempts[before + number] = attempts[before + number]._replace(reports=reports)
        self._recorder.replace(with_command(manifest, here._replace(attempts=tuple(attempts))))

    def _report(self, folder: str, root: str, report: Report, place: str, target: Folder) -> Report:
        from orchestrator.runner.stage_reports import copy_masked  # with an XML parser, which few runs need

        report = report._replace(
            source=self._redactor.text(report.source),
            problem=None if report.problem is None else self._redactor.text(report.problem),
        )
        if report.path is None:
            return report
        below = report_below(root, report.path)
        try:
            if below is None:
                raise FileNotFoundError(report.path)
            fd = os.open(os.path.join(folder, below), os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            return report._replace(path=None, bytes=None, sha256=None, problem="did not come back with the record")
        inside = below.split("/", 2)[2]
        try:
            digest = copy_masked(fd, target, inside, self._redactor, None)
        finally:
            os.close(fd)
        self._run.note_report(f"{place}/{inside}", digest)
        shown = self._recorder.manifest.artifact_root
        return report._replace(path=f"{shown}/{place}/{inside}", bytes=digest.bytes, sha256=digest.sha256)


def note_lost(recorder: Recorder, folder: Folder, clock: Clock, notes: KeeperNotes, reason: str) -> None:
    """Record that the worker of incarnation ``notes.n`` was lost: what ran there has ended as an error.

    ``folder`` is the run's, with its events.
    """
    now = clock.now()
    manifest, stages, unproven = lost(
        recorder.manifest, stamp(now), reason, lambda since: (now - parse_stamp(since)).total_seconds(), notes.done
    )
    for stage in stages:
        fields = {"outcome": "error", "exit_code": None, "signal": None, "detail": reason}
        recorder.event("stage:end", stage=stage, **fields, will_retry=False, incarnation=notes.n)
    said = by_attempt(read_events(folder)).get(manifest.attempt, NOTHING).stages
    for stage in dict.fromkeys((*unproven, *ended_unseen(manifest, said))):
        recorder.event("stage:skip", stage=stage, reason=reason, incarnation=notes.n)
    recorder.replace(manifest)


def folder_of(folders: Sequence[RunFolder], where: Location) -> str:
    """Return where the files of a run lie. Raises DamagedRecord when they did not come back."""
    for one in folders:
        if (one.task_id, one.run_id) == tuple(where):
            return one.path
    raise DamagedRecord("it is not among what came back")
