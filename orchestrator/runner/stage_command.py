"""A stage as a job: its command line, folder and environment (contract, section 6)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType

from orchestrator.base.errors import StorageError
from orchestrator.base.files import Folder
from orchestrator.base.record import Record
from orchestrator.base.workspace import Workspace
from orchestrator.git.process import found_on_path
from orchestrator.model.builtin_guard import (
    DEFAULT_BRANCH_VARIABLE,
    GUARD,
    NO_VERDICT,
    VERDICT_BYTES,
    VERDICT_VARIABLE,
    ReportedVerdict,
    guard_options,
    is_builtin_guard,
    read_verdict,
)
from orchestrator.model.lineage import RUN_FOLDER_VARIABLE, RUN_VARIABLE, STAGE_VARIABLE, fixed_variables, traceparent
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.model.outcome import Ended
from orchestrator.model.plan import Plan, PlannedStage
from orchestrator.runner.environment.tools import KeptTools
from orchestrator.runner.job import Job
from orchestrator.runner.stage_log import StageLog

_SHELL = "/bin/sh"
KEY_OF_CHILD = "CODEX_ORCHESTRATOR_KEY"
_OF_THE_CALLER = ("MCP_RUNNER_TASK_ID", KEY_OF_CHILD)
"""The outer run's task, which below a stage the parent run tells, and its key, which is of that run alone."""


_JUDGES = frozenset({"PATH", "HOME", "BASE_SHA", "XDG_CONFIG_HOME", VERDICT_VARIABLE, DEFAULT_BRANCH_VARIABLE})
_JUDGES_PREFIXES = ("GIT_", "PYTHON", "LD_", "DYLD_")
"""Variables that a project does not set for a process of the orchestrator: by them it would judge itself."""

_BOOTSTRAP = (
    "import runpy, sys; sys.path.append(sys.argv.pop(1)); runpy.run_module('orchestrator', {}, '__main__', True)"
)


def verdict_name(stage_id: str) -> str:
    """Return the name of the file, in the run's folder, in which the built-in guard leaves its verdict."""
    return f".verdict-{stage_id}.json"


def taken_verdict(folder: Folder, stage_id: str, ended: Ended) -> ReportedVerdict:
    """Take the verdict of a built-in guard that has ``ended`` out of the run's folder; success without one is none."""
    verdict = None
    name = verdict_name(stage_id)
    with suppress(FileNotFoundError, StorageError):
        verdict = read_verdict(folder.read(name, VERDICT_BYTES))
        folder.remove(name)
    if verdict is not None and (verdict.outcome == "failed") == (ended.outcome == "failure"):
        return verdict
    if ended.outcome == "failure":
        return ReportedVerdict("failed")
    return ReportedVerdict("advisory", f"{NO_VERDICT}: it ended without a verdict")


def isolated_program() -> tuple[str, ...]:
    """Return this program by its own interpreter, apart from the variables and folders of whoever calls it.

    Where it is not installed for the interpreter (editable, or in the user's own site), isolation would hide it.
    """
    place = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    user_site = getattr(sys.modules.get("site"), "USER_SITE", None)
    if os.path.basename(place) in ("site-packages", "dist-packages") and place != user_site:
        return (sys.executable, "-I", "-m", "orchestrator")
    return (sys.executable, "-I", "-c", _BOOTSTRAP, place)


def child_program() -> tuple[str, ...]:
    """Return the words before a child run's own: this program, by its own interpreter."""
    return (sys.executable, "-P", "-m", "orchestrator")


def _is_judges(name: str) -> bool:
    return name in _JUDGES or name.startswith(_JUDGES_PREFIXES)


def guard_path(environ: Mapping[str, str]) -> str:
    """Return the PATH of the built-in guard: git's folder first, as it is found now, then the caller's own."""
    path = environ.get("PATH", os.defpath)
    git = found_on_path("git", environ)
    return (
        path if git is None else os.pathsep.join((os.path.dirname(os.path.realpath(git)), os.path.dirname(git), path))
    )


class StageJobs(Record):
    """Makes jobs of stages for one attempt of a run.

    ``stage_env`` is the allow-listed environment of the session, ``own_environ`` the orchestrator's,
    which a sub-pipeline's run needs to make its own allow-list from. ``subpipeline`` returns what a sub-pipeline is
    to do (``subpipeline_command``). ``guard_path`` is the PATH of the built-in guard, where its git was found before
    the session existed; ``default_commit`` what the default branch was then. ``copies`` are the folders that stand
    for the project's to some stages. ``key`` is a fleet's: each child's is made of it.
    """

    workspace: Workspace
    project_folder: str
    manifest: Manifest
    run_folder: str
    stage_env: Mapping[str, str]
    own_environ: Mapping[str, str]
    open_log: Callable[[str, int], StageLog]
    show: Callable[[str, bytes], None]
    subpipeline: Callable[[PlannedStage], tuple[str, ...]]
    guard_path: str = ""
    default_commit: str = ""
    copies: Mapping[str, str] = MappingProxyType({})
    key: str | None = None

    def job(self, plan: Plan, stage: PlannedStage, log: str, tools: KeptTools | None = None) -> Job:
        """Return the job of ``stage``, with the log of that name open; ``tools`` on its PATH are made whole before."""
        if tools is not None:
            tools.restore()

        def show(data: bytes) -> None:
            self.show(stage.id, data)

        env = self.env_of(plan, stage)
        is_ours = stage.kind == "subpipeline" or is_builtin_guard(stage, plan.project)
        return Job(
            argv=self._argv(plan, stage),
            cwd=self.workspace.root
            if is_ours
            else os.path.join(self.copies.get(stage.id, self.project_folder), stage.cwd),
            env=env,
            timeout_seconds=stage.timeout_seconds,
            log=self.open_log(log, stage.log_limit_bytes),
            show=show,
            external=tuple if is_ours else self._external(stage, env),
        )

    def _external(self, stage: PlannedStage, env: Mapping[str, str]) -> Callable[[], tuple[str, ...]]:
        """Return what tells which programs of ``stage`` its session's environment did not have."""
        if "VIRTUAL_ENV" not in self.stage_env:
            return tuple

        def found() -> tuple[str, ...]:
            from orchestrator.runner.environment.external_programs import external_programs  # 1 ms with ``re``

            return external_programs(stage, env, self.stage_env["VIRTUAL_ENV"], self.project_folder)

        return found

    def _argv(self, plan: Plan, stage: PlannedStage) -> tuple[str, ...]:
        if stage.kind == "shell":
            return (_SHELL, "-c", stage.shell or "")
        if stage.kind == "subpipeline":
            return (*child_program(), *self.subpipeline(stage))
        options = guard_options(stage.argv, plan.project) if is_builtin_guard(stage, plan.project) else None
        if options is not None:
            task = () if "--task" in options else ("--task", self.manifest.task_id)
            return (*isolated_program(), GUARD, "--project", plan.project, *task, *options)
        return stage.argv

    def has_child(self, stage: PlannedStage) -> bool:
        """Tell whether an earlier attempt started a run of ``stage``: the key stands for that one."""
        return any(child.stage_id == stage.id for child in self.manifest.child_runs)

    def env_of(self, plan: Plan, stage: PlannedStage) -> dict[str, str]:
        """Return the environment of ``stage``."""
        is_guard = is_builtin_guard(stage, plan.project)
        if is_guard or stage.kind == "subpipeline":
            base = {name: value for name, value in self.own_environ.items() if name not in _OF_THE_CALLER}
        else:
            base = dict(self.stage_env)
        own = (
            {name: value for name, value in stage.env.items() if not _is_judges(name)}
            if stage.kind == "subpipeline"
            else stage.env
        )
        if is_guard:
            verdict = os.path.join(self.run_folder, verdict_name(stage.id))
            own = {
                "PATH": self.guard_path,
                VERDICT_VARIABLE: verdict,
                DEFAULT_BRANCH_VARIABLE: self.default_commit,
            }
        if self.key is not None and stage.kind == "subpipeline" and not self.has_child(stage):
            own = {**own, KEY_OF_CHILD: f"{self.key}/{stage.project}"}
        run = self.manifest
        trace = traceparent(run.lineage, run.run_id, stage.id, run.attempt)
        return {
            **base,
            **own,
            **fixed_variables(self.workspace, run.task_id, run.project),
            RUN_VARIABLE: run.run_id,
            "CODEX_ORCHESTRATOR_ROOT_RUN_ID": run.lineage.rootRunId,
            "CODEX_ORCHESTRATOR_MANIFEST_PATH": os.path.join(self.run_folder, "manifest.json"),
            RUN_FOLDER_VARIABLE: self.run_folder,
            STAGE_VARIABLE: stage.id,
            "TRACEPARENT": trace,
        }
