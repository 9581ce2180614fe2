"""A review that is cut off, or that the disk refuses, at every one of its operations."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.base.errors import EXIT_STORAGE, StorageError
from orchestrator.base.files import Seam
from orchestrator.commands.context import Context
from orchestrator.commands.review.review import review
from orchestrator.model.manifest.transitions import closed, stage_ended, stage_started
from orchestrator.model.outcome import Ended
from orchestrator.store.claim import claim
from orchestrator.store.publish import publish
from orchestrator.store.store import RunStore
from tests.faults.crash_seam import Crash, QuickSeam, TornSeam, crash_at, fail_from
from tests.records import PROJECT, TASK, FakeClock, make_manifest, make_store, make_workspace

CONFIG = f"""schema_version = 1
[project]
name = "{PROJECT}"
path = "packages/{PROJECT}"
task_id = "{TASK}"
"""


class Seamed(Context):
    """A context whose store goes through a seam; ``warned`` takes what the store warns of."""

    def __init__(self, root: Path, seam: Seam) -> None:
        super().__init__(str(root), {}, io.StringIO(), io.StringIO(), FakeClock())
        self.seam = seam
        self.warned: list[str] = []

    def store(self) -> RunStore:
        """Return the store of the workspace."""
        return RunStore(make_workspace(Path(self.cwd)), self.clock, seam=self.seam, warn=self.warned.append)


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A workspace with one run that succeeded and is published."""
    root = tmp_path / "template"
    store = make_store(root)
    (root / "project_configs" / f"{PROJECT}.toml").write_text(CONFIG)
    (root / "packages" / PROJECT).mkdir(parents=True)
    run = claim(store, make_manifest(), "token")
    manifest, at = run.manifest, "2026-11-22T08:43:06.000Z"
    for command in manifest.commands:
        begun = stage_started(manifest, command.id, at, "log")
        manifest = stage_ended(begun, command.id, at, Ended("success", 0), summary=None, left_out=0, forgiven=False)
    passed = tuple(entry._replace(outcome="passed") for entry in manifest.guardrails)
    run.save(closed(manifest._replace(guardrails=passed), at, "success", None, None))
    publish(store, run, certain=True)
    run.close()
    return root


def approve(root: Path, actor: str, seam: Seam) -> Seamed:
    """Approve the run through ``seam``, as ``actor``."""
    context = Seamed(root, seam)
    assert review(context, decision="approve", actor=actor).exit_code == 0
    return context


def record(root: Path) -> Mapping[str, Any]:
    """Return the run's manifest."""
    (path,) = (root / ".runs" / TASK / "cli").glob("*/manifest.json")
    document: Mapping[str, Any] = json.loads(path.read_text())
    return document


def actors(root: Path) -> list[str]:
    """Return who approved."""
    return [entry["actor"] for entry in record(root)["approvals"]]


def in_chain(root: Path) -> list[str]:
    """Return who approved by the whole lines of the chain, which come before the record."""
    lines = (root / ".runs" / TASK / "chain.jsonl").read_text().splitlines(keepends=True)
    whole = [json.loads(line) for line in lines if line.endswith("\n")]
    return [line["decision"]["actor"] for line in whole if line.get("kind") == "review"]


def operations(template: Path, root: Path) -> int:
    """Return how many operations a review takes."""
    shutil.copytree(template, root, symlinks=True)
    seam = QuickSeam()
    approve(root, "bob", seam)
    return seam.count


def refusal(root: Path, seam: Seam) -> StorageError | None:
    """Return how an approval through ``seam`` was refused, or None when it was recorded."""
    try:
        approve(root, "bob", seam)
    except StorageError as error:
        return error
    return None


def test_a_review_that_is_cut_off_anywhere(template: Path, tmp_path: Path) -> None:
    """The record is whole; an approval whose line is in the chain counts, and the next review takes it over."""
    count = operations(template, tmp_path / "whole")
    assert count > 5
    for point in range(1, count + 1):
        for kind, seam in (("cut", QuickSeam(crash_at(point))), ("torn", TornSeam(point))):
            root = tmp_path / f"{kind}-{point}"
            shutil.copytree(template, root, symlinks=True)
            with contextlib.suppress(Crash):
                approve(root, "bob", seam)
            assert actors(root) in ([], ["bob"])
            assert record(root)["status"] == "succeeded"
            before = in_chain(root)
            assert actors(root) in ([], before)
            approve(root, "carl", Seam())
            assert actors(root) == [*before, "carl"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("once", [True, False], ids=["once", "for-ever"])
def test_a_disk_that_refuses(template: Path, tmp_path: Path, code: int, once: bool) -> None:
    """Exit code 8, or the approval is on disk; a note that can't be written is warned of, and fails nothing."""
    refused = 0
    for point in range(1, operations(template, tmp_path / "whole") + 1):
        root = tmp_path / f"at-{point}"
        shutil.copytree(template, root, symlinks=True)
        error = refusal(root, QuickSeam(fail_from(point, code, once=once)))
        if error is None:
            assert actors(root) == ["bob"]
        else:
            refused += 1
            assert error.exit_code == EXIT_STORAGE
        assert record(root)["status"] == "succeeded"
    assert refused
