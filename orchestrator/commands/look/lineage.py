"""``lineage``: the whole tree that a run belongs to, across tasks and projects. It reads, and writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict

from orchestrator.base.errors import EXIT_DONE, DamagedRecord, NotFound, StorageError
from orchestrator.base.identifiers import is_run_id, is_task_folder
from orchestrator.base.text.appearance import appearance
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.look.run_view import observe
from orchestrator.config.routing.projects import task_owner
from orchestrator.report.lineage_text import lineage_mermaid, lineage_text
from orchestrator.report.run_list.names import newest_first
from orchestrator.report.run_rows import damaged_row, run_row
from orchestrator.report.run_tree import Link, Member, Relative, family_tree
from orchestrator.report.status_document import status_document
from orchestrator.store.child_links import notes_left
from orchestrator.store.find import find_run, read_document, task_ids
from orchestrator.store.layout import Location
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PRUNED = "pruned"
"""Stands in the place of the status of a run that was pruned."""

MISSING = "missing"
"""Stands in the place of the status of a run that its parent lists, but of which there is no record."""


def lineage(
    context: Context,
    *,
    run: str,
    all: bool = False,  # noqa: A002 -- the option's name
    format: str = "text",  # noqa: A002 -- the option's name
) -> Answer:
    """Return the tree of a run (docs/runs.md), exit code 0 also when links in it are broken.

    Records of the tree only are read; with ``all`` every run's, to find those that name a parent which
    does not list them. Raises NotFound, UsageError, and DamagedRecord when the run's own can't be read.
    """
    store = context.store()
    where = find_run(store, run)
    archive = _Archive(store)
    asked = Link(where.run_id, where.task_id)
    own = archive.look(asked)
    if own is not None and own.damage is not None:
        raise DamagedRecord(own.damage)
    tree = family_tree(asked, archive.look, _named(store) if all else None, archive.was_pruned)
    document = {
        "run_id": where.run_id,
        "top_run_id": tree.members[0].link.run_id,
        "runs": [archive.row(member, asked=where.run_id) for member in tree.members],
        "broken": [asdict(fault) for fault in tree.broken],
    }
    if format == "mermaid":
        return Answer(EXIT_DONE, None, lineage_mermaid(document))
    seen = appearance(context.stdout, context.environ)
    width, color = seen.width, seen.color
    return Answer(EXIT_DONE, document, lineage_text(document, width=width, color=color))


class _Archive:
    """Runs by their ids, each read once."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._owner = task_owner(store.workspace.root)
        self._known: dict[str, tuple[Relative, dict[str, Any]] | None] = {}
        self._pruned: dict[str, str] = {}

    def look(self, link: Link) -> Relative | None:
        """Return the run that a link names, or None when there is none; see ``family.Lookup``."""
        if link.run_id not in self._known:
            self._known[link.run_id] = self._read(link)
        found = self._known[link.run_id]
        return found[0] if found is not None else None

    def was_pruned(self, link: Link) -> bool:
        """Tell whether a run that is gone was pruned."""
        return link.run_id in self._pruned

    def row(self, member: Member, *, asked: str) -> dict[str, Any]:
        """Return the entry of a run in the document."""
        link = member.link
        found = self._known.get(link.run_id)
        gone = self._pruned.get(link.run_id)
        lost = damaged_row(link.task_id or "", link.run_id, "", gone or "there is no record of it")
        status = MISSING if gone is None else PRUNED
        row = found[1] if found is not None else {**lost, "task_id": link.task_id, "manifest": None, "status": status}
        place = {"level": member.level, "above": member.above, "stage_id": link.stage_id, "kind": member.kind}
        return {**row, **place, "last": member.last, "asked": link.run_id == asked}

    def _read(self, link: Link) -> tuple[Relative, dict[str, Any]] | None:
        if not is_run_id(link.run_id):
            return None
        if link.task_id is not None and is_task_folder(link.task_id):
            with suppress(NotFound):
                return self._at(Location(link.task_id, link.run_id))
        try:
            return self._at(find_run(self._store, link.run_id))
        except NotFound as error:
            if error.code == "pruned":
                self._pruned[link.run_id] = error.message
        except StorageError:
            pass
        return None

    def _at(self, where: Location) -> tuple[Relative, dict[str, Any]]:
        store = self._store
        manifest = store.paths(where).manifest
        try:
            seen = observe(store, where)
            document = status_document(seen.record, alive=seen.alive, now=store.clock.now(), manifest=manifest)
        except (DamagedRecord, StorageError) as error:
            children = tuple(self._left(where))
            row = damaged_row(where.task_id, where.run_id, manifest, error.message)
            return Relative(where.run_id, None, children, damage=error.message), row
        row = run_row(document, None if document["project"] else self._owner(where.task_id))
        return _relative(document, self._left(where)), row

    def _left(self, where: Location) -> list[Link]:
        """Return the children that left word in a run's folder, which its record may not list yet."""
        with suppress(FileNotFoundError, StorageError), self._store.run_folder(where) as folder:
            return [Link(*note) for note in notes_left(folder)]
        return []


def _relative(document: Mapping[str, Any], left: Sequence[Link]) -> Relative:
    lineage, task_id = document["lineage"], document["task_id"]
    parent = None
    if lineage["parentRunId"] is not None:
        # Version 1 names no task: its runs stayed within one.
        parent = Link(lineage["parentRunId"], lineage.get("parent_task_id") or task_id, lineage.get("parent_stage_id"))
    listed = [Link(entry["run_id"], entry["task_id"], entry["stage_id"]) for entry in document["child_runs"]]
    children = {link.run_id: link for link in (*left, *listed)}
    return Relative(
        document["run_id"], parent, tuple(children.values()), lineage["rootRunId"], lineage["depth"], damage=None
    )


def _named(store: RunStore) -> dict[str, list[Link]]:
    """Return the runs of the workspace by the parent that they name; what can't be read names none."""
    children: dict[str, list[Link]] = {}
    for where in newest_first(store, task_ids(store)).runs:
        with suppress(NotFound, DamagedRecord, StorageError):
            parent = read_document(store, where).get("parent_run_id")
            if isinstance(parent, str):
                children.setdefault(parent, []).append(Link(where.run_id, where.task_id))
    return children
