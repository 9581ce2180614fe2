"""``doctor``: what is wrong with a workspace, and what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from orchestrator.base.errors import EXIT_DONE, EXIT_GATE
from orchestrator.base.finding import Finding
from orchestrator.base.garbage_collector import collector_off
from orchestrator.base.text.safe_text import safe_text
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.maintain.record_sizes import size_findings
from orchestrator.commands.maintain.tool_checks import config_findings, shadowing_findings, tool_findings
from orchestrator.commands.run.ended_run import with_delivery
from orchestrator.commands.run.prepared_run import check_format
from orchestrator.model.manifest.transitions import interrupted
from orchestrator.store.doctor.finding import Repaired, as_json, severity
from orchestrator.store.doctor.repair import repair as mend
from orchestrator.store.doctor.workspace import inspect_records


@collector_off()
def doctor(
    context: Context,
    *,
    repair: bool = False,
    format: str = "text",  # noqa: A002 -- the option's name
) -> Answer:
    """Check configurations, tools, records and file systems; exit code 4 when something is wrong, warnings apart.

    With ``repair``, what can be repaired is repaired first, and the rest is reported. Without it nothing is
    written. Raises UsageError without a workspace, StorageError when a repair can't be written.
    """
    check_format(format, ("text", "json"))
    store = context.store()
    with context.progress("doctor: runs", format) as bar:
        seen = inspect_records(store, bar.tick)
    repaired: list[Repaired] = []
    if repair and any(finding.repairable for finding in seen.findings):
        repaired = list(mend(store, seen, interrupted))
        with context.progress("doctor: runs", format) as bar:
            seen = inspect_records(store, bar.tick)
    projects, faults = config_findings(store.workspace.root, context.clock.now().date())
    tools = [
        *tool_findings(store.workspace.root, projects, context.environ),
        *shadowing_findings(store.workspace.environments_dir, projects),
    ]
    findings = [*faults, *tools, *seen.findings, *size_findings(store, projects)]
    failed = any(finding.level == "error" for finding in findings)
    checked = {
        "projects": len(projects),
        "tasks": len(seen.tasks),
        "runs": sum(len(task.runs) for task in seen.tasks),
    }
    document = {
        "workspace": store.workspace.root,
        "ok": not failed,
        "checked": checked,
        "findings": [as_json(finding) for finding in findings],
        "repaired": [item._asdict() for item in repaired],
    }
    answer = Answer(EXIT_GATE if failed else EXIT_DONE, document, _text(findings, repaired, checked))
    return with_delivery(context, store, answer) if repair else answer


def _text(findings: Iterable[Finding], repaired: Iterable[Repaired], checked: dict[str, int]) -> str:
    lines = [f"repaired: {item.place}: {item.done} ({item.code})" for item in repaired]
    counted: Counter[str] = Counter()
    for finding in findings:
        counted[severity(finding)] += 1
        lines.append(f"{severity(finding)}: {finding.place}: {finding.message} ({finding.code})")
        if finding.hint:
            lines.append(f"  hint: {finding.hint}")
    what = ", ".join(f"{count} {_plural(word.rstrip('s'), count)}" for word, count in checked.items())
    found = ", ".join(f"{count} {_plural(word, count)}" for word, count in sorted(counted.items()))
    lines.append(f"Checked {what}: {found or 'nothing is wrong'}.")
    return safe_text("\n".join(lines) + "\n", lines=True)


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"
