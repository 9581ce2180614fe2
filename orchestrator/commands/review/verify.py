"""``verify``: whether records still say what was recorded, and documents what the records prove."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress

from orchestrator.base.errors import EXIT_DONE, EXIT_GATE, StorageError, UsageError
from orchestrator.base.finding import Finding
from orchestrator.base.garbage_collector import collector_off
from orchestrator.base.text.safe_text import safe_text
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.review.checkpoint import witness_findings_of
from orchestrator.commands.review.evidence_sources import docs_findings
from orchestrator.commands.review.plan_of_config import PlanProofs
from orchestrator.commands.review.sla_check import page_findings
from orchestrator.commands.run.prepared_run import check_format
from orchestrator.config.project_names import project_names
from orchestrator.onboarding.refresh import stale_documents
from orchestrator.report.layout import plural
from orchestrator.store.doctor.chain_indexes import index_again, index_findings
from orchestrator.store.find import find_run, run_ids, task_ids
from orchestrator.store.layout import Location
from orchestrator.store.store import RunStore
from orchestrator.store.verification.alignment import align_task
from orchestrator.store.verification.tasks import findings_by_place, verify_all, verify_run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
_MOST_NOTES = 10


@collector_off()
def verify(
    context: Context,
    *,
    run: str | None = None,
    all: bool = False,  # noqa: A002 -- the option's name
    state: bool = False,
    docs: bool = False,
    witness: str | None = None,
    format: str = "text",  # noqa: A002 -- the option's name
) -> Answer:
    """Verify one run, or ``all``; whether what follows from the records agrees (``state``); documents (``docs``).

    ``witness`` is a remote whose checkpoints the chains must extend. Nothing asked for is ``all``. Exit code 4 when
    something does not hold. Reads only, but for an index of a chain that differs from it: that is made anew.
    Raises UsageError, NotFound.
    """
    check_format(format, ("text", "json"))
    if run is not None and all:
        raise UsageError("--all is every run; a run was named too", hint="give one of them", code="run-and-all")
    store = context.store()
    document: dict[str, Any] = {"workspace": store.workspace.root}
    findings: list[Finding] = []
    if run is not None or all or not (state or docs or witness is not None):
        places = _places(store) if run is None else [find_run(store, run)]
        with context.progress("verify: runs", format, len(places)) as bar:
            plans = PlanProofs(store, context.environ)
            judge = plans.judge
            seen = verify_all(store, bar.tick, judge) if run is None else verify_run(store, places[0], judge)
        of_plans = plans.found()
        notes = [note._asdict() for note in (*seen.notes, *(item for item, is_note in of_plans if is_note))]
        document["records"] = {"tasks": seen.tasks, "runs": seen.runs, "chain_lines": seen.links, "notes": notes}
        findings += [*seen.findings, *(item for item, is_note in of_plans if not is_note)]
    if state:
        with context.progress("verify: state", format) as bar:
            found, document["state"] = _aligned(store, bar.tick)
        findings += found
    if docs:
        report = docs_findings(store, context.environ)
        stale, rows = page_findings(store, context.environ, context.clock.now())
        notes = [note._asdict() for note in report.notes]
        document["docs"] = {**report.counted, "limits": rows, "notes": notes}
        findings += [*report.findings, *stale, *stale_documents(store.workspace.root)]
    if witness is not None:
        findings += witness_findings_of(store, context.environ, witness)
    ordered = list(dict.fromkeys(findings_by_place(findings)))
    document["ok"] = not ordered
    document["findings"] = [finding.as_json() for finding in ordered]
    return Answer(EXIT_GATE if ordered else EXIT_DONE, document, _text(document, ordered))


def _places(store: RunStore) -> list[Location]:
    return [Location(task, run_id) for task in task_ids(store) for run_id in run_ids(store, task)]


def _aligned(store: RunStore, looked: Callable[[object], None]) -> tuple[list[Finding], list[dict[str, Any]]]:
    """Return all differences, and for each project what was compared."""
    tasks = [align_task(store, task_id, looked) for task_id in task_ids(store)]
    runs: dict[str, list[tuple[str, bool]]] = {name: [] for name in project_names(store.workspace.root)}
    for task in tasks:
        for run_id, project in task.projects.items():
            runs.setdefault(project, []).append((run_id, run_id not in task.differing and "" not in task.differing))
    rows = [_row(project, sorted(compared)) for project, compared in sorted(runs.items())]
    return [*_of_indexes(store), *(finding for task in tasks for finding in task.findings)], rows


def _of_indexes(store: RunStore) -> Iterator[Finding]:
    """Yield where the index of a task's chain differs from it, after it was made anew."""
    for task_id in task_ids(store):
        with suppress(FileNotFoundError, StorageError), store.task(task_id) as task:
            for finding in index_findings(store, task):
                done = list(index_again(store, task))
                yield finding._replace(hint="it was made anew from the chain" if done else finding.hint)


def _row(project: str, compared: list[tuple[str, bool]]) -> dict[str, Any]:
    return {
        "project": project,
        "runs": len(compared),
        "agree": all(agrees for _, agrees in compared),
        "last": [{"run_id": run_id, "agrees": agrees} for run_id, agrees in compared[-3:]],
    }


def _notes(notes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield each note, of many of one kind only how many there are."""
    for code, count in Counter(note["code"] for note in notes).items():
        if count > _MOST_NOTES:
            yield f"{count} × {code} (--format json lists them)"
            continue
        for note in notes:
            if note["code"] == code:
                place = note["path"] if note["line"] is None else f"{note['path']}:{note['line']}"
                yield f"{place}: {note['message']} ({code})"


def _text(document: Mapping[str, Any], findings: Collection[Finding]) -> str:
    lines = []
    for finding in findings:
        lines.append(f"{finding.place}: {finding.message} ({finding.code})")
        if finding.hint:
            lines.append(f"  hint: {finding.hint}")
    for row in document.get("state", ()):
        what = f"manifests, metrics, state and pointers of {plural(row['runs'], 'run')}"
        what += " agree" if row["agree"] else " DIFFER"
        last = ", ".join(entry["run_id"] for entry in reversed(row["last"])) or "no ended run yet"
        lines.append(f"State      {row['project']}: {what}")
        lines.append(f"           last: {last}")
    records = document.get("records")
    if records is not None:
        named = (("tasks", "task"), ("runs", "run"), ("chain_lines", "ended attempt"))
        lines.append(f"Records    {', '.join(plural(records[key], word) for key, word in named)}")
        lines += [f"           {note}" for note in _notes(records["notes"])]
    claims = document.get("docs")
    if claims is not None:
        named = (("checklists", "checklist"), ("ticked", "ticked item"), ("limits", "limit"))
        lines.append(f"Documents  {', '.join(plural(claims[key], word) for key, word in named)}")
        lines += [f"           {note}" for note in _notes(claims["notes"])]
    lines.append(f"Findings   {len(findings) or 'none'}")
    return safe_text("\n".join(lines) + "\n", lines=True)
