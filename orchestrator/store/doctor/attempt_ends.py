"""The record as it was at the end of an earlier attempt, as far as the current record still says it."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.base.clock import later, parse_stamp, stamp
from orchestrator.model.manifest.command import Command
from orchestrator.model.manifest.manifest import GuardrailEntry, Manifest
from orchestrator.model.outcome import RUN_STATUS_OF, STAGE_STATUS_OF, Outcome
from orchestrator.store.metrics_line import metrics_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_WORST_FIRST: tuple[Outcome, ...] = ("cancellation", "error", "failure", "timeout")


def expected_lines(manifest: Manifest, recorded_at: str) -> Iterator[dict[str, Any]]:
    """Yield the metrics line of each attempt's end of an ended run, oldest first."""
    for attempt in range(1, manifest.attempt):
        yield metrics_line(as_of(manifest, attempt), recorded_at)
    yield metrics_line(manifest, recorded_at)


def as_of(manifest: Manifest, attempt: int) -> Manifest:
    """Return the record at the end of ``attempt``, which a resume followed.

    Its end is the resume's time less the idle time before it, to a millisecond; its active time is what
    lies between start and end less earlier idle times. Children aren't dated in the record: all are counted.
    """
    resumed = next((event for event in manifest.resume_events if event.attempt == attempt + 1), None)
    if resumed is None:
        return manifest._replace(attempt=attempt)
    # Half a millisecond more, since a timestamp cuts off what is below one.
    ended = later(parse_stamp(resumed.timestamp), 0.0005 - resumed.idle_seconds)
    idle = sum(event.idle_seconds for event in manifest.resume_events if event.attempt <= attempt)
    active = max(0.0, (ended - parse_stamp(manifest.started_at)).total_seconds() - idle)
    commands = tuple(_command_as_of(command, attempt) for command in manifest.commands)
    outcomes = {command.id: command.outcome for command in commands}
    return manifest._replace(
        attempt=attempt,
        status=resumed.previous_status,
        outcome=_outcome(resumed.previous_status, [command.outcome for command in commands]),
        completed_at=stamp(ended),
        commands=commands,
        guardrails=tuple(_guardrail_as_of(entry, outcomes.get(entry.id)) for entry in manifest.guardrails),
        sla=manifest.sla._replace(active_seconds=round(active, 3), breached=active > manifest.sla.limit_seconds),
    )


def _command_as_of(command: Command, attempt: int) -> Command:
    tries = [item for item in command.attempts if item.run_attempt <= attempt]
    if not tries:
        return command._replace(status="skipped", outcome="skip", attempts=())
    outcome = tries[-1].outcome
    status = STAGE_STATUS_OF[outcome] if outcome is not None else "failed"
    return command._replace(status=status, outcome=outcome, attempts=tuple(tries))


def _guardrail_as_of(entry: GuardrailEntry, outcome: Outcome | None) -> GuardrailEntry:
    if entry.outcome in ("waived", "advisory"):
        return entry
    if outcome == "success":
        return entry._replace(outcome="passed")
    return entry._replace(outcome="failed" if outcome == "failure" else "skipped" if outcome == "skip" else "missing")


def _outcome(status: str, outcomes: list[Outcome | None]) -> Outcome:
    """Return the outcome that goes with a status; of several, the one that a run with such stages comes to."""
    fitting = [outcome for outcome in _WORST_FIRST if RUN_STATUS_OF[outcome] == status]
    return next((outcome for outcome in fitting if outcome in outcomes), fitting[0] if fitting else "error")
