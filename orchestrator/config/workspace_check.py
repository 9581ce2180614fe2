"""``workspace.toml`` as a whole: every fault of every table, before anything of it is used.

Who compiles a plan asks for it, so that no command runs half of a pipeline by a file that another part refuses. A
stored plan rests on the file's digest, and is not asked again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping

from orchestrator.base.errors import ConfigError
from orchestrator.base.workspace import WORKSPACE_FILE
from orchestrator.config.cloud_policy import cloud_faults
from orchestrator.config.export_policy import export_faults
from orchestrator.config.fleet_policy import fleet_faults
from orchestrator.config.prune_policy import prune_faults
from orchestrator.config.queue_policy import queue_faults
from orchestrator.config.source import read_toml
from orchestrator.config.workspace_file import TABLES, docs_faults, top_faults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FAULTS_OF: Mapping[str, Callable[[object], Iterable[str]]] = {
    "fleet": fleet_faults,
    "queue": queue_faults,
    "export": export_faults,
    "prune": prune_faults,
    "cloud": cloud_faults,
    "docs": docs_faults,
}


def checked_workspace(root: str) -> dict[str, Any]:
    """Return the table of the workspace's file, empty without the file. Raises ConfigError with every fault of it."""
    if not os.path.lexists(os.path.join(root, WORKSPACE_FILE)):
        return {}
    table = read_toml(root, WORKSPACE_FILE)
    faults = top_faults(table)
    for name in TABLES:
        if name in table:
            faults += _FAULTS_OF[name](table[name])
    if faults:
        raise ConfigError([f"{WORKSPACE_FILE}: {fault}" for fault in faults])
    return table
