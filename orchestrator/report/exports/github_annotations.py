"""Workflow commands that GitHub shows beside a pull request: failed stages, then failed tests where they stand."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from orchestrator.base.text.safe_text import safe_text
from orchestrator.base.text.well_formed import well_formed
from orchestrator.base.text.workflow_commands import workflow_command
from orchestrator.report.exports.exported import ExportedRun, how_ended, tail_text, tests_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orchestrator.model.failed_tests import FailedTest

MOST = 10
"""GitHub shows ten errors of a step and drops the others (GitHub Docs, "Usage limits")."""

_LONGEST = 4000
"""Characters of a message; GitHub cuts longer ones."""


def github_annotations(runs: Sequence[ExportedRun], workspace: str = "") -> bytes:
    """Return at most ten ``::error`` lines: one for each failed stage, then one for each failed test.

    ``workspace`` is the workspace's folder from the top of the checkout, where GitHub looks for files.
    """
    found = [*_stages(runs), *_tests(runs, workspace)]
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


def _tests(runs: Sequence[ExportedRun], workspace: str) -> Iterator[str]:
    shown = {run.body["run_id"] for run in runs}
    for run in runs:
        for entry in run.failed:
            for test in tests_of(entry, shown).tests:
                yield workflow_command("error", _safe(test.message or test.name), **_place(test, workspace))


def _place(test: FailedTest, workspace: str) -> dict[str, object]:
    file = None if test.file is None else _safe(os.path.normpath(os.path.join(workspace, test.file)))
    return {"file": file, "line": test.line if file else None, "title": _safe(test.name)}


def _safe(text: str) -> str:
    return well_formed(safe_text(text, lines=True))[:_LONGEST]
