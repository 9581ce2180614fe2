"""The owner's side of the guard: orders out, messages in."""

from __future__ import annotations

import _socket
import contextlib
import os
import select
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from orchestrator.process.guard import wire
from orchestrator.process.messages import Exited, GuardLost, Heard, Spawned, SpawnFailed
from orchestrator.process.spawn_errors import sentence

_BOOT = "import sys; sys.path.append(sys.argv[1]); from guard.main import main; main()"
_INTERPRETER = ("-I", "-S")  # no user's variables, no site-packages: half of an interpreter's start
_WITH_PACKAGES = ("-P",)  # as whatever calls a program of ours starts it
_LAST_RESORT_SECONDS = 1.0
_FLUSH_SECONDS = 0.01
_SEND_SECONDS = 0.2
_CLOSING_LOOK_SECONDS = 0.5

LOOK_SECONDS = 2.0
"""How often a guard is made to go on, in case that somebody has stopped it; to one that runs that is nothing."""

STOPPED_PATIENCE = 2.0
"""Seconds after a stage's end was due (its grace is over) that a guard may be stopped; then it is killed."""

SILENT_PATIENCE = 12.0
"""The same of a guard that runs: reapers and guard may take some 6 s each for what can't be killed."""


class GuardClient:
    """A run's guard process. It outlives its owner by the milliseconds that it takes to kill what runs.

    Not safe for threads. A process that this one forks without executing another program must call
    nothing here, and keeps the guard alive for as long as it lives.
    """

    def __init__(self, sock: _socket.socket, life: int, pid: int) -> None:
        self._sock = sock
        self._life = life
        self._pid = pid
        self._inbox = wire.Inbox()
        self._lost = False
        self._asked: dict[int, tuple[str, str]] = {}
        self._outbox: deque[tuple[bytes, int | None]] = deque()
        self._due: dict[int, float] = {}
        self._look_at = 0.0

    @classmethod
    def start(
        cls,
        *,
        keep_fds: Sequence[int] = (),
        subreaper: bool = True,
        program: str | None = None,
        make: Callable[[int, str, str | None], int] | None = None,
    ) -> GuardClient:
        """Start a guard and return without waiting for it.

        ``program`` names the module of a program that the guard is to hold loaded (``guard.launch.Program``);
        ``make`` makes the process where it is not executed (``copied_guard.copy_guard``).

        ``keep_fds`` (a locked file's, say) stay open until every process of the run is gone. With
        ``subreaper`` False, trees are found as on systems without one. Raises OSError when the
        process cannot be made.
        """
        ours, theirs = _socket.socketpair()
        if theirs.fileno() < 3:  # stdin was closed: keep clear of the descriptors that the guard's are put on
            theirs = _socket.socket(fileno=_above_standard(theirs.detach()))
        try:
            pid = (make or _start)(theirs.fileno(), "subreaper" if subreaper else "ps", program)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        # Guard and reapers hold the other end, and no command does: when it closes, all of them have ended.
        life, held = os.pipe()
        guard = cls(ours, life, pid)
        for fd in (*keep_fds, held):
            guard.adopt_keep_fd(fd)
        os.close(held)
        return guard

    def fileno(self) -> int:
        """Return a descriptor that is readable when ``messages`` has something, and after GuardLost."""
        return self._sock.fileno()

    def spawn(self, key: int, argv: Sequence[str], *, cwd: str, env: Mapping[str, str], output_fd: int) -> None:
        """Start a command; see ``ProcessHost.spawn``."""
        self._asked[key] = (argv[0] if argv else "", cwd)
        try:
            words = [os.fsencode(word) for word in argv]
            variables = {os.fsencode(name): os.fsencode(value) for name, value in env.items()}
            message: wire.Message = ("spawn", key, words, os.fsencode(cwd), variables)
        except UnicodeEncodeError as error:
            self._send(("echo", ("failed", key, "failed", 0, str(error))))
            return
        self._send(message, output_fd)

    def terminate(self, key: int, *, grace_seconds: float) -> None:
        """End one stage's tree; see ``ProcessHost.terminate``."""
        self._expect_end(key, grace_seconds)
        self._send(("terminate", key, float(grace_seconds)))

    def terminate_all(self, *, grace_seconds: float) -> None:
        """End every stage's tree; see ``ProcessHost.terminate``."""
        for key in self._asked:
            self._expect_end(key, grace_seconds)
        self._send(("terminate", None, float(grace_seconds)))

    def adopt_keep_fd(self, fd: int) -> None:
        """Hold a descriptor open until every process of the run is gone; the caller may close its copy."""
        self._send(("keep",), fd)

    def watch(self) -> float | None:
        """Let a guard that somebody stopped go on, kill one that can't be moved; see ``ProcessHost.watch``."""
        if self._lost or not (self._asked or self._outbox):
            return None
        now = time.monotonic()
        self._flush()
        if now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            self._signal(signal.SIGCONT)
        due = min(self._due.values(), default=None)
        late = 0.0 if due is None else now - due
        if late > SILENT_PATIENCE or (late > STOPPED_PATIENCE and _is_stopped(self._pid)):
            self._due.clear()
            self._signal(signal.SIGKILL)
        return min(self._look_at - now, _FLUSH_SECONDS if self._outbox else LOOK_SECONDS)

    def messages(self) -> list[Heard]:
        """Return what has been heard since the last call, without waiting."""
        if self._lost:
            return []
        connected = True
        try:
            while connected:
                connected = self._inbox.receive(self._sock, _socket.MSG_DONTWAIT)
        except BlockingIOError:
            pass
        heard = [found for message in self._inbox.messages() if (found := self._understood(message)) is not None]
        if not connected and not self._lost:
            heard.append(self._loss(_ending(self._reap(time.monotonic() + _LAST_RESORT_SECONDS))))
        return heard

    def close(self, *, timeout_seconds: float) -> int:
        """Kill what is left and wait until it and the guard are gone; return the number of processes killed.

        What has been heard and not read is dropped. After the timeout the guard itself is killed, and its
        reapers kill what they can. A second call does nothing and returns 0.
        """
        if self._life < 0:
            return 0
        until = time.monotonic() + timeout_seconds
        killed = self._say_goodbye(until)
        self._await_silence(until)
        if self._pid and self._reap(until) is None:
            self._signal(signal.SIGKILL)
            self._reap(time.monotonic() + _LAST_RESORT_SECONDS)
            _readable(self._life, time.monotonic() + _LAST_RESORT_SECONDS)
        self._drop_outbox()
        self._sock.close()
        os.close(self._life)
        self._life = -1
        self._lost = True
        return killed

    def _say_goodbye(self, until: float) -> int:
        if self._lost:
            return 0
        with contextlib.suppress(OSError):
            self._sock.shutdown(_socket.SHUT_WR)
        while self._moving(self._sock.fileno(), until) and self._inbox.receive(self._sock):
            for message in self._inbox.messages():
                if message[0] == "closed":
                    return int(message[1])
        return 0

    def _await_silence(self, until: float) -> None:
        """Wait until no process of the run is left to hold the other end of the pipe."""
        self._moving(self._life, until)

    def _moving(self, fd: int, until: float) -> bool:
        """Wait until ``fd`` is readable; a guard that is stopped meanwhile is made to go on, and killed if it can't."""
        stopped_since: float | None = None
        while True:
            now = time.monotonic()
            if self._pid:
                self._signal(signal.SIGCONT)
                stopped_since = (stopped_since or now) if _is_stopped(self._pid) else None
                if stopped_since is not None and now > stopped_since + STOPPED_PATIENCE:
                    self._signal(signal.SIGKILL)
            if _readable(fd, min(until, now + _CLOSING_LOOK_SECONDS)):
                return True
            if now >= until:
                return False

    def _signal(self, number: int) -> None:
        if self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, number)

    def _expect_end(self, key: int, grace_seconds: float) -> None:
        if key in self._asked:
            due = time.monotonic() + grace_seconds
            self._due[key] = min(due, self._due.get(key, due))

    def _forget(self, key: int) -> tuple[str, str]:
        self._due.pop(key, None)
        return self._asked.pop(key, ("", ""))

    def _send(self, message: wire.Message, fd: int | None = None) -> None:
        """Send an order, or keep it until the guard takes it: one that is stopped must not stop its owner."""
        if self._lost:
            return
        # A large environment takes some rounds; a guard that takes nothing is not waited for a second time.
        until = 0.0 if self._outbox else time.monotonic() + _SEND_SECONDS
        self._outbox.append((wire.frame(message), None if fd is None else os.dup(fd)))
        self._flush()
        while self._outbox and (left := until - time.monotonic()) > 0:
            poll = select.poll()
            poll.register(self._sock, select.POLLOUT)
            poll.poll(left * 1000)
            self._flush()

    def _flush(self) -> None:
        while self._outbox:
            data, fd = self._outbox[0]
            rights = [] if fd is None else [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fd.to_bytes(4, sys.byteorder))]
            try:
                sent = self._sock.sendmsg([data], rights, _socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except (BrokenPipeError, ConnectionResetError):  # it has ended: ``messages`` says so
                self._drop_outbox()
                return
            if fd is not None:
                os.close(fd)
            if sent < len(data):
                self._outbox[0] = (data[sent:], None)
            else:
                self._outbox.popleft()

    def _drop_outbox(self) -> None:
        for _, fd in self._outbox:
            if fd is not None:
                os.close(fd)
        self._outbox.clear()

    def _understood(self, message: wire.Message) -> Heard | None:
        kind, rest = message[0], message[1:]
        if kind == "spawned":
            return Spawned(*rest)
        if kind == "failed":
            key, reason, number, more = rest
            return SpawnFailed(key, reason, sentence(*self._forget(key), reason, number, more))
        if kind == "exited":
            key, status, cpu, rss, swept, survivors, _ = rest
            self._forget(key)
            return Exited(key, *_split(status), cpu, rss, swept, survivors)
        if kind == "lost":
            return self._loss(f"the guard process broke: {rest[0]}")
        return None

    def _loss(self, detail: str) -> GuardLost:
        self._lost = True
        return GuardLost(detail)

    def _reap(self, until: float) -> int | None:
        """Return the guard's wait status once it has ended, or None when it has not in time."""
        while True:
            try:
                pid, status = os.waitpid(self._pid, os.WNOHANG)
            except ChildProcessError:  # someone else has waited for it
                pid, status = self._pid, 0
            if pid:
                self._pid = 0
                return status
            if time.monotonic() >= until:
                return None
            time.sleep(0.0005)


def _start(sock: int, trees: str, program: str | None) -> int:
    folder = os.path.dirname(os.path.abspath(__file__))
    words, options = ((), _INTERPRETER) if program is None else ((program,), _WITH_PACKAGES)
    argv = [sys.executable, *options, "-c", _BOOT, folder, trees, *words]
    return os.posix_spawn(
        sys.executable,
        argv,
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_DUP2, sock, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            # A broken guard is heard of over the socket; the user's terminal or pipe is not its to hold.
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ],
        setsigmask=signal.valid_signals(),  # until it has left the terminal's session, a Ctrl-C would hit it
    )


def _is_stopped(pid: int) -> bool:
    """Tell whether a process is stopped (proc(5), state T); False where that can't be known."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] in (b"T", b"t")
    except (OSError, IndexError):
        return False


def _above_standard(fd: int) -> int:
    import fcntl

    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(fd)
    return moved


def _readable(fd: int, until: float) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(max(until - time.monotonic(), 0.0) * 1000))


def _split(status: int) -> tuple[int | None, str | None]:
    code = os.waitstatus_to_exitcode(status)
    return (code, None) if code >= 0 else (None, signal_name(-code))


def signal_name(number: int) -> str:
    """Return a signal's name, as ``SIGKILL``; a real-time signal without a name is ``SIG`` and its number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"


def _ending(status: int | None) -> str:
    if status is None:
        return "the guard process no longer answers"
    code, name = _split(status)
    return f"the guard process was ended by {name}" if name else f"the guard process ended with exit code {code}"
