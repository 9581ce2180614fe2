"""Groups of a CI system's screen: nothing is lost but what is counted, and nothing but findings is a command."""

from __future__ import annotations

import io
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.text.workflow_commands import HARMLESS, command_name
from orchestrator.runner.progress.ci_screen import GithubLines, ci_screen
from orchestrator.runner.progress.stream import Sink
from tests.records import FakeClock

LINES = st.sampled_from(
    ["plain", "::error::x", "::set-env name=a::b", " ::group::g", "##[add-path]x", "", "a::b", "\r::add-path::z", "é"]
)
STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["start", "end", "print"]), LINES), max_size=40)


def shown(steps: list[tuple[str, str, str]]) -> list[str]:
    """Return the lines that a screen shows of these events and outputs."""
    stream = io.BytesIO()
    screen = GithubLines(Sink(io.TextIOWrapper(stream, "utf-8"), {}), color=False, clock=FakeClock())
    running: set[str] = set()
    for stage, what, line in steps:
        event: dict[str, Any] = {"type": f"stage:{what}", "stage": stage, "outcome": "success"}
        if what == "print" and stage in running:
            screen.output(stage, line.encode() + b"\n")
        elif what == "start" and stage not in running:
            running.add(stage)
            screen.event(event)
        elif what == "end" and stage in running:
            running.discard(stage)
            screen.event(event)
    screen.close()
    return stream.getvalue().decode().split("\n")


@given(STEPS)
def test_groups_never_nest_and_only_findings_are_commands(steps: list[tuple[str, str, str]]) -> None:
    """Every group is closed before the next; what looks like a command is ours, or reports a finding."""
    depth = 0
    for line in shown(steps):
        assert "##[" not in line
        if line.strip().startswith("::"):
            name = command_name(line)
            assert name in {"group", "endgroup", *HARMLESS}
            depth += {"group": 1, "endgroup": -1}.get(str(name), 0)
            assert depth in (0, 1)
    assert depth == 0


@given(STEPS)
def test_every_line_is_shown_once(steps: list[tuple[str, str, str]]) -> None:
    """What stages print is on the screen as often as it was printed."""
    running: set[str] = set()
    count = 0
    for stage, what, line in steps:
        if what == "start":
            running.add(stage)
        elif what == "end":
            running.discard(stage)
        elif stage in running and line == "plain":
            count += 1
    assert shown(steps).count("plain") == count


def test_much_output_of_a_hidden_stage_is_kept_to_its_end() -> None:
    """Of a stage that waits for its group, 2 MiB at most are kept; the rest is counted."""
    line = "x" * 1023
    found = shown([("a", "start", ""), ("b", "start", ""), *([("b", "print", line)] * 5000), ("b", "print", "last")])
    assert found.count(line) < 2100
    assert "last" in found
    assert any("in the stage's log only" in each for each in found)


def test_outside_of_ci_nothing_changes() -> None:
    """Without a CI system's own variable there is no such screen, whatever CI says."""
    assert ci_screen({"CI": "true"}, is_root=True) is None
    assert ci_screen({"GITLAB_CI": "true"}, is_root=False) is None
