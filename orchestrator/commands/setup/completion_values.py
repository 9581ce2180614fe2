"""What a workspace has for an option's value: projects, tasks, pipelines, stages and the latest run ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import islice

from orchestrator.base.errors import Refusal
from orchestrator.config.dependencies import names_in
from orchestrator.config.project_names import project_names
from orchestrator.config.source import source_of
from orchestrator.report.run_list.names import newest_first
from orchestrator.store.find import find_run, read_document, task_ids
from orchestrator.store.store import RunStore

_BUILT_IN = ("diagnostics", "smoke")
_LATEST_RUNS = 20
"""Run ids that are offered; older ones are rarely meant, and a screen holds no more."""

_MOST_PARTS = 4
"""Parts of a selection that are offered; of more parts a machine's number is computed, and not typed."""

_OF_RUNS = frozenset({"run", "parent-run", "against", "parent"})


def values(store: RunStore, option: str, given: Mapping[str, str]) -> Iterable[str]:
    """Return the values that the workspace has for ``--option``; ``given`` are the other options of the line.

    Options whose values are free text have none. What can't be read is left out.
    """
    if option in _OF_RUNS:
        return _runs(store, given)
    if option in ("project", "projects", "exclude"):
        return _projects(store)
    if option in ("owner", "tag"):
        return sorted({word for name in _projects(store) for word in _words(store, name, f"{option}s")})
    if option == "shard":
        return [f"{part}/{parts}" for parts in range(2, _MOST_PARTS + 1) for part in range(1, parts + 1)]
    if option == "task":
        return sorted({*task_ids(store), *(_tables(store, name).get("task", "") for name in _projects(store))} - {""})
    if option == "pipeline":
        return _pipelines(store, given.get("project"))
    return _stages(store, given.get("run") or "latest") if option == "stage" else ()


def _projects(store: RunStore) -> Sequence[str]:
    return project_names(store.workspace.root)


def _words(store: RunStore, project: str, key: str) -> Sequence[str]:
    """Return the owners or tags of a project's config."""
    with suppress(Refusal):
        return names_in(source_of(store.workspace.root, project).table, key)
    return ()


def _tables(store: RunStore, project: str) -> dict[str, str]:
    """Return the task of a project's config, and its pipelines, one in each key that begins with ``pipeline:``."""
    with suppress(Refusal):
        table = source_of(store.workspace.root, project).table
        about, pipelines = table.get("project"), table.get("pipelines")
        found = {f"pipeline:{name}": str(name) for name in pipelines} if isinstance(pipelines, Mapping) else {}
        task = about.get("task_id") if isinstance(about, Mapping) else None
        return {**found, "task": task} if isinstance(task, str) else found
    return {}


def _pipelines(store: RunStore, project: str | None) -> Iterable[str]:
    of = [project] if project in _projects(store) else _projects(store)
    named = {
        name
        for each in of
        if each is not None
        for key, name in _tables(store, each).items()
        if key.startswith("pipeline:")
    }
    return sorted({*_BUILT_IN, *named})


def _runs(store: RunStore, given: Mapping[str, str]) -> Iterable[str]:
    task = given.get("task")
    names = newest_first(store, [name for name in task_ids(store) if task in (None, name)])
    return ["latest", *(where.run_id for where in islice(names.runs, _LATEST_RUNS))]


def _stages(store: RunStore, run: str) -> Iterable[str]:
    with suppress(Refusal):
        record = read_document(store, find_run(store, run))
        return ["environment", *(str(entry["id"]) for entry in record["commands"])]
    return ()
