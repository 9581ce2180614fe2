"""Folders that everybody may write to: there, anybody can take a run's files away or put others in their place."""

from __future__ import annotations

import os
import stat

from orchestrator.base.workspace import Workspace


def exposed_folders(workspace: Workspace) -> list[str]:
    """Return which of a workspace's root, runs folder and snapshots' folder everybody may write to.

    The sticky bit makes a folder safe enough: others can add names then, and not take ours away.
    """
    return [path for path in (workspace.root, workspace.runs_dir, workspace.out_dir) if _is_exposed(path)]


def _is_exposed(path: str) -> bool:
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return False
    return stat.S_ISDIR(mode) and bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX
