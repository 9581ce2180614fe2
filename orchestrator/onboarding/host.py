"""What a machine and a place bring along or lack for a proposal: programs on PATH, Node's version, a repository."""

from __future__ import annotations

import os
from dataclasses import dataclass

from orchestrator.checks.stage_programs import missing_programs, words_of
from orchestrator.onboarding.codebase import Codebase
from orchestrator.onboarding.node_engines import engine_warning
from orchestrator.onboarding.proposal import Proposal


@dataclass(frozen=True, slots=True)
class Host:
    """The machine: its PATH, and the version of the Node on it (``v20.1.0``), None without one."""

    path: str
    node: str | None = None


def host_warnings(codebase: Codebase, proposal: Proposal, host: Host) -> list[str]:
    """Return what of a proposal can't work on this machine."""
    stages = [(stage.id, stage.does) for stage in proposal.diagnostics.stages if stage.skipped is None]
    found = words_of(missing_programs(stages, host.path))
    engine = engine_warning(codebase, host.node)
    return [*found, *([engine] if engine is not None else [])]


def embedded_warning(root: str, path: str) -> str | None:
    """Return what happens to a project whose folder in a workspace's repository is one of its own; None elsewhere.

    A submodule's ``.git`` is a file.
    """
    inside = path.split(os.sep)[0] != os.pardir and os.path.normpath(path) != os.curdir
    if (
        not inside
        or not os.path.isdir(os.path.join(root, path, ".git"))
        or not os.path.exists(os.path.join(root, ".git"))
    ):
        return None
    return (
        f"{path} has a repository of its own: committed to the workspace's, it is an empty folder for everybody else; "
        "make it a submodule, list it in .gitignore, or keep it outside and use --path"
    )
