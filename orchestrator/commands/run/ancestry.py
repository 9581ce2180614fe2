"""Whose child a new run is: the flag first, else the run that the environment names."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base.errors import DamagedRecord, NotFound, Refused, UsageError
from orchestrator.base.identifiers import FLEET, is_run_id
from orchestrator.base.quoting import shown
from orchestrator.base.record import Record
from orchestrator.model.fleet import entries_of
from orchestrator.model.lineage import RUN_VARIABLE, STAGE_VARIABLE, child_lineage, root_lineage
from orchestrator.model.manifest.manifest import Lineage
from orchestrator.model.plan import COMPILER, builtin_versions, redacted, stages_of, subplan_records
from orchestrator.store.find import find_run, read_document
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.base.redaction import Redactor
    from orchestrator.model.plan import Plan


class Parent(Record):
    """The run that a new one is started below: its manifest, and the stage that started it when known."""

    document: Mapping[str, Any]
    stage_id: str | None

    @property
    def project(self) -> str | None:
        """The parent's project; None for a run of version 1."""
        project = self.document.get("project")
        return project if isinstance(project, str) else None

    @property
    def task_id(self) -> str:
        """The parent's task."""
        return str(self.document["task_id"])

    def plan_with(self, project: str, pipeline: str) -> Mapping[str, Any] | None:
        """Return the parent's recorded plan where the stage that starts a run is that sub-pipeline, else None."""
        plan = self.document.get("plan")
        stage = stages_of(plan).get(self.stage_id or "")
        if stage is None or not isinstance(plan, Mapping) or stage.get("kind") != "subpipeline":
            return None
        return plan if (stage.get("project"), stage.get("pipeline")) == (project, pipeline) else None


class Ancestry(Record):
    """A parent, or none and a note that says why an inherited one was not taken."""

    parent: Parent | None
    note: str | None = None

    @property
    def record(self) -> Mapping[str, Any] | None:
        """The parent's record."""
        return None if self.parent is None else self.parent.document

    def lineage(self, run_id: str) -> Lineage:
        """Return the lineage of the new run ``run_id``. Raises Refused when it is nested too deep."""
        if self.parent is None:
            return root_lineage(run_id, self.note)
        return child_lineage(self.parent.document, self.parent.stage_id)

    def builtins(self, project: str, pipeline: str) -> Mapping[str, int]:
        """Return the versions of built-in pipelines that the parent's plan has of the sub-pipeline that is started."""
        plan = None if self.parent is None else self.parent.plan_with(project, pipeline)
        return {} if plan is None else builtin_versions(plan)

    def check_plan(self, plan: Plan, redactor: Redactor) -> None:
        """Raise Refused where a sub-pipeline's plan is another one than stands in its parent's (contract, section 3).

        So a config that is edited while the parent runs is drift, as it is for ``resume``.
        """
        recorded = None if self.parent is None else self.parent.plan_with(plan.project, plan.pipeline)
        if recorded is None or recorded.get("compiler") != COMPILER:
            return
        if recorded.get("kind") == FLEET:
            _check_digest(recorded, plan)
            return
        from orchestrator.model.plan_diff import drift_below

        found = drift_below(recorded, subplan_records(redacted(plan, redactor.text)))
        if found:
            raise Refused(
                f"the plan has changed since its parent run began: {'; '.join(found)}",
                hint="start the parent anew, or resume it with --accept-drift, which is recorded",
                code="drifted",
            )


def _check_digest(fleet: Mapping[str, Any], plan: Plan) -> None:
    """Raise Refused where the plan of a project is another one than its fleet was made of; a broken config had none."""
    was = entries_of(fleet).get(plan.project, {}).get("plan_digest")
    if was is not None and was != plan.digest:
        raise Refused(
            f"the plan of project '{plan.project}' has changed since its fleet began",
            hint="start a new fleet, or resume it with --accept-drift, which is recorded",
            code="drifted",
        )


def find_parent(store: RunStore, environ: Mapping[str, str], parent_run: str | None) -> Ancestry:
    """Return whose child a run started now is.

    ``parent_run`` (an id, a unique prefix or ``latest``) wins over the environment. Raises NotFound when
    it names no run. An inherited id that this workspace doesn't know starts a new root, with a note.
    """
    inherited = environ.get(RUN_VARIABLE) or None
    stage = environ.get(STAGE_VARIABLE) or None
    if parent_run is not None:
        if not parent_run:
            raise UsageError("--parent-run is empty", hint="give a run id", code="bad-run-id")
        where = find_run(store, parent_run)
        return Ancestry(Parent(read_document(store, where), stage if where.run_id == inherited else None))
    if inherited is None:
        return Ancestry(None)
    if not is_run_id(inherited):
        return Ancestry(None, f"${RUN_VARIABLE} is {shown(inherited)}, which is no run id")
    try:
        where = find_run(store, inherited)
        return Ancestry(Parent(read_document(store, where), stage))
    except NotFound:
        return Ancestry(None, f"the inherited parent {inherited} is not known in this workspace")
    except DamagedRecord as error:
        return Ancestry(None, f"the inherited parent {inherited} can't be read: {error.message}")
