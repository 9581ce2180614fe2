"""The parts of the guard that start nothing: frames, tables of processes, sentences; and the fake host."""

from __future__ import annotations

import errno
import os
import selectors
import socket
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.process import Exited, GuardLost, Heard, ProcessHost, Spawned, SpawnFailed, SpawnFault
from orchestrator.process.client import signal_name
from orchestrator.process.guard import wire
from orchestrator.process.guard.tree import GroupTree, parse_ps
from orchestrator.process.spawn_errors import sentence
from tests.fake_processes import FakeHost, FakeSelector, Script
from tests.records import FakeClock

_VALUES = st.none() | st.integers() | st.text() | st.binary() | st.floats(allow_nan=False) | st.lists(st.binary())


@given(st.lists(st.lists(_VALUES).map(tuple)), st.lists(st.integers(1, 40)))
def test_messages_come_out_as_they_went_in_however_they_were_cut(messages: list[Any], cuts: list[int]) -> None:
    """Frames joined and cut anywhere give the same messages in the same order."""
    data = b"".join(wire.frame(message) for message in messages)
    inbox, found = wire.Inbox(), []
    for cut in cuts:
        inbox.feed(data[:cut])
        data = data[cut:]
        found += inbox.messages()
    inbox.feed(data)
    assert found + inbox.messages() == messages


def test_descriptors_arrive_in_order_and_are_not_inheritable() -> None:
    """A descriptor travels with its message and does not leak into what is started later."""
    here, there = socket.socketpair()
    files = [os.open(os.devnull, os.O_RDONLY), os.open("/", os.O_RDONLY)]
    for number, fd in enumerate(files):
        wire.send(here, ("keep", number), fd)
    here.shutdown(socket.SHUT_WR)
    inbox = wire.Inbox()
    while inbox.receive(there):
        pass
    assert inbox.messages() == [("keep", 0), ("keep", 1)]
    assert [os.path.sameopenfile(*pair) for pair in zip(files, inbox.fds, strict=True)] == [True, True]
    assert not any(os.get_inheritable(fd) for fd in inbox.fds)
    for fd in files + inbox.fds:
        os.close(fd)
    here.close()
    there.close()


def test_a_peer_that_is_gone_is_an_end_and_a_silent_one_is_not() -> None:
    """Nothing to read and nobody to read from are told apart."""
    here, there = socket.socketpair()
    inbox = wire.Inbox()
    with pytest.raises(BlockingIOError):
        inbox.receive(there, socket.MSG_DONTWAIT)
    there.send(b"unread")
    here.close()
    assert inbox.receive(there, socket.MSG_DONTWAIT) is False
    there.close()


def test_ps_table_is_read_on_linux_and_macos() -> None:
    """Rows of both systems' ps are read; the process that listed them, and noise, are left out."""
    text = (
        "    1     0     1 Ss   Sun Nov 22 08:43:05 2026\n"
        "  512     1   512 S+   So 22 Nov 08:43:05 2026    \n"
        "  600     1   600 R    Sun Nov 22 08:43:06 2026\n"
        "ps: noise\n"
    )
    assert parse_ps(text, besides=600) == [
        (1, (0, 1, "Ss", "Sun Nov 22 08:43:05 2026")),
        (512, (1, 512, "S+", "So 22 Nov 08:43:05 2026")),
    ]


def test_a_table_from_macos_is_read() -> None:
    """As its ps prints it in the C locale (macOS 15 and 26): states of several letters, padded days, zombies."""
    text = (
        "    1     0     1 Ss   Wed Jul 29 15:37:10 2026    \n"
        "  412     1   412 S<s  Sat Aug  1 09:05:00 2026    \n"
        "80001   412   412 ?E   Tue Sep 15 23:54:57 2026    \n"
        "80002   412 80002 Z    Tue Sep 15 23:54:57 2026    \n"
        "80003   412   412 U+   Tue Sep 15 23:54:58 2026    \n"
    )
    assert parse_ps(text) == [
        (1, (0, 1, "Ss", "Wed Jul 29 15:37:10 2026")),
        (412, (1, 412, "S<s", "Sat Aug  1 09:05:00 2026")),
        (80001, (412, 412, "?E", "Tue Sep 15 23:54:57 2026")),
        (80002, (412, 80002, "Z", "Tue Sep 15 23:54:57 2026")),
        (80003, (412, 412, "U+", "Tue Sep 15 23:54:58 2026")),
    ]
    assert sorted(GroupTree(412, lambda: parse_ps(text)).members()) == [412, 80001, 80003]


class Table:
    """A table of processes that a test changes."""

    def __init__(self) -> None:
        self.rows: dict[int, tuple[int, int, str, str]] = {}

    def __call__(self) -> list[tuple[int, tuple[int, int, str, str]]]:
        """Return the rows as ps would."""
        return list(self.rows.items())


def test_group_tree_knows_the_group_and_descendants_and_remembers_them() -> None:
    """Group members and descendants are found; one that was seen stays known when it has lost its parent."""
    table = Table()
    table.rows = {
        1: (0, 1, "S", "boot"),
        50: (1, 50, "S", "a"),
        51: (50, 50, "S", "a"),
        60: (51, 60, "S", "b"),  # a session of its own
        70: (1, 50, "S", "b"),  # an orphan of the group
        71: (51, 50, "Z", "b"),
        99: (1, 99, "S", "a"),
    }
    tree = GroupTree(50, table)
    assert sorted(tree.members()) == [50, 51, 60, 70]
    del table.rows[50], table.rows[51], table.rows[70]
    table.rows[60] = (1, 60, "S", "b")
    table.rows[61] = (60, 60, "S", "c")
    assert sorted(tree.members()) == [60, 61]


def test_group_tree_lets_a_stranger_with_a_known_pid_be() -> None:
    """A process that got the pid of one that is gone started at another time, and is none of ours."""
    table = Table()
    table.rows = {50: (1, 50, "S", "a"), 60: (50, 60, "S", "b")}
    tree = GroupTree(50, table)
    tree.note()
    table.rows = {60: (1, 60, "S", "later")}
    assert tree.members() == []


@pytest.mark.parametrize(
    ("command", "reason", "number", "more", "expected"),
    [
        ("tool", "not-found", errno.ENOENT, "", "'tool' was not found on the stage's PATH"),
        ("./tool", "not-found", errno.ENOENT, "", "'./tool' does not exist"),
        ("", "not-found", errno.ENOENT, "", "the command is empty"),
        ("x", "not-executable", errno.EIO, "", f"'x' can't be executed: {os.strerror(errno.EIO)}"),
        ("x", "failed", 0, "", "'x' could not be started: it could not be started"),
        ("x", "failed", errno.E2BIG, "[Errno 7] x", "'x' could not be started: Argument list too long"),
        (
            *("x", "failed", errno.EAGAIN, "[Errno 11] x"),
            "'x' could not be started: this user or machine has no more processes (see 'ulimit -u')",
        ),
        ("x\udcff", "failed", 0, "why", "'x\\udcff' could not be started: why"),
    ],
)
def test_sentences_can_be_printed_and_name_the_command(
    command: str, reason: SpawnFault, number: int, more: str, expected: str
) -> None:
    """Every fault reads as a sentence that can be written as UTF-8."""
    assert sentence(command, "/", reason, number, more) == expected
    assert sentence(command, "/", reason, number, more).encode()


def test_signals_have_names_even_those_that_python_does_not_name() -> None:
    """A signal's number becomes its name, or its number where there is none."""
    assert (signal_name(9), signal_name(15), signal_name(63)) == ("SIGKILL", "SIGTERM", "SIG63")


def drive(host: FakeHost, until: type[Heard], *, longest: float = 100.0) -> list[Heard]:
    """Wait for a message of that kind as the pipeline's loop does."""
    selector = FakeSelector(host)
    selector.register(host.fileno(), selectors.EVENT_READ)
    heard: list[Heard] = []
    while not any(isinstance(message, until) for message in heard):
        selector.select(longest)
        heard += host.messages()
    selector.close()
    return heard


def test_fake_host_tells_the_same_story_as_the_real_one() -> None:
    """The fake starts, prints, takes its time, fails to start, and is terminated, by a clock that is moved."""
    clock = FakeClock()
    scripts: dict[str, Script | Sequence[Script]] = {
        "tool": [Script(b"out", seconds=3.0, exit_code=4), Script(seconds=50, ignores_term=True)],
        "none": Script(fault="not-found"),
    }
    fake = FakeHost(clock, scripts)
    host: ProcessHost = fake
    reading, writing = os.pipe()
    host.spawn(1, ["tool"], cwd="/", env={}, output_fd=writing)
    os.close(writing)
    assert drive(fake, Exited) == [Spawned(1, 10_001), Exited(1, 4, None, 0.25, 1 << 20, 0)]
    assert (clock.monotonic(), os.read(reading, 9), os.read(reading, 9)) == (3.0, b"out", b"")
    os.close(reading)
    with open(os.devnull, "wb") as sink:
        host.spawn(2, ["none"], cwd="/", env={}, output_fd=sink.fileno())
        host.spawn(3, ["tool"], cwd="/", env={}, output_fd=sink.fileno())
    assert any(isinstance(message, SpawnFailed) for message in drive(fake, SpawnFailed))
    host.terminate_all(grace_seconds=5)
    assert drive(fake, Exited)[-1] == Exited(3, None, "SIGKILL", 0.25, 1 << 20, 0)
    assert clock.monotonic() == 8.0
    fake.lose("gone")
    assert drive(fake, GuardLost) == [GuardLost("gone")]
    assert host.close(timeout_seconds=1) == 0
