"""Work that is shared among copies of a process is the work of one, whatever becomes of the copies."""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from orchestrator.process.shared_work import share


def _doers(things: Sequence[int]) -> list[tuple[int, int]]:
    return [(thing, os.getpid()) for thing in things]


@pytest.mark.parametrize(("count", "processes"), [(0, 1), (19, 1), (20, 2), (31, 3), (100, 4)])
def test_what_is_made_comes_in_order_from_so_many_processes(count: int, processes: int) -> None:
    """Each process has at least ten things to do, and no more processes than four do them."""
    made = share(range(count), _doers, 10, processes=4)
    assert [thing for thing, _ in made] == list(range(count))
    assert len({pid for _, pid in made}) == (processes if count else 0)


@pytest.mark.parametrize("end", ["raises", "is killed", "ends", "makes what can't be sent"])
def test_what_a_copy_could_not_do_is_done_here(end: str) -> None:
    """However it failed: nothing is left out, and nothing twice."""
    here = os.getpid()

    def work(things: Sequence[int]) -> list[object]:
        if os.getpid() != here:
            if end == "raises":
                raise ValueError
            if end == "is killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if end == "ends":
                os._exit(3)
            return [lambda: None for _ in things]
        return list(things)

    assert share(range(40), work, 10, processes=4) == list(range(40))


def test_what_the_work_raises_is_raised_and_no_process_is_left() -> None:
    """Its own part's error, while the copies still work, and an error of a copy's part."""
    here = os.getpid()

    def raising(things: Sequence[int]) -> list[int]:
        if os.getpid() != here:
            signal.pause()
        raise KeyError(things[0])

    with pytest.raises(KeyError, match="0"):
        share(range(40), raising, 10, processes=4)

    def with_a_bad_thing(things: Sequence[int]) -> list[float]:
        return [1 / (thing - 25) for thing in things]

    with pytest.raises(ZeroDivisionError):
        share(range(40), with_a_bad_thing, 10, processes=4)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_process_with_threads_does_it_alone() -> None:
    """A copy would have their locks and not them."""
    go_on = threading.Event()
    other = threading.Thread(target=go_on.wait)
    other.start()
    try:
        assert {pid for _, pid in share(range(40), _doers, 10, processes=4)} == {os.getpid()}
    finally:
        go_on.set()
        other.join()


def test_a_copy_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """Neither what the work prints nor what this process has not flushed yet is there twice."""
    here = os.getpid()

    def printing(things: Sequence[int]) -> list[int]:
        for file in (sys.__stdout__, sys.__stderr__):
            print("copy" if os.getpid() != here else "own", file=file, flush=True)
        return list(things)

    print("before", end=" ", file=sys.__stdout__)
    share(range(40), printing, 10, processes=4)
    assert capfd.readouterr() == ("before own\n", "own\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_copy_where_it_is(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From its first moment on: what surrounds the work is unwound by this process alone, and is not a copy's."""
    here, fork, unwound = os.getpid(), os.fork, tmp_path / "unwound"

    def forked() -> int:
        pid = fork()
        if pid == 0:
            os.kill(os.getpid(), number)
        return pid

    monkeypatch.setattr(os, "fork", forked)
    before = signal.signal(number, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    try:
        assert share(range(40), list, 10, processes=4) == list(range(40))
    except BaseException:
        unwound.write_text("by a copy")
        raise
    finally:
        if os.getpid() != here:
            os._exit(1)
        signal.signal(number, before)
    assert not unwound.exists()


def test_an_interrupt_leaves_no_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that comes when a copy was just made, and nobody knows of it yet; a stopped copy is ended as well."""
    fork, pids = os.fork, []

    def forked() -> int:
        pid = fork()
        if pid:
            pids.append(pid)
            os.kill(pid, signal.SIGSTOP)
            os.kill(os.getpid(), signal.SIGINT)
        return pid

    owner = os.fork()  # of one thread, as the program is: another one of the tests' would get the signal
    if owner == 0:
        code = 1
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            monkeypatch.setattr(os, "fork", forked)
            with suppress(KeyboardInterrupt):
                share(range(20), list, 10, processes=2)
                code = 2
            os.kill(pids[0], signal.SIGKILL)
        except ProcessLookupError:
            code = 0 if code == 1 and len(pids) == 1 else code
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(owner, 0)[1]) == 0


def test_a_copy_ends_soon_after_its_owner() -> None:
    """Whoever killed it: what it had in hand is done, and nothing after that."""
    reading, writing = os.pipe()
    owner = os.fork()
    if owner == 0:

        def reporting(things: Sequence[int]) -> list[int]:
            for _ in things:
                os.write(writing, b".")
                time.sleep(0.01)
            return list(things)

        with suppress(BaseException):
            share(range(2000), reporting, 10, processes=2)
        os._exit(1)
    os.close(writing)
    with open(reading, "rb", buffering=0) as told:
        assert told.read(1)
        os.kill(owner, signal.SIGKILL)
        os.waitpid(owner, 0)
        after = b"".join(iter(lambda: told.read(100), b""))
    assert len(after) < 500


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing tells a stopped process of its owner's end")
def test_a_stopped_copy_outlives_no_owner() -> None:
    """It would keep the locks that it has of its owner, and nobody knows of it any more."""
    reading, writing = os.pipe()
    owner = os.fork()
    if owner == 0:
        itself = os.getpid()

        def stopping(things: Sequence[int]) -> list[int]:
            if os.getpid() == itself:
                signal.pause()
            os.write(writing, f"{os.getpid()}\n".encode())
            os.kill(os.getpid(), signal.SIGSTOP)
            return [thing for thing in things if thing]

        with suppress(BaseException):
            share(range(20), stopping, 10, processes=2)
        os._exit(1)
    os.close(writing)
    with open(reading, "rb", buffering=0) as told:
        copy = int(told.readline())
        time.sleep(0.1)  # it is stopped now
        os.kill(owner, signal.SIGKILL)
        os.waitpid(owner, 0)
        ended = bool(select.select([told], [], [], 20.0)[0])
    if not ended:
        os.kill(copy, signal.SIGKILL)
    assert ended


def test_a_copy_ends_whose_answer_nobody_reads() -> None:
    """Its owner was killed while much of it, more than a pipe holds, was on its way."""
    reading, writing = os.pipe()
    owner = os.fork()
    if owner == 0:
        here = os.getpid()

        def much(things: Sequence[int]) -> list[bytes]:
            if os.getpid() == here:
                signal.pause()
            os.write(writing, b".")
            return [b"x" * (1 << 20)]

        with suppress(BaseException):
            share(range(20), much, 10, processes=2)
        os._exit(1)
    os.close(writing)
    with open(reading, "rb", buffering=0) as held:
        assert held.read(1)
        time.sleep(0.1)  # it writes now
        os.kill(owner, signal.SIGKILL)
        os.waitpid(owner, 0)
        assert select.select([held], [], [], 10)[0]


@pytest.mark.parametrize("lacking", ["pipe", "fork"])
def test_what_there_can_be_no_copy_for_is_done_here(lacking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no descriptor or no process is left, after the first copy."""
    made, left = getattr(os, lacking), [1]

    def scarce() -> object:
        if not left:
            raise OSError(errno.EMFILE, "none is left")
        left.pop()
        return made()

    monkeypatch.setattr(os, lacking, scarce)
    assert share(range(40), list, 10, processes=4) == list(range(40))
    assert not left


def test_who_ignores_the_ends_of_processes_has_all_done() -> None:
    """A shell may have been told so (``trap '' CHLD``): the system tells nothing of how a copy ended then."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert share(range(40), list, 10, processes=4) == list(range(40))
    finally:
        signal.signal(signal.SIGCHLD, before)
