"""``resume`` of a fleet: its frozen plan goes on; what drifted of the projects that will run is refused."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base.errors import ConfigError, DamagedRecord, NotFound, Refused, StorageError, UsageError
from orchestrator.base.redaction import Redactor, secret_values
from orchestrator.base.workspace import project_folder
from orchestrator.commands.context import Context
from orchestrator.config.plan_cache import PlanCache
from orchestrator.model.fleet import entries_of
from orchestrator.model.manifest.document import VERSION
from orchestrator.model.manifest.manifest import ChildRun, Manifest
from orchestrator.model.plan import Plan, PlannedStage, SessionPlan, builtin_versions, redactor_for
from orchestrator.model.plan_diff import drift
from orchestrator.store.find import is_alive, read_document
from orchestrator.store.layout import TOKEN, Location
from orchestrator.store.record_proof import is_altered, is_proved
from orchestrator.store.store import RunStore
from orchestrator.store.unattended import is_unattended, unattended

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def resumed_fleet(
    context: Context, store: RunStore, manifest: Manifest, *, accept_drift: bool, new_children: bool
) -> tuple[Plan, Redactor, tuple[str, ...]]:
    """Return the frozen plan of a fleet, what masks secrets, and how the projects that will run have drifted.

    With ``accept_drift`` the plan names the current plans of those. Raises Refused where a child is alive or goes on
    in the cloud, or drift is not accepted; DamagedRecord.
    """
    plan = frozen_plan(manifest.plan)
    redactor = Redactor(tuple(dict.fromkeys(secret_values(context.environ, ()))))
    current = _Current(context, store)
    entries = entries_of(manifest.plan)
    found: list[str] = []
    digests: dict[str, str] = {}
    children = _last_children(manifest)
    for stage in plan.stages:
        child = children.get(stage.id)
        record = None if child is None else _record(store, child)
        if child is not None and record is not None:
            where = Location(child.task_id, child.run_id)
            if is_unattended(store, where, record):
                raise unattended(child.run_id)
            has_succeeded = record["status"] == "succeeded"
            is_running = is_alive(store, where)
            if is_running and not has_succeeded:
                raise Refused(
                    f"run '{child.run_id}' of project '{stage.id}' is still alive",
                    hint=f"codex-orchestrator wait {child.run_id}, or cancel it first",
                    code="alive",
                )
            if has_succeeded and (is_running or is_proved(store, where, record)):
                continue
            if has_succeeded or is_altered(store, where, record):
                record = None  # it gets a new run
        is_resumed = child is not None and record is not None and not new_children and _has_token(store, child)
        planned = current.plan(stage, builtin_versions(record["plan"]) if is_resumed and record is not None else {})
        if planned is None:
            continue  # its config is broken now: its entry fails by that
        if is_resumed and record is not None:
            lines = drift(record["plan"], planned, redactor_for(planned, context.environ))
        else:
            was = entries.get(stage.id, {}).get("plan_digest")
            lines = ("its plan is another one",) if was is not None and was != planned.digest else ()
            digests[stage.id] = planned.digest
        found += [f"project '{stage.id}': {line}" for line in lines]
    if found and not accept_drift:
        raise Refused(
            f"plans of fleet '{manifest.run_id}' have drifted: {'; '.join(found)}",
            hint="start a new fleet, or resume with --accept-drift, which is recorded",
            code="drifted",
        )
    return (_with_digests(plan, digests) if found else plan), redactor, tuple(found)


def frozen_plan(record: Mapping[str, Any]) -> Plan:
    """Return the plan that the record of a fleet holds. Raises DamagedRecord."""
    stages = record.get("stages")
    selection = record.get("selection")
    if not isinstance(stages, list) or not isinstance(selection, Mapping):
        raise DamagedRecord("the plan of the fleet can't be read")
    return Plan(
        project=str(record.get("project")),
        project_path=str(record.get("project_path")),
        task_id="",
        pipeline=str(record.get("pipeline")),
        title=str(record.get("title")),
        stages=tuple(PlannedStage.from_json(stage) for stage in stages),
        session=SessionPlan(str(record.get("project")), "none"),
        sla_seconds=float(record["sla_seconds"]),
        selection={**selection, "fail_fast": bool(selection.get("fail_fast"))},
    )


class _Current:
    """Compiles the projects' current plans."""

    def __init__(self, context: Context, store: RunStore) -> None:
        self._plans = PlanCache(store.workspace)
        self._root = store.workspace.root
        self._today = context.clock.now().date()

    def plan(self, stage: PlannedStage, builtins: Mapping[str, int]) -> Plan | None:
        """Return the current plan of a project, None where its config or folder is broken."""
        try:
            plan = self._plans.plan(stage.id, str(stage.pipeline), today=self._today, builtins=builtins)
            project_folder(self._root, plan.project, plan.project_path)
        except (ConfigError, UsageError):
            return None
        return plan


def _last_children(manifest: Manifest) -> dict[str, ChildRun]:
    found: dict[str, ChildRun] = {}
    for child in sorted(manifest.child_runs, key=lambda child: child.run_id):
        if child.stage_id is not None:
            found[child.stage_id] = child
    return found


def _record(store: RunStore, child: ChildRun) -> Mapping[str, Any] | None:
    try:
        record = read_document(store, Location(child.task_id, child.run_id))
    except (NotFound, DamagedRecord, StorageError):
        return None
    return record if record["version"] == VERSION else None


def _has_token(store: RunStore, child: ChildRun) -> bool:
    try:
        with store.run_folder(Location(child.task_id, child.run_id)) as folder:
            return folder.has(TOKEN)
    except (FileNotFoundError, StorageError):
        return False


def _with_digests(plan: Plan, digests: Mapping[str, str]) -> Plan:
    selection = dict(plan.selection or {})
    entries = [
        {**entry, "plan_digest": digests.get(str(entry.get("project")), entry.get("plan_digest"))}
        for entry in selection["projects"]
    ]
    return plan._replace(selection={**selection, "projects": entries})
