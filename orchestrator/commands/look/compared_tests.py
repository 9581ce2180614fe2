"""Tests that failed newly, or no longer, between two runs: by the reports that their records hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

from orchestrator.base.errors import Refusal
from orchestrator.base.identifiers import is_run_id, name_fault
from orchestrator.base.text.safe_text import safe_text
from orchestrator.model.junit import JUnitReader
from orchestrator.store.find import read_document
from orchestrator.store.layout import REPORTS, Location
from orchestrator.store.run_files import chunks_of, parent_of
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MOST_BYTES = 64 << 20
"""Bytes of one copy that are read: masking may have made it longer than the report was."""

_MOST_NAMED = 100


def compared_tests(store: RunStore, before: Mapping[str, Any], run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return for each stage whose failed tests differ which ones failed newly, and which no longer do.

    A stage is compared when both records hold a report of it in JUnit form. ``newly`` and ``no_longer`` are names,
    100 of each at most, with their number beside them.
    """
    found = []
    for command in run["commands"]:
        old = next((each for each in before["commands"] if each["id"] == command["id"]), None)
        names = (None if old is None else _failed(store, before, old)), _failed(store, run, command)
        if names[0] is None or names[1] is None or names[0] == names[1]:
            continue
        newly, gone = sorted(names[1] - names[0]), sorted(names[0] - names[1])
        found.append(
            {
                "stage": command["id"],
                "newly": newly[:_MOST_NAMED],
                "newly_total": len(newly),
                "no_longer": gone[:_MOST_NAMED],
                "no_longer_total": len(gone),
            }
        )
    return found


def _failed(store: RunStore, record: Mapping[str, Any], command: Mapping[str, Any]) -> set[str] | None:
    """Return the names of the tests that failed in a stage; None where no report of it says."""
    reused = command.get("reused")
    if reused is not None:
        where = Location(str(reused["task_id"]), str(reused["run_id"]))
        if name_fault("task", where.task_id) is not None or not is_run_id(where.run_id):
            return None
        try:
            record = read_document(store, where)
        except Refusal:
            return None
        command = next((each for each in record["commands"] if each["id"] == command["id"]), {})
    attempts = command.get("attempts") or ()
    reports = attempts[-1].get("reports", ()) if attempts else ()
    names: set[str] | None = None
    for path in _copies(record, reports):
        with suppress(FileNotFoundError, Refusal):
            found = _names(store, Location(str(record["task_id"]), str(record["run_id"])), path)
            names = found if names is None else names | (found or set())
    return names


def _copies(record: Mapping[str, Any], reports: Any) -> Iterator[str]:
    """Yield the copies that are whole and of that attempt, by their paths in the run's folder."""
    above = f"{record['artifact_root']}/"
    for report in reports:
        path = report.get("path")
        if isinstance(path, str) and report.get("problem") is None and path.startswith(f"{above}{REPORTS}/"):
            yield path[len(above) :]


def _names(store: RunStore, where: Location, path: str) -> set[str] | None:
    reader = JUnitReader()
    with store.run_folder(where) as folder, parent_of(folder, path) as (inner, name):
        for chunk in chunks_of(inner, name, _MOST_BYTES):
            reader.feed(chunk)
    read = reader.close()
    return {safe_text(test.name) for test in read.failed} if read.is_junit else None
