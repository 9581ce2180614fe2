"""A stage as a job: its command line, folder and environment (contract, section 6)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping

from orchestrator.base.record import Record
from orchestrator.base.workspace import Workspace
from orchestrator.model.lineage import RUN_FOLDER_VARIABLE, RUN_VARIABLE, STAGE_VARIABLE, fixed_variables, traceparent
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.model.plan import Plan, PlannedStage
from orchestrator.runner.process_loop import Job
from orchestrator.runner.stage_log import StageLog

_SHELL = "/bin/sh"
_INTERACTIVE_ONLY = ("MCP_RUNNER_TASK_ID",)
"""Names the outer run's task; below a stage the parent run tells it."""


class StageJobs(Record):
    """Makes jobs of stages for one attempt of a run.

    ``stage_env`` is the allow-listed environment of the session, ``own_environ`` the orchestrator's,
    which a sub-pipeline's run needs to make its own allow-list from. Actor, approval policy and
    ``fresh`` (nothing is taken from the cache) go down to sub-pipelines.
    """

    workspace: Workspace
    project_folder: str
    manifest: Manifest
    run_folder: str
    stage_env: Mapping[str, str]
    own_environ: Mapping[str, str]
    open_log: Callable[[str, int], StageLog]
    show: Callable[[str, bytes], None]
    fresh: bool = False

    def job(self, plan: Plan, stage: PlannedStage, log: str) -> Job:
        """Return the job of ``stage``, with the log of that name open."""
        attempt = self.manifest.attempt

        def show(data: bytes) -> None:
            self.show(stage.id, data)

        return Job(
            argv=self._argv(plan, stage),
            cwd=self.workspace.root if stage.kind == "subpipeline" else os.path.join(self.project_folder, stage.cwd),
            env=self._env(stage, attempt),
            timeout_seconds=stage.timeout_seconds,
            log=self.open_log(log, stage.log_limit_bytes),
            show=show,
        )

    def _argv(self, plan: Plan, stage: PlannedStage) -> tuple[str, ...]:
        if stage.kind == "shell":
            return (_SHELL, "-c", stage.shell or "")
        if stage.kind == "subpipeline":
            target = ("--pipeline", stage.pipeline or "", "--project", stage.project or plan.project)
            actor = ("--actor", self.manifest.mode.actor)
            policy = ("--approval-policy", self.manifest.approval_policy) if self.manifest.approval_policy else ()
            fresh = ("--no-cache",) if self.fresh else ()
            return (sys.executable, "-P", "-m", "orchestrator", "start", *target, *actor, *policy, *fresh)
        return stage.argv

    def _env(self, stage: PlannedStage, attempt: int) -> dict[str, str]:
        if stage.kind == "subpipeline":
            base = {name: value for name, value in self.own_environ.items() if name not in _INTERACTIVE_ONLY}
        else:
            base = dict(self.stage_env)
        run = self.manifest
        trace = traceparent(self.own_environ, run.lineage.rootRunId, run.run_id, stage.id, attempt)
        return {
            **base,
            **stage.env,
            **fixed_variables(self.workspace, run.task_id, run.project),
            RUN_VARIABLE: run.run_id,
            "CODEX_ORCHESTRATOR_ROOT_RUN_ID": run.lineage.rootRunId,
            "CODEX_ORCHESTRATOR_MANIFEST_PATH": os.path.join(self.run_folder, "manifest.json"),
            RUN_FOLDER_VARIABLE: self.run_folder,
            STAGE_VARIABLE: stage.id,
            "TRACEPARENT": trace,
        }
