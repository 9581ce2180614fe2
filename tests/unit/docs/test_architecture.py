"""docs/architecture.md names what is there."""

from __future__ import annotations

import re

from tests.harness import REPOSITORY

PAGE = (REPOSITORY / "docs/architecture.md").read_text(encoding="utf-8")
ROOTS = (REPOSITORY, REPOSITORY / "orchestrator")


def test_every_path_of_the_page_exists() -> None:
    """Each path that the page names, in its sentences and in its diagrams, is a file or folder of the tree."""
    named = set(
        re.findall(r"(?<![\w./<>])((?:[a-z_]+/)+(?:[a-z_]+\.py|[a-z_]+\.md)?|(?:[a-z_]+/)+[a-z_]+)(?=[\s`),:;])", PAGE)
    )
    ours = {path for path in named if path.split("/")[0] in _tops()}
    assert len(ours) > 30
    assert [path for path in sorted(ours) if not any((root / path).exists() for root in ROOTS)] == []


def test_the_page_lists_every_package() -> None:
    """The tree at the top of the page has each package and entry point of ``orchestrator/``, and no other."""
    listed = re.findall(r"^  ([a-z_]+(?:/|\.py))  ", PAGE, re.M)
    there = [
        path for path in (REPOSITORY / "orchestrator").iterdir() if path.name not in ("__init__.py", "__pycache__")
    ]
    assert sorted(listed) == sorted(
        f"{path.name}/" if path.is_dir() else path.name for path in there if path.is_dir() or path.suffix == ".py"
    )


def _tops() -> set[str]:
    return {path.name for root in ROOTS for path in root.iterdir() if path.is_dir()}
