"""Copies of a process do one thing after another, whatever becomes of them or of their owner."""

from __future__ import annotations

import _socket
import errno
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from orchestrator.process import copies as module
from orchestrator.process.copies import Copies, may_be_copied

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux only")

Heard = list[tuple[tuple[Any, ...], tuple[Any, ...] | None]]
SECONDS = 20.0


def alone(body: Callable[[], None]) -> None:
    """Do something in a process of one thread, as the program is; what it raises fails the test."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.setsid()
            body()
            with suppress(ChildProcessError):
                raise AssertionError(f"a copy is left: {os.waitpid(-1, os.WNOHANG)}")
            code = 0
        except BaseException:
            os.write(writing, traceback.format_exc().encode()[-4000:])
        finally:
            os._exit(code)
    os.close(writing)
    with open(reading, "rb") as told:
        said = told.read().decode()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, said


def heard(copies: Copies, count: int) -> Heard:
    """Wait until so many things are done, or lost with their copies, and return them in that order."""
    found: Heard = []
    until = time.monotonic() + SECONDS
    while len(found) < count:
        poll = select.poll()
        for fileno in copies.filenos:
            poll.register(fileno, select.POLLIN)
        again = copies.watch()
        for fileno, _ in poll.poll(50 if again is None else min(again, 0.05) * 1000):
            answer = copies.hear(fileno)
            found += [] if answer is None else [answer]
        assert time.monotonic() < until, found
    return found


def done(copies: Copies, things: list[tuple[Any, ...]]) -> Heard:
    """Have all things done, as many at once as there are copies, and return what came of each."""
    found: Heard = []
    for thing in things:
        if not copies.are_free:
            found += heard(copies, 1)
        copies.give(thing)
    return found + heard(copies, len(things) - len(found))


def test_things_are_done_one_after_another_by_as_many_copies() -> None:
    """Each is answered once, by a copy of the process as it was; a copy that is free gets the next one."""

    def body() -> None:
        base = [10]
        copies = Copies(lambda thing: (thing + base[0], os.getpid()), 3)
        base[0] = 0
        found = done(copies, [(number,) for number in range(20)])
        assert sorted(thing[0] for thing, _ in found) == list(range(20))
        assert all(made is not None and made[0] == thing[0] + 10 for thing, made in found)
        pids = {made[1] for _, made in found if made is not None}
        assert len(copies.filenos) == 3
        assert os.getpid() not in pids
        assert 1 <= len(pids) <= 3
        assert copies.watch() is None
        copies.close()
        copies.close()
        assert not copies.filenos

    alone(body)


def test_nothing_made_is_an_answer_too() -> None:
    """A thing of which nothing was made leaves its copy free for the next one, as does a large answer in many parts."""

    def body() -> None:
        copies = Copies(lambda size: (b"x" * size,) if size else None, 1)
        sizes = (0, 1, 1 << 22, 0)
        assert done(copies, [(size,) for size in sizes]) == [
            ((size,), (b"x" * size,) if size else None) for size in sizes
        ]
        copies.close()

    alone(body)


@pytest.mark.parametrize("end", ["raises", "is killed", "ends", "makes what can't be sent"])
def test_a_copy_that_ends_has_made_nothing(end: str) -> None:
    """Its thing comes back without an answer, and the other copies go on; when none is left, none is free."""

    def work(thing: str) -> tuple[Any, ...]:
        if thing == "good":
            return (thing,)
        if end == "raises":
            raise ValueError
        if end == "is killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if end == "ends":
            os._exit(3)
        return (object(),)

    def body() -> None:
        copies = Copies(work, 2)
        assert done(copies, [("bad",)]) == [(("bad",), None)]
        assert len(copies.filenos) == 1
        assert done(copies, [("good",), ("good",)]) == [(("good",), ("good",))] * 2
        assert done(copies, [("bad",)]) == [(("bad",), None)]
        assert (len(copies.filenos), copies.are_free, copies.watch()) == (0, False, None)
        copies.close()

    alone(body)


def test_a_copy_that_dies_without_a_thing_is_forgotten() -> None:
    """Also one that has died when it is given a thing: that one comes back without an answer."""

    def body() -> None:
        copies = Copies(lambda *_: (os.getpid(),), 2)
        [(_, made)] = done(copies, [()])
        assert made is not None
        os.kill(made[0], signal.SIGKILL)
        os.waitid(os.P_PID, made[0], os.WEXITED | os.WNOWAIT)
        [(_, again)] = done(copies, [()])
        assert again is None
        [(_, other)] = done(copies, [()])
        assert other not in (None, made)
        assert other is not None
        os.kill(other[0], signal.SIGKILL)
        select.select(copies.filenos, [], [], SECONDS)
        assert copies.hear(copies.filenos[0]) is None
        assert (len(copies.filenos), copies.are_free) == (0, False)

    alone(body)


def test_a_copy_is_nobodys_terminal() -> None:
    """It leads a session, its standard descriptors lead nowhere, and stop signals end it where it stands.

    Of its owner's sockets to the copies it has none: the owner's end would go unnoticed.
    """

    def sockets() -> int:
        count = 0
        for fd in os.listdir("/proc/self/fd"):
            with suppress(OSError):  # the listing's own descriptor
                count += os.readlink(f"/proc/self/fd/{fd}").startswith("socket:")
        return count

    def look() -> tuple[Any, ...]:
        print("not seen", flush=True)
        paths = [os.readlink(f"/proc/self/fd/{fd}") for fd in range(3)]
        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        defaults = [handler == signal.SIG_DFL for handler in handlers]
        return os.getsid(0) == os.getpid(), paths, defaults, len(blocked), sockets(), signal.set_wakeup_fd(-1)

    def body() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        held = sockets()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        copies = Copies(lambda *_: look(), 2)
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
        for copy in (0, 1):
            copies.give((copy,))
        expected = (True, ["/dev/null"] * 3, [True, True, False], 0, held + 1, -1)
        assert [made for _, made in heard(copies, 2)] == [expected] * 2
        copies.close()

    alone(body)


def test_an_interrupt_from_the_terminal_is_the_owners_alone() -> None:
    """What a terminal sends to all of a process group passes by the copies, which go on."""

    def work(seconds: float) -> tuple[Any, ...]:
        time.sleep(seconds)
        return ("whole",)

    def body() -> None:
        copies = Copies(work, 2)
        for seconds in (0.0, 0.2):
            for _ in range(2):
                copies.give((seconds,))
            if not seconds:
                heard(copies, 2)  # both have begun
        with pytest.raises(KeyboardInterrupt):
            os.killpg(0, signal.SIGINT)
        assert [made for _, made in heard(copies, 2)] == [("whole",)] * 2
        copies.close()

    alone(body)


def test_a_stopped_copy_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who watches lets it go on, while it has something to do, again and again; an end needs no watch."""
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.05)

    def stop(times: int) -> tuple[Any, ...]:
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGSTOP)
        return ("gone on",)

    def body() -> None:
        copies = Copies(stop, 2)
        assert done(copies, [(2,), (1,), (0,)]).count(((2,), ("gone on",))) == 1
        copies.give((1,))
        assert copies.watch() is not None
        copies.close()

    alone(body)


@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("end", ["is killed", "closes"])
def test_copies_end_with_their_owner(end: str, stopped: bool) -> None:
    """Whoever killed it, or when it closes them: each at once, in the middle of its work, with what it has started."""
    reading, writing = os.pipe()
    owner = os.fork()
    if owner == 0:
        with suppress(BaseException):
            os.close(reading)

            def work() -> tuple[Any, ...]:
                os.set_inheritable(writing, True)
                os.posix_spawnp("sleep", ["sleep", "60"], os.environ)
                os.write(writing, b".")
                if stopped:
                    os.kill(os.getpid(), signal.SIGSTOP)
                time.sleep(60)
                return ()

            copies = Copies(work, 3)
            copies.give(())
            os.close(writing)
            if end == "closes":
                time.sleep(0.3)
                copies.close()
            signal.pause()
        os._exit(1)
    os.close(writing)
    try:
        assert os.read(reading, 1) == b"."
        if stopped:
            time.sleep(0.1)  # it is stopped now
        if end == "is killed":
            os.kill(owner, signal.SIGKILL)
        assert select.select([reading], [], [], SECONDS)[0]
        assert os.read(reading, 1) == b""
    finally:
        os.close(reading)
        os.kill(owner, signal.SIGKILL)
        os.waitpid(owner, 0)


def test_an_end_in_the_middle_of_things() -> None:
    """Who closes waits for no copy's thing, also where the ends of processes are ignored (``trap '' CHLD``)."""

    def body() -> None:
        for handler in (signal.SIG_DFL, signal.SIG_IGN):
            signal.signal(signal.SIGCHLD, handler)
            reading, writing = os.pipe()
            copies = Copies(lambda: signal.pause(), 2)
            copies.give(())
            os.close(writing)
            copies.close()
            assert select.select([reading], [], [], SECONDS)[0]
            assert os.read(reading, 1) == b""
            os.close(reading)

    alone(body)


@pytest.mark.parametrize("lacking", ["descriptor", "process"])
def test_fewer_copies_do_the_same(lacking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no descriptor or process is left, after the first copy; without any copy none is free."""
    place, name = (_socket, "socketpair") if lacking == "descriptor" else (os, "fork")

    def body() -> None:
        for left in (1, 0):
            made, count = getattr(place, name), [left]

            def scarce() -> object:
                if not count[0]:  # noqa: B023 -- called in this turn
                    raise OSError(errno.EAGAIN, "none is left")
                count[0] -= 1  # noqa: B023
                return made()  # noqa: B023

            held = len(os.listdir("/proc/self/fd"))
            with monkeypatch.context() as patched:
                patched.setattr(place, name, scarce)
                copies = Copies(lambda thing: (thing,), 3)
            assert (len(copies.filenos), copies.are_free) == (left, bool(left))
            if left:
                assert len(done(copies, [(1,), (2,)])) == 2
            copies.close()
            assert len(os.listdir("/proc/self/fd")) == held

    alone(body)


def test_what_may_be_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of one thread; one of several would lose the others, and without /proc nobody can tell."""

    def body() -> None:
        assert may_be_copied()
        with monkeypatch.context() as patched:
            patched.setattr(os, "listdir", lambda _: os.stat("/nonexistent"))
            assert not may_be_copied()
        import threading

        go_on = threading.Event()
        other = threading.Thread(target=go_on.wait)
        other.start()
        assert not may_be_copied()
        go_on.set()
        other.join()

    alone(body)
