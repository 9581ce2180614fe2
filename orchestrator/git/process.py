"""One git at work, which reads, writes nothing and starts nothing else; its output comes by pipes.

``posix_spawn`` because ``subprocess`` takes 4 ms to import and each of its starts half a millisecond more.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from orchestrator.base.record import Record
from orchestrator.base.signals import SIGKILL, SIGPIPE, SIGXFSZ
from orchestrator.git.environment import OPTIONS, git_environ

_CHUNK = 1 << 16
NO_GIT = "git is not on PATH"

ASKED_BYTES = 4096
"""What every pipe holds without a reader (pipe(7): a page where a user has many)."""

_PIPE_BYTES = 1 << 20
"""What Linux lets anybody ask for (``/proc/sys/fs/pipe-max-size``)."""

_IGNORED_BY_PYTHON = (SIGPIPE, SIGXFSZ)
"""Signals that this interpreter ignores, and a program that it starts should not."""


class GitAnswer(Record):
    """What a git that has ended said: its exit code, negative after a signal, and what stood on its two outputs."""

    code: int
    output: bytes
    complaint: bytes


class GitProcess:
    """A git that was started. It is to be ended, or asked for its answer, which ends it."""

    def __init__(self, pid: int, output: int, complaint: int) -> None:
        self._pid = pid
        self._output = output
        self._complaint = complaint

    @classmethod
    def start(
        cls,
        folder: str,
        command: Sequence[str],
        environ: Mapping[str, str],
        *,
        paths: Sequence[str] | None = (".",),
        work_tree: str | None = None,
        settings: Iterable[tuple[str, str]] = (),
        asked: bytes = b"",
    ) -> GitProcess:
        """Start git in ``folder``, on what lies below ``paths`` from there. Raises OSError when it can't be started.

        ``environ`` is the caller's (``environment.git_environ`` says what reaches git), ``settings`` are names
        and values that hold besides; ``paths`` None for a command that takes none. ``work_tree`` is where the
        files are, whatever ``core.worktree`` says. ``asked`` is what git reads, at most ``ASKED_BYTES``.
        """
        env = git_environ(environ, settings)
        place = () if work_tree is None else (f"--work-tree={work_tree}",)
        limit = () if paths is None else ("--", *paths)
        pipes: list[int] = []
        try:
            pipes += os.pipe()
            pipes += os.pipe()
            output, written_output, complaint, written_complaint = pipes
            if asked:
                pipes.append(_holding(asked))
            actions: list[tuple[str | int, ...]] = [
                (os.POSIX_SPAWN_DUP2, pipes[4], 0) if asked else (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, written_output, 1),
                (os.POSIX_SPAWN_DUP2, written_complaint, 2),
            ]
            pid = _spawn(["git", *OPTIONS, "-C", folder, *place, *command, *limit], env, actions)
        except BaseException:
            for fd in pipes:
                os.close(fd)
            raise
        for fd in (written_output, written_complaint, *pipes[4:]):
            os.close(fd)
        _widen(output)
        return cls(pid, output, complaint)

    def answer(self, timeout_seconds: float) -> GitAnswer:
        """Return what git says, once it has ended. Raises TimeoutError when it has not in time: then it is ended."""
        if self._output < 0:
            raise TimeoutError("git was ended before it could answer")
        until = time.monotonic() + timeout_seconds
        said = {self._output: bytearray(), self._complaint: bytearray()}
        poll = select.poll()
        for fd in said:
            poll.register(fd, select.POLLIN)
        try:
            waiting = len(said)
            while waiting:
                left = until - time.monotonic()
                ready = poll.poll(max(left, 0.0) * 1000)
                if not ready:
                    raise TimeoutError(f"git did not answer within {timeout_seconds:g} s")
                for fd, _ in ready:
                    data = os.read(fd, _CHUNK)
                    said[fd] += data
                    if not data:
                        poll.unregister(fd)
                        waiting -= 1
            output, complaint = said.values()
            return GitAnswer(self._wait(), bytes(output), bytes(complaint))
        finally:
            self.end()

    def end(self) -> None:
        """Kill git if it still works, and forget it; harmless when repeated."""
        if self._pid:
            os.kill(self._pid, SIGKILL)
            self._wait()
        for fd in (self._output, self._complaint):
            if fd >= 0:
                os.close(fd)
        self._output = self._complaint = -1

    def _wait(self) -> int:
        pid, self._pid = self._pid, 0
        try:
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        except ChildProcessError:  # someone else has waited for it
            return 0


def _holding(data: bytes) -> int:
    """Return the end of a pipe from which ``data``, and nothing else, is read: as much as any pipe holds."""
    if len(data) > ASKED_BYTES:
        raise ValueError(f"{len(data)} bytes are more than git can be asked")
    reading, writing = os.pipe()
    try:
        os.write(writing, data)
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    return reading


def _widen(pipe: int) -> None:
    """Let git write all that it says and end, also while nobody reads; Linux can."""
    size = getattr(fcntl, "F_SETPIPE_SZ", None)
    if size is not None:
        with suppress(OSError):  # a user may have only so much of it
            fcntl.fcntl(pipe, size, _PIPE_BYTES)


def _spawn(argv: list[str], env: Mapping[str, str], actions: list[tuple[str | int, ...]]) -> int:
    """Start the program ``argv[0]`` that is found on the PATH of ``env``; return its process id. Raises OSError."""
    program = found_on_path(argv[0], env)
    if program is None:
        raise FileNotFoundError(errno.ENOENT, NO_GIT)
    return os.posix_spawn(program, argv, env, file_actions=actions, setsigdef=_IGNORED_BY_PYTHON)


def why_no_answer(error: OSError) -> str:
    """Return in words why a git could not be started, or did not answer: what ``GitProcess`` raised."""
    if error.strerror is None:  # a TimeoutError in words of ours
        return str(error)
    return error.strerror if error.strerror == NO_GIT else f"git can't be started: {error.strerror}"


def why_not_started(environ: Mapping[str, str]) -> str:
    """Return why no git can be started, empty where one can; ``environ`` is the caller's."""
    try:
        GitProcess.start("/", ("version",), environ, paths=None).end()
    except OSError as error:
        return why_no_answer(error)
    return ""


def found_on_path(name: str, environ: Mapping[str, str]) -> str | None:
    """Return the program of that name on the PATH of ``environ``, None where there is none.

    Only folders by absolute paths are looked at: a relative one would be the folder that somebody works in.
    """
    for folder in environ.get("PATH", os.defpath).split(os.pathsep):  # os.get_exec_path loads warnings for bytes
        program = os.path.join(folder, name)
        if folder.startswith("/") and os.access(program, os.X_OK) and os.path.isfile(program):
            return program
    return None
