"""Who may run now: limits of runs at once, the runs that hold places and wait for them, and their order."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.base.record import Record

LOWEST_PRIORITY = -9
HIGHEST_PRIORITY = 9
DEFAULT_WAITING = 100
"""How many runs may wait where a config does not say it (contract, section 9)."""

_NONE = ""


class Limit(Record):
    """``[queue]`` of a project's config, or of ``workspace.toml``: ``running`` at once, None for any number."""

    running: int | None = None
    waiting: int = DEFAULT_WAITING


class QueueLimits(Record):
    """The limits of one project's runs: of the project's own, and of all runs of the workspace."""

    project: Limit = Limit()
    workspace: Limit = Limit()

    @property
    def are_set(self) -> bool:
        """Whether there is any limit; without one a run neither waits nor holds a place."""
        return self.project.running is not None or self.workspace.running is not None


class Entry(Record):
    """A run that holds a place (``runs``) or waits for one. ``number`` rises with arrival; limits are the run's own."""

    run_id: str
    task_id: str
    project: str
    priority: int
    number: int
    runs: bool
    project_limit: int | None = None
    workspace_limit: int | None = None


class Standing(Record):
    """Where a waiting run stands: ``holders`` places are held in ``scope``, it is ``place``-th (from 1) in line.

    ``scope`` is the project's name, or None for the workspace. ``ahead`` is the number of all runs before it.
    """

    scope: str | None
    holders: int
    place: int
    ahead: int

    @property
    def detail(self) -> str:
        """The standing in words, as ``status_detail`` has them."""
        where = "this workspace" if self.scope is None else self.scope
        runs = "run" if self.holders == 1 else "runs"
        return f"waits for {self.holders} {runs} of {where}; {_ordinal(self.place)} in line"


def in_line(entries: Iterable[Entry]) -> list[Entry]:
    """Return the runs that wait, the next one first: by priority, then by arrival."""
    return sorted((entry for entry in entries if not entry.runs), key=lambda entry: (-entry.priority, entry.number))


def called(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries with every place that is free given to the run in line that it belongs to.

    That is the first that no limit holds up: nobody waits behind a run that another limit holds back. Who was given
    a place holds it from then on, so that who comes later, with whatever priority, does not overtake.
    """
    before = list(entries)
    held = [entry.project for entry in before if entry.runs]
    given: set[str] = set()
    for entry in in_line(before):
        if _full_scope(entry, held) is _NONE:
            held.append(entry.project)
            given.add(entry.run_id)
    return [entry._replace(runs=True) if entry.run_id in given else entry for entry in before]


def standing(entries: Iterable[Entry], run_id: str) -> Standing | None:
    """Return where the run ``run_id`` stands among ``entries``, to whom places were given; None when it has one."""
    everyone = list(entries)
    held = [entry.project for entry in everyone if entry.runs]
    line = in_line(everyone)
    for ahead, entry in enumerate(line):
        if entry.run_id == run_id:
            scope = _full_scope(entry, held)
            full = None if scope is _NONE else scope
            place = sum(_full_scope(other, held) == full for other in line[: ahead + 1])
            return Standing(full, len(held) if full is None else held.count(full), place, ahead)
    return None


def _full_scope(entry: Entry, held: list[str]) -> str | None:
    """Return the project whose limit holds a run up, None for the workspace's, ``_NONE`` where nothing does."""
    if entry.project_limit is not None and held.count(entry.project) >= entry.project_limit:
        return entry.project
    if entry.workspace_limit is not None and len(held) >= entry.workspace_limit:
        return None
    return _NONE


def crowded(entries: Iterable[Entry], limits: QueueLimits, project: str) -> str | None:
    """Return which limit of waiting runs one more of ``project`` would exceed, in words; None for neither."""
    waiting = [entry for entry in entries if not entry.runs]
    of_project = sum(entry.project == project for entry in waiting)
    if limits.project.running is not None and of_project >= limits.project.waiting:
        return f"as many runs of '{project}' wait as may: {of_project} ([queue] waiting)"
    if limits.workspace.running is not None and len(waiting) >= limits.workspace.waiting:
        return f"as many runs of this workspace wait as may: {len(waiting)} ([queue] waiting)"
    return None


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
