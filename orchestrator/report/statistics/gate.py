"""The gate over a project's window: guardrail coverage and the SLA budget, with the runs that failed it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from orchestrator.model.metrics_policy import MetricsPolicy
from orchestrator.report.statistics.metrics_record import End

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

Record: TypeAlias = "Mapping[str, Any]"
Finding: TypeAlias = "dict[str, Any]"
Stages: TypeAlias = "Callable[[Record], list[str]]"


def gate_findings(
    project: str | None,
    summary: Mapping[str, Any],
    ends: Sequence[End],
    records: Mapping[str, Record],
    policy: MetricsPolicy,
) -> list[Finding]:
    """Return what the gate finds in a project: nothing when it is met.

    Each finding has ``project, code, message`` and ``runs``: those that it is about, latest first, each with
    ``stages``, as far as ``records`` (manifests by run id) tell them. Without a run of a pipeline that
    requires a guardrail nothing was guarded, and the gate is not met (contract, section 4).
    """

    def found(code: str, message: str, bad: Sequence[End] = (), stages: Stages = _slowest) -> Finding:
        return finding(project, code, message, _named(bad, records, stages))

    findings = []
    guards, sla = summary["guardrails"], summary["sla"]
    if guards["coverage"] is None:
        findings.append(found("no-guarded-runs", "no run of a pipeline that requires a guardrail"))
    elif guards["executed"] < policy.min_coverage * guards["runs"] - 1e-9:
        message = (
            f"guardrails of {guards['executed']} of {guards['runs']} runs were executed, "
            f"{percent(guards['coverage'])}; {percent(policy.min_coverage)} is the least"
        )
        bad = [end for end in ends if end.required and not end.executed]
        findings.append(found("coverage-low", message, bad, _unexecuted))
    if sla["breaches"] > policy.sla_budget * sla["runs"] + 1e-9:
        message = (
            f"{sla['breaches']} of {sla['runs']} runs took longer than their SLA, "
            f"{percent(sla['share'])}; {percent(policy.sla_budget)} is the most"
        )
        findings.append(found("sla-budget-exceeded", message, [end for end in ends if end.breached]))
    return findings


def finding(project: str | None, code: str, message: str, runs: Sequence[Mapping[str, Any]] = ()) -> Finding:
    """Return a finding of the gate."""
    return {"project": project, "code": code, "message": message, "runs": list(runs)}


def percent(share: float) -> str:
    """Return a share as people read it: ``90 %``, ``88.9 %``."""
    return f"{round(share * 100, 1):g} %"


def _named(ends: Sequence[End], records: Mapping[str, Record], stages: Stages) -> list[dict[str, Any]]:
    latest = sorted(ends, key=lambda end: (end.completed_at, end.run_id), reverse=True)
    return [
        {"run_id": end.run_id, "task_id": end.task_id, "stages": stages(records.get(end.run_id, {}))} for end in latest
    ]


def _unexecuted(record: Record) -> list[str]:
    """Return the required guardrails of a run that reached no verdict."""
    entries = record.get("guardrails")
    return [
        str(entry.get("id"))
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, Mapping) and entry.get("required") and entry.get("outcome") in _NO_VERDICT
    ]


_NO_VERDICT = ("missing", "skipped", "advisory")


def _slowest(record: Record) -> list[str]:
    sla = record.get("sla")
    slowest = sla.get("slowest_stage") if isinstance(sla, Mapping) else None
    return [slowest] if isinstance(slowest, str) else []
