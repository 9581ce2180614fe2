"""The tree of runs that one run belongs to, from what each says of its parent and its children.

Links are written at both ends, by different processes at different times, and either end may be gone:
so every link is followed from both ends, and each that only one end knows of is named. No run is taken
in twice, so that a circle ends the search and not the program; nothing recurses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Link:
    """The other end of a link, as one end names it; the task and the stage where they are known."""

    run_id: str
    task_id: str | None = None
    stage_id: str | None = None


@dataclass(frozen=True, slots=True)
class Relative:
    """One run, as its own record tells. ``damage`` says why it can't be read; then only left links are known."""

    run_id: str
    parent: Link | None
    children: tuple[Link, ...]
    root_id: str | None = None
    depth: int | None = None
    damage: str | None = None


Membership: TypeAlias = "Literal['member', 'missing', 'foreign']"


@dataclass(frozen=True, slots=True)
class Member:
    """A run's place in the tree: ``level`` below the top, the run above it, the stage that started it.

    ``kind`` is ``missing`` for a child of which there is no record, ``foreign`` for one that does not name
    this parent; what is below such a one is no part of the tree. ``last``: no sibling follows.
    """

    link: Link
    above: str | None
    level: int
    last: bool
    kind: Membership


@dataclass(frozen=True, slots=True)
class BrokenLink:
    """Something that is wrong between two runs: a code for machines, the run that it shows at, and words."""

    code: str
    run_id: str
    message: str


@dataclass(slots=True)
class Tree:
    """The runs of the tree, each before its children, oldest children first; and what is wrong with it."""

    members: list[Member] = field(default_factory=list)
    broken: list[BrokenLink] = field(default_factory=list)

    def fault(self, code: str, run_id: str, message: str) -> None:
        """Note that a link is broken."""
        self.broken.append(BrokenLink(code, run_id, message))


Lookup = Callable[[Link], Relative | None]
"""From a link to the run at its end, or None when there is no such run."""


def family_tree(
    asked: Link,
    look: Lookup,
    named: Mapping[str, Sequence[Link]] | None = None,
    was_pruned: Callable[[Link], bool] = lambda link: False,
) -> Tree:
    """Return the tree of the run ``asked``, which there must be.

    ``named`` maps runs to those that name them as their parent, where all runs were searched for that. That a run is
    gone which ``was_pruned`` is nothing wrong.
    """
    tree = Tree()
    path, whole = _path_up(tree, asked, look, was_pruned)
    below = {above.run_id: link for link, above in pairwise(path)}
    search = _Search(tree, look, below, named or {}, {path[-1].run_id}, was_pruned)
    steps = [(Member(path[-1], None, 0, True, "member"), whole)]
    while steps:
        steps += reversed(search.visit(*steps.pop()))
    return tree


def _path_up(tree: Tree, asked: Link, look: Lookup, was_pruned: Callable[[Link], bool]) -> tuple[list[Link], bool]:
    """Return the runs from ``asked`` up to the top, and whether the top is a root."""
    path, seen = [asked], {asked.run_id}
    while True:
        here = look(path[-1])
        if here is None or here.damage is not None:
            return path, False
        parent = here.parent
        if parent is None:
            return path, True
        if parent.run_id in seen:
            tree.fault("cycle", here.run_id, f"its parent is {parent.run_id}, which it is itself a parent of")
            return path, False
        if look(parent) is None:
            if not was_pruned(parent):
                tree.fault("parent-missing", here.run_id, f"its parent {parent.run_id} is gone")
            return path, False
        seen.add(parent.run_id)
        path[-1] = Link(here.run_id, path[-1].task_id, parent.stage_id)
        path.append(Link(parent.run_id, parent.task_id))


@dataclass(slots=True)
class _Search:
    """The way down. ``below`` are the children that the way up came from, ``seen`` the runs taken in so far."""

    tree: Tree
    look: Lookup
    below: Mapping[str, Link]
    named: Mapping[str, Sequence[Link]]
    seen: set[str]
    was_pruned: Callable[[Link], bool]

    def visit(self, member: Member, whole: bool) -> list[tuple[Member, bool]]:
        """Take ``member`` in and return its children; ``whole`` says that its true level and root are known."""
        self.tree.members.append(member)
        here = self.look(member.link) if member.kind == "member" else None
        if here is None:
            return []
        if here.damage is not None:
            self.tree.fault("damaged", here.run_id, here.damage)
        whole = whole and here.root_id is not None
        if whole:
            self._check_place(here, member.level)
        kinds = [(link, kind) for link in self._links(here) if (kind := self._kind(here, link)) is not None]
        self.seen.update(link.run_id for link, kind in kinds if kind != "foreign")
        places = range(len(kinds) - 1, -1, -1)
        return [
            (Member(link, here.run_id, member.level + 1, place == 0, kind), whole)
            for place, (link, kind) in zip(places, kinds, strict=True)
        ]

    def _check_place(self, here: Relative, level: int) -> None:
        root = self.tree.members[0].link.run_id
        if here.root_id != root:
            self.tree.fault("root-differs", here.run_id, f"it names {here.root_id} as its root, which is {root}")
        if here.depth != level:
            self.tree.fault("depth-differs", here.run_id, f"it says that its depth is {here.depth}, which is {level}")

    def _links(self, here: Relative) -> list[Link]:
        """Return the children that either end knows of, oldest first."""
        links = {link.run_id: link for link in here.children}
        climbed = self.below.get(here.run_id)
        silent = [*([climbed] if climbed is not None else []), *self.named.get(here.run_id, ())]
        for link in silent:
            if link.run_id not in links:
                links[link.run_id] = link
                if here.damage is None:
                    self.tree.fault("not-listed", here.run_id, f"it does not list {link.run_id}, whose parent it is")
        return [links[run_id] for run_id in sorted(links)]

    def _kind(self, here: Relative, link: Link) -> Membership | None:
        """Tell what a child is to this run, or None when it is in the tree already."""
        child = self.look(link)
        if child is None:
            if link.run_id not in self.seen:
                if not self.was_pruned(link):
                    self.tree.fault("child-missing", here.run_id, f"it lists {link.run_id}, which is gone")
                return "missing"
            return None
        owned = child.damage is not None or (child.parent is not None and child.parent.run_id == here.run_id)
        if not owned:
            other = f"names {child.parent.run_id}" if child.parent is not None else "names no run"
            self.tree.fault("other-parent", here.run_id, f"it lists {link.run_id}, which {other} as its parent")
        elif link.run_id in self.seen and child.damage is None:
            self.tree.fault("cycle", here.run_id, f"it lists {link.run_id}, which it is itself below")
        return None if link.run_id in self.seen else "member" if owned else "foreign"
