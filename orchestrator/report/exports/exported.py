"""What every form is made of: an ended or live run as it is shown, and the runs below it."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence

from orchestrator.base.clock import later, parse_stamp, stamp
from orchestrator.base.record import Record
from orchestrator.model.failed_tests import FailedTests, failed_tests_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Phase(Record):
    """The making of an attempt's environment: moments of its events, and how it ended."""

    attempt: int
    started_at: str
    completed_at: str
    outcome: str


class ExportedRun(Record):
    """One run. ``body`` is its status document, ``failed`` its failed stages (``failures.failed_stages``).

    ``link`` is where people find it, None where nowhere; ``parent`` is the run id of the exported run above it.
    """

    body: Mapping[str, Any]
    failed: Sequence[Mapping[str, Any]] = ()
    environments: Sequence[Phase] = ()
    link: str | None = None
    parent: str | None = None

    @property
    def suite(self) -> str:
        """The run's name in other tools: ``project.pipeline``."""
        return f"{self.body['project'] or self.body['task_id']}.{self.body['pipeline_id']}"


class Form(Record):
    """One form: its name on the command line, and what makes its bytes of the runs (the asked one first).

    ``media_type`` is that of a request that carries it; ``needs_end`` refuses a run that goes on.
    """

    name: str
    render: Callable[[Sequence[ExportedRun]], bytes]
    media_type: str
    needs_end: bool = False


class AttemptSpan(Record):
    """One attempt of a run: its number, and the moments between which it ran (``completed_at`` None: goes on)."""

    number: int
    started_at: str
    completed_at: str | None
    outcome: str | None


def attempts_of(body: Mapping[str, Any]) -> Iterator[AttemptSpan]:
    """Yield the attempts of a run, oldest first. A resume says when it came, and for how long nothing ran before."""
    began = body["started_at"]
    number = 1
    for event in body["resume_events"]:
        resumed = event["timestamp"]
        idle = event.get("idle_seconds")
        end = stamp(later(parse_stamp(resumed), -idle)) if isinstance(idle, int | float) else resumed
        yield AttemptSpan(number, began, max(began, end), _OUTCOME_OF.get(event.get("previous_status"), "error"))
        number, began = event.get("attempt") or number + 1, resumed
    yield AttemptSpan(number, began, body["completed_at"], body["outcome"])


_OUTCOME_OF = {"failed": "failure", "cancelled": "cancellation", "succeeded": "success"}


def tests_of(entry: Mapping[str, Any], shown: Container[str]) -> FailedTests:
    """Return the failed tests of a failed stage; of a sub-pipeline those below it, unless their run is ``shown``."""
    cause = entry.get("cause")
    if isinstance(cause, dict) and cause.get("run_id") not in shown:
        return failed_tests_of(cause)
    return failed_tests_of(entry)


def tail_text(entry: Mapping[str, Any]) -> str:
    """Return the last lines of a failed stage; of a sub-pipeline those of the stage that failed below it."""
    cause = entry.get("cause")
    source = cause if isinstance(cause, dict) and cause.get("last_lines") else entry
    return "\n".join(str(line) for line in source["last_lines"])


def how_ended(entry: Mapping[str, Any]) -> str:
    """Return in some words how a failed stage ended: ``exit 3``, ``SIGKILL``, ``timeout``."""
    if entry.get("signal"):
        return str(entry["signal"])
    if entry.get("exit_code") is not None and entry["outcome"] == "failure":
        return f"exit {entry['exit_code']}"
    return str(entry["outcome"] or "failed")
