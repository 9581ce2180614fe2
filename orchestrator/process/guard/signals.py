"""Signals, from the C half of ``signal``: its Python half makes enums, which takes as long as the whole guard."""

from __future__ import annotations

import posix

TYPE_CHECKING = False  # as typing has it, without its import
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal

KILL = signal.SIGKILL
TERM = signal.SIGTERM
CONT = signal.SIGCONT


IGNORED = (
    *(signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGPIPE),
    *(signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU),
)
"""What people, shells and job control send to a process that they want to end or to wait."""


def ignore_usual() -> None:
    """Ignore the signals of ``IGNORED``, and block none."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def default_all() -> None:
    """Let every signal do what it does by default, and block none, as a fresh command expects it."""
    signal.set_wakeup_fd(-1)
    for number in range(1, signal.NSIG):
        if signal.getsignal(number) == signal.SIG_IGN:  # handlers end with exec, what is ignored stays ignored
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def wake_on_child_end(fd: int) -> None:
    """Let a byte be written to the non-blocking ``fd`` whenever a child ends."""
    signal.set_wakeup_fd(fd, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)


def send(pid: int, number: int) -> None:
    """Send a signal to a process that may be gone already, or may not be ours to signal."""
    try:  # noqa: SIM105  (no contextlib here)
        posix.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass
