"""What a project promises over its runs of some days: its config's table ``[metrics]``."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEFAULT_COVERAGE = 0.9
"""Source: the coverage that ``metrics --gate`` asks for, 90 %."""

DEFAULT_BUDGET = 0.1
"""One run in ten may breach its SLA: then the 90th percentile of the durations keeps it."""

DEFAULT_AGE_DAYS = 30
"""A measurement is stale when it is older than the window that it is of: then nothing of it is in the current one."""


class MetricsPolicy(Record):
    """``[metrics]``: the least guardrail coverage, and the most of the runs that may breach their SLA (both 0 to 1).

    ``max_sla_age``: days that may lie between the latest run of docs/sla.md and the last commit; None for any number.
    """

    min_coverage: float = DEFAULT_COVERAGE
    sla_budget: float = DEFAULT_BUDGET
    max_sla_age: int | None = DEFAULT_AGE_DAYS


def policy_of(table: Mapping[str, Any]) -> MetricsPolicy:
    """Return the shares that a parsed config asks for, without the validator, which takes 100 ms to load.

    ``max_sla_age``, which no gate asks for, is left at its default.

    Raises ValueError when ``[metrics]`` holds what the validator would refuse too.
    """
    metrics = table.get("metrics", {})
    known = MetricsPolicy._fields
    if not isinstance(metrics, Mapping) or not set(known).issuperset(metrics):
        raise ValueError(f"[metrics] is no table with the keys {' and '.join(known)}")
    shares = {key: value for key, value in metrics.items() if key != "max_sla_age"}
    for key, value in shares.items():
        if not is_share(value):
            raise ValueError(f"metrics.{key} is no number from 0 to 1")
    return MetricsPolicy(**shares)


def is_share(value: object) -> bool:
    """Tell whether ``value`` is a number from 0 to 1."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
