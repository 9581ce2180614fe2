"""A run that is ready to begin, what shows it while it goes on, and the answer with its record."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType

from orchestrator.base.errors import EXIT_DONE, EXIT_RUN_FAILED, EXIT_SIGNAL_BASE, UsageError
from orchestrator.base.record import Record
from orchestrator.base.text.appearance import appearance
from orchestrator.commands.context import Answer, Context
from orchestrator.git import Capture, CodePatterns
from orchestrator.model.fleet import is_fleet
from orchestrator.model.lineage import RUN_FOLDER_VARIABLE, RUN_VARIABLE
from orchestrator.model.manifest.manifest import Softening
from orchestrator.model.plan import Plan
from orchestrator.runner.progress import Observer, make_observer
from orchestrator.store.find import read_document
from orchestrator.store.layout import Location

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.base.redaction import Redactor
    from orchestrator.commands.run.cloud_place import CloudPlace
    from orchestrator.runner.progress.lines import SinkLines
    from orchestrator.runner.run_end import Result
    from orchestrator.runner.stage_cache import StageCache
    from orchestrator.store.open_run import OpenRun
    from orchestrator.store.store import RunStore

FORMATS = ("text", "json", "ndjson")


def _nothing() -> None:
    """Do nothing: nothing is held."""


class PreparedRun(Record):
    """An attempt of a run that is ready to begin: ``open_run`` claims the run, or takes it over.

    ``done`` names the stages that need not run again, ``active_before`` the seconds of earlier attempts;
    ``fresh`` has every stage run, whether or not something changed. ``open_unseen`` opens a run that nobody sees
    before it ends, where that may be; ``abandon`` gives back what is held when it doesn't begin. ``found`` is the run
    that the start's key stands for already: then nothing is to be run.
    ``copies`` are the folders in which some stages run instead of the project's. Of a fleet, ``key`` is the start's, of
    which each child gets its own, with ``new_children`` no child of an earlier attempt is resumed, and
    ``child_options`` are options of each child's start. ``is_limited``
    says that the run may have to wait for its place, ``wait_seconds`` how long at most (None: as long as it takes).
    ``cloud`` is the engine's place of a run of mode cloud.
    """

    store: RunStore
    plan: Plan
    redactor: Redactor
    open_run: Callable[[], OpenRun]
    at_once: int | None
    task_id: str
    done: Collection[str] = ()
    active_before: float = 0.0
    fresh: bool = False
    open_unseen: Callable[[], OpenRun] | None = None
    abandon: Callable[[], None] = _nothing
    found: Location | None = None
    copies: Mapping[str, str] = MappingProxyType({})
    key: str | None = None
    new_children: bool = False
    child_options: tuple[str, ...] = ()
    policy: Callable[[], tuple[Softening, ...]] = tuple
    default_commit: Callable[[], str] = str
    is_limited: bool = False
    wait_seconds: float | None = None
    cloud: CloudPlace | None = None

    def may_reuse(self) -> bool:
        """Tell whether any stage says what its success rests on."""
        return any(stage.inputs for stage in self.plan.stages)

    def cache(
        self, context: Context, env_dir: str | None, ignored: Callable[[], frozenset[str]] | None = None
    ) -> StageCache | None:
        """Return what tells which stages need not run, None where each must; ``ignored`` as for ``cache_for``."""
        if not self.may_reuse():
            return None
        from orchestrator.runner.stage_cache.for_run import cache_for

        return cache_for(
            self.store,
            self.plan,
            self.task_id,
            env_dir,
            context.environ,
            context.clock,
            fresh=self.fresh,
            ignored=ignored,
        )


def check_jobs(jobs: int | None) -> None:
    """Raise UsageError when that many stages can't run at the same time; None leaves it to the run."""
    if jobs is not None and jobs < 1:
        raise UsageError(f"--jobs is {jobs}; it must be at least 1", code="bad-jobs")


def check_format(name: str, allowed: Collection[str] = FORMATS) -> None:
    """Raise UsageError when ``name`` is not an output format."""
    if name not in allowed:
        raise UsageError(f"--format is '{name}'; it is one of {', '.join(allowed)}", code="bad-format")


def with_base_policy(context: Context, prepared: PreparedRun) -> PreparedRun:
    """Return the run with the comparison of its config and the base commit's begun; a fleet has no config."""
    if prepared.plan.selection is not None:
        return prepared
    from orchestrator.commands.run.policy_comparison import PolicyComparison

    policy = PolicyComparison(prepared.store.workspace.root, prepared.plan, context.environ)
    return prepared._replace(policy=policy.finish, default_commit=policy.default_commit)


def capture(context: Context, prepared: PreparedRun) -> Capture:
    """Begin to capture the provenance of an attempt."""
    root = prepared.store.workspace.root
    folder = os.path.normpath(os.path.join(root, prepared.plan.project_path))
    # What stages declare that they make is no part of the tree that they were run on.
    outputs = tuple(pattern for stage in prepared.plan.stages for pattern in (*stage.outputs, *stage.reports))
    return Capture.begin(
        folder,
        root,
        context.environ,
        ignored=outputs,
        code=CodePatterns(prepared.plan.code, prepared.plan.not_code),
        ignored_names=prepared.may_reuse(),
        workspace=prepared.store.workspace,
        account=True,
    )


def observer_for(context: Context, form: str, project: str, *, fleet: bool = False) -> Observer:
    """Return what shows a run of ``project`` that goes on, in the asked format; of a ``fleet``, a line for each."""
    return make_observer(
        form,
        fleet=fleet,
        stdout=context.stdout,
        stderr=context.stderr,
        environ=context.environ,
        clock=context.clock,
        at_end=lambda task_id, run_id: next_keys(context, Location(task_id, run_id)),
        ci=_ci_screen(context, project) if is_in_ci(context.environ) else None,
    )


def is_in_ci(environ: Mapping[str, str]) -> bool:
    """Tell whether a CI system whose screen is known runs this. A plain start asks no more than this."""
    return environ.get("GITHUB_ACTIONS") == "true" or environ.get("GITLAB_CI") == "true"


def _ci_screen(context: Context, project: str) -> Callable[..., SinkLines] | None:
    from orchestrator.commands.run.ci_outputs import reports_to_ci
    from orchestrator.runner.progress.ci_screen import ci_screen

    is_root = RUN_VARIABLE not in context.environ
    return ci_screen(context.environ, is_root=is_root, is_on=reports_to_ci(context, project))


def exit_code_of(result: Result) -> int:
    """Return the exit code of a run's end (contract, section 2)."""
    if result.stopped_by is not None:
        return EXIT_SIGNAL_BASE + result.stopped_by
    return EXIT_DONE if result.manifest.status == "succeeded" else EXIT_RUN_FAILED


def answer_for(context: Context, store: RunStore, result: Result, *, exit_code: int | None = None) -> Answer:
    """Return the answer of ``start`` and ``resume``: the run's document, and its closing lines for people.

    ``exit_code`` is given by a command whose own success is not the run's.
    """
    from orchestrator.report.run_summary import failure_digest, run_document

    exit_code = exit_code_of(result) if exit_code is None else exit_code
    manifest = result.manifest
    where = Location(manifest.task_id, manifest.run_id)
    ended = _ended_document(context, store, where)
    failed = _failures(store, where, ended)
    answer = run_document(ended, exit_code=exit_code, failed=failed, next_argv=ended["next_argv"])
    seen = appearance(context.stdout, context.environ)
    width, color = seen.width, seen.color
    if "fleet" in ended:
        from orchestrator.report.fleet_text import fleet_digest

        text = fleet_digest(answer, ended, width=width, color=color)
        return Answer(exit_code, {**answer, "fleet": {"totals": ended["fleet"]["totals"]}}, text)
    return Answer(exit_code, answer, failure_digest(answer, ended, width=width, color=color))


def _failures(store: RunStore, where: Location, ended: dict[str, Any]) -> list[dict[str, Any]]:
    if ended["outcome"] == "success":
        return []
    from orchestrator.commands.look.failures import failures

    return failures(store, where, ended)


def next_keys(context: Context, where: Location) -> dict[str, Any]:
    """Return ``next_command`` and ``next_argv`` of a run that has just ended."""
    ended = _ended_document(context, context.store(), where)
    return {key: ended[key] for key in ("next_command", "next_argv")}


def _ended_document(context: Context, store: RunStore, where: Location) -> dict[str, Any]:
    """Return the status document of a run that has just ended; its tree is the one that it ran on."""
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
        return _ended_fleet(context, store, where, record)
    return status_document(
        record,
        alive=False,
        now=context.clock.now(),
        manifest=store.paths(where).manifest,
        child=child,
        child_reasons=lambda task_id, run_id: lookup()(task_id, run_id),
        review_context=ReviewContext(*review_policy(store.workspace.root, str(record["project"]))),
    )


def _ended_fleet(context: Context, store: RunStore, where: Location, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the status document of a fleet that has just ended, with its projects."""
    from orchestrator.commands.look.fleet_view import with_fleet
    from orchestrator.commands.look.run_view import child_standing
    from orchestrator.report.status_document import status_document

    document = status_document(
        record,
        alive=False,
        now=context.clock.now(),
        manifest=store.paths(where).manifest,
        child=child_standing(store),
    )
    return with_fleet(store, document, context.environ)


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
