"""The stage that a failed run failed by, through its sub-pipelines down to the stage whose command failed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from orchestrator.base import json_codec
from orchestrator.base.errors import DamagedRecord, NotFound, StorageError
from orchestrator.base.identifiers import is_run_id, is_task_folder
from orchestrator.base.record import Record
from orchestrator.model.failed_tests import NO_TESTS, FailedTests, failed_tests_of
from orchestrator.store.find import read_document
from orchestrator.store.layout import ENVIRONMENT, ERRORS, Location, error_name
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.model.manifest.manifest import Manifest

_DEEPEST = 16
"""Runs nest no deeper (contract, section 2, exit code 5)."""

_ERROR_FILE_LIMIT = 1 << 20


class FailedStage(Record):
    """A stage that failed in some run; ``stage`` is empty where the run ended before any stage could fail."""

    run_id: str
    task_id: str
    project: str
    pipeline_id: str
    stage: str
    outcome: str
    exit_code: int | None
    signal: str | None
    summary: str
    last_lines: tuple[str, ...]
    log_path: str | None
    tests: FailedTests = NO_TESTS

    def fields(self) -> dict[str, Any]:
        """Return it as documents have it."""
        rest = {"last_lines": list(self.last_lines), "line": self.line, **self.tests.fields()}
        return {**self._asdict(), **rest}

    @property
    def line(self) -> str:
        """The cause in one line: ``test failed (exit 1)``."""
        how = self.signal or (f"exit {self.exit_code}" if self.exit_code is not None else "")
        words = {"timeout": "timed out", "failure": "failed"}.get(self.outcome, f"ended by {self.outcome}")
        subject = f"{self.stage or self.pipeline_id} {words}"
        if how and self.outcome != "timeout":
            return f"{subject} ({how})"
        return f"{subject}: {self.summary}" if self.summary and self.outcome != "timeout" else subject


def cause_below(store: RunStore, manifest: Manifest, stage_id: str) -> str | None:
    """Return what the sub-pipeline of a stage failed by, in one line; None where its record is not known."""
    child_id = manifest.command(stage_id).sub_run_id
    child = next((child for child in manifest.child_runs if child.run_id == child_id), None)
    cause = failed_stage(store, Location(child.task_id, child.run_id)) if child is not None else None
    return cause.line if cause is not None else None


def failed_stage(store: RunStore, where: Location) -> FailedStage | None:
    """Return the first stage that failed in a run, or below it; None where the run did not fail or can't be read."""
    found = None
    for _ in range(_DEEPEST + 1):
        try:
            record = read_document(store, where)
        except (NotFound, DamagedRecord, StorageError):
            return found
        below = _first_failed(store, where, record)
        if below is None:
            return found
        found, child = below
        if child is None:
            return found
        where = child
    return found


def _first_failed(
    store: RunStore, where: Location, record: Mapping[str, Any]
) -> tuple[FailedStage, Location | None] | None:
    """Return the first failed stage of a record, and the child run that it is, if it is one."""
    commands = [entry for entry in record.get("commands") or () if entry.get("status") == "failed"]
    if commands:
        command = commands[0]
        failed = _of_command(store, where, record, command)
        return failed, _child(record, command)
    if record.get("status") == "succeeded":
        return None
    detail = str(record.get("status_detail") or "")
    ended = {"outcome": record.get("outcome"), "summary": detail}
    note = _note(store, where, error_name(0, ENVIRONMENT)) if ENVIRONMENT in detail else {}
    environment = {"id": ENVIRONMENT, "log_path": note.get("log_path")} if note else {}
    return _failed(record, {**ended, **environment}, _lines(note)), None


def _child(record: Mapping[str, Any], command: Mapping[str, Any]) -> Location | None:
    child_id = command.get("sub_run_id")
    for child in record.get("child_runs") or ():
        task_id = str(child.get("task_id") or "")
        if child.get("run_id") == child_id and is_run_id(str(child_id)) and is_task_folder(task_id):
            return Location(task_id, str(child_id))
    return None


def _of_command(store: RunStore, where: Location, record: Mapping[str, Any], command: Mapping[str, Any]) -> FailedStage:
    note = _note(store, where, str(command.get("error_file") or "").rpartition("/")[2])
    return _failed(record, command, _lines(note))._replace(tests=failed_tests_of(note))


def _note(store: RunStore, where: Location, name: str) -> Mapping[str, Any]:
    """Return what an error file of a run holds, nothing where it can't be read."""
    with (
        suppress(FileNotFoundError, StorageError, ValueError),
        store.run_folder(where) as folder,
        folder.sub(ERRORS) as errors,
    ):
        note = json_codec.loads(errors.read(name, _ERROR_FILE_LIMIT))
        return note if isinstance(note, Mapping) else {}
    return {}


def _lines(note: Mapping[str, Any]) -> tuple[str, ...]:
    listed = note.get("last_lines")
    return tuple(map(str, listed)) if isinstance(listed, list) else ()


def _failed(record: Mapping[str, Any], command: Mapping[str, Any], lines: tuple[str, ...]) -> FailedStage:
    exit_code = command.get("exit_code")
    return FailedStage(
        run_id=str(record.get("run_id")),
        task_id=str(record.get("task_id")),
        project=str(record.get("project") or ""),
        pipeline_id=str(record.get("pipeline_id")),
        stage=str(command.get("id") or ""),
        outcome=str(command.get("outcome") or "error"),
        exit_code=exit_code if isinstance(exit_code, int) else None,
        signal=command.get("signal"),
        summary=" ".join(str(command.get("summary") or "").split()),
        last_lines=lines,
        log_path=command.get("log_path"),
    )
