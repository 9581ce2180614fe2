"""Which runs are kept, and why: a pure function of what is known of them, the rules and the time.

Two levels (contract, section 11): ``record``, where a run's folder goes, and ``logs``, where its events, logs and
error files go and its manifest stays. What is kept whatever the rules say is kept at both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from orchestrator.base.clock import parse_stamp
from orchestrator.base.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

DAY = 24 * 3600.0
LEAST_KEPT = 100
"""As many as the state of a task lists (contract, section 4)."""


class RetentionRules(Record):
    """``[prune]``: how many runs stay of each project and pipeline, and for how long (seconds) the others do.

    ``warn_bytes``: from which size on ``doctor`` says that records take much.
    """

    keep_last: int = LEAST_KEPT
    keep_within: float = 90 * DAY
    keep_failed: float = 365 * DAY
    logs_within: float = 30 * DAY
    warn_bytes: int = 2 << 30


class RunFacts(Record):
    """What is known of a run, as far as rules ask for it.

    ``relatives`` are its parent, root and children, ``cited`` the runs whose successes it reuses. ``holds`` are the
    reasons why it is kept whatever the rules say. ``completed_at`` is None of one that has not ended.
    """

    run_id: str
    task_id: str
    project: str = ""
    pipeline_id: str = ""
    status: str = ""
    started_at: str = ""
    completed_at: str | None = None
    relatives: tuple[str, ...] = ()
    cited: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    has_logs: bool = True


class Decided(Record):
    """The runs whose records go, those whose logs go, and why each other one is kept: by run id."""

    records: frozenset[str]
    logs: frozenset[str]
    kept: Mapping[str, tuple[str, ...]]


def decide(
    runs: Iterable[RunFacts], rules_of: Callable[[str], RetentionRules], now: datetime, *, logs_only: bool = False
) -> Decided:
    """Return what goes and what stays of ``runs``, which are all runs of a workspace.

    ``rules_of`` returns the rules of a project. Each run is in one of the three.
    """
    known = {run.run_id: run for run in runs}
    held = {run_id: list(run.holds) for run_id, run in known.items()}
    for run_id, why in _last_ones(known.values(), rules_of):
        held[run_id].append(why)
    with_logs = _staying(known, held, lambda run: _young_logs(run, rules_of(run.project), now))
    with_record: Mapping[str, Sequence[str]]
    if logs_only:
        with_record = {run_id: with_logs.get(run_id, ["its logs were pruned"]) for run_id in known}
    else:
        with_record = _staying(known, held, lambda run: _young_record(run, rules_of(run.project), now))
    records = known.keys() - with_record.keys()
    logs = {run_id for run_id in with_record.keys() - with_logs.keys() if known[run_id].has_logs}
    kept = {run_id: tuple(dict.fromkeys(with_record[run_id])) for run_id in sorted(with_record.keys() - logs)}
    return Decided(frozenset(records), frozenset(logs), kept)


Why: TypeAlias = "Iterator[str]"


def _last_ones(runs: Iterable[RunFacts], rules_of: Callable[[str], RetentionRules]) -> Iterator[tuple[str, str]]:
    """Yield the last runs of each project and pipeline in a task, whose state lists them, with the reason."""
    groups: dict[tuple[str, str, str], list[RunFacts]] = {}
    for run in runs:
        if run.pipeline_id:
            groups.setdefault((run.task_id, run.project, run.pipeline_id), []).append(run)
    for (_, project, pipeline), found in groups.items():
        found.sort(key=lambda run: (run.started_at, run.run_id))
        count, name = rules_of(project).keep_last, f"{project or '(no project)'}, {pipeline}"
        for run in found[-count:]:
            yield run.run_id, f"one of the last {count} of {name}"
        for status in ("succeeded", "failed"):
            last = next((run for run in reversed(found) if run.status == status), None)
            if last is not None:
                yield last.run_id, f"the last of {name} that {status}"


def _young_record(run: RunFacts, rules: RetentionRules, now: datetime) -> Why:
    age = _age(run, now)
    if age is not None and age <= rules.keep_within:
        yield f"ended within {days(rules.keep_within)}"
    elif age is not None and run.status == "failed" and age <= rules.keep_failed:
        yield f"failed within {days(rules.keep_failed)}"


def _young_logs(run: RunFacts, rules: RetentionRules, now: datetime) -> Why:
    age = _age(run, now)
    if age is not None and age <= rules.logs_within:
        yield f"ended within {days(rules.logs_within)}"


def _age(run: RunFacts, now: datetime) -> float | None:
    """Return how long ago a run ended, in seconds: below 0 when that lies in the future, None when it goes on."""
    return None if run.completed_at is None else (now - parse_stamp(run.completed_at)).total_seconds()


def _staying(
    known: Mapping[str, RunFacts], held: Mapping[str, Sequence[str]], young: Callable[[RunFacts], Why]
) -> dict[str, list[str]]:
    """Return the runs that stay, with why: held or young ones, and all that these rest on or belong to."""
    found = {run_id: why for run_id, run in known.items() if (why := [*held[run_id], *young(run)])}
    linked = _linked(known.values())
    waiting = sorted(found)
    while waiting:
        run_id = waiting.pop()
        for other, how in linked.get(run_id, ()):
            if other in known and other not in found:
                found[other] = [f"{how} {run_id}"]
                waiting.append(other)
    return found


def _linked(runs: Iterable[RunFacts]) -> dict[str, list[tuple[str, str]]]:
    """Return for each run those that stay when it stays: a run and its parent, root and children stay together."""
    linked: dict[str, list[tuple[str, str]]] = {}
    for run in runs:
        for relative in run.relatives:
            linked.setdefault(run.run_id, []).append((relative, "of the family of"))
            linked.setdefault(relative, []).append((run.run_id, "of the family of"))
        for cited in run.cited:
            linked.setdefault(run.run_id, []).append((cited, "a stage of it is cited by"))
    return linked


def days(seconds: float) -> str:
    """Return a span as it is typed: ``90d``, ``36h``, ``0s``."""
    for unit, word in ((DAY, "d"), (3600.0, "h"), (60.0, "m")):
        if seconds and seconds % unit == 0:
            return f"{seconds / unit:.0f}{word}"
    return f"{seconds:g}s"
