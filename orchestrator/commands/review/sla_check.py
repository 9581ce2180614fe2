"""What docs/sla.md says, held against configs and records: missing projects, and figures that are stale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from orchestrator.base.files.changes import UnfitFileError, current_text
from orchestrator.base.finding import Finding
from orchestrator.base.identifiers import run_moment
from orchestrator.checks.sla_page import ALWAYS_LISTED, PAGE, Page, Row, read_page
from orchestrator.commands.review.sla_limits import last_commit, limits, oldest_measurements, recorded, start_line
from orchestrator.config.quantities import written
from orchestrator.model.metrics_policy import DEFAULT_AGE_DAYS
from orchestrator.report.layout import plural
from orchestrator.report.statistics.metrics_record import End
from orchestrator.report.statistics.p90 import WINDOW, measured
from orchestrator.store.store import RunStore

TOLERANCE = 0.1
"""So much of its limit a p90 may move before the page is stale: runs of seconds may take twice as long."""

_SLACK = timedelta(days=1)
_HINT = "codex-orchestrator sla"


def page_findings(store: RunStore, environ: Mapping[str, str], now: datetime) -> tuple[list[Finding], int]:
    """Return what does not hold in docs/sla.md, and how many rows it has; without the page there is nothing to hold."""
    root = store.workspace.root
    try:
        text = current_text(root, PAGE)
    except UnfitFileError:
        return [], 0  # reported among the documents that can't be read
    if text is None:
        return [], 0
    page = read_page(text)
    oldest = oldest_measurements(root)
    return [*_table_findings(root, page), *_measurement_findings(store, page, environ, now, oldest)], len(page.rows)


def _table_findings(root: str, page: Page) -> Iterator[Finding]:
    """Yield what the page lacks, has twice, or says otherwise than the configs."""
    limit, broken = limits(root)
    for line, message in page.faults:
        yield Finding("sla-page-damaged", PAGE, message, line, _HINT)
    there = {row.key for row in page.rows}
    for project in broken:
        message = f"the limits of '{project}' are unknown"
        yield Finding("config-unreadable", PAGE, message, hint="codex-orchestrator doctor")
    for project, pipeline in limit:
        if pipeline == ALWAYS_LISTED and (project, pipeline) not in there:
            yield Finding("sla-missing", PAGE, f"project '{project}' is missing", hint=_HINT)
    seen = set()
    for row in page.rows:
        name = f"'{row.project}', {row.pipeline}"
        if row.key in seen:
            yield Finding("sla-repeated", PAGE, f"{name}: it has a row already", row.line, _HINT)
        seen.add(row.key)
        if row.project in broken:
            continue
        if row.key not in limit:
            yield Finding("sla-unknown", PAGE, f"{name}: there is no such project and pipeline", row.line, _HINT)
        elif written(limit[row.key]) != written(row.limit):
            says = f"the page says {written(row.limit)}, the config {written(limit[row.key])}"
            yield Finding("sla-limit-differs", PAGE, f"{name}: {says}", row.line, _HINT)


def _measurement_findings(
    store: RunStore, page: Page, environ: Mapping[str, str], now: datetime, oldest: Mapping[str, int | None]
) -> Iterator[Finding]:
    """Yield what is measured not at all, too long ago, above the limit, or otherwise than the records have it."""
    # A commit is judged the same whenever somebody looks at it: its measurements age with the commits after it.
    today = last_commit(store.workspace.root, environ) or now
    moments = [moment for row in page.rows if row.latest is not None and (moment := run_moment(row.latest)) is not None]
    ends = recorded(store, min(moments, default=now) - WINDOW)
    for row in page.rows:
        faults = (
            *_age_faults(row, today, now, oldest.get(row.project, DEFAULT_AGE_DAYS)),
            *_row_faults(row, ends.get(row.key, ()), now),
        )
        for code, message, hint in faults:
            yield Finding(code, PAGE, f"'{row.project}', {row.pipeline}: {message}", row.line, hint)


def _age_faults(row: Row, today: datetime, now: datetime, oldest: int | None) -> Iterator[tuple[str, str, str]]:
    """Yield what is wrong with when a row was measured; it may be ``oldest`` days before ``today``, None for any."""
    if row.p90 is None or row.latest is None:
        return
    moment = run_moment(row.latest)
    if moment is None or moment > max(now, today) + _SLACK:
        yield "sla-future", f"run {row.latest} is of no day until now", _measure(row)
    elif oldest is not None and today - moment > timedelta(days=oldest):
        days = (today - moment).days
        yield "sla-old", f"the latest run is {days} days old; {oldest} are the most", _measure(row)


def _measure(row: Row) -> str:
    """Return what measures a row anew."""
    return f"{start_line(*row.key)}, then {_HINT}"


def _row_faults(row: Row, ends: Sequence[End], now: datetime) -> Iterator[tuple[str, str, str]]:
    if row.p90 is None or row.latest is None:
        known = measured(ends, now) is not None
        yield "sla-not-measured", "its p90 was not measured yet", _HINT if known else _measure(row)
        return
    if row.p90 > row.limit:
        yield "sla-exceeded", f"the p90 of {written(row.p90)} is above the limit of {written(row.limit)}", ""
    cited = next((end for end in ends if end.run_id == row.latest), None)
    if cited is None:
        return  # measured elsewhere, as after a fresh clone
    then, latest = measured(ends, cited.completed_at), measured(ends, now)
    if then is not None and (len(then.ends), written(then.p90)) != (row.runs, written(row.p90)):
        recorded_then = f"{written(then.p90)} of {plural(len(then.ends), 'run')}"
        says = f"the page says {written(row.p90)} of {plural(row.runs, 'run')}, the records {recorded_then}"
        yield "sla-differs", says, _HINT
    elif latest is not None and abs(latest.p90 - row.p90) > TOLERANCE * row.limit:
        moved = f"the p90 was {written(row.p90)}, and is {written(latest.p90)} now"
        yield "sla-moved", f"{moved}: more than {TOLERANCE:.0%} of the limit away", _HINT
