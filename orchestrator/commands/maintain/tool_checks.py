"""What ``doctor`` says about configurations and about the tools that they need."""

from __future__ import annotations

import glob
import importlib.util
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date

from orchestrator.base.errors import ConfigError, NoxUnavailable, UsageError
from orchestrator.base.finding import Finding, Level
from orchestrator.base.quoting import shown
from orchestrator.base.workspace import CONFIG_FOLDER
from orchestrator.checks.empty_folder import empty_folder_fault
from orchestrator.checks.stage_programs import missing_programs, words_of
from orchestrator.config.collisions import environment_folder, session_names
from orchestrator.config.planning import check_project_folder, survey
from orchestrator.config.routing.task_index import INDEX_FILE, TaskIndex, read_index
from orchestrator.config.values import ProjectConfig, StageConfig
from orchestrator.config.workspace_check import checked_workspace
from orchestrator.git.ownership import GET_GIT, foreign_repositories
from orchestrator.git.process import why_not_started
from orchestrator.onboarding.codebase import Codebase
from orchestrator.onboarding.host import embedded_warning
from orchestrator.onboarding.node_engines import engine_warning, node_version
from orchestrator.onboarding.python_codebase import takes_version_from_git
from orchestrator.runner.environment import TOOLS
from orchestrator.runner.environment.nox import run_session

_MODULE_OF = {"uv": "uv", "virtualenv": "virtualenv"}
"""Backends that come as Python modules too, which nox finds without PATH (nox 2026.10.20, ``virtualenv.py``)."""

_ALWAYS = frozenset({"none", "venv"})


def config_findings(root: str, today: date) -> tuple[Mapping[str, ProjectConfig], list[Finding]]:
    """Return the valid configs by project, and every fault of every config and of the list of tasks."""
    configs, faults = survey(root, today=today)
    try:
        checked_workspace(root)
    except ConfigError as error:
        faults = [*faults, *error.faults]
    findings = [_of_file(fault) for fault in faults]
    for config in configs.values():
        try:
            check_project_folder(root, config)
        except UsageError as error:
            findings.append(Finding(error.code, config.file, error.message, hint=error.hint))
    try:
        index = read_index(root)
    except UsageError as error:
        said = error.message.removeprefix(f"{INDEX_FILE}: ")
        return configs, [*findings, Finding(error.code, INDEX_FILE, said, hint=error.hint)]
    tasks = (*_early_tasks(index.foreign), *_foreign_tasks(index, configs.values()))
    return configs, [*findings, *tasks, *_shared_tasks(index, configs.values())]


def _of_file(fault: str) -> Finding:
    """Return a fault of a config, which begins with the file's name, as a finding of that file."""
    file, found, said = fault.partition(": ")
    place, message = (file, said) if found else (CONFIG_FOLDER, fault)
    return Finding("config", place.rstrip("/"), message, hint="see docs/configuration.md")


def _foreign_tasks(index: TaskIndex, configs: Iterable[ProjectConfig]) -> Iterator[Finding]:
    """Yield each default task that the index gives to another project: every start under it is refused."""
    for config in configs:
        owner = index.owner(config.task_id)
        if owner not in (None, config.name):
            message = f"project.task_id: task '{config.task_id}' belongs to project '{owner}' by {INDEX_FILE}"
            hint = f"give '{config.name}' a task of its own"
            yield Finding("foreign-task", config.file, message, hint=hint)


def _early_tasks(ids: Sequence[str]) -> Iterator[Finding]:
    """Yield, in one finding, the tasks of the index whose ids only the early version allowed."""
    if ids:
        subject = "1 task has an id that is" if len(ids) == 1 else f"{len(ids)} tasks have ids that are"
        message = f"{subject} not allowed here, such as {shown(ids[0])}: no run can be started for it"
        hint = "nothing has to be done: their early runs are shown; new work needs a new id"
        yield Finding("early-task-id", INDEX_FILE, message, hint=hint, level="warning")


def _shared_tasks(index: TaskIndex, configs: Iterable[ProjectConfig]) -> Iterator[Finding]:
    """Yield each default task that more than one config names (contract, section 3)."""
    named: dict[str, list[ProjectConfig]] = {}
    for config in configs:
        named.setdefault(config.task_id, []).append(config)
    for task_id, sharing in named.items():
        if len(sharing) > 1:
            message = f"task '{task_id}' is the default task of more than one project"
            hint = "give each its own project.task_id"
            if index.owner(task_id) is None:
                hint += f", or name the task's project in {INDEX_FILE}"
            files = ", ".join(config.file for config in sharing)
            yield Finding("shared-task", files, message, hint=hint, level="warning")


def tool_findings(root: str, configs: Mapping[str, ProjectConfig], environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield which tools are missing that the projects of a workspace need; ``environ`` is the user's."""
    path = environ.get("PATH", os.defpath)
    why = why_not_started(environ)
    if why:
        message = f"{why}: runs don't record a commit, and spec-guard has no changes to look at"
        yield Finding("no-git", "git", message, hint=GET_GIT, level="warning")
    else:
        folders = (root, *(os.path.normpath(os.path.join(root, config.path)) for config in configs.values()))
        for top, command in foreign_repositories(folders, environ):
            message = "git does not read it, since it belongs to another user: spec-guard fails, runs are of no commit"
            yield Finding("foreign-repository", top, message, hint=command)
    cause = _nox_fault(root)
    if cause is not None:
        message = f"nox can't run sessions in this process, so each run takes a nox process more: {cause}"
        yield Finding("nox-process", "nox", message, hint="upgrade codex-orchestrator or nox", level="warning")
    for config in configs.values():
        backend = config.session.backend
        if not any(_has_backend(name, path) for name in backend.split("|")):
            message = f"backend '{backend}' is not there, so its environment can't be made"
            yield Finding("no-backend", config.file, message, hint="install it, or name another session.backend")
        if _needs_node(root, config) and shutil.which("node", path=path) is None:
            message = "the project has a package.json, but node is not on PATH"
            yield Finding("no-node", config.file, message, hint="install Node.js", level="warning")
        yield from _place_findings(root, config, path, environ)


def _place_findings(root: str, config: ProjectConfig, path: str, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what a project's stages call that is not there, and what its folder is that others will not have."""
    codebase = Codebase(os.path.join(root, config.path))
    stages = [(stage.id, line_of(stage)) for pipeline in config.pipelines.values() for stage in pipeline.stages]
    missing = missing_programs(stages, path)
    for text in words_of({name: listed for name, listed in missing.items() if name != "node"}):
        yield Finding("no-program", config.file, text, hint="install it", level="warning")
    if not codebase.names and os.path.isdir(codebase.path):
        message, hint, is_link = empty_folder_fault(root, config.path, environ)
        level: Level = "error" if is_link else "warning"
        yield Finding("empty-project-folder", config.file, message, hint=hint, level=level)
    engine = engine_warning(codebase, node_version(path)) if codebase.has("package.json") else None
    if engine is not None:
        yield Finding("other-node", config.file, engine, hint="install that version", level="warning")
    embedded = embedded_warning(root, config.path)
    if embedded is not None and not _is_ignored(root, config.path):
        yield Finding("embedded-repository", config.path, embedded, hint="see docs/onboarding.md", level="warning")
    if takes_version_from_git(codebase) and not any("VERSION" in name for name in config.session.set_env):
        text = "its version is taken from git, and the folder is no repository of its own: its install fails"
        hint = 'set_env = { SETUPTOOLS_SCM_PRETEND_VERSION = "1.0" } in [session], or make it a submodule'
        yield Finding("version-from-git", config.file, text, hint=hint, level="warning")


def line_of(stage: StageConfig) -> str:
    """Return the command of a stage as one line, empty where it has none."""
    return stage.shell or " ".join(stage.run or ())


def _is_ignored(root: str, path: str) -> bool:
    """Tell whether the workspace's .gitignore has the folder, or one above it, as a plain line."""
    try:
        with open(os.path.join(root, ".gitignore"), encoding="utf-8") as stream:
            lines = {line.strip().strip("/").removesuffix("/*") for line in stream}
    except (OSError, UnicodeDecodeError):
        return False
    parts = os.path.normpath(path).split(os.sep)
    return any("/".join(parts[:count]) in lines for count in range(1, len(parts) + 1))


def shadowing_findings(environments_dir: str, configs: Mapping[str, ProjectConfig]) -> Iterator[Finding]:
    """Yield which environments have a program of their own by the name of one of ours, which stages find first.

    The package of that name (a codebase that needs nox has nox) is no such one. The built-in guard and sub-pipelines
    are started without any of them.
    """
    for config in configs.values():
        for session in session_names(config):
            folder = os.path.join(environments_dir, environment_folder(session))
            programs = [name for name in TOOLS if os.path.lexists(os.path.join(folder, "bin", name))]
            if not programs:
                continue
            installed = {
                os.path.basename(path).partition("-")[0].replace("_", "-").lower()
                for path in glob.glob(os.path.join(glob.escape(folder), "lib", "*", "site-packages", "*.dist-info"))
            }
            foreign = [name for name in programs if name not in installed]
            if foreign:
                message = f"the environment of session '{session}' has its own {', '.join(foreign)}, which is not ours"
                hint = "stages that call it run that program; rename the codebase's console script"
                yield Finding("tool-shadowed", config.file, message, hint=hint, level="warning")


def _nox_fault(root: str) -> str | None:
    try:
        run_session("doctor", lambda session: None, root=root)
    except NoxUnavailable as error:
        return str(error)
    return None


def _has_backend(name: str, path: str) -> bool:
    if name in _ALWAYS or shutil.which(name, path=path) is not None:
        return True
    return name in _MODULE_OF and importlib.util.find_spec(_MODULE_OF[name]) is not None


def _needs_node(root: str, config: ProjectConfig) -> bool:
    return os.path.isfile(os.path.join(root, config.path, "package.json"))
