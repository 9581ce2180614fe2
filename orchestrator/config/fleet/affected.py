"""Which projects a change touches: from changed files to reasons, as a pure function."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Mapping, Sequence

from orchestrator.base.globs import globs
from orchestrator.base.record import Record
from orchestrator.base.workspace import CONFIG_FOLDER
from orchestrator.config.fleet.members import Member

SHOWN_FILES = 5
"""So many files stand in a project's reason; the others are counted."""

Reasons = Mapping[str, tuple[str, ...]]
"""Of each affected project, why, in words."""


class Change(Record):
    """What differs from the base: files by their paths from the workspace's root, with ``/``.

    ``outside`` are projects whose folder the compared repository does not hold, each with why that is so.
    """

    files: tuple[str, ...] = ()
    outside: Mapping[str, str] = {}


def affected(members: Mapping[str, Member], change: Change, shared: Sequence[str], *, dependents: bool) -> Reasons:
    """Return the projects that ``change`` touches and, with ``dependents``, those that depend on them.

    A file belongs to the project with the longest path above it, to every project whose ``also`` matches, and
    ``project_configs/P.toml`` to P; one that matches ``shared`` concerns all. A project that nobody can say it of is
    affected: its config can't be read, names a project that there is not, or it lies elsewhere.
    """
    found = {name: _always(members, member, change) for name, member in members.items()}
    of_all = [file for file in change.files if globs(tuple(shared)).match(file)] if shared else []
    touched: dict[str, list[str]] = {name: [] for name in members}
    paths = {name: posixpath.normpath(member.path) for name, member in members.items() if member.path is not None}
    also = {name: globs(member.also) for name, member in members.items() if member.also}
    for file in change.files:
        for name in {*_holders(paths, file), *(name for name, each in also.items() if each.match(file))}:
            touched[name].append(file)
        config = file.removeprefix(f"{CONFIG_FOLDER}/").removesuffix(".toml")
        if file == f"{CONFIG_FOLDER}/{config}.toml" and config in touched and file not in touched[config]:
            touched[config].append(file)
    reasons = {
        name: (
            *found[name],
            *([f"changed: {_files(touched[name])}"] if touched[name] else []),
            *([f"shared: {_files(of_all)}"] if of_all else []),
        )
        for name in members
    }
    direct = {name: why for name, why in reasons.items() if why}
    return with_dependents(members, direct) if dependents else direct


def with_dependents(members: Mapping[str, Member], direct: Reasons) -> Reasons:
    """Return the reasons with those of each project that depends, also by others, on one of ``direct``."""
    found = dict(direct)
    moved = True
    while moved:
        moved = False
        for name, member in members.items():
            needed = [each for each in member.depends_on if each in found and each != name]
            if needed and name not in found:
                found[name] = (f"depends on {', '.join(needed)}",)
                moved = True
    return found


def _always(members: Mapping[str, Member], member: Member, change: Change) -> tuple[str, ...]:
    """Return why a project is affected whatever changed.

    One that depends on no project has a broken config, and the change may be what removed that project.
    """
    if member.path is None:
        return ("its config can't be read",)
    gone = [name for name in member.depends_on if name not in members]
    why = change.outside.get(member.name)
    return (
        *([f"depends on {', '.join(gone)}, which is no project"] if gone else []),
        *(() if why is None else (why,)),
    )


def _holders(paths: Mapping[str, str], file: str) -> Collection[str]:
    """Return the projects with the longest path above a file; a submodule that changed is above those in it."""
    holders: list[str] = []
    longest = -1
    for name, path in paths.items():
        if path.startswith(f"{file}/"):
            holders.append(name)
        length = _above(path, file)
        if length > longest:
            longest = length
    return {*holders, *(name for name, path in paths.items() if longest >= 0 and _above(path, file) == longest)}


def _above(path: str, file: str) -> int:
    """Return how long a path above a file, or of the file itself, is; -1 for one that is not above it."""
    if path == ".":
        return -1 if file.startswith("../") else 0
    return len(path) if file == path or file.startswith(f"{path}/") else -1


def _files(files: Iterable[str]) -> str:
    names = list(files)
    more = f" and {len(names) - SHOWN_FILES} more" if len(names) > SHOWN_FILES else ""
    return ", ".join(names[:SHOWN_FILES]) + more
