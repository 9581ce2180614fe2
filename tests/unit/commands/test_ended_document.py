"""What a start says of its run as it ends."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from orchestrator.commands.context import Context
from orchestrator.commands.look import run_view
from orchestrator.commands.run import ended_run
from orchestrator.model.manifest.manifest import ChildRun
from tests.records import TASK, FakeClock, make_manifest, make_run_id, make_workspace, where_is


def test_the_runs_below_are_asked_by_one_lookup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that two children started is judged once, as ``status`` does: a lookup knows whom it has asked."""
    make_workspace(tmp_path)
    children = tuple(
        ChildRun(make_run_id(number), "smoke", "succeeded", "m", TASK, "hello", stage)
        for number, stage in ((2, "build"), (3, "spec-guard"))
    )
    manifest = make_manifest()._replace(child_runs=children)
    made, asked = [], []

    def lookup(store: object) -> object:
        made.append(store)

        def look(task_id: str, run_id: str) -> Sequence[Mapping[str, str]]:
            asked.append((task_id, run_id))
            return ()

        return look

    monkeypatch.setattr(run_view, "child_reasons", lookup)
    monkeypatch.setattr(run_view, "child_standing", lambda store: lambda task_id, run_id: None)
    monkeypatch.setattr(ended_run, "read_document", lambda store, where: manifest.as_json())
    context = Context(str(tmp_path), {}, io.StringIO(), io.StringIO(), FakeClock())
    ended_run.next_keys(context, where_is(manifest))
    assert asked == [(TASK, make_run_id(2)), (TASK, make_run_id(3))]
    assert len(made) == 1
