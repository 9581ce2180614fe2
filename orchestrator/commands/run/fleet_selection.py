"""The selection that ``start`` and ``plan`` are asked for, with what git and the records say."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping

from orchestrator.base.errors import DamagedRecord, NotFound, StorageError
from orchestrator.base.record import Record
from orchestrator.base.workspace import is_folder, project_folder
from orchestrator.checks.fleet_change import changed_since, compared_with, has_commit, repository_of
from orchestrator.checks.spec_guard.bases import BASE_VARIABLE
from orchestrator.checks.spec_guard.repository import system_git
from orchestrator.commands.context import Context
from orchestrator.config.fleet.affected import Change, affected
from orchestrator.config.fleet.foreseen_cache import ForeseenCache
from orchestrator.config.fleet.members import Member, Members, read_members
from orchestrator.config.fleet.members_cache import MembersCache
from orchestrator.config.fleet.options import LAST_SUCCESS, SelectionOptions
from orchestrator.config.fleet.plan import Foreseen, fleet_plan, foreseen
from orchestrator.config.fleet.selection import Base, Selection, Sources, select
from orchestrator.config.fleet_policy import FleetPolicy, read_fleet_policy
from orchestrator.config.plan_cache import PlanCache
from orchestrator.model.plan import Plan
from orchestrator.report.run_list.last_runs import EndedRun, ended_runs, failed_last
from orchestrator.store.find import read_document
from orchestrator.store.record_proof import is_proved
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orchestrator.checks.fleet_change import Repository


class Choice(Record):
    """A selection with what it was made of."""

    selection: Selection
    members: Members
    policy: FleetPolicy


def chosen(context: Context, store: RunStore, options: SelectionOptions, pipeline: str) -> Choice:
    """Return what ``options`` select for ``pipeline``. Raises UsageError as ``select`` does, and ConfigError."""
    root = store.workspace.root
    policy = read_fleet_policy(root)
    cache = MembersCache(store.workspace)
    members = read_members(root, cache.member)
    cache.store()

    def change() -> Base:
        return _change(context, store, options.base, members.projects, policy, pipeline)

    sources = Sources(change, lambda: failed_last(store, ended_runs(store, pipeline)))
    return Choice(select(options, members, pipeline, policy.shared, sources), members, policy)


class Planned(Record):
    """The frozen plan of a fleet; ``store`` writes what was compiled for it, for the children and for the next time."""

    plan: Plan
    store: Callable[[], None]


def planned(context: Context, store: RunStore, choice: Choice, pipeline: str, *, fail_fast: bool = False) -> Planned:
    """Return the plan of a fleet; a project whose config or folder is broken is an entry with its fault."""
    names, members = choice.selection.names, choice.members.projects
    known, write = _known_plans(context, store, names, members, pipeline)
    plan = fleet_plan(choice.selection, members, known, pipeline, choice.policy.task_id, fail_fast=fail_fast)
    return Planned(plan, write)


def _known_plans(
    context: Context, store: RunStore, names: Iterable[str], members: Mapping[str, Member], pipeline: str
) -> tuple[Mapping[str, Foreseen], Callable[[], None]]:
    """Return what is known of the plan of each of the projects ``names``, and what writes it."""
    workspace, today = store.workspace, context.clock.now().date()
    plans = PlanCache(workspace)
    digests = {name: member.digest for name, member in members.items()}
    cache = ForeseenCache(workspace, pipeline, plans.conditions(today), digests)

    def compile_one(name: str) -> Plan:
        plan = plans.plan(name, pipeline, today=today)
        project_folder(workspace.root, plan.project, plan.project_path)
        return plan

    found: dict[str, Foreseen] = {}
    for name in names:
        stored = cache.get(name)
        path = members[name].path
        if stored is not None and path is not None and is_folder(os.path.join(workspace.root, path)):
            found[name] = stored
            continue
        found[name] = foreseen(compile_one, name)
        cache.put(name, found[name], plans.sources(name, pipeline))

    def write() -> None:
        plans.store()
        cache.store()

    return found, write


def _change(
    context: Context,
    store: RunStore,
    base: str | None,
    projects: Mapping[str, Member],
    policy: FleetPolicy,
    pipeline: str,
) -> Base:
    workspace = store.workspace
    records = (workspace.runs_dir, workspace.out_dir, workspace.environments_dir)
    paths = {name: member.path for name, member in projects.items() if member.path is not None}
    repository = repository_of(workspace.root, system_git(context.environ), records, paths)
    if base == LAST_SUCCESS:
        return _since_last_success(store, repository, projects, policy, pipeline)
    found = compared_with(repository, base, context.environ.get(BASE_VARIABLE, ""))
    return Base(found.named, found.merge_base, found.change, found.notes)


def _since_last_success(
    store: RunStore,
    repository: Repository,
    projects: Mapping[str, Member],
    policy: FleetPolicy,
    pipeline: str,
) -> Base:
    """Return why each project is affected, compared with the commit of its last success on a clean tree."""
    runs = [run for run in ended_runs(store, pipeline) if run.status == "succeeded" and not run.is_fleet]
    changes: dict[str, Change] = {}
    found: dict[str, tuple[str, ...]] = {}
    for name in projects:
        commit = _clean_commit(store, [run for run in runs if run.project == name])
        if commit is None:
            found[name] = ("it has no success on a clean tree yet",)
            continue
        if commit not in changes and has_commit(repository, commit):
            changes[commit] = changed_since(repository, commit)
        if commit not in changes:
            found[name] = (f"the commit of its last success, {commit[:12]}, is not in this clone",)
            continue
        why = affected(projects, changes[commit], policy.shared, dependents=False).get(name)
        if why is not None:
            found[name] = why
    files = sorted({file for change in changes.values() for file in change.files})
    return Base(LAST_SUCCESS, None, Change(tuple(files)), by_project=found)


def _clean_commit(store: RunStore, runs: list[EndedRun]) -> str | None:
    """Return the commit of the newest of ``runs`` whose tree was clean, None where none was that its chain proves."""
    for run in runs:
        try:
            record = read_document(store, run.where)
        except (NotFound, DamagedRecord, StorageError):
            continue
        if record["status"] != "succeeded" or not is_proved(store, run.where, record):
            continue
        last = (record.get("provenance") or [{}])[-1]
        if last.get("dirty") is False and isinstance(last.get("commit"), str):
            return str(last["commit"])
    return None
