"""What is heard of stages' processes, and what a host of processes is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.base.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, Protocol, TypeAlias
else:
    Protocol = object

SpawnFault: TypeAlias = "Literal['not-found', 'not-executable', 'bad-cwd', 'failed']"


class Spawned(Record):
    """The command runs; ``pid`` is its process, which leads a session of its own."""

    key: int
    pid: int


class SpawnFailed(Record):
    """Nothing was started, for a reason in a word and in a sentence. Nothing more is heard of ``key``."""

    key: int
    reason: SpawnFault
    detail: str


class Exited(Record):
    """The command's process has ended and its tree is gone. Nothing more is heard of ``key``.

    ``exit_code`` is None when a signal ended the command; ``signal`` is then its name, as ``SIGKILL``.
    ``cpu_seconds`` is user and system time of the whole tree, as far as it was waited for by its parents;
    ``max_rss_bytes`` the peak of the largest process (some 10 MB at least: a process counts what it was
    forked from). ``swept`` counts processes that the command left behind, or that outlived the grace
    period; ``survivors`` those among them that could not be killed (another user's, or stuck in the kernel).
    """

    key: int
    exit_code: int | None
    signal: str | None
    cpu_seconds: float
    max_rss_bytes: int
    swept: int
    survivors: int = 0


class GuardLost(Record):
    """The guard itself has ended, and with it every stage; heard once, and nothing after it."""

    detail: str


Heard = Spawned | SpawnFailed | Exited | GuardLost


class ProcessHost(Protocol):
    """Starts commands as process trees, and sees to it that nothing of them is left."""

    def fileno(self) -> int:
        """Return a descriptor that is readable when ``messages`` has something."""

    def spawn(self, key: int, argv: Sequence[str], *, cwd: str, env: Mapping[str, str], output_fd: int) -> None:
        """Start ``argv`` in the absolute folder ``cwd`` with exactly ``env``; stdin is empty.

        stdout and stderr go to ``output_fd``; the caller closes its copy afterwards. Does not wait:
        Spawned or SpawnFailed follows. A name without a slash is looked up in the PATH of ``env``.
        ``key`` is the caller's name for this start, used once.
        """

    def terminate(self, key: int, *, grace_seconds: float) -> None:
        """Send SIGTERM to that stage's whole tree, and SIGKILL to what is left after the grace period.

        A second call can only shorten the time; with 0 it is SIGKILL at once. An ended stage is let be.
        """

    def terminate_all(self, *, grace_seconds: float) -> None:
        """Do so with every stage."""

    def watch(self) -> float | None:
        """See to it that what was stopped goes on and what is due is done; return when to call again, in seconds.

        None when nothing runs. Waits for nothing.
        """

    def messages(self) -> list[Heard]:
        """Return what has been heard since the last call, without waiting."""

    def adopt_keep_fd(self, fd: int) -> None:
        """Hold a descriptor, such as a locked file's, open until every stage's tree is gone."""

    def close(self, *, timeout_seconds: float) -> int:
        """Kill what is left, wait until it is gone, and return the number of processes killed."""
