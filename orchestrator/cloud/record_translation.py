"""A worker's record becomes the local one: pure functions from what a worker wrote to what the submitter records.

A worker runs an incarnation as a run of its own, with one attempt. The local record has the same stages, with the
attempts of earlier ones before them, the local names of files, and the local clock.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from orchestrator.base.clock import later, parse_stamp, stamp
from orchestrator.base.record import Record
from orchestrator.model.manifest.command import Attempt, Command
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.model.manifest.transitions import pending_again, stage_ended
from orchestrator.model.outcome import Ended
from orchestrator.store.layout import REPORTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_OWN_EVENTS = frozenset(
    f"run:{word}" for word in ("start", "end", "queued", "begin", "resume", "cancel", "interrupted")
) | {"sla:breach", "child:linked", "events:healed"}
"""Events that the submitter writes by itself, or that speak of the worker's files."""

_ENVELOPE = frozenset({"type", "timestamp", "seq", "run_id", "attempt"})


class Translation(Record):
    """From what a worker wrote to what is recorded here.

    ``log`` gives the local name of a worker's log, ``mask`` hides secrets, ``shift`` moves a moment from the worker's
    clock to ours. ``digests`` are those of local logs that are complete, by name.
    """

    log: Callable[[str], str]
    mask: Callable[[str], str]
    shift: Callable[[str], str]
    digests: Mapping[str, str]


def shifting(offset_seconds: float, uncertainty_seconds: float) -> Callable[[str], str]:
    """Return what moves a worker's moments to our clock, by an offset that exceeds its uncertainty; else none."""
    if abs(offset_seconds) <= uncertainty_seconds:
        return str
    return lambda moment: stamp(later(parse_stamp(moment), -offset_seconds))


def cleared(manifest: Manifest, done: Collection[str]) -> Manifest:
    """Return the record with every stage that is not ``done`` as one that is still to run."""
    commands = tuple(command if command.id in done else pending_again(command) for command in manifest.commands)
    return manifest._replace(commands=commands)


def cut_back(manifest: Manifest, done: Collection[str], counts: Mapping[str, int]) -> Manifest:
    """Return the record as it was before an incarnation, when each stage had so many attempts (``counts``)."""
    commands = tuple(
        command
        if command.id in done
        else command._replace(attempts=command.attempts[: counts.get(command.id, len(command.attempts))])
        for command in manifest.commands
    )
    provenance = tuple(entry for entry in manifest.provenance if entry["attempt"] != manifest.attempt)
    return cleared(manifest._replace(commands=commands, provenance=provenance), done)


def merged(base: Manifest, current: Manifest, worker: Manifest, done: Collection[str], into: Translation) -> Manifest:
    """Return ``current`` with what the worker's record says of stages that are not ``done``.

    ``base`` is the record before the incarnation. What is the submitter's own stays: ids, times of the run, SLA,
    children, the engine and who recorded it.
    """
    theirs = {command.id: command for command in worker.commands}
    commands = tuple(
        command if command.id in done or command.id not in theirs else _command(command, theirs[command.id], base, into)
        for command in base.commands
    )
    verdicts = {entry.id: entry for entry in worker.guardrails}
    guardrails = tuple(
        entry
        if entry.id in done or entry.id not in verdicts
        else entry._replace(
            outcome=verdicts[entry.id].outcome,
            reason=into.mask(verdicts[entry.id].reason),
            compared=verdicts[entry.id].compared,
        )
        for entry in current.guardrails
    )
    provenance = [{**entry, "attempt": base.attempt} for entry in worker.provenance[-1:]]
    policy = tuple(entry._replace(message=into.mask(entry.message)) for entry in worker.policy)
    return current._replace(
        commands=commands,
        guardrails=guardrails,
        session=worker.session,
        policy=policy,
        provenance=(*base.provenance, *provenance),
    )


def _command(base: Command, theirs: Command, manifest: Manifest, into: Translation) -> Command:
    if theirs.status == "pending":
        return base
    attempts = tuple(_attempt(attempt, manifest, into) for attempt in theirs.attempts)
    return base._replace(
        status=theirs.status,
        started_at=_moved(theirs.started_at, into),
        completed_at=_moved(theirs.completed_at, into),
        exit_code=theirs.exit_code,
        summary=None if theirs.summary is None else into.mask(theirs.summary),
        log_path=_log(theirs.log_path, manifest, into),
        outcome=theirs.outcome,
        signal=theirs.signal,
        duration_seconds=theirs.duration_seconds,
        cache_key=theirs.cache_key,
        attempts=(*base.attempts, *attempts),
    )


def _attempt(theirs: Attempt, manifest: Manifest, into: Translation) -> Attempt:
    path = _log(theirs.log_path, manifest, into)
    return theirs._replace(
        run_attempt=manifest.attempt,
        started_at=into.shift(theirs.started_at),
        completed_at=_moved(theirs.completed_at, into),
        log_path=path,
        detail=None if theirs.detail is None else into.mask(theirs.detail),
        log_sha256=None if path is None else into.digests.get(path.rpartition("/")[2]),
        reports=(),
    )


def _moved(moment: str | None, into: Translation) -> str | None:
    return None if moment is None else into.shift(moment)


def _log(path: str | None, manifest: Manifest, into: Translation) -> str | None:
    return None if path is None else f"{manifest.artifact_root}/commands/{into.log(path.rpartition('/')[2])}"


def lost(
    manifest: Manifest, at: str, reason: str, seconds_since: Callable[[str], float], done: Collection[str]
) -> tuple[Manifest, list[str], list[str]]:
    """Return the record after its worker was lost, the stages that ran there then, and those that succeeded there.

    A stage that is not ``done`` and succeeded there is still to run: only the record that a worker leaves at the end
    is compared with its chain. What ran stays in ``attempts``.
    """
    running = [command for command in manifest.commands if command.status == "running"]
    for command in running:
        ended = Ended("error", detail=reason, wall_seconds=max(0.0, seconds_since(command.started_at or at)))
        manifest = stage_ended(manifest, command.id, at, ended, summary=reason)
    unproven = [command.id for command in manifest.commands if command.status == "succeeded" and command.id not in done]
    commands = tuple(pending_again(each) if each.id in unproven else each for each in manifest.commands)
    return manifest._replace(commands=commands), [command.id for command in running], unproven


def ended_unseen(manifest: Manifest, said: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the stages that are still to run by the record, and have ended by their events (``said``: the last ones).

    Events come before the record that knows of them: a worker that is lost in between leaves these.
    """
    pending = (command.id for command in manifest.commands if command.status == "pending")
    return [stage for stage in pending if said.get(stage, {}).get("type") == "stage:end"]


def report_below(root: str, path: str) -> str | None:
    """Return where a report's copy lies below the record ``root`` that came back, None for a path that leads elsewhere.

    Names in a worker's record are its word: none of them opens a file of the submitter.
    """
    below = path.removeprefix(f"{root}/")
    parts = below.split("/")
    is_fit = below != path and len(parts) > 2 and parts[0] == REPORTS and not {"", ".", ".."}.intersection(parts)
    return below if is_fit else None


def with_log_digests(manifest: Manifest, digests: Mapping[str, str]) -> Manifest:
    """Return the record with the digests of logs that are complete, of attempts that have ended without."""

    def digested(attempt: Attempt) -> Attempt:
        name = (attempt.log_path or "").rpartition("/")[2]
        if attempt.log_sha256 is None and attempt.run_attempt == manifest.attempt and name in digests:
            return attempt._replace(log_sha256=digests[name])
        return attempt

    commands = tuple(command._replace(attempts=tuple(map(digested, command.attempts))) for command in manifest.commands)
    return manifest._replace(commands=commands)


def relayed(event: Mapping[str, Any], before: Mapping[str, int]) -> tuple[str, dict[str, Any]] | None:
    """Return kind and fields of a worker's event as it is written here; None of one that is the submitter's to write.

    ``before`` are the attempts that each stage had before the incarnation.
    """
    kind = event.get("type")
    if not isinstance(kind, str) or kind in _OWN_EVENTS:
        return None
    fields = {key: value for key, value in event.items() if key not in _ENVELOPE}
    if isinstance(fields.get("stage_attempt"), int):
        fields["stage_attempt"] += before.get(str(fields.get("stage")), 0)
    return kind, fields
