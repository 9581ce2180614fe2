"""What a pipeline's runs took, as ``docs/sla.md`` says it: the p90 of the runs of some days that succeeded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestrator.report.statistics.metrics_record import End
from orchestrator.report.statistics.percentiles import percentile
from orchestrator.report.statistics.summary import HIGH

WINDOW = timedelta(days=30)
"""As long as a spec's review counts. A week of a project that is checked daily is too few runs for a p90."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The p90 in seconds of ``ends``, whose last is ``latest``."""

    p90: float
    ends: tuple[End, ...]
    latest: End


def measured(ends: Sequence[End], until: datetime) -> Measured | None:
    """Return what the runs of a pipeline took in the window that ends with the last of them until ``until``.

    So the latest run alone tells which runs were measured. Only those that succeeded are: one whose first stage fails
    takes no time, and would make every figure better. Runs of version 1, which had no limit, are left out.
    None when no such run completed in the window before ``until``.
    """
    known = [end for end in ends if end.attempt is not None and end.outcome == "success" and end.completed_at <= until]
    latest = max(known, key=lambda end: (end.completed_at, end.run_id), default=None)
    if latest is None or latest.completed_at <= until - WINDOW:
        return None
    chosen = tuple(end for end in known if end.completed_at > latest.completed_at - WINDOW)
    p90 = percentile([end.duration_seconds for end in chosen], HIGH)
    return None if p90 is None else Measured(p90, chosen, latest)
