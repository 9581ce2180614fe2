"""What people and programs see of a run while it goes on."""

from __future__ import annotations

import errno
import io
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.runner.progress import Observer, OutputFormat, make_observer
from orchestrator.runner.progress.board import Row
from orchestrator.runner.progress.event_text import duration, sentence
from orchestrator.runner.progress.live import visible

START: dict[str, Any] = {
    "type": "run:start",
    "run_id": "r1",
    "project": "hello",
    "pipeline_id": "diagnostics",
    "task_id": "1001-hello",
    "attempt": 1,
    "stages": [{"id": "build"}, {"id": "test"}],
    "sla_seconds": 1800,
}
TTY = {"TERM": "xterm", "NO_COLOR": "1"}


class FakeClock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def now(self) -> datetime:
        """Return a fixed moment."""
        return datetime(2026, 11, 22, tzinfo=UTC)

    def monotonic(self) -> float:
        """Return what the clock was set to."""
        return self.seconds


class Stream(io.TextIOWrapper):
    """A text stream that says whether it is a terminal."""

    def __init__(self, raw: io.BytesIO, *, tty: bool = False) -> None:
        super().__init__(raw, encoding="utf-8")
        self._tty = tty

    def isatty(self) -> bool:
        """Tell what it was made as."""
        return self._tty


class Screen:
    """Two streams, an observer that writes to them, and a clock."""

    def __init__(
        self, kind: OutputFormat = "text", environ: Mapping[str, str] | None = None, *, tty: bool = False
    ) -> None:
        self.raw, self.raw_err = io.BytesIO(), io.BytesIO()
        self.clock = FakeClock()
        self.stdout = Stream(self.raw, tty=tty)
        self.stderr = io.TextIOWrapper(self.raw_err, encoding="utf-8")
        self.observer: Observer = make_observer(
            kind,
            stdout=self.stdout,
            stderr=self.stderr,
            environ=environ or {},
            clock=self.clock,
        )

    def starts(self, *stages: str) -> None:
        """Tell that stages start."""
        for stage in stages:
            self.observer.event({"type": "stage:start", "stage": stage})

    def ends(self, stage: str) -> None:
        """Tell that a stage succeeded."""
        self.observer.event({"type": "stage:end", "stage": stage, "outcome": "success", "duration_seconds": 1.5})

    def taken(self) -> str:
        """Return what was written to stdout since the last time."""
        text = self.raw.getvalue().decode()
        self.raw.seek(0)
        self.raw.truncate()
        return text


def test_lines_of_a_run() -> None:
    """A run that is piped shows as plain lines: what happens, and the output of the stage that runs, as it is."""
    screen = Screen()
    observer = screen.observer
    assert observer.refresh_seconds == 5.0
    observer.event(START)
    observer.event({"type": "environment:start"})
    observer.event({"type": "environment:end", "outcome": "success", "duration_seconds": 65})
    observer.event({"type": "stage:start", "stage": "build", "attempt": 1, "command": "make all"})
    observer.output("build", b"one\ntw")
    observer.output("build", b"o")
    observer.event(
        {"type": "stage:end", "stage": "build", "outcome": "failure", "exit_code": 2, "duration_seconds": 0.25}
    )
    observer.event({"type": "stage:skip", "stage": "test", "reason": "needs build, which failed"})
    observer.event({"type": "run:end", "outcome": "failure", "duration_seconds": 3700, "status_detail": "build failed"})
    observer.close()
    assert screen.taken().splitlines() == [
        "==> run r1: diagnostics of hello for 1001-hello",
        "==> preparing the environment",
        "==> environment ready in 1m 05s",
        "==> build started: make all",
        "one",
        "two",
        "==> build failed with exit code 2 in 0.2s",
        "==> test skipped: needs build, which failed",
        "==> run failed in 1h 01m: build failed",
    ]


def test_unfinished_lines_are_shown_while_one_stage_runs() -> None:
    """A stage that runs alone shows its unfinished lines at once, as a prompt or a row of dots needs it."""
    screen = Screen()
    screen.starts("test")
    screen.taken()
    screen.observer.output("test", b"....")
    assert screen.taken() == "...."
    screen.observer.output("test", b"..\n")
    assert screen.taken() == "..\n"


def test_stages_at_the_same_time() -> None:
    """While several stages run, whole lines come out, each with its stage; the rest comes at the stage's end."""
    screen = Screen()
    screen.starts("build", "test")
    screen.taken()
    screen.observer.output("build", b"one\ntwo\nthr")
    screen.observer.output("test", b"a")
    assert screen.taken() == "build | one\nbuild | two\n"
    screen.observer.output("test", b"b\n")
    assert screen.taken() == "test | ab\n"
    screen.ends("build")
    assert screen.taken() == "build | thr\n==> build succeeded in 1.5s\n"
    screen.observer.output("test", b"alone")
    assert screen.taken() == "alone"


def test_an_unfinished_line_is_ended_for_another_stage() -> None:
    """When another stage starts in the middle of a line, that line is ended first, its colour too."""
    screen = Screen(environ={"FORCE_COLOR": "1"})
    screen.starts("build")
    screen.taken()
    screen.observer.output("build", b"\x1b[31mhalf")
    screen.starts("test")
    assert screen.taken() == "\x1b[31mhalf\x1b[0m\n\x1b[1m==> test started\x1b[0m\n"


def test_a_line_without_end_is_bounded() -> None:
    """Of a line without an end no more than 8 KiB are held back while several stages run."""
    screen = Screen()
    screen.starts("build", "test")
    screen.taken()
    for _ in range(100):
        screen.observer.output("build", b"x" * 1000)
    shown = screen.taken()
    assert shown.count("x") > 91_000
    assert all(line.startswith("build | ") for line in shown.splitlines())


def test_what_steers_a_terminal_is_not_shown() -> None:
    """Output, ids, commands and reasons steer no terminal; without a terminal they have no colour either."""
    screen = Screen()
    screen.starts("bu\x1b[2Jild")
    screen.observer.output("bu\x1b[2Jild", b"\x1b[31mred\x1b[0m\x1b]0;title\x07\xe2\x80\xae\n")
    screen.observer.event({"type": "stage:skip", "stage": "x", "reason": "\u202e\x9b\n"})
    assert screen.taken() == "==> bu\\x1b[2Jild started\nred\n==> x skipped: \\u202e\\x9b\\n\n"


def test_json_leaves_stdout_alone() -> None:
    """With --format json, lines go to stderr and nothing to stdout."""
    screen = Screen("json")
    screen.starts("build")
    screen.observer.output("build", b"one\n")
    assert screen.taken() == ""
    assert screen.raw_err.getvalue() == b"==> build started\none\n"


def test_ndjson() -> None:
    """With --format ndjson, each event is one line of JSON on stdout, in ASCII, and stage output is left out."""
    screen = Screen("ndjson")
    screen.observer.event(START)
    screen.observer.output("build", b"one\n")
    screen.observer.event({"type": "odd", "value": "\u202e\x9b\n", "when": datetime(2026, 1, 1, tzinfo=UTC)})
    screen.observer.close()
    lines = screen.taken().splitlines()
    assert json.loads(lines[0]) == START
    assert json.loads(lines[1])["value"] == "\u202e\x9b\n"
    assert len(lines) == 2
    assert "".join(lines).isascii()
    assert screen.raw_err.getvalue() == b""


@pytest.mark.parametrize("tty", [False, True])
@pytest.mark.parametrize("kind", ["text", "json", "ndjson"])
def test_unknown_events(kind: OutputFormat, tty: bool) -> None:
    """Unknown types, missing keys and odd values are passed over."""
    observer = Screen(kind, {"TERM": "xterm"}, tty=tty).observer
    for name in ("run:start", "stage:start", "stage:end", "stage:skip", "run:end", "sla:breach", "new:type", None):
        observer.event({"type": name})
        observer.event({"type": name, "stage": 1, "duration_seconds": "x", "stages": [1, {}], "sla_seconds": "y"})
    observer.event({})
    observer.output("never-started", b"text\n")
    observer.tick()
    observer.close()


class Broken(io.RawIOBase):
    """A stream that fails from the first write on."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.writes = 0

    def writable(self) -> bool:
        """Say yes."""
        return True

    def write(self, data: object) -> int:
        """Fail."""
        self.writes += 1
        raise self.error


@pytest.mark.parametrize("kind", ["text", "json", "ndjson"])
@pytest.mark.parametrize("tty", [False, True])
@pytest.mark.parametrize(
    "error", [BrokenPipeError(), OSError(errno.EIO, "x"), OSError(errno.ENOSPC, "x"), ValueError("closed")], ids=repr
)
def test_a_broken_stream_silences(kind: OutputFormat, tty: bool, error: Exception) -> None:
    """An observer whose stream is broken tries once and never raises."""
    raw = Broken(error)
    stream = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)  # type: ignore[type-var]
    observer = make_observer(kind, stdout=stream, stderr=stream, environ=TTY, clock=FakeClock())
    for _ in range(3):
        observer.event(START)
        observer.event({"type": "stage:start", "stage": "build"})
        observer.output("build", b"text\n" * 100_000)
        observer.tick()
    observer.close()
    assert raw.writes == 1


@pytest.mark.parametrize("tty", [False, True])
def test_no_stream(tty: bool) -> None:
    """A process that was started without stdout, or whose stdout is closed, is served all the same."""
    closed = io.StringIO()
    closed.close()
    for stream in (None, closed):
        observer = make_observer("text", stdout=stream, stderr=stream, environ=TTY, clock=FakeClock())
        observer.event(START)
        observer.output("build", b"text\n")
        observer.close()


def test_a_stream_of_text_only() -> None:
    """A stream without bytes below it, as embedding programs put in place, is written to as text."""
    stream = io.StringIO()
    observer = make_observer("text", stdout=stream, stderr=None, environ={}, clock=FakeClock())
    observer.output("build", "ü\n".encode())
    assert stream.getvalue() == "ü\n"


def test_live_table() -> None:
    """In a terminal, output stands above a table of the stages, their states, times and last lines."""
    screen = Screen(environ=TTY, tty=True)
    assert screen.observer.refresh_seconds
    screen.observer.event(START)
    screen.starts("build")
    screen.clock.seconds += 75
    screen.observer.output("build", b"\x1b[2Jone\n\ntwo\x1b[32m green\n")
    screen.taken()
    screen.observer.tick()
    assert [line.rstrip() for line in screen.taken().split("\n")] == [
        "\x1b[3A\r\x1b[Jone",
        "",
        "two green",
        "diagnostics of hello  1m 15s of 30m",
        "▶ build running 1m 15s two green",
        "· test  waiting",
        "",
    ]
    screen.observer.tick()
    assert screen.taken() == ""
    screen.ends("build")
    assert "✓ build succeeded 1.5s" in screen.taken()


def test_live_output_waits_for_whole_lines() -> None:
    """Above the table only whole lines come out, the rest at the end; the last table stays, without last lines."""
    screen = Screen(environ=TTY, tty=True)
    screen.observer.event(START)
    screen.starts("build")
    screen.taken()
    screen.observer.output("build", b"Continue?")
    screen.observer.tick()
    assert screen.taken().split("\n")[1].rstrip() == "▶ build running 0s Continue?"
    screen.observer.close()
    lines = screen.taken().split("\n")
    assert lines[0].endswith("Continue?")
    assert lines[2].rstrip() == "▶ build running 0s"


def test_live_flood_is_not_collected() -> None:
    """A flood of output is written without waiting for the next drawing."""
    screen = Screen(environ=TTY, tty=True)
    screen.starts("build")
    screen.taken()
    screen.observer.output("build", b"line\n" * 100_000)
    assert len(screen.taken()) > 400_000


def test_live_breach() -> None:
    """A run that has passed its limit says so, and shows what it is doing besides its stages."""
    screen = Screen(environ={"TERM": "xterm"}, tty=True)
    screen.observer.event({"type": "environment:start"})
    screen.observer.event(START)
    screen.observer.event({"type": "sla:breach", "limit_seconds": 1800})
    assert "\x1b[1;31m0s of 30m\x1b[0m" in screen.taken()
    screen.observer.event({"type": "run:cancelling", "signal": "SIGINT"})
    assert "diagnostics of hello – stopping" in screen.taken()


def test_a_dumb_terminal_gets_lines() -> None:
    """A terminal that can't move its cursor gets plain lines without colour."""
    screen = Screen(environ={"TERM": "dumb"}, tty=True)
    screen.starts("build")
    assert screen.taken() == "==> build started\n"


def test_rows_that_fit() -> None:
    """When the window is too low, what succeeded is hidden first; what runs or failed stays, in order."""
    rows = [Row("a", "succeeded"), Row("b", "failed"), Row("c", "waiting"), Row("d", "running"), Row("e", "skipped")]
    shown, hidden = visible(rows, 3)
    assert ([row.stage for row in shown], hidden) == (["b", "c", "d"], 2)
    assert visible(rows, 5) == (rows, 0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "0.2s"),
        (4, "4s"),
        (12.3, "12s"),
        (60, "1m"),
        (65.5, "1m 05s"),
        (3600, "1h"),
        (3725, "1h 02m"),
        (None, ""),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    """Durations are short; what is no number shows as nothing."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({"outcome": "failure", "signal": "SIGKILL"}, "t failed (SIGKILL)"),
        ({"outcome": "timeout", "signal": "SIGTERM"}, "t timed out (SIGTERM)"),
        ({"outcome": "error", "detail": "no such command"}, "t broke: no such command"),
        ({"outcome": "failure", "exit_code": 1, "will_retry": True}, "t failed with exit code 1; it is tried again"),
        ({"outcome": "strange"}, "t strange"),
    ],
)
def test_endings(event: dict[str, Any], text: str) -> None:
    """How a stage ended is told with its signal, exit code or reason."""
    assert sentence({"type": "stage:end", "stage": "t", **event})[0] == text


@given(
    st.lists(
        st.tuples(st.sampled_from(["start", "end", "out"]), st.sampled_from("ab"), st.sampled_from(["", "\n"])),
        max_size=30,
    )
)
def test_no_output_is_lost(steps: list[tuple[str, str, str]]) -> None:
    """Whatever stages start and end, all of their output is shown, in order, and no line mixes two stages."""
    screen = Screen()
    said: dict[str, list[str]] = {"a": [], "b": []}
    for number, (step, stage, end) in enumerate(steps):
        if step == "out":
            said[stage].append(f"{stage}{number}.")
            screen.observer.output(stage, f"{said[stage][-1]}{end}".encode())
        else:
            screen.observer.event({"type": f"stage:{step}", "stage": stage})
    screen.observer.close()
    lines = [line for line in screen.taken().split("\n") if not line.startswith("==> ")]
    for stage, words in said.items():
        assert [word for line in lines for word in re.findall(rf"{stage}\d+\.", line)] == words
    assert not [line for line in lines if re.search(r"a\d", line) and re.search(r"b\d", line)]
