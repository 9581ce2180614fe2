"""Workflow commands that GitHub shows beside a pull request: failed stages, then failed tests where they stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from orchestrator.base.text.safe_text import safe_text
from orchestrator.base.text.well_formed import well_formed
from orchestrator.base.text.workflow_commands import workflow_command
from orchestrator.report.exports.exported import ExportedRun, how_ended, tail_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST = 10
"""GitHub shows ten errors of a step and drops the others (GitHub Docs, "Usage limits")."""

_LONGEST = 4000
"""Characters of a message; GitHub cuts longer ones."""


def github_annotations(runs: Sequence[ExportedRun]) -> bytes:
    """Return at most ten ``::error`` lines: one for each failed stage, then one for each failed test."""
    found = [*_stages(runs), *_tests(runs)]
    return "".join(f"{line}\n" for line in found[:MOST]).encode()


def _stages(runs: Sequence[ExportedRun]) -> Iterator[str]:
    shown = {run.body["run_id"] for run in runs}
    for run in runs:
        for entry in run.failed:
            cause = entry.get("cause")
            if isinstance(cause, dict) and cause.get("run_id") in shown:
                continue  # the run that it failed by says it itself
            how = cause["line"] if isinstance(cause, dict) else how_ended(entry)
            message = _safe(f"{how}\n{tail_text(entry)}".rstrip())
            yield workflow_command("error", message, title=_safe(f"{run.suite}: {entry['stage']} failed"))


def _tests(runs: Sequence[ExportedRun]) -> Iterator[str]:
    for run in runs:
        for entry in run.failed:
            for test in entry.get("tests") or ():
                yield workflow_command("error", _safe(str(test.get("message") or test["name"])), **_place(test))


def _place(test: Mapping[str, Any]) -> dict[str, object]:
    line = test.get("line") if test.get("file") else None
    file = test.get("file")
    return {
        "file": _safe(str(file)) if file else None,
        "line": line,
        "title": _safe(str(test["name"])),
    }


def _safe(text: str) -> str:
    return well_formed(safe_text(text, lines=True))[:_LONGEST]
