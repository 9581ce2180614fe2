"""What a workspace's configs and records say of limits: what ``docs/sla.md`` is written from and verified by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from orchestrator.base.errors import DamagedRecord, NotFound, StorageError
from orchestrator.base.identifiers import is_run_id
from orchestrator.base.limits import DEFAULT_SLA_SECONDS
from orchestrator.checks.sla_page import ALWAYS_LISTED
from orchestrator.commands.look.metrics_window import by_project, ends_since
from orchestrator.commands.review.review_context import GIT_PATIENCE_SECONDS
from orchestrator.config.builtin import builtin_names, merged
from orchestrator.config.loading import load_all
from orchestrator.config.project_names import project_names
from orchestrator.config.routing.projects import task_owner
from orchestrator.git.work_tree import WorkTree
from orchestrator.report.statistics.metrics_record import End
from orchestrator.store.find import read_document
from orchestrator.store.layout import Location
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MOST_HOSTS = 3

Key = tuple[str, str]
"""Project and pipeline."""


def start_line(project: str, pipeline: str) -> str:
    """Return the command that runs a pipeline, so that it is measured."""
    chosen = "" if pipeline == ALWAYS_LISTED else f" --pipeline {pipeline}"
    return f"codex-orchestrator start --project {project}{chosen}"


def limits(root: str) -> tuple[dict[Key, float], list[str]]:
    """Return the limit in seconds of every pipeline of every project, and the projects whose config has faults."""
    configs, _ = load_all(root)
    found = {}
    for name, config in configs.items():
        for pipeline in (*builtin_names(), *config.pipelines):
            whole = merged(pipeline, config.pipelines, name)
            found[name, pipeline] = (whole.sla if whole is not None else None) or DEFAULT_SLA_SECONDS
    return found, [name for name in project_names(root) if name not in configs]


def oldest_measurements(root: str) -> dict[str, int | None]:
    """Return how many days old each project lets the latest run of its rows be; None for any number."""
    return {name: config.metrics.max_sla_age for name, config in load_all(root)[0].items()}


def recorded(store: RunStore, since: datetime) -> dict[Key, list[End]]:
    """Return the ends of the runs that completed since then, by project and pipeline; what can't be read is left out.

    Source: whose a run is, is known as in ``metrics``.
    """
    found: dict[Key, list[End]] = {}
    for project, ends in by_project(ends_since(store, since).ends, (), task_owner(store.workspace.root)).items():
        for end in ends:
            if project is not None:
                found.setdefault((project, end.pipeline_id), []).append(end)
    return found


def hosts(store: RunStore, ends: Sequence[End]) -> str:
    """Return where runs ran, as their manifests say it, the most used first; empty when none can be read."""
    counts: dict[str, int] = {}
    for end in ends:
        record: Mapping[str, Any] = {}
        if is_run_id(end.run_id):
            with suppress(NotFound, DamagedRecord, StorageError):
                record = read_document(store, Location(end.task_id, end.run_id))
        entries = record.get("provenance")
        last = entries[-1] if isinstance(entries, list) and entries else None
        if isinstance(last, Mapping):
            name = f"{last.get('host')} ({last.get('platform')})"
            counts[name] = counts.get(name, 0) + 1
    names = sorted(counts, key=lambda name: (-counts[name], name))
    more = len(names) - _MOST_HOSTS
    return ", ".join(names[:_MOST_HOSTS]) + (f" and {more} more" if more > 0 else "")


def last_commit(root: str, environ: Mapping[str, str]) -> datetime | None:
    """Return when the last commit that touched the workspace was made, None outside of git or where git is silent."""
    try:
        work = WorkTree.around(root, environ)
        if work is None:
            return None
        command = ("log", "-1", "--format=%ct", "--no-show-signature")
        output = work.start(command, root).answer(GIT_PATIENCE_SECONDS).output
    except OSError:
        return None
    with suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(int(output), UTC)
    return None
