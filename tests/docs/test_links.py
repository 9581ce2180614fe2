"""Links between documents lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.harness import REPOSITORY

FOLDERS = ("docs", "tasks", ".agent", "packages")
NOT_OURS = {"node_modules", ".pytest_cache", ".venv"}
FOUND = [*REPOSITORY.glob("*.md"), *(path for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*.md"))]
DOCUMENTS = sorted(path for path in FOUND if not NOT_OURS & set(path.parts))
_FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.M | re.S)
_LINK = re.compile(r"\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.M)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_links_lead_somewhere(document: Path) -> None:
    """Each relative link names a file of this repository, and its fragment a heading there."""
    broken = [target for target in _links(document) if not _leads_somewhere(document, target)]
    assert broken == []


def test_a_broken_link_is_seen(tmp_path: Path) -> None:
    """The check itself tells good links from broken ones."""
    document = tmp_path / "a.md"
    document.write_text("# One & two\n[x](#one--two) [y](b.md) [z](a.md#three)\n```\n[code](c.md)\n```\n")
    assert [(target, _leads_somewhere(document, target)) for target in _links(document)] == [
        ("#one--two", True),
        ("b.md", False),
        ("a.md#three", False),
    ]


def _links(document: Path) -> list[str]:
    found = _LINK.findall(_FENCE.sub("", document.read_text(encoding="utf-8")))
    return [target for target in found if not re.match(r"[a-z][a-z0-9+.-]*:", target)]


def _leads_somewhere(document: Path, target: str) -> bool:
    name, _, fragment = target.partition("#")
    file = document if not name else document.parent / name
    return file.exists() and (not fragment or fragment in _anchors(file))


def _anchors(file: Path) -> set[str]:
    """Return the fragments of a document's headings, as GitHub makes them."""
    headings = _HEADING.findall(_FENCE.sub("", file.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_tests_of_the_attacks_exist() -> None:
    """Each row of the table of docs/verification.md names a test that is there."""
    text = (REPOSITORY / "docs/verification.md").read_text(encoding="utf-8")
    table = text.partition("| attack | answer | test |")[2].partition("\n\n")[0]
    rows = [row for row in table.splitlines()[2:] if row]
    named = [match for row in rows if (match := re.fullmatch(r".*`(?P<file>[\w/.]+)::(?P<test>\w+)` \|", row))]
    assert len(named) == len(rows) > 10
    for match in named:
        source = (REPOSITORY / "tests" / match["file"]).read_text(encoding="utf-8")
        assert re.search(rf"^def {match['test']}\(", source, re.M), match["test"]
