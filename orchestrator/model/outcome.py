"""What happened, as values: outcomes of stages and runs in OpenTelemetry's CI/CD words.

Source of the words: OpenTelemetry semantic conventions, ``cicd.pipeline.result``.
"""

from __future__ import annotations

from orchestrator.base.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, Literal, TypeAlias

Outcome: TypeAlias = "Literal['success', 'failure', 'timeout', 'cancellation', 'error', 'skip']"
RunStatus: TypeAlias = "Literal['queued', 'in_progress', 'succeeded', 'failed', 'cancelled']"
StageStatus: TypeAlias = "Literal['pending', 'running', 'succeeded', 'failed', 'skipped']"


def words(alias: object) -> tuple[str, ...]:
    """Return the words that a literal's alias allows; the alias is text (``Literal['a', 'b']``)."""
    return tuple(str(alias).partition("[")[2].rstrip("]").replace("'", "").split(", "))


TERMINAL: Final[frozenset[str]] = frozenset({"succeeded", "failed", "cancelled"})

RUN_STATUS_OF: Final[dict[str, RunStatus]] = {
    "success": "succeeded",
    "failure": "failed",
    "timeout": "failed",
    "error": "failed",
    "cancellation": "cancelled",
}
STAGE_STATUS_OF: Final[dict[str, StageStatus]] = {
    "success": "succeeded",
    "failure": "failed",
    "timeout": "failed",
    "error": "failed",
    "cancellation": "failed",
    "skip": "skipped",
}


class Ended(Record):
    """How one attempt of a stage ended.

    ``exit_code`` is None when a signal ended it (then ``signal`` is its name, as ``SIGKILL``) or when
    nothing was started. Times are in seconds, ``max_rss_bytes`` is the largest process's peak.
    ``swept`` counts processes that the stage left behind and that were killed; ``pipe_held`` says that
    a process outside the tree's reach kept the output open until it was cut. ``external`` are the paths of Python
    programs that it called and that are not in the session's environment.
    """

    outcome: Outcome
    exit_code: int | None = None
    signal: str | None = None
    detail: str | None = None
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    max_rss_bytes: int = 0
    swept: int = 0
    pipe_held: bool = False
    external: tuple[str, ...] = ()
