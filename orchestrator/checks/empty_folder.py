"""A project's folder that is empty: what a submodule, or a repository in a repository, is in a fresh clone."""

from __future__ import annotations

import os
from collections.abc import Mapping

from orchestrator.base.errors import UsageError
from orchestrator.base.workspace import CONFIG_FOLDER
from orchestrator.checks.stage_programs import programs_in
from orchestrator.git.repository import repository_top
from orchestrator.git.work_tree import WorkTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orchestrator.model.plan import Plan, PlannedStage

_READS_FOLDER = frozenset({"npm", "pnpm", "yarn", "bun", "make", "just", "task", "cargo", "go"})
"""Programs that look for their file in the folder that they are started in."""

_INSTALLS_FROM = frozenset({"-e", "--editable", "-r", "--requirement", "-c", "--constraint", "--group"})
_SECONDS = 10.0


def empty_folder_fault(root: str, path: str, environ: Mapping[str, str]) -> tuple[str, str, bool]:
    """Return of a project's empty folder what is wrong, what to do, and whether git has a repository in its place.

    ``path`` leads there from the workspace's ``root``; ``environ`` is git's.
    """
    if _is_repository_elsewhere(os.path.join(root, path), environ):
        return f"the folder '{path}' is empty: its repository was not fetched", "git submodule update --init", True
    return f"the folder '{path}' is empty", "put the codebase there, or correct project.path", False


def refuse_empty_folder(root: str, plan: Plan, environ: Mapping[str, str]) -> None:
    """Raise UsageError for an empty folder that git has a repository for, or that install or a stage reads.

    (Contract, section 3.) An empty folder that nothing reads is one like any other.
    """
    message, hint, is_link = empty_folder_fault(root, plan.project_path, environ)
    if is_link or _is_read(plan):
        hint = f"{hint}; its config: {CONFIG_FOLDER}/{plan.project}.toml"
        raise UsageError(message, hint=hint, code="empty-project-folder")


def _is_read(plan: Plan) -> bool:
    """Tell whether install, or a stage, needs a file of the project's folder."""
    if plan.session.backend != "none" and any(
        word in _INSTALLS_FROM or word.startswith(".") for word in plan.session.install
    ):
        return True
    return any(map(_reads, plan.stages))


def _reads(stage: PlannedStage) -> bool:
    """Tell whether a stage's program looks for a file there; a stage whose own folder is missing says so itself."""
    command = stage.shell or " ".join(stage.argv)
    return stage.cwd == "." and any(name in _READS_FOLDER for name in programs_in(command))


def _is_repository_elsewhere(folder: str, environ: Mapping[str, str]) -> bool:
    """Tell whether the repository around a folder has a submodule there, or a commit of another repository."""
    top = repository_top(os.path.dirname(folder))
    if top is None:
        return False
    path = os.path.relpath(os.path.realpath(folder), top)
    return path in _submodules(top) or _is_gitlink(folder, environ)


def _submodules(top: str) -> set[str]:
    """Return the paths that ``.gitmodules`` names."""
    try:
        with open(os.path.join(top, ".gitmodules"), encoding="utf-8", errors="replace") as stream:
            lines = [line.partition("=") for line in stream]
    except OSError:
        return set()
    return {value.strip().strip('"').rstrip("/") for key, _, value in lines if key.strip() == "path"}


def _is_gitlink(folder: str, environ: Mapping[str, str]) -> bool:
    try:
        tree = WorkTree.around(os.path.dirname(folder), environ)
        answer = None if tree is None else tree.start(("ls-files", "--stage", "-z"), folder).answer(_SECONDS)
    except OSError:  # no git, or one that is too slow
        return False
    return answer is not None and answer.output.startswith(b"160000 ")
