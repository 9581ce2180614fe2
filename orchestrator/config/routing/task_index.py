"""``tasks/index.json``: the workspace's list of tasks, and the project of each."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from orchestrator.base import json_codec
from orchestrator.base.errors import UsageError
from orchestrator.base.identifiers import name_fault
from orchestrator.base.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

INDEX_FILE = "tasks/index.json"
MOST_BYTES = 4 * 1024 * 1024
"""Far above any list of tasks that people keep; more is not read."""


class TaskIndex(Record):
    """The tasks by id; None for one whose project the index doesn't name, as the early version wrote it.

    ``foreign`` are ids that only the early version allowed: they are no tasks here.
    """

    projects: Mapping[str, str | None]
    slugs: Mapping[str, str] = MappingProxyType({})
    foreign: tuple[str, ...] = ()

    def owner(self, task: str) -> str | None:
        """Return the project that the index names for ``task``, or None."""
        return self.projects.get(task)

    def by_slug(self, name: str) -> str | None:
        """Return the task that the early version called ``name``: its slug, or its id, a dash and its slug."""
        return next((task for task, slug in self.slugs.items() if name in (slug, f"{task}-{slug}")), None)

    def ids(self) -> tuple[str, ...]:
        """Return all task ids, in the index's order."""
        return tuple(self.projects)


def read_index(root: str) -> TaskIndex:
    """Return the index of the workspace at ``root``, empty when it has none; UsageError when it can't be read."""
    path = os.path.join(root, INDEX_FILE)
    try:
        raw = _bytes_of(path)
    except FileNotFoundError:
        if os.path.islink(path):  # not the same as having no list: its tasks would be without an owner
            raise _broken("is a link to a file that is not there") from None
        return TaskIndex({})
    except OSError as error:
        raise _broken(f"cannot be read: {error.strerror or error}") from error
    try:
        document = json_codec.loads(raw)
    except RecursionError:
        raise _broken("nests too deep") from None
    except ValueError as error:  # broken JSON, broken UTF-8, a huge number
        raise _broken(f"is not JSON: {error}") from None
    items = document.get("items") if isinstance(document, dict) else None
    if not isinstance(items, list):
        raise _broken("must be an object with a list 'items'")
    return TaskIndex(_projects(items), _slugs(items), tuple(_foreign(items)))


def _foreign(items: list[Any]) -> Iterator[str]:
    ids = (item["id"] for item in items if isinstance(item.get("id"), str))
    return (task for task in ids if name_fault("task", task) is not None)


def _slugs(items: list[Any]) -> dict[str, str]:
    entries = [(str(item["id"]), item.get("slug")) for item in items if name_fault("task", item.get("id")) is None]
    return {task: slug for task, slug in entries if isinstance(slug, str) and slug}


def _projects(items: list[Any]) -> dict[str, str | None]:
    projects: dict[str, str | None] = {}
    for place, item in enumerate(items):
        where = f"items[{place}]"
        if not isinstance(item, dict):
            raise _broken(f"{where} must be an object")
        task, project = item.get("id"), item.get("project")
        if isinstance(task, str) and name_fault("task", task) is not None:
            continue  # an early version's id is no obstacle to other tasks (contract, section 1)
        fault = name_fault("task", task)
        if fault is None and project is not None:
            fault = name_fault("project", project)
        if fault is not None:
            raise _broken(f"{where}: {fault}")
        task = str(task)
        if project is not None and projects.get(task) not in (None, project):
            raise _broken(f"{where}: task '{task}' is listed already, for project '{projects[task]}'")
        projects[task] = project or projects.get(task)
    return projects


def _bytes_of(path: str) -> bytes:
    # O_NONBLOCK: opening a FIFO without a writer would otherwise wait for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _broken("is not a regular file")
        raw = b""
        while chunk := os.read(descriptor, min(1 << 20, MOST_BYTES + 1 - len(raw))):
            raw += chunk
    finally:
        os.close(descriptor)
    if len(raw) > MOST_BYTES:
        raise _broken(f"is larger than {MOST_BYTES // 1024 // 1024} MiB")
    return raw


def _broken(reason: str) -> UsageError:
    return UsageError(f"{INDEX_FILE}: {reason}", hint="correct the file", code="broken-task-index")
