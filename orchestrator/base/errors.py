"""Refusals: the one exception tree, each branch with its exit code.

A stage that fails is a value (see ``outcome``), never an exception. What is raised here is what a
command refuses to do, and the edge (``cli``) is the only place that turns it into text and a code.
"""

from __future__ import annotations

from collections.abc import Iterable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar

EXIT_DONE = 0
EXIT_BUG = 1
EXIT_USAGE = 2
EXIT_RUN_FAILED = 3
EXIT_GATE = 4
EXIT_REFUSED = 5
EXIT_NOT_FOUND = 6
EXIT_DAMAGED = 7
EXIT_STORAGE = 8
EXIT_TIMED_OUT = 124
EXIT_SIGNAL_BASE = 128
"""A run stopped by signal N exits with 128 + N, as shells report it."""


class Refusal(Exception):  # noqa: N818 -- a refusal is no error of the program
    """A command that will not be carried out.

    ``message`` says what is wrong and where, ``hint`` what to do about it, ``code`` is the word for
    machines in ``{"error": {"code", "message", "hint"}}``; ``exit_code`` is the process's.
    """

    exit_code: ClassVar[int] = EXIT_USAGE
    default_code: ClassVar[str] = "refused"

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code or self.default_code

    def as_json(self) -> dict[str, object]:
        """Return the error document that ``--format json`` prints."""
        return {"error": {"code": self.code, "message": self.message, "hint": self.hint or None}}


class UsageError(Refusal):
    """A flag, an id, a project or a configuration is wrong (exit code 2)."""

    default_code = "usage"


class ConfigError(UsageError):
    """Configuration files have faults; every fault of every file read is in ``faults``, one line each."""

    default_code = "config"

    def __init__(self, faults: Iterable[str], *, hint: str = "") -> None:
        self.faults = tuple(faults)
        count = len(self.faults)
        head = "the configuration has a fault" if count == 1 else f"the configuration has {count} faults"
        super().__init__("\n".join([f"{head}:", *(f"  {fault}" for fault in self.faults)]), hint=hint)


class GateNotMet(Refusal):
    """A gate found something (exit code 4)."""

    exit_code = EXIT_GATE
    default_code = "gate-not-met"


class Refused(Refusal):
    """The run's state forbids it: alive, succeeded, drifted, wrong token, nested too deep (exit code 5)."""

    exit_code = EXIT_REFUSED
    default_code = "refused"


class NotFound(Refusal):
    """No such run (exit code 6)."""

    exit_code = EXIT_NOT_FOUND
    default_code = "not-found"


class DamagedRecord(Refusal):
    """A record can't be read, or is of a version that this program doesn't know (exit code 7)."""

    exit_code = EXIT_DAMAGED
    default_code = "damaged-record"


class StorageError(Refusal):
    """The disk is full, read-only or broken, or something stands in a record's place (exit code 8)."""

    exit_code = EXIT_STORAGE
    default_code = "storage"


class NoxUnavailable(Exception):  # noqa: N818 - named by what happened, as the others
    """The installed nox can't run a session in this process: one of its own will. Nothing has been started."""
