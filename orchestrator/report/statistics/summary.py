"""One project's runs of a window: the document that ``metrics`` shows, key by key described in docs/metrics.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from orchestrator.report.statistics.metrics_record import End
from orchestrator.report.statistics.percentiles import median, percentile, ratio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HIGH = 0.9
"""The share of runs that the high duration covers: p90."""


def project_summary(
    project: str | None, ends: Sequence[End], flaky: Sequence[Mapping[str, Any]], middle: datetime
) -> dict[str, Any]:
    """Return the figures of a project, from the last ends of its runs in the window, whose middle is ``middle``.

    Guardrail coverage is the contract's (section 4): of the runs of pipelines that require a guardrail, the
    share whose guardrails were all executed; None when there is no such run.
    """
    guarded = [end for end in ends if end.required]
    executed = sum(end.executed for end in guarded)
    passed = sum(end.passed for end in guarded)
    return {
        "project": project,
        "runs": len(ends),
        "outcomes": _counted(end.outcome for end in ends),
        "guardrails": {
            "runs": len(guarded),
            "executed": executed,
            "passed": passed,
            "coverage": ratio(executed, len(guarded)),
            "pass_rate": ratio(passed, len(guarded)),
        },
        "sla": _sla(ends),
        "duration": _durations(ends, middle),
        "pipelines": [
            _pipeline(name, [end for end in ends if end.pipeline_id == name], middle)
            for name in sorted({end.pipeline_id for end in ends})
        ],
        "flaky": list(flaky),
    }


def _counted(words: Any) -> dict[str, int]:
    counts: dict[str, int] = {}
    for word in sorted(words):
        counts[word] = counts.get(word, 0) + 1
    return counts


def _sla(ends: Sequence[End]) -> dict[str, Any]:
    known = [end.breached for end in ends if end.breached is not None]
    breaches = sum(known)
    return {"runs": len(known), "breaches": breaches, "share": ratio(breaches, len(known))}


def _durations(ends: Sequence[End], middle: datetime) -> dict[str, Any]:
    values = [end.duration_seconds for end in ends]
    earlier = median([end.duration_seconds for end in ends if end.completed_at < middle])
    later = median([end.duration_seconds for end in ends if end.completed_at >= middle])
    change = round(later / earlier - 1, 4) if earlier and later is not None else None
    return {
        "median_seconds": _rounded(median(values)),
        "p90_seconds": _rounded(percentile(values, HIGH)),
        "longest_seconds": _rounded(max(values, default=None)),
        "trend": {
            "earlier_median_seconds": _rounded(earlier),
            "later_median_seconds": _rounded(later),
            "change": change,
        },
    }


def _pipeline(name: str, ends: Sequence[End], middle: datetime) -> dict[str, Any]:
    limits = [(end.completed_at, end.sla_seconds) for end in ends if end.sla_seconds is not None]
    return {
        "pipeline_id": name,
        "runs": len(ends),
        "sla_seconds": max(limits)[1] if limits else None,
        "sla": _sla(ends),
        "duration": _durations(ends, middle),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
