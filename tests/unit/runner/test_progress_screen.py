"""The live table in windows of different sizes, and streams that are slow or gone."""

from __future__ import annotations

import fcntl
import io
import os
import struct
import termios
import threading
from typing import Any

from orchestrator.base.clock import SystemClock
from orchestrator.runner.progress.lines import SinkLines
from orchestrator.runner.progress.live import LiveObserver
from orchestrator.runner.progress.stream import Sink
from tests.records import FakeClock

START: dict[str, Any] = {
    "type": "run:start",
    "pipeline_id": "diagnostics-of-everything",
    "project": "hello",
    "stages": [{"id": f"stage-{number}"} for number in range(10)],
    "sla_seconds": 60,
}


class Window(Sink):
    """A terminal window of any size."""

    def __init__(self, columns: int, lines: int) -> None:
        self.raw = io.BytesIO()
        self.stream = io.TextIOWrapper(self.raw, encoding="utf-8")
        super().__init__(self.stream, {})
        self.shape = (columns, lines)

    def size(self) -> tuple[int, int]:
        """Return the window's size."""
        return self.shape

    def taken(self) -> list[str]:
        """Return the lines written since the last time."""
        text = self.raw.getvalue().decode()
        self.raw.seek(0)
        self.raw.truncate()
        return [line.rstrip() for line in text.split("\n")]


def test_a_narrow_and_low_window() -> None:
    """In a small window no line is too long, rows are left out and counted, the last line of output stands below."""
    window = Window(30, 9)
    live = LiveObserver(window, color=False, clock=SystemClock())
    live.event(START)
    live.event({"type": "stage:start", "stage": "stage-7"})
    live.output("stage-7", b"some words that do not fit into the window at all\n")
    window.taken()
    live.tick()
    lines = window.taken()[1:]
    assert all(len(line) <= 30 for line in lines)
    assert lines[0].endswith("  0s of 1m")
    assert "▶ stage-7 running 0s" in lines
    assert "  … 6 more" in lines
    assert lines[-2].startswith("some words")
    assert len(lines) <= 9


def test_a_window_that_became_narrower() -> None:
    """After the window became narrower, the lines into which the old table was folded are taken away too."""
    window = Window(100, 30)
    live = LiveObserver(window, color=True, clock=SystemClock())
    live.event(START)
    window.taken()
    window.shape = (20, 30)
    live.event({"type": "stage:start", "stage": "stage-1"})
    assert window.taken()[0].startswith("\x1b[13A\r\x1b[J")


def test_signals_and_retries_in_the_table() -> None:
    """The table shows which signal or exit code ended a stage, and that one is tried again."""
    window = Window(100, 30)
    live = LiveObserver(window, color=False, clock=SystemClock())
    live.event(START)
    ends: list[dict[str, Any]] = [
        {"outcome": "failure", "signal": "SIGKILL"},
        {"outcome": "failure", "exit_code": 9, "will_retry": True},
    ]
    for number, end in enumerate(ends):
        live.event({"type": "stage:start", "stage": f"stage-{number}"})
        live.event({"type": "stage:end", "stage": f"stage-{number}", "duration_seconds": 1.0, **end})
    live.event({"type": "environment:start"})
    live.event({"type": "environment:end", "outcome": "error", "detail": "no python"})
    live.event({"type": "child:linked", "run_id": "r1", "child_run_id": "r2"})
    window.taken()
    live.event({"type": "run:end", "outcome": "failure"})
    lines = window.taken()
    assert "✗ stage-0 failed   1.0s SIGKILL" in lines
    assert "↻ stage-1 retrying 1.0s exit code 9" in lines
    assert any("hello – failed" in line for line in lines)


def test_a_real_terminal_s_size() -> None:
    """The size is the terminal's own, asked for each time, narrower by $COLUMNS, never wider; without one 80 by 24."""
    master, slave = os.openpty()
    with os.fdopen(slave, "w") as stream, os.fdopen(master, "rb", closefd=True):
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 44, 0, 0))
        assert Sink(stream, {}).size() == (44, 10)
        assert Sink(stream, {"COLUMNS": "30"}).size() == (30, 10)
        assert Sink(stream, {"COLUMNS": "90"}).size() == (44, 10)
        assert Sink(stream, {}).is_tty
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        assert Sink(nowhere, {}).size() == (80, 24)


def test_a_stream_that_does_not_block() -> None:
    """A pipe that was set to non-blocking gets all of the output, as fast as it is read."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    got = bytearray()

    def read() -> None:
        while data := os.read(reader, 65536):
            got.extend(data)

    thread = threading.Thread(target=read)
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        thread.start()
        sink = Sink(stream, {})
        sink.write(b"x" * 1_000_000)
        sink.close()
    thread.join()
    os.close(reader)
    assert len(got) == 1_000_000


def test_a_reader_that_is_gone() -> None:
    """A pipe without a reader silences the sink, and says so."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        sink = Sink(stream, {})
        sink.text("one")
        assert not sink.open
        sink.text("two")


def test_an_encoding_without_the_marks() -> None:
    """A terminal of another encoding gets ASCII marks and no error."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    live = LiveObserver(Sink(stream, {}), color=False, clock=SystemClock())
    live.event({"type": "run:start", "pipeline_id": "p", "project": "ü", "stages": [{"id": "a"}]})
    assert b"p of ?" in raw.getvalue()
    assert b". a waiting" in raw.getvalue()


def test_a_quiet_run_without_a_terminal_says_what_runs() -> None:
    """After 30 s without a word a line names the running stages and their times, and again after the next 30 s."""
    clock, raw = FakeClock(), io.StringIO()
    lines = SinkLines(Sink(raw, {}), color=False, clock=clock)
    assert lines.refresh_seconds is not None
    lines.event({"type": "stage:start", "stage": "build"})
    clock.advance(20)
    lines.event({"type": "stage:start", "stage": "test"})
    lines.event({"type": "child:linked", "run_id": "parent", "child_run_id": "child", "stage": "test"})
    before = raw.getvalue()
    assert before.endswith("==> child run child: test\n")
    clock.advance(29)
    lines.tick()
    assert raw.getvalue() == before
    clock.advance(1)
    lines.tick()
    lines.tick()
    assert raw.getvalue() == before + "==> still running: build for 50s, test for 30s\n"
    lines.event({"type": "stage:end", "stage": "build", "outcome": "success"})
    clock.advance(30)
    lines.output("test", b"something\n")
    lines.tick()
    clock.advance(31)
    lines.tick()
    assert raw.getvalue().endswith("something\n==> still running: test for 1m 31s\n")
    lines.event({"type": "stage:end", "stage": "test", "outcome": "success"})
    clock.advance(60)
    ended = raw.getvalue()
    lines.tick()
    assert raw.getvalue() == ended
