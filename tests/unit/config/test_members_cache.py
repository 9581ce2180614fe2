"""What is kept of the projects' configs is what the configs say, or it is not used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.base.files.cache_dir import CACHE_FOLDER
from orchestrator.base.workspace import Workspace
from orchestrator.config.fleet import members
from orchestrator.config.fleet.members import Members, read_members
from orchestrator.config.fleet.members_cache import MembersCache
from orchestrator.config.source import Source, parsed_source
from tests.harness import WorkspaceFolder


def places(workspace: WorkspaceFolder) -> Workspace:
    """Return the workspace's places, as commands know them."""
    root = workspace.root
    return Workspace(str(root), str(root / ".runs"), str(root / "out"), str(root / ".nox"))


def kept(workspace: WorkspaceFolder) -> Path:
    """Return the file of the cache."""
    return workspace.root / ".runs" / CACHE_FOLDER / "fleet-members.json"


def read(workspace: WorkspaceFolder) -> Members:
    """Return the projects as a fleet reads them."""
    cache = MembersCache(places(workspace))
    found = read_members(str(workspace.root), cache.member)
    cache.store()
    return found


@pytest.fixture
def three(workspace: WorkspaceFolder) -> WorkspaceFolder:
    """A workspace with three projects, one of them broken, that were read once."""
    (workspace.root / ".runs").mkdir()
    for name in ("a", "b"):
        workspace.project(name)
    path = workspace.root / "project_configs/b.toml"
    words = 'tags = ["web"]\nalso = ["libs/**"]\ndepends_on = ["a"]\nowners = ["ann"]'
    path.write_text(path.read_text().replace("[session]", f"{words}\n[session]", 1))
    workspace.config("sick", "schema_version = [")
    assert read(workspace) == read_members(str(workspace.root))
    assert kept(workspace).stat().st_mode & 0o777 == 0o600
    return workspace


def test_nothing_is_parsed_again_that_did_not_change(three: WorkspaceFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second reading parses the broken config alone, and is as one without a cache."""
    plain = read_members(str(three.root))
    parsed: list[str] = []

    def counted(name: str, raw: bytes) -> Source:
        parsed.append(name)
        return parsed_source(name, raw)

    monkeypatch.setattr(members, "parsed_source", counted)
    assert read(three) == plain
    assert parsed == ["sick"]


def test_a_changed_config_counts_at_once(three: WorkspaceFolder) -> None:
    """A config that says something else, is new or is gone, is as without a cache."""
    path = three.root / "project_configs/b.toml"
    path.write_text(path.read_text().replace('["web"]', '["api"]'))
    three.project("new")
    (three.root / "project_configs/a.toml").unlink()
    found = read(three)
    assert found == read_members(str(three.root))
    assert (found.projects["b"].tags, sorted(found.projects)) == (("api",), ["b", "new", "sick"])
    assert sorted(json.loads(kept(three).read_text())["members"]) == ["b", "new"]


def test_a_broken_config_is_read_each_time(three: WorkspaceFolder) -> None:
    """A config that became broken is an entry with its fault, and one that was repaired is known."""
    three.config("a", "[")
    three.project("sick")
    found = read(three)
    assert (found.projects["sick"].fault, bool(found.projects["a"].fault)) == ("", True)


@pytest.mark.parametrize(
    "change",
    [
        lambda document: [],
        lambda document: {**document, "program": ["other"]},
        lambda document: {**document, "members": []},
        lambda document: {**document, "members": {"a": 3, "b": None}},
        lambda document: {**document, "members": {name: {**each, "tags": "x"} for name, each in entries(document)}},
        lambda document: {**document, "members": {name: {**each, "path": 3} for name, each in entries(document)}},
        lambda document: {
            **document,
            "members": {name: {"digest": each["digest"]} for name, each in entries(document)},
        },
    ],
)
def test_what_is_none_of_ours_counts_as_none(three: WorkspaceFolder, change: Any) -> None:
    """A file of another program or form is not used, and replaced."""
    whole = json.loads(kept(three).read_text())
    kept(three).write_text(json.dumps(change(whole)))
    assert read(three) == read_members(str(three.root))
    assert json.loads(kept(three).read_text()) == whole


def entries(document: Any) -> Any:
    """Return the entries of a document."""
    return document["members"].items()


def test_a_file_that_cannot_be_read_counts_as_none(three: WorkspaceFolder) -> None:
    """Half a document, and no runs folder at all, cost time only."""
    kept(three).write_text("{")
    assert read(three) == read_members(str(three.root))
