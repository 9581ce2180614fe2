"""The gate over a project's window: guardrail coverage and the SLA budget, with the runs that failed it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.model.metrics_policy import MetricsPolicy
from orchestrator.report.statistics.metrics_record import End

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

Record: TypeAlias = "Mapping[str, Any]"
Finding: TypeAlias = "dict[str, Any]"


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
    return [*_coverage(project, summary, ends, records, policy), *_budget(project, summary, ends, records, policy)]


def _coverage(
    project: str | None,
    summary: Mapping[str, Any],
    ends: Sequence[End],
    records: Mapping[str, Record],
    policy: MetricsPolicy,
) -> list[Finding]:
    figures = summary["guardrails"]
    if figures["coverage"] is None:
        return [finding(project, "no-guarded-runs", "no run of a pipeline that requires a guardrail")]
    if figures["executed"] >= policy.min_coverage * figures["runs"] - 1e-9:
        return []
    message = (
        f"guardrails of {figures['executed']} of {figures['runs']} runs were executed, "
        f"{percent(figures['coverage'])}; {percent(policy.min_coverage)} is the least"
    )
    bad = [end for end in ends if end.required and not end.executed]
    return [finding(project, "coverage-low", message, _named(bad, records, _unexecuted))]


def _budget(
    project: str | None,
    summary: Mapping[str, Any],
    ends: Sequence[End],
    records: Mapping[str, Record],
    policy: MetricsPolicy,
) -> list[Finding]:
    figures = summary["sla"]
    if figures["breaches"] <= policy.sla_budget * figures["runs"] + 1e-9:
        return []
    message = (
        f"{figures['breaches']} of {figures['runs']} runs took longer than their SLA, "
        f"{percent(figures['share'])}; {percent(policy.sla_budget)} is the most"
    )
    return [
        finding(
            project, "sla-budget-exceeded", message, _named([end for end in ends if end.breached], records, _slowest)
        )
    ]


def finding(project: str | None, code: str, message: str, runs: Sequence[Mapping[str, Any]] = ()) -> Finding:
    """Return a finding of the gate."""
    return {"project": project, "code": code, "message": message, "runs": list(runs)}


def percent(share: float) -> str:
    """Return a share as people read it: ``90 %``, ``88.9 %``."""
    return f"{round(share * 100, 1):g} %"


def _named(ends: Sequence[End], records: Mapping[str, Record], stages: Any) -> list[dict[str, Any]]:
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
