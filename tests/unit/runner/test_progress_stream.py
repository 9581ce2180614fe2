"""Readers that are slow, or take nothing though their stream says that it is writable."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Callable

import pytest

from orchestrator.base.clock import SystemClock
from orchestrator.base.redaction import Redactor
from orchestrator.runner.process_loop import ProcessLoop
from orchestrator.runner.progress.stream import Sink, will_take
from orchestrator.runner.signals import SignalInbox
from tests.fake_processes import FakeHost
from tests.records import FakeClock


def full_pipe() -> tuple[int, int]:
    """Return the two ends of a pipe that takes nothing more."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 512)
    except BlockingIOError:
        os.set_blocking(writer, True)
    return reader, writer


class Stuck:
    """A display that is behind for ever, though its stream says that it takes something."""

    held_up: Callable[[float], float | None] = staticmethod(lambda now: None)

    def __init__(self, fd: int) -> None:
        self.waits_for = fd
        self.pushed = 0

    def push(self) -> bool:
        """Show nothing."""
        self.pushed += 1
        return False


def test_a_stream_that_says_it_is_writable_and_takes_nothing() -> None:
    """The loop tries it some times a second, and is idle between."""
    reader, writer = os.pipe()
    display, host = Stuck(writer), FakeHost(FakeClock())
    with SignalInbox() as inbox:
        loop = ProcessLoop(host, inbox, SystemClock(), Redactor(()), lambda now: 5.0, display)
        began, turns = time.monotonic(), 0
        while time.monotonic() < began + 0.25:
            loop.turn(0.5)
            turns += 1
        loop.close()
    for fd in (reader, writer):
        os.close(fd)
    assert 2 <= display.pushed <= 7
    assert turns <= 20


@pytest.mark.parametrize("reads", [True, False])
def test_a_document_waits_for_a_reader_that_reads(*, reads: bool) -> None:
    """A byte now and then is reading; a reader that takes nothing is waited for as long as is said, not longer."""
    reader, writer = full_pipe()
    now = 0.0

    def rest(seconds: float) -> None:
        nonlocal now
        now += seconds
        if reads and now < 20.0:
            os.read(reader, 1)
        elif reads:
            os.read(reader, 1 << 20)

    with open(writer, "w") as stream:
        assert will_take(stream, patience=5.0, monotonic=lambda: now, sleep=rest) is reads
        assert now == pytest.approx(20.0 if reads else 5.0, abs=0.2)
    os.close(reader)


def test_the_end_of_a_display_waits_for_a_slow_reader() -> None:
    """All of the backlog arrives, though the reader takes it in small pieces; nothing counts as unread."""
    reader, writer = full_pipe()
    sink = Sink(os.fdopen(writer, "w"), {})
    sink.write(b"the end\n" * 1000)
    read = io.BytesIO()

    def read_slowly() -> None:
        while data := os.read(reader, 8192):
            read.write(data)
            time.sleep(0.01)

    thread = threading.Thread(target=read_slowly, daemon=True)
    thread.start()
    sink.close(patience=1.0, longest=None)
    os.close(writer)
    thread.join(10)
    assert sink.unread == 0
    assert read.getvalue().endswith(b"the end\n" * 1000)
    os.close(reader)
