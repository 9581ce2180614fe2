"""Lineage: which run started which, derived from the parent's record and the environment."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base.errors import Refused
from orchestrator.base.limits import DEEPEST_NESTING
from orchestrator.base.sha256 import sha256
from orchestrator.base.workspace import ENVIRONMENTS_VARIABLE, OUT_VARIABLE, ROOT_VARIABLE, RUNS_VARIABLE, Workspace
from orchestrator.model.manifest.manifest import Lineage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RUN_VARIABLE = "CODEX_ORCHESTRATOR_RUN_ID"
STAGE_VARIABLE = "CODEX_ORCHESTRATOR_STAGE_ID"
RUN_FOLDER_VARIABLE = "CODEX_ORCHESTRATOR_RUN_DIR"

_TRACEPARENT = r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}"


def root_lineage(run_id: str, note: str | None = None) -> Lineage:
    """Return the lineage of a run that nothing started."""
    return Lineage(parentRunId=None, rootRunId=run_id, depth=0, note=note)


def child_lineage(parent: Mapping[str, Any], stage_id: str | None) -> Lineage:
    """Return the lineage of a run started below ``parent`` (its manifest, version 1 or 2).

    Raises Refused when it would be nested deeper than 16.
    """
    above = parent.get("lineage") or {}
    depth = int(above.get("depth", 0)) + 1
    if depth > DEEPEST_NESTING:
        raise Refused(
            f"runs are nested {depth} deep; {DEEPEST_NESTING} is the most",
            hint="a stage that starts the pipeline it belongs to never ends; look at the stages above this one",
            code="nested-too-deep",
        )
    return Lineage(
        parentRunId=str(parent["run_id"]),
        rootRunId=str(above.get("rootRunId") or parent["run_id"]),
        depth=depth,
        parent_task_id=str(parent["task_id"]),
        parent_project=parent.get("project"),
        parent_stage_id=stage_id,
        trace_id=above.get("trace_id"),
    )


def trace_of(inherited: str, lineage: Lineage) -> tuple[str, str | None]:
    """Return a run's trace id and the id of the span above it (hex): an inherited ``TRACEPARENT``'s.

    Where none is inherited, or it is none by W3C Trace Context, the trace of the run goes on, or that of its parent;
    a new one follows from the root run's id.
    """
    if inherited:
        import re

        found = re.fullmatch(_TRACEPARENT, inherited)
        if found is not None:
            return found[1], found[2]
    return lineage.trace_id or sha256(lineage.rootRunId.encode()).hexdigest()[:32], None


def traceparent(lineage: Lineage, run_id: str, stage_id: str, attempt: int) -> str:
    """Return the W3C trace context of a stage: its exported span, in the trace of its run, whichever attempt it is.

    Source: W3C Trace Context, level 1, section 3.2.
    """
    span = sha256(f"{run_id}/{stage_id}/{attempt}".encode()).hexdigest()[:16]
    return f"00-{trace_of('', lineage)[0]}-{span}-01"


def fixed_variables(workspace: Workspace, task_id: str, project: str) -> dict[str, str]:
    """Return those of the orchestrator's variables that are the same in every run of a task (contract, section 6)."""
    return {
        ROOT_VARIABLE: workspace.root,
        RUNS_VARIABLE: workspace.runs_dir,
        OUT_VARIABLE: workspace.out_dir,
        **({ENVIRONMENTS_VARIABLE: moved} if (moved := workspace.moved_environments) else {}),
        "CODEX_ORCHESTRATOR_TASK_ID": task_id,
        "CODEX_ORCHESTRATOR_PROJECT": project,
    }
