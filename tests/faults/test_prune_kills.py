"""Prunes that are killed at random moments, beside starts: nothing is lost, nothing is counted twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta

import pytest

from benchmarks.history import spread, write_history
from tests.harness import Orchestrator, WorkspaceFolder

TASK = "1-x"
KILLS = 8


@pytest.mark.slow
def test_random_kills_of_prunes_beside_starts(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Whenever a prune dies, ``verify --all --state`` finds nothing, at once and after the next start; totals stay."""
    workspace.project("x")
    assert orchestrate("start", "--project", "x").code == 0
    end = datetime.now(UTC) - timedelta(days=1)
    write_history(workspace.root, TASK, spread(160, end, timedelta(days=1)), whole=True)
    workspace.write("workspace.toml", 'schema_version = 1\n[prune]\nlogs_within = "0d"\n')
    chance, took = random.Random(7), 1.0
    for number in range(KILLS):
        left = len(workspace.runs(TASK))
        words = ["--logs-only"] if number % 3 == 2 else ["--keep-last", str(max(100, left - 7))]
        began = time.monotonic()
        starting = orchestrate.popen("start", "--project", "x") if number % 4 == 1 else None
        pruning = orchestrate.popen("prune", "--yes", "--keep-within", "0d", "--keep-failed", "0d", *words)
        try:
            pruning.communicate(timeout=chance.uniform(0.3, 1.0) * took)
            took = time.monotonic() - began
        except subprocess.TimeoutExpired:
            os.killpg(pruning.pid, signal.SIGKILL)
            pruning.communicate()
            took *= 1.3
        if starting is not None:
            _, err = starting.communicate(timeout=60)
            assert starting.returncode == 0, err
    for _ in range(2):
        found = orchestrate("verify", "--all", "--state", "--format", "json").document
        assert found["findings"] == []
        assert orchestrate("start", "--project", "x").code == 0
    assert workspace.state(TASK)["totals"]["runs"] == 160 + 2 + len(range(1, KILLS, 4))
