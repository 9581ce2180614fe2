"""How much records take, for ``doctor``: from ``[prune] warn_size`` on it is worth a look."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress

from orchestrator.base.errors import ConfigError, UsageError
from orchestrator.base.finding import Finding
from orchestrator.config.prune_policy import project_rules, workspace_rules
from orchestrator.config.routing.projects import task_owner
from orchestrator.config.source import source_of
from orchestrator.report.prune_text import size_text
from orchestrator.store.find import task_ids
from orchestrator.store.store import RunStore

_HINT = "codex-orchestrator prune --dry-run shows what may go"


def size_findings(store: RunStore, projects: Iterable[str]) -> Iterator[Finding]:
    """Yield a warning where the records of the workspace, or of a project with a size of its own, take too much."""
    root = store.workspace.root
    try:
        general = workspace_rules(root)
    except ConfigError:
        return  # a finding of the configs
    runs_dir = store.workspace.runs_dir
    sizes = {task_id: folder_size(os.path.join(runs_dir, task_id)) for task_id in task_ids(store)}
    place = store.workspace.shown(runs_dir)
    if sum(sizes.values()) > general.warn_bytes:
        yield _warning(place, "the records", sum(sizes.values()), general.warn_bytes)
    owner = task_owner(root)
    for project in projects:
        with suppress(ConfigError, UsageError):
            table = source_of(root, project).table
            if "warn_size" not in table.get("prune", {}):
                continue
            limit = project_rules(general, table, project).warn_bytes
            size = sum(size for task_id, size in sizes.items() if owner(task_id) == project)
            if size > limit:
                yield _warning(place, f"the records of project '{project}'", size, limit)


def folder_size(path: str) -> int:
    """Return the bytes of all files below a folder; links are not followed, what can't be read counts as nothing."""
    total, waiting = 0, [path]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
    return total


def _warning(place: str, what: str, size: int, limit: int) -> Finding:
    message = f"{what} take {size_text(size)}, more than {size_text(limit)} ('warn_size')"
    return Finding("records-large", place, message, hint=_HINT, level="warning")
