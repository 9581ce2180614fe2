"""A run that has ended: its document, its closing lines for people, and what is sent of it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from orchestrator.base.errors import EXIT_DONE, EXIT_RUN_FAILED, EXIT_SIGNAL_BASE
from orchestrator.base.text.appearance import appearance
from orchestrator.commands.context import Answer, Context
from orchestrator.model.fleet import is_fleet
from orchestrator.model.lineage import RUN_FOLDER_VARIABLE
from orchestrator.runner.ci_job import is_in_ci
from orchestrator.runner.progress import Observer
from orchestrator.runner.progress.stream import is_taken, will_take
from orchestrator.store.find import read_document
from orchestrator.store.layout import Location

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.runner.run_end import Result
    from orchestrator.store.store import RunStore


def _nothing() -> None:
    """Do nothing: nothing is held."""


def exit_code_of(result: Result) -> int:
    """Return the exit code of a run's end (contract, section 2)."""
    if result.stopped_by is not None:
        return EXIT_SIGNAL_BASE + result.stopped_by
    return EXIT_DONE if result.manifest.status == "succeeded" else EXIT_RUN_FAILED


def answer_for(
    context: Context,
    store: RunStore,
    result: Result,
    *,
    exit_code: int | None = None,
    ended: Mapping[str, Any] | None = None,
) -> Answer:
    """Return the answer of ``start`` and ``resume``: the run's document, and its closing lines for people.

    ``exit_code`` is given by a command whose own success is not the run's, ``ended`` where it is made already.
    """
    from orchestrator.report.run_summary import failure_digest, run_document

    exit_code = exit_code_of(result) if exit_code is None else exit_code
    manifest = result.manifest
    where = Location(manifest.task_id, manifest.run_id)
    ended = ended or ended_document(context, store, result)
    failed = _failures(store, where, ended)
    answer = run_document(ended, exit_code=exit_code, failed=failed, next_argv=ended["next_argv"])
    seen = appearance(context.stdout, context.environ)
    width, color = seen.width, seen.color
    if "fleet" in ended:
        from orchestrator.report.fleet_text import fleet_digest

        text = fleet_digest(answer, ended, width=width, color=color)
        return Answer(exit_code, {**answer, "fleet": {"totals": ended["fleet"]["totals"]}}, text)
    return Answer(exit_code, answer, failure_digest(answer, ended, width=width, color=color))


def _failures(store: RunStore, where: Location, ended: Mapping[str, Any]) -> list[dict[str, Any]]:
    if ended["outcome"] == "success":
        return []
    from orchestrator.commands.look.failures import failures

    return failures(store, where, ended)


def next_keys(context: Context, where: Location) -> dict[str, Any]:
    """Return ``next_command`` and ``next_argv`` of a run that has just ended."""
    ended = _document_at(context, context.store(), where)
    return {key: ended[key] for key in ("next_command", "next_argv")}


def ended_document(context: Context, store: RunStore, result: Result) -> dict[str, Any]:
    """Return the status document of a run that has just ended; its tree is the one that it ran on."""
    where = Location(result.manifest.task_id, result.manifest.run_id)
    return _document_at(context, store, where, result.children)


def _document_at(
    context: Context,
    store: RunStore,
    where: Location,
    children: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> dict[str, Any]:
    from orchestrator.commands.review.project_policy import review_policy
    from orchestrator.model.approvals import ReviewContext
    from orchestrator.report.status_document import status_document

    def child(task_id: str, run_id: str) -> Mapping[str, Any] | None:
        from orchestrator.commands.look.run_view import child_standing

        return child_standing(store)(task_id, run_id)

    @functools.cache
    def lookup() -> Callable[[str, str], Sequence[Mapping[str, str]]]:
        from orchestrator.commands.look.run_view import child_reasons

        return child_reasons(store)  # one for all children: it asks each run below them once

    record = read_document(store, where)
    if is_fleet(record):
        return _ended_fleet(context, store, where, record, children)
    return status_document(
        record,
        alive=False,
        now=context.clock.now(),
        manifest=store.paths(where).manifest,
        child=child,
        child_reasons=lambda task_id, run_id: lookup()(task_id, run_id),
        review_context=ReviewContext(*review_policy(store.workspace.root, str(record["project"]))),
    )


def _ended_fleet(
    context: Context,
    store: RunStore,
    where: Location,
    record: Mapping[str, Any],
    children: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the status document of a fleet that has just ended, with its projects."""
    from orchestrator.commands.look.fleet_view import with_fleet
    from orchestrator.commands.look.run_view import child_standing
    from orchestrator.report.status_document import status_document

    known = {(child["task_id"], child["run_id"]): child for child in children.values()}
    document = status_document(
        record,
        alive=False,
        now=context.clock.now(),
        manifest=store.paths(where).manifest,
        child=child_standing(store, known),
    )
    return with_fleet(store, document, context.environ, children)


def with_delivery(context: Context, store: RunStore, answer: Answer) -> Answer:
    """Return the answer of a command that wrote: exports that wait are sent once it is printed.

    Inside a run of the workspace they wait for the end of that run, whose stages would take longer for them.
    """
    enclosing = context.environ.get(RUN_FOLDER_VARIABLE, "")
    if not store.has_outbox() or enclosing.startswith(store.workspace.runs_dir + os.sep):
        return answer

    def deliver() -> None:
        from orchestrator.commands.review.waiting_exports import deliver_now

        project = (answer.document or {}).get("project")
        deliver_now(context, store, project if isinstance(project, str) else None)

    return answer._replace(after=deliver)


def answer_seen(
    context: Context,
    store: RunStore,
    result: Result,
    observer: Observer,
    form: str,
    *,
    ended: Mapping[str, Any] | None = None,
) -> Answer:
    """Return the answer, without what would be waited for where nobody reads what the run shows.

    These are its closing lines, and the document too when stdout is full and its reader takes nothing of it.
    ``ended`` is the run's status document where it is made already.
    """
    answer = with_delivery(context, store, answer_for(context, store, result, ended=ended))
    if is_in_ci(context.environ):
        from orchestrator.commands.run.ci_outputs import reported_to_ci

        where = Location(result.manifest.task_id, result.manifest.run_id)
        answer = reported_to_ci(context, store, result.manifest.project, where, answer)
    unread = observer.sink.unread
    if not unread:
        return answer
    context.warn(f"{unread} bytes of output and the closing lines are not shown: nobody reads them; the logs are whole")
    # In text there is no document to be waited for.
    is_read = will_take(context.stdout) if form == "json" else is_taken(context.stdout)
    return answer._replace(text="", document=answer.document if is_read else None)
