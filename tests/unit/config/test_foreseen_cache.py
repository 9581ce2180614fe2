"""What is known of projects' plans is kept while everything that it rests on is as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.base.files.cache_dir import read_key, sealed
from orchestrator.config.fleet.foreseen_cache import ForeseenCache
from orchestrator.config.fleet.plan import Foreseen
from tests.cache_seals import edit_cached
from tests.records import make_workspace

KNOWN = Foreseen("d" * 64, 60.0)
DIGESTS = {"a": "1" * 64, "b": "2" * 64}


def cache(root: Path, **changed: Any) -> ForeseenCache:
    """Return the cache of a workspace's pipeline smoke, with something other than usual."""
    workspace = make_workspace(root)
    Path(workspace.runs_dir).mkdir(parents=True, exist_ok=True)
    usual: dict[str, Any] = {"pipeline": "smoke", "conditions": {"day": 1}, "digests": DIGESTS}
    return ForeseenCache(workspace, **{**usual, **changed})


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Return a folder whose cache knows project a, which rests on b too, and not c."""
    fresh = cache(tmp_path)
    fresh.put("a", KNOWN, DIGESTS)
    fresh.put("c", KNOWN, None)
    fresh.put("d", Foreseen(fault="broken"), {"d": "3" * 64})
    fresh.store()
    return tmp_path


def test_what_is_known_is_read_again(kept: Path) -> None:
    """An entry is found while its configs are the same; what can't be kept and what is broken is none."""
    again = cache(kept)
    assert (again.get("a"), again.get("b"), again.get("c"), again.get("d")) == (KNOWN, None, None, None)


@pytest.mark.parametrize(
    "changed",
    [
        {"digests": {**DIGESTS, "a": "3" * 64}},
        {"digests": {**DIGESTS, "b": "3" * 64}},
        {"digests": {"a": "1" * 64}},
        {"conditions": {"day": 2}},
        {"pipeline": "diagnostics"},
    ],
)
def test_a_change_makes_an_entry_void(kept: Path, changed: dict[str, Any]) -> None:
    """Another config, of a project that it reaches too, another day or pipeline: nothing is known."""
    assert cache(kept, **changed).get("a") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "[]",
        "{}",
        '{"entries": []}',
        '{"conditions": {"day": 1}, "entries": {"a": {"read": {"a": 1}}}}',
    ],
)
@pytest.mark.parametrize("seal", [True, False])
def test_a_damaged_file_knows_nothing(kept: Path, text: str, *, seal: bool) -> None:
    """Whatever stands in the file, with a seal or without, it is no error."""
    [file] = (kept / ".runs/.cache").glob("fleet-*.json")
    key = read_key(str(kept / "state"))
    assert key is not None
    file.write_bytes(sealed(key, file.name, text.encode()) if seal else text.encode())
    assert cache(kept).get("a") is None


def test_an_edited_entry_is_not_known(kept: Path) -> None:
    """A digest that was changed below the runs folder is not believed; the account's own seal alone says that it is."""
    [file] = (kept / ".runs/.cache").glob("fleet-*.json")

    def change(document: dict[str, Any]) -> None:
        document["entries"]["a"]["digest"] = "e" * 64

    edit_cached(file, change)
    assert cache(kept).get("a") is None
    edit_cached(file, change, kept / "state")
    assert cache(kept).get("a") == Foreseen("e" * 64, 60.0)
