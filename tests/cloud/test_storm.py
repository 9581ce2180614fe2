"""A storm: many runs over two workers that are killed again and again; each run ends once, and none is lost."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from pathlib import Path

import pytest

from tests.cloud.engine import CloudWorkspace, Engine, Files, ended

RUNS, KILLS = (int(number) for number in os.environ.get("CLOUD_STORM", "30/6").split("/"))
"""How many of each (contract, section 12, promise 10: 100 and 10; in CI 30 and 6)."""

_AT_ONCE = 6
_SEED = 20


@pytest.mark.slow
def test_every_run_of_a_storm_ends_once(tmp_path: Path, authority: Files) -> None:
    """As many ends as runs, all successes, whatever workers died below them; the records are whole."""
    engine = Engine(tmp_path / "engine", authority)
    chance = random.Random(_SEED)
    try:
        engine.start_scheduler()
        for name in ("w1", "w2"):
            engine.start_worker(name, "--nthreads", "2")
        place = CloudWorkspace(tmp_path / "ws", engine, 'lease = "5s"\nretries = 20')
        place.project({"a": "sleep 0.3", "b": {"shell": "echo done", "needs": ["a"]}})
        waiting = RUNS
        running: list[subprocess.Popen[bytes]] = []
        outputs: list[tuple[int, str]] = []
        kills, kill_at = KILLS, time.monotonic() + 3.0
        while waiting or running:
            while waiting and len(running) < _AT_ONCE:
                waiting -= 1
                running.append(place.start("--format", "json"))
            if kills and time.monotonic() >= kill_at:
                kills, kill_at = kills - 1, time.monotonic() + chance.uniform(1.5, 4.0)
                victim = chance.choice(("w1", "w2"))
                engine.kill(victim)
                engine.start_worker(victim, "--nthreads", "2")
            for process in [process for process in running if process.poll() is not None]:
                running.remove(process)
                outputs.append(ended(process))
            time.sleep(0.05)
    finally:
        engine.close()
    assert [code for code, _ in outputs] == [0] * RUNS, outputs
    records = [place.folder.manifest(run) for run in place.folder.runs("1-x")]
    assert [record["status"] for record in records] == ["succeeded"] * RUNS
    for record in records:
        events = [json.loads(line) for line in (place.folder.root / record["log_path"]).read_text().splitlines()]
        assert sum(event["type"] == "run:end" for event in events) == 1
        held = [entry["outcome"] for entry in record["engine"]["incarnations"]]
        assert held == ["lost"] * (len(held) - 1) + ["ended"]
    verified = place.call("verify", "--all", "--state")
    assert verified.code == 0, verified.stdout
