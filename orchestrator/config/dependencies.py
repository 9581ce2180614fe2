"""``[project] depends_on``: which projects there are, and whether one needs itself in the end.

Only a config that depends on something has others read, and no further than its dependencies lead.
"""

from __future__ import annotations

from orchestrator.base.errors import ConfigError, UsageError
from orchestrator.base.quoting import shown
from orchestrator.base.record import Record
from orchestrator.config.faults import Fault, did_you_mean, fault_lines
from orchestrator.config.project_names import project_names
from orchestrator.config.source import source_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Dependencies(Record):
    """What is wrong with the dependencies of a project, a line each, and the sha256 of the configs read for it."""

    faults: tuple[str, ...] = ()
    read: tuple[tuple[str, str], ...] = ()


def dependencies_of(root: str, name: str) -> Dependencies:
    """Return what there is to say of the dependencies of project ``name``; raises as ``load_project`` does."""
    source = source_of(root, name)
    needed = names_in(source.table, "depends_on")
    if not needed:
        return Dependencies()
    known = set(project_names(root))
    faults = [
        Fault(
            ("project", "depends_on", place), f"there is no project {shown(each)}{did_you_mean(each, known - {name})}"
        )
        for place, each in enumerate(needed)
        if each not in known
    ]
    circle, read = _circle(root, name, tuple(each for each in needed if each in known and each != name))
    if circle:
        path = " → ".join(shown(each) for each in circle)
        faults.append(Fault(("project", "depends_on"), f"projects depend on each other in a circle: {path}"))
    return Dependencies(tuple(fault_lines(source.file, source.table, faults)), tuple(read.items()))


def names_in(table: dict[str, Any], key: str) -> tuple[str, ...]:
    """Return the texts of a list of ``[project]``, of a parsed config that may have faults."""
    project = table.get("project")
    value = project.get(key) if isinstance(project, dict) else None
    return tuple(dict.fromkeys(item for item in value if isinstance(item, str))) if isinstance(value, list) else ()


def _circle(root: str, name: str, needed: tuple[str, ...]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the shortest way from ``name`` to itself, empty where there is none, and the digests of what was read."""
    read: dict[str, str] = {}
    paths: list[tuple[str, ...]] = [(name, each) for each in needed]
    while paths:
        path = paths.pop(0)
        if path[-1] in read:
            continue
        try:
            source = source_of(root, path[-1])
        except (ConfigError, UsageError):
            continue  # its own fault, and named as such
        read[path[-1]] = source.digest
        below = names_in(source.table, "depends_on")
        if name in below:
            return (*path, name), read
        paths += [(*path, each) for each in below if each not in read]
    return (), read
