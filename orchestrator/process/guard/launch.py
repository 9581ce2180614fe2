"""Start one command as a stage sees it: own session, exact environment, nothing inherited but its output."""

from __future__ import annotations

import errno
import marshal
import posix

from . import signals

TYPE_CHECKING = False  # as typing has it, without its import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn, Protocol
else:
    Protocol = object

DEFAULT_PATH = b"/usr/bin:/bin"  # where the environment has no PATH; glibc's confstr(_CS_PATH) less "."
Failure = tuple[str, int, str]
"""Reason (``not-found``, ``not-executable``, ``bad-cwd``, ``failed``), error number, and what more is known."""
_S_IFMT, _S_IFDIR = 0o170000, 0o040000


class Launched:
    """The pid of the command's process, and why it could not become the command (None when it did)."""

    def __init__(self, pid: int, failure: Failure | None) -> None:
        self.pid = pid
        self.failure = failure


class Program(Protocol):
    """A program that this process holds loaded, so that a command which calls it need not be executed."""

    def is_ready(self) -> bool:
        """Load what the program has been found to need; tell whether copies of this process may still be made."""

    def is_called_by(self, argv: list[bytes]) -> bool:
        """Tell whether a command calls the program."""

    def run(self, argv: list[bytes], env: dict[bytes, bytes]) -> NoReturn:
        """Be the program, in a fresh process with standard descriptors, folder and signals as after an ``execve``.

        Descriptors above those are this process's to close. Ends the process.
        """


def launch(
    argv: list[bytes],
    cwd: bytes,
    env: dict[bytes, bytes],
    output: int,
    program: Program | None,
    await_word: Callable[[int, int], None],
) -> Launched:
    """Fork and execute ``argv`` in ``cwd`` with exactly ``env``; stdout and stderr go to ``output``.

    A command that calls ``program`` is carried out by the forked process itself. Returns when the command has begun
    or failed to; a failed process still has to be reaped. ``await_word`` waits until that can be read: it gets the
    process and the descriptor. Raises OSError when no process can be made.
    """
    reading, writing = posix.pipe()
    pid = posix.fork()
    if pid == 0:
        _become(argv, cwd, env, output, writing, program)
    posix.close(writing)
    said, more = b"", b"."
    while more:
        await_word(pid, reading)
        more = posix.read(reading, 4096)
        said += more
    posix.close(reading)
    return Launched(pid, marshal.loads(said) if said else None)  # noqa: S302  (written by _become)


def _become(
    argv: list[bytes], cwd: bytes, env: dict[bytes, bytes], output: int, errors: int, program: Program | None
) -> None:
    try:
        failure = _prepare(cwd, output)
        if failure is None:
            if program is not None and program.is_called_by(argv):
                program.run(argv, env)
            failure = _execute(argv, env)
    except BaseException as error:  # whatever it was, this process must not return to the reaper's loop
        failure = ("failed", getattr(error, "errno", None) or 0, str(error))
    try:
        posix.write(errors, marshal.dumps(failure))
    finally:
        posix._exit(127)


def _prepare(cwd: bytes, output: int) -> Failure | None:
    posix.setsid()
    signals.default_all()
    posix.dup2(posix.open("/dev/null", posix.O_RDONLY), 0)
    posix.dup2(output, 1)
    posix.dup2(output, 2)
    try:
        posix.chdir(cwd)
    except OSError as error:
        return ("bad-cwd", error.errno or 0, "")
    return None


def _execute(argv: list[bytes], env: dict[bytes, bytes]) -> Failure:
    if not argv or not argv[0]:
        return ("not-found", errno.ENOENT, "the command is empty")
    name = argv[0]
    if b"/" in name:
        return _try(name, argv, env) or ("not-found", errno.ENOENT, "")
    worst: Failure = ("not-found", errno.ENOENT, "")
    for folder in env.get(b"PATH", DEFAULT_PATH).split(b":"):
        failure = _try((folder or b".") + b"/" + name, argv, env, searching=True)
        if failure is not None and failure[0] == "failed":
            return failure
        worst = failure or worst
    return worst


def _try(path: bytes, argv: list[bytes], env: dict[bytes, bytes], *, searching: bool = False) -> Failure | None:
    try:
        posix.execve(path, argv, env)
    except OSError as error:
        number = error.errno or 0
    if number in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
        kind = _kind(path)
        if kind is None or (searching and kind == _S_IFDIR):
            return None
        return ("not-executable", number, "it is a folder" if kind == _S_IFDIR else "")
    return ("not-executable" if number == errno.ENOEXEC else "failed", number, "")


def _kind(path: bytes) -> int | None:
    try:
        return posix.stat(path).st_mode & _S_IFMT
    except OSError:
        return None
