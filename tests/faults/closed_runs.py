"""What the tests with real faults share: a quick project, and what must hold of its runs when nothing goes on."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

from orchestrator.model.manifest.document import parse
from orchestrator.model.manifest.json_schema import load
from orchestrator.model.outcome import TERMINAL
from tests.harness import WorkspaceFolder


def missing(reason: str) -> NoReturn:
    """Skip, and say so where CI would take silence for success."""
    if os.environ.get("CI"):
        print(f"::warning::{reason}", file=sys.stderr)
    pytest.skip(reason)


def quick(workspace: WorkspaceFolder, shell: str) -> None:
    """Give project ``x`` a pipeline of one stage."""
    workspace.project("x", pipeline="quick", extra=f"[[pipelines.quick.stages]]\nid = 'one'\nshell = '''{shell}'''\n")


def whole(path: Path) -> dict[str, Any]:
    """Return a manifest after the full check of its shape."""
    document = parse(path.read_bytes(), str(path))
    load(document, str(path)).check()
    return document


def all_published(workspace: WorkspaceFolder, task: str) -> list[dict[str, Any]]:
    """Assert that each run is closed and counted once; return the records."""
    records = [whole(folder / "manifest.json") for folder in workspace.runs(task)]
    lines = [(line["run_id"], line["status"]) for line in workspace.metrics(task)]
    assert sorted(lines) == [(record["run_id"], record["status"]) for record in records]
    assert workspace.state(task)["totals"]["runs"] == len(records)
    for record in records:
        assert record["status"] in TERMINAL
        assert workspace.pointer(task, record["run_id"])["status"] == record["status"]
    return records
