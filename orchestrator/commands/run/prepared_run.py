"""A run that is ready to begin, what shows it while it goes on, and the answer with its record."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

from orchestrator.base.errors import UsageError
from orchestrator.base.record import Record
from orchestrator.base.workspace import ENVIRONMENTS_VARIABLE, RUNS_VARIABLE
from orchestrator.commands.context import Context
from orchestrator.commands.run.ended_run import next_keys
from orchestrator.git import Capture, CodePatterns
from orchestrator.model.lineage import RUN_VARIABLE
from orchestrator.model.manifest.manifest import Softening
from orchestrator.model.plan import Plan
from orchestrator.runner.ci_job import GITHUB, is_in_ci
from orchestrator.runner.progress import Observer, make_observer
from orchestrator.store.find import find_run
from orchestrator.store.layout import Location

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.base.redaction import Redactor
    from orchestrator.commands.run.cloud_place import CloudPlace
    from orchestrator.runner.progress.lines import SinkLines
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
    ``child_options`` are options of each child's start; ``folders`` of its projects, as far as they are known, from the
    workspace's root. ``is_limited``
    says that the run may have to wait for its place, ``wait_seconds`` how long at most (None: as long as it takes).
    ``cloud`` is the engine's place of a run of mode cloud, ``around`` the record of the run that started this one.
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
    folders: Collection[str] = ()
    policy: Callable[[], tuple[Softening, ...]] = tuple
    default_commit: Callable[[], str] = str
    is_limited: bool = False
    wait_seconds: float | None = None
    cloud: CloudPlace | None = None
    around: Mapping[str, Any] | None = None

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
        shared=context.shared_look,
    )


def observer_for(
    context: Context, form: str, project: str, *, fleet: bool = False, around: Mapping[str, Any] | None = None
) -> Observer:
    """Return what shows a run of ``project`` that goes on, in the asked format; of a ``fleet``, a line for each.

    ``around`` as of ``PreparedRun``.
    """
    return make_observer(
        form,
        fleet=fleet,
        stdout=context.stdout,
        stderr=context.stderr,
        environ=context.environ,
        clock=context.clock,
        at_end=lambda run_id: next_keys(context, find_run(context.store(), run_id)),
        ci=_ci_screen(context, project, around),
    )


def _ci_screen(context: Context, project: str, around: Mapping[str, Any] | None) -> Callable[..., SinkLines] | None:
    is_root = RUN_VARIABLE not in context.environ
    if not is_in_ci(context.environ):
        return None if is_root else _nested_screen(context, around)
    from orchestrator.commands.run.ci_outputs import reports_to_ci
    from orchestrator.runner.progress.ci_screen import ci_screen

    return ci_screen(context.environ, is_root=is_root, is_on=reports_to_ci(context, project))


def _nested_screen(context: Context, around: Mapping[str, Any] | None) -> Callable[..., SinkLines] | None:
    """Return what shows a run that a stage starts: in a job of GitHub, findings pass it too."""
    from orchestrator.runner.enclosing_job import job_of

    job = job_of(context.store(), context.environ, around)
    if job is None or job.get("system") != GITHUB:
        return None
    from orchestrator.runner.progress.ci_screen import NestedLines

    return NestedLines


def check_path_entries(prepared: PreparedRun) -> None:
    """Raise UsageError when a folder that belongs on the stages' PATH can't stand there: no entry can hold a colon."""
    from orchestrator.runner.environment import bin_paths, environment_folder, tools_home

    workspace = prepared.store.workspace
    tools = tools_home(workspace)
    own = bin_paths(environment_folder(workspace.environments_dir, prepared.plan.session))
    for folder, variable in ((tools, RUNS_VARIABLE), *((path, ENVIRONMENTS_VARIABLE) for path in own)):
        if os.pathsep in folder:
            raise UsageError(
                f"'{folder}' has a '{os.pathsep}', which no entry of PATH can hold: stages would run other programs",
                hint=f"rename the folder, or let ${variable} name another place",
                code="path-separator",
            )
