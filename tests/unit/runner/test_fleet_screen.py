"""What people see of a fleet: a line a project, in a terminal and without one."""

from __future__ import annotations

import io
from typing import Any

from orchestrator.base.clock import SystemClock
from orchestrator.runner.error_files import refusal_in
from orchestrator.runner.progress import make_observer
from orchestrator.runner.progress.fleet_lines import FleetLines
from orchestrator.runner.progress.fleet_live import FleetLive
from orchestrator.runner.progress.project_notes import ProjectNotes
from orchestrator.runner.progress.stream import Sink
from tests.records import FakeClock
from tests.unit.runner.test_progress_screen import Window

REFUSAL = (
    b"codex-orchestrator: error: the configuration has a fault:\n  project_configs/x.toml: is odd\nhint: mind it\n"
)


def start(count: int) -> dict[str, Any]:
    """Return the event that begins a fleet of so many projects."""
    stages = [{"id": f"p{number:03d}"} for number in range(count)]
    return {"type": "run:start", "run_id": "r", "pipeline_id": "smoke", "project": "fleet", "stages": stages}


def end(project: str, **how: Any) -> dict[str, Any]:
    """Return the event of a project's end."""
    return {"type": "stage:end", "stage": project, "outcome": "success", "duration_seconds": 2.0, **how}


def test_two_hundred_projects_fit_into_a_window() -> None:
    """What failed or runs is shown, with its stage and what failed; the rest is counted; no line is too long."""
    window = Window(100, 24)
    live = FleetLive(window, color=False, clock=SystemClock())
    live.event(start(200))
    live.event({"type": "stage:start", "stage": "p150", "command": None})
    live.output("p150", b"==> build started: make\n==> build failed with exit code 2 in 1.0s\nnoise\n==> run fai")
    live.event({"type": "stage:start", "stage": "p151", "command": None})
    live.output("p151", b"==> lint started: true\n")
    live.event({"type": "child:linked", "run_id": "r", "child_run_id": "c"})
    for number in range(100):
        live.event({"type": "stage:start", "stage": f"p{number:03d}", "command": None})
        live.event(end(f"p{number:03d}"))
    live.event(end("p150", outcome="failure", exit_code=3))
    window.taken()
    live.tick()
    lines = window.taken()
    assert len(lines) <= 24
    assert all(len(line) <= 100 for line in lines)
    assert "smoke of 200 projects – 101 done; 1 running; 1 failed" in lines[0] + lines[1]
    assert "✗ p150 failed  2.0s build failed with exit code 2 in 1.0s" in lines
    assert any(line.startswith("▶ p151 running") and line.endswith("lint") for line in lines)
    assert any(line.startswith("  … 181 more") for line in lines)
    assert not any("noise" in line for line in lines)


def test_a_narrow_window_keeps_the_counts() -> None:
    """Where the line at the top is too long, the name of the pipeline is cut before the counts and the time."""
    window = Window(40, 24)
    live = FleetLive(window, color=False, clock=FakeClock())
    live.event({**start(200), "pipeline_id": "diagnostics", "sla_seconds": 120000})
    live.event({"type": "stage:start", "stage": "p000", "command": None})
    window.taken()
    live.tick()
    head = next(line for line in window.taken() if "running" in line)
    assert head.endswith("\x1b[J0 done; 1 running; 0 failed  0s")


def test_what_was_skipped_is_not_done() -> None:
    """Skipped projects are counted by themselves, as in the totals; where there are none, nothing is said of them."""
    window = Window(100, 24)
    live = FleetLive(window, color=False, clock=FakeClock())
    live.event(start(3))
    live.event(end("p000", outcome="failure", exit_code=1))
    live.event({"type": "stage:skip", "stage": "p001", "reason": "needs 'p000'"})
    window.taken()
    live.tick()
    assert any("1 done; 0 running; 1 failed; 1 skipped" in line for line in window.taken())
    live.event({"type": "run:cancelling", "signal": 15})
    assert "==> stopping the run (SIGTERM)" in window.taken()[0]


def test_the_last_table_leaves_the_usual_out() -> None:
    """What stays on the screen at the end is a line for each project only where that is one window."""
    for count, hidden in ((200, True), (5, False)):
        window = Window(100, 24)
        live = FleetLive(window, color=False, clock=SystemClock())
        live.event(start(count))
        for number in range(count):
            live.event(end(f"p{number:03d}", outcome="failure" if number == 3 else "success", exit_code=1))
        window.taken()
        live.close()
        lines = window.taken()
        assert (len(lines) <= 24, any(line.startswith("  … ") for line in lines)) == (True, hidden)
        assert any(line.startswith("✗ p003 failed") for line in lines)


def test_without_a_terminal_starts_and_ends_are_lines() -> None:
    """Each start, skip and end is a line with how many are done; after 30 s of silence a line says what runs."""
    raw, clock = io.BytesIO(), FakeClock()
    observer = make_observer(
        "text", stdout=io.TextIOWrapper(raw, encoding="utf-8"), stderr=None, environ={}, clock=clock, fleet=True
    )
    assert isinstance(observer, FleetLines)
    observer.event(start(3))
    for project in ("p000", "p001"):
        observer.event({"type": "stage:start", "stage": project, "command": None})
    observer.event({"type": "child:linked", "run_id": "r", "child_run_id": "c", "stage": "p000"})
    observer.output("p000", b"much output\n")
    observer.output("p001", REFUSAL)
    observer.event(end("p001", outcome="failure", exit_code=2))
    observer.event({"type": "stage:skip", "stage": "p002", "reason": "needs 'p001'"})
    clock.advance(31)
    observer.tick()
    observer.event(end("p000"))
    observer.close()
    assert raw.getvalue().decode().splitlines() == [
        "==> run r: smoke of 3 projects",
        "==> p000 started",
        "==> p001 started",
        "==> p001 failed with exit code 2 in 2.0s: project_configs/x.toml: is odd (1 of 3)",
        "==> p002 skipped: needs 'p001'",
        "==> still running: p000 for 31s",
        "==> p000 succeeded in 2.0s: 3 of 3",
    ]


def test_notes_read_lines_that_come_in_pieces() -> None:
    """The first failure stays, the stage is the last that started, and a new attempt forgets both."""
    notes = ProjectNotes()
    for piece in (
        b"==> bu",
        b"ild started\n==> build fai",
        b"led with exit code 1\n==> test started\n==> test broke\n",
    ):
        notes.feed("a", piece)
    notes.feed("a", b"==> run failed\nx" * 9999)
    assert notes.doing("a") == "test; build failed with exit code 1"
    notes.begin("a")
    assert (notes.doing("a"), notes.failure("a"), notes.doing("b")) == ("", "", "")


def test_a_refusal_is_read_from_its_last_lines() -> None:
    """What a command refused is one line, without its headline and hint; other output is none."""
    assert refusal_in(REFUSAL.decode().splitlines()) == "project_configs/x.toml: is odd"
    assert refusal_in(["noise", "codex-orchestrator: error: no such thing", "hint: do"]) == "no such thing"
    assert refusal_in(["all is well"]) is None


def test_a_terminal_gets_the_table() -> None:
    """In a redrawable terminal the fleet's table is chosen."""
    window = Window(80, 24)
    assert isinstance(FleetLive(window, color=True, clock=SystemClock()).sink, Sink)
