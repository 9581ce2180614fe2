"""A guard that is started with the first command is one guard, and holds what it would have held from the start."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import pytest

from orchestrator.base.errors import StorageError
from orchestrator.process import Exited, Heard
from orchestrator.process.late_guard import LateGuard


class Noting:
    """A host that notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []
        self.held: list[int] = []

    def fileno(self) -> int:
        """Return some descriptor."""
        return 7

    def spawn(self, key: int, argv: Sequence[str], *, cwd: str, env: Mapping[str, str], output_fd: int) -> None:
        """Note a start."""
        self.asked.append(("spawn", key, *argv, cwd, dict(env), output_fd))

    def terminate(self, key: int, *, grace_seconds: float) -> None:
        """Note the end of one."""
        self.asked.append(("terminate", key, grace_seconds))

    def terminate_all(self, *, grace_seconds: float) -> None:
        """Note the end of all."""
        self.asked.append(("terminate all", grace_seconds))

    def watch(self) -> float | None:
        """Have something to mind."""
        return 3.0

    def messages(self) -> list[Heard]:
        """Have heard of an end."""
        return [Exited(1, 0, None, 0.0, 0, 0)]

    def adopt_keep_fd(self, fd: int) -> None:
        """Hold a duplicate."""
        self.held.append(os.dup(fd))

    def close(self, *, timeout_seconds: float) -> int:
        """Note the end."""
        self.asked.append(("close", timeout_seconds))
        return 2


@pytest.fixture
def made() -> list[Noting]:
    """Return the guards that were started."""
    return []


@pytest.fixture
def late(made: list[Noting]) -> LateGuard:
    """Return a guard that is started late."""

    def start() -> Noting:
        made.append(Noting())
        return made[-1]

    return LateGuard(start)


def test_nothing_is_started_for_what_needs_no_guard(late: LateGuard, made: list[Noting]) -> None:
    """Without a command there is nothing to end, to mind or to hear; a descriptor is given back with the end."""
    reading, writing = os.pipe()
    late.adopt_keep_fd(writing)
    os.close(writing)
    os.set_blocking(reading, False)
    late.terminate(1, grace_seconds=1.0)
    late.terminate_all(grace_seconds=1.0)
    assert (late.watch(), late.messages()) == (None, [])
    with pytest.raises(BlockingIOError):
        os.read(reading, 1)
    assert (late.close(timeout_seconds=1.0), late.close(timeout_seconds=1.0)) == (0, 0)
    assert (os.read(reading, 1), made) == (b"", [])
    os.close(reading)


def test_the_first_command_starts_the_one_guard(late: LateGuard, made: list[Noting]) -> None:
    """All is the guard's from then on, and it holds what it was to hold from the start, with what comes later."""
    early, other = os.pipe()
    late.adopt_keep_fd(early)
    late.spawn(1, ["a", "b"], cwd="/", env={"X": "y"}, output_fd=5)
    late.spawn(2, ["c"], cwd="/", env={}, output_fd=6)
    [guard] = made
    late.adopt_keep_fd(other)
    assert [os.fstat(fd).st_ino for fd in guard.held] == [os.fstat(fd).st_ino for fd in (early, other)]
    assert late.fileno() == guard.fileno()
    late.terminate(1, grace_seconds=1.0)
    late.terminate_all(grace_seconds=2.0)
    assert (late.watch(), late.messages(), late.close(timeout_seconds=4.0)) == (3.0, guard.messages(), 2)
    assert guard.asked == [
        ("spawn", 1, "a", "b", "/", {"X": "y"}, 5),
        ("spawn", 2, "c", "/", {}, 6),
        ("terminate", 1, 1.0),
        ("terminate all", 2.0),
        ("close", 4.0),
    ]
    assert len(made) == 1
    for fd in (early, other, *guard.held):
        os.close(fd)


def test_its_descriptor_needs_a_guard(late: LateGuard, made: list[Noting]) -> None:
    """Who waits for its messages is about to start a command."""
    assert (late.fileno(), len(made)) == (7, 1)


def test_a_guard_that_cannot_be_started() -> None:
    """The command's start says so, again with the next one; the end gives back what is held all the same."""

    def refuse() -> Noting:
        raise StorageError("no process can be started")

    late = LateGuard(refuse)
    reading, writing = os.pipe()
    late.adopt_keep_fd(writing)
    os.close(writing)
    for _ in range(2):
        with pytest.raises(StorageError, match="no process"):
            late.spawn(1, ["a"], cwd="/", env={}, output_fd=5)
    assert late.close(timeout_seconds=1.0) == 0
    assert os.read(reading, 1) == b""
    os.close(reading)
