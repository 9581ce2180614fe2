"""The tree of runs: found from any of its runs, each broken link named, never endless; as text and Mermaid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.report.layout import columns
from orchestrator.report.lineage_text import lineage_mermaid, lineage_text
from orchestrator.report.run_rows import damaged_row
from orchestrator.report.run_tree import Link, Relative, Tree, family_tree
from tests.records import make_run_id


def tree_of(asked: str, runs: Mapping[str, Relative], named: Mapping[str, list[Link]] | None = None) -> Tree:
    """Return the tree of ``asked`` among ``runs``."""
    return family_tree(Link(asked), lambda link: runs.get(link.run_id), named)


def run(name: str, parent: str | None = None, children: str = "", root: str = "a", depth: int = 0) -> Relative:
    """Return a run with one letter for its name, and for each child's."""
    return Relative(name, Link(parent) if parent else None, tuple(map(Link, children)), root, depth)


FAMILY = {
    "a": run("a", None, "bc"),
    "b": run("b", "a", "d", depth=1),
    "c": run("c", "a", depth=1),
    "d": run("d", "b", depth=2),
}


def codes(tree: Tree) -> list[tuple[str, str]]:
    """Return what is broken, and where."""
    return [(fault.code, fault.run_id) for fault in tree.broken]


@pytest.mark.parametrize("asked", FAMILY)
def test_every_run_of_a_tree_gives_the_whole_tree(asked: str) -> None:
    """Whichever run is asked for, all are found, each below its parent, and nothing is broken."""
    tree = tree_of(asked, FAMILY)
    found = [(member.link.run_id, member.level, member.above, member.last) for member in tree.members]
    assert found == [("a", 0, None, True), ("b", 1, "a", False), ("d", 2, "b", True), ("c", 1, "a", True)]
    assert tree.broken == []


@pytest.mark.parametrize(
    ("asked", "changed", "expected"),
    [
        ("d", {"a": None}, [("parent-missing", "b")]),
        ("a", {"d": None}, [("child-missing", "b")]),
        ("d", {"b": run("b", "a", "", depth=1)}, [("not-listed", "b")]),
        ("a", {"c": run("c", "b", depth=1)}, [("other-parent", "a")]),
        ("a", {"c": run("c", None, root="c")}, [("other-parent", "a")]),
        ("c", {"c": run("c", "a", root="x", depth=1)}, [("root-differs", "c")]),
        ("c", {"c": run("c", "a", depth=5)}, [("depth-differs", "c")]),
        ("a", {"a": run("a", "a", "bc")}, [("cycle", "a")]),
        ("a", {"a": run("a", "d", "bc"), "d": run("d", "b", "a", depth=2)}, [("cycle", "b"), ("cycle", "a")]),
        ("a", {"b": Relative("b", None, (Link("d"),), damage="cut off")}, [("damaged", "b")]),
        ("d", {"b": Relative("b", None, (), damage="cut off")}, [("damaged", "b")]),
    ],
)
def test_each_broken_link_is_named_once(
    asked: str, changed: dict[str, Relative | None], expected: list[tuple[str, str]]
) -> None:
    """Whatever is wrong between two runs is named at one of them, and what can be reached is shown."""
    runs = {name: relative for name, relative in {**FAMILY, **changed}.items() if relative is not None}
    tree = tree_of(asked, runs)
    assert sorted(codes(tree)) == sorted(expected)
    assert asked in [member.link.run_id for member in tree.members]


def test_a_run_whose_parent_does_not_list_it_is_found_by_search() -> None:
    """Where all runs were searched, a child that only names its parent is in the tree, and the silence is named."""
    runs = {**FAMILY, "e": run("e", "a", depth=1)}
    assert "e" not in [member.link.run_id for member in tree_of("c", runs).members]
    tree = tree_of("c", runs, {"a": [Link("e"), Link("b")]})
    assert "e" in [member.link.run_id for member in tree.members]
    assert codes(tree) == [("not-listed", "a")]


def test_a_run_listed_by_a_wrong_parent_stays_with_its_own() -> None:
    """A run that two runs list is below the one that it names, and no circle is seen."""
    runs = {**FAMILY, "b": run("b", "a", "cd", depth=1)}
    tree = tree_of("a", runs)
    assert codes(tree) == [("other-parent", "b")]
    assert ("c", "a", "member") in [(one.link.run_id, one.above, one.kind) for one in tree.members]


@given(
    st.dictionaries(
        st.sampled_from("abcdef"),
        st.tuples(st.one_of(st.none(), st.sampled_from("abcdefg")), st.text("abcdefg", max_size=4)),
        min_size=1,
    )
)
def test_any_tangle_ends(links: dict[str, tuple[str | None, str]]) -> None:
    """Whatever the runs say of each other, the search ends, and takes each run in once as a member."""
    runs = {name: run(name, parent, children) for name, (parent, children) in links.items()}
    for asked in runs:
        members = [member.link.run_id for member in tree_of(asked, runs).members if member.kind == "member"]
        assert len(members) == len(set(members))
        assert asked in members


def document_of(tree: Tree) -> dict[str, Any]:
    """Return a document of a tree whose runs are all damaged."""
    rows = [
        {
            **damaged_row("1-hello", member.link.run_id, "m.json", "cut off"),
            "level": member.level,
            "above": member.above,
            "stage_id": member.link.stage_id,
            "kind": member.kind,
            "last": member.last,
            "asked": member.level == 1,
        }
        for member in tree.members
    ]
    broken = [{"code": one.code, "run_id": one.run_id, "message": one.message} for one in tree.broken]
    return {"runs": rows, "broken": broken}


def test_a_tree_of_any_depth_is_shown() -> None:
    """A chain far deeper than the recursion limit is found and drawn, its ids whole."""
    depth = 3000
    ids = [make_run_id(number) for number in range(depth)]
    below = [*ids[1:], None]
    runs = {
        name: Relative(name, Link(ids[place - 1]) if place else None, (Link(child),) if child else (), ids[0], place)
        for place, (name, child) in enumerate(zip(ids, below, strict=True))
    }
    tree = tree_of(ids[-1], runs)
    assert len(tree.members) == depth
    assert tree.broken == []
    document = document_of(tree)
    assert all(name in lineage_text(document, width=60, color=False) for name in (ids[0], ids[-1]))
    assert lineage_mermaid(document).count("-->") == depth - 1


@pytest.mark.parametrize("width", [20, 40, 60, 100, 160])
def test_text_fits(width: int) -> None:
    """Nothing but an id with its branch is wider than the terminal."""
    text = lineage_text(document_of(tree_of("d", FAMILY)), width=width, color=False)
    assert "<- asked for" in " ".join(text.split())
    for line in text.splitlines():
        assert columns(line) <= max(width, 45), line


def test_branches_are_drawn() -> None:
    """A branch goes on beside its sisters, and ends at the last one."""
    lines = lineage_text(document_of(tree_of("a", FAMILY)), width=160, color=False).splitlines()
    assert [line.split("  ")[0] for line in lines[:4]] == ["a", "├─ b", "│", "└─ c"]
    assert lines[2].startswith("│  └─ d")


def test_mermaid_labels_can_not_break_out() -> None:
    """Quotes, brackets, line ends and marks of Mermaid are written as numbers; the asked run is marked."""
    document = document_of(tree_of("a", FAMILY))
    document["runs"][1].update(project='x"]\n  click r0 "javascript:alert(1)"', stage_id='s"|<b>')
    text = lineage_mermaid(document)
    assert text.startswith("flowchart TD\n")
    assert 'click r0 "' not in text
    assert '|"s#34;#124;#60;b#62;"|' in text
    assert "class r1 asked" in text
    assert "r1 --> r2" in text
