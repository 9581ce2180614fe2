"""``sla``: docs/sla.md is written from configs and records."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from orchestrator.base.errors import UsageError
from orchestrator.base.files.changes import FileChange, UnfitFileError, current_text, diff_text
from orchestrator.base.text.safe_text import safe_text
from orchestrator.checks.sla_page import ALWAYS_LISTED, PAGE, Row, read_page, with_rows
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.review import consent
from orchestrator.commands.review.sla_limits import Key, hosts, limits, recorded, start_line
from orchestrator.commands.run.prepared_run import check_format
from orchestrator.config.quantities import written
from orchestrator.onboarding.template_text import template
from orchestrator.report.layout import plural
from orchestrator.report.statistics.metrics_record import End
from orchestrator.report.statistics.p90 import WINDOW, measured
from orchestrator.store.store import RunStore

TEMPLATE = "workspace/sla.md"


def sla(
    context: Context,
    *,
    yes: bool = False,
    dry_run: bool = False,
    format: str = "text",  # noqa: A002 -- the option's name
) -> Answer:
    """Write what docs/sla.md says of each project; the difference is shown first, and asked about.

    A pipeline that has no run in the last 30 days keeps what was measured before. Raises UsageError, Refused
    and StorageError; then nothing was written.
    """
    check_format(format, ("text", "json"))
    store = context.store()
    root = store.workspace.root
    before = _text(root)
    rows, notes = _rows(store, read_page(before or "").rows, context.clock.now())
    change = FileChange(PAGE, before, with_rows(template(TEMPLATE) if before is None else before, rows))
    became = consent.settle(context, root, [change], yes=yes, dry_run=dry_run)
    document = {
        "page": PAGE,
        "result": became,
        "rows": [_as_json(row) for row in rows],
        "notes": notes,
        "files": consent.listed([change]),
        "diff": diff_text([change]),
        **consent.error_of(became),
    }
    lines = [diff_text([change])] if became in (consent.SHOWN, consent.UNASKED) else []
    lines += [_line(row) for row in rows]
    lines += [f"note: {note}" for note in notes]
    said = {consent.WRITTEN: f"wrote {PAGE}", consent.NOTHING: f"Nothing to do: {PAGE} says this already."}
    lines.append(said.get(became) or consent.verdict(became))
    return Answer(consent.exit_code(became), document, safe_text("\n".join(lines) + "\n", lines=True))


def _text(root: str) -> str | None:
    try:
        return current_text(root, PAGE)
    except UnfitFileError as error:
        raise UsageError(f"{PAGE}: {error}", hint="move it away", code="files-in-the-way") from None


def _rows(store: RunStore, known: Sequence[Row], now: datetime) -> tuple[list[Row], list[str]]:
    """Return the page's rows as they should be, sorted, and what a person should know of them."""
    limit, broken = limits(store.workspace.root)
    ends = recorded(store, now - 2 * WINDOW)
    before = {row.key: row for row in known}
    listed = {key for key in limit if key[1] == ALWAYS_LISTED or key in before or measured(ends.get(key, ()), now)}
    rows = [_row(store, key, limit[key], before.get(key), ends.get(key, ()), now) for key in sorted(listed)]
    rows += [row for row in known if row.project in broken]
    notes = [
        f"the config of {name} has faults, its rows stay as they are; codex-orchestrator doctor" for name in broken
    ]
    notes += [
        f"{row.project}, {row.pipeline}: nothing was measured yet; {start_line(*row.key)}"
        for row in rows
        if row.p90 is None
    ]
    return rows, notes


def _row(store: RunStore, key: Key, limit: float, before: Row | None, ends: Sequence[End], now: datetime) -> Row:
    found = measured(ends, now)
    if found is not None:
        return Row(*key, limit, found.p90, len(found.ends), found.latest.run_id, hosts(store, found.ends))
    if before is None:
        return Row(*key, limit)
    return Row(*key, limit, before.p90, before.runs, before.latest, before.host)


def _as_json(row: Row) -> dict[str, object]:
    return {
        "project": row.project,
        "pipeline": row.pipeline,
        "limit_seconds": row.limit,
        "p90_seconds": row.p90,
        "runs": row.runs,
        "latest_run": row.latest,
        "host": row.host or None,
    }


def _line(row: Row) -> str:
    head = f"{row.project:<14} {row.pipeline:<12} limit {written(row.limit)}"
    return (
        f"{head}, p90 {written(row.p90)} of {plural(row.runs, 'run')}"
        if row.p90 is not None
        else f"{head}, not measured"
    )
