"""``metrics``: what each project's runs of the last days come to, and the gate over it. It writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from orchestrator.base.clock import stamp
from orchestrator.base.errors import EXIT_DONE, EXIT_GATE, UsageError
from orchestrator.base.garbage_collector import collector_off
from orchestrator.base.identifiers import check_name, near_hint
from orchestrator.base.text.appearance import appearance
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.look.metrics_proof import WindowRecords, proof_findings
from orchestrator.commands.look.metrics_window import by_project, ends_since
from orchestrator.config.project_names import project_names
from orchestrator.config.routing.projects import task_owner
from orchestrator.config.source import source_of
from orchestrator.model.metrics_policy import MetricsPolicy, policy_of
from orchestrator.model.stage_tries import Try, failed_state, tries_in
from orchestrator.report.durations_plot import durations_svg
from orchestrator.report.metrics_text import metrics_text
from orchestrator.report.openmetrics import openmetrics
from orchestrator.report.statistics.flaky import flaky_stages
from orchestrator.report.statistics.gate import Finding, finding, gate_findings
from orchestrator.report.statistics.metrics_record import End
from orchestrator.report.statistics.summary import project_summary
from orchestrator.report.time_window import span

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

Records: TypeAlias = "Mapping[str, Mapping[str, Any]]"


@collector_off()
def metrics(
    context: Context,
    *,
    project: str | None = None,
    window: str = "7d",
    gate: bool = False,
    min_coverage: float | None = None,
    sla_budget: float | None = None,
    format: str = "text",  # noqa: A002 -- the option's name
) -> Answer:
    """Return the figures of a rolling window by project (docs/metrics.md).

    With ``gate`` the records of the window's runs are compared with the chain, and the exit code is 4 when the gate
    is not met; without it no record is opened, and whether the gate is met is not known (None) unless the lines alone
    say that it is not. ``min_coverage`` and ``sla_budget`` (0 to 1) take the place of what the projects' configs say.
    Of the metrics and the chain only what the window needs is read. Raises UsageError.
    """
    store = context.store()
    root = store.workspace.root
    now = context.clock.now()
    start = now - timedelta(seconds=span("--window", window))
    known = project_names(root)
    if project is not None:
        check_name("project", project, known)
    with context.progress("metrics: lines and records" if gate else "metrics: lines", format) as bar:
        records = WindowRecords(store, bar.add) if gate else None
        found = ends_since(store, start, prove=True, records=records, looked=bar.add)
    grouped = by_project(found.ends, known, task_owner(root))
    if project is not None and project not in grouped:
        raise UsageError(
            f"there is no project '{project}'",
            hint=near_hint(project, filter(None, grouped)),
            code="unknown-project",
        )
    chosen = {name: ends for name, ends in grouped.items() if project in (None, name)}
    policy = _policies(root, frozenset(known), min_coverage, sla_budget)
    missing = None if records is None else records.missing([end for ends in chosen.values() for end in ends])
    parts: Records = {} if records is None else records.parts
    tries = _tries(found.tried, {} if records is None else records.tries)
    findings = [
        finding(None, "metrics-unreadable", f"the metrics of task {entry.task_id} can't be read: {entry.reason}")
        for entry in found.unreadable_tasks
    ]
    for task_id, unproved in found.unproved.items():
        findings += proof_findings(task_id, unproved)
    if not any(chosen):
        findings.append(finding(None, "no-project", "there is no project to judge"))
    middle = start + (now - start) / 2
    summaries = []
    for name, ends in chosen.items():
        flaky = flaky_stages(one for end in ends for one in tries.get(end.run_id, ()))
        summary = project_summary(name, ends, flaky, middle)
        here = policy(name, summary, ends, parts)
        summaries.append({**summary, "findings": len(here)})
        findings += here
    document = {
        "since": stamp(start),
        "until": stamp(now),
        "window_seconds": (now - start).total_seconds(),
        "projects": summaries,
        "gate": {"met": False if findings else True if gate else None, "findings": findings},
        "notes": {**found.notes(), "records_missing": missing},
    }
    return _answer(context, document, chosen, format, EXIT_GATE if gate and findings else EXIT_DONE)


def _answer(
    context: Context, document: Mapping[str, Any], ends: Mapping[str | None, Sequence[End]], form: str, code: int
) -> Answer:
    seen = appearance(context.stdout, context.environ)
    width, color = seen.width, seen.color
    if form in ("text", "json"):
        return Answer(code, document, metrics_text(document, width=width, color=color))
    if code != EXIT_DONE:
        context.stderr.write(metrics_text(document, width=width, color=False))
    if form == "openmetrics":
        return Answer(code, None, openmetrics(document))
    return Answer(code, None, durations_svg(document, ends))


def _tries(ends: Sequence[End], known: Mapping[str, list[Try]]) -> dict[str, list[Try]]:
    """Return by run the tries of stages that may tell a flaky one: those on a state on which some stage failed.

    ``ends`` name tries; ``known`` are those of records whose lines name none.
    """
    states = {state for end in ends if (state := failed_state(end.tried)) is not None}
    states |= {one.state for tries in known.values() for one in tries if not one.passed}
    found = {run_id: list(tries) for run_id, tries in known.items()}
    for end in ends if states else ():
        tries = tries_in(end.pipeline_id, end.run_id, end.tried)
        if tries and tries[0].state in states:
            found.setdefault(end.run_id, []).extend(tries)
    return found


Judge: TypeAlias = "Callable[[str | None, Mapping[str, Any], Sequence[End], Records], list[Finding]]"


def _policies(root: str, known: frozenset[str], min_coverage: float | None, sla_budget: float | None) -> Judge:
    """Return the gate of any project, by its config's ``[metrics]``; one that can't be read is a finding.

    Runs of nobody's are no project, and not judged.
    """
    given = {"min_coverage": min_coverage, "sla_budget": sla_budget}
    asked: dict[str, Any] = {key: value for key, value in given.items() if value is not None}

    def judge(project: str | None, summary: Mapping[str, Any], ends: Sequence[End], records: Records) -> list[Finding]:
        policy, faults = MetricsPolicy(), []
        if project is None:
            return []
        if project in known:
            try:
                policy = policy_of(source_of(root, project).table)
            except (UsageError, ValueError) as error:
                faults = [finding(project, "config-unreadable", str(error))]
        return [*faults, *gate_findings(project, summary, ends, records, policy._replace(**asked))]

    return judge
