"""The prunes in a chain against its ends and the metrics: what they name was there, and is there no more."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from orchestrator.base.finding import Finding
from orchestrator.store.chain import parsed
from orchestrator.store.metrics_line import event_id
from orchestrator.store.prune_lines import NamedRun, PrunedRun, PruneLine
from orchestrator.store.verification.chain_lines import Chain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.store.prune_lines import Level

_SAID = ("status", "outcome", "project", "pipeline_id", "started_at", "completed_at")
"""What a prune says of a run, and its metrics line too."""


def pruned_by_level(chain: Chain) -> dict[Level, dict[str, PrunedRun]]:
    """Return the runs that were pruned, by level and id."""
    levels: tuple[Level, ...] = ("record", "logs")
    return {level: chain.pruned(level) for level in levels}


def ends_by_event(metrics: bytes) -> dict[str, Mapping[str, Any]]:
    """Return the lines of a metrics file by their ``event_id``, the first of each."""
    found: dict[str, Mapping[str, Any]] = {}
    for line in metrics.split(b"\n"):
        content = parsed(line)
        if content is not None and isinstance(content.get("event_id"), str):
            found.setdefault(content["event_id"], content)
    return found


def prune_findings(
    chain: Chain, path: str, there: Collection[str], ends: Mapping[str, Mapping[str, Any]]
) -> Iterator[Finding]:
    """Yield what is wrong with the prunes of a chain, given the runs that are ``there`` and the metrics' ``ends``.

    An end that the metrics lack, or whose line was edited, is a finding of its own.
    """
    digests: dict[str, dict[int, tuple[object, object]]] = {}
    for link in chain.links:
        said = (link.content.get("manifest_digest"), link.content.get("status"))
        digests.setdefault(link.run_id, {})[link.attempt] = said
    named: set[tuple[str, str, bool]] = set()
    for number, line in chain.prunes:
        for run in line.runs:
            key = (line.level, run.run_id, line.lost)
            fault = _fault(line, run, digests.get(run.run_id, {}), ends)
            if key in named and line.level != "clock":
                fault = "it was named by an earlier prune already"
            named.add(key)
            if fault is not None:
                yield Finding("prune-unproven", path, f"what it says of {run.run_id} does not hold: {fault}", number)
    for run_id, entry in chain.pruned().items():
        if run_id in there and not entry.lost:
            what = f"{run_id} is there again, which was pruned at {entry.at}"
            yield Finding("run-came-back", path, what, hint="codex-orchestrator prune removes it")


def lost_runs(chain: Chain, path: str, there: Collection[str]) -> Iterator[Finding]:
    """Yield a note of each run that somebody acknowledged to be lost."""
    for number, line in chain.prunes:
        for run in line.runs if line.lost else ():
            if run.run_id not in there:
                said = f"{run.run_id} is lost, as {line.actor} acknowledged at {line.recorded_at}: {line.reason}"
                yield Finding("run-lost", path, said, number, level="warning")


def _fault(
    line: PruneLine,
    run: NamedRun,
    known: Mapping[int, tuple[object, object]],
    ends: Mapping[str, Mapping[str, Any]],
) -> str | None:
    """Return in which point an entry is not what chain and metrics say of the run."""
    if {attempt.attempt: attempt.manifest_digest for attempt in run.attempts} != {
        attempt: digest for attempt, (digest, _) in known.items() if attempt <= run.attempts[-1].attempt
    }:
        return "its attempts are not those of the chain"
    last = run.attempts[-1].attempt
    if line.level == "record" and last != max(known, default=last):
        return "it has a later attempt"
    if known[last][1] != run.status:
        return f"its attempt {last} ended as {known[last][1]}"
    end = ends.get(event_id(run.run_id, last), {})
    wrong = next((key for key in _SAID if end and end.get(key) != getattr(run, key)), None)
    return f"its metrics line has another '{wrong}'" if wrong is not None else None
