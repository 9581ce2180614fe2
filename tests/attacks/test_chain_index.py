"""The index of a chain lets no decision vanish, appear or move."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.base.clock import SystemClock
from orchestrator.base.workspace import Workspace
from orchestrator.store.chain import add_line
from orchestrator.store.store import RunStore
from tests.cache_seals import edit_cached, state_of
from tests.harness import Orchestrator, WorkspaceFolder

TASK = "1-app"


def long_chain(workspace: WorkspaceFolder) -> None:
    """Add lines of a kind to come, until nobody looks through all of them again."""
    place = Workspace(str(workspace.root), str(workspace.root / ".runs"), str(workspace.root / "out"))
    with RunStore(place, SystemClock()).task(TASK) as task:
        for _ in range(3):
            add_line(task, {"kind": "later", "padding": "x" * (1 << 20)}, {})


@pytest.fixture
def refused(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> str:
    """Return an old run that bob refused and carl approved, whose record says the second only; it is in the index."""
    workspace.project("app")
    workspace.write("tasks/tasks-1-app.md", "- [ ] **approved**: x (needs: approval)\n")
    workspace.commit()
    assert orchestrate("start").code == 0
    run_id = workspace.runs(TASK)[0].name
    for actor, decision in (("bob", "request-changes"), ("carl", "approve")):
        words = ("--decision", decision, "--actor", actor, "--reason", "no tests")
        assert orchestrate("review", run_id, *words).code == 0
    long_chain(workspace)
    assert reasons(orchestrate, run_id) == {"changes-requested"}
    [path] = files(workspace)
    assert run_id in json.loads(path.read_text())["places"]
    return run_id


def files(workspace: WorkspaceFolder) -> list[Path]:
    """Return the files of indexes."""
    return list((workspace.root / ".runs" / ".cache").glob("chain-*.json"))


def reasons(orchestrate: Orchestrator, run_id: str) -> set[str]:
    """Return why a run is not ready."""
    ready = orchestrate("status", run_id, "--format", "json").document["ready"]
    return {reason["code"] for reason in ready["reasons"]}


def forget_refusal(workspace: WorkspaceFolder) -> None:
    """Take the refusal out of the record."""
    path = workspace.runs(TASK)[0] / "manifest.json"
    document = json.loads(path.read_text())
    del document["approvals"][0]
    path.write_text(json.dumps(document))


def without_refusal(document: dict[str, Any]) -> None:
    """Take the refusal out of an index."""
    for places in document["places"].values():
        del places[0]


def link_elsewhere(path: Path) -> None:
    """Put a link in the place of a file."""
    path.unlink()
    path.symlink_to("/dev/null")


ATTACKS: tuple[Callable[[Path], object], ...] = (
    lambda path: edit_cached(path, without_refusal),
    lambda path: edit_cached(path, lambda document: document["places"].clear()),
    lambda path: path.write_text("{}"),
    lambda path: path.unlink(),
    link_elsewhere,
)


def test_an_edited_index_hides_no_refusal(workspace: WorkspaceFolder, orchestrate: Orchestrator, refused: str) -> None:
    """Without the account's key it counts as none, the chain is read, and a refusal that vanished is found."""
    [path] = files(workspace)
    honest = path.read_bytes()
    for attack in ATTACKS:
        attack(path)
        assert reasons(orchestrate, refused) == {"changes-requested"}
        assert path.read_bytes() == honest
    forget_refusal(workspace)
    for attack in ATTACKS:
        attack(path)
        assert reasons(orchestrate, refused) == {"record-altered"}


def test_an_index_sealed_anew_is_found(workspace: WorkspaceFolder, orchestrate: Orchestrator, refused: str) -> None:
    """Who has the key hides a refusal from no tick, and `doctor` and `verify --state` make the index anew."""
    forget_refusal(workspace)
    [path] = files(workspace)
    honest = path.read_bytes()
    edit_cached(path, without_refusal, state_of(orchestrate.environ))
    tick = orchestrate("checklist", "tick", "approved", "--run", refused, "--format", "json")
    assert (tick.code, tick.document["error"]["code"]) == (7, "record-altered")
    done = orchestrate("verify", "--state", "--format", "json")
    assert done.code == 4
    assert [finding["code"] for finding in done.document["findings"]] == ["chain-index-differs"]
    assert refused in done.document["findings"][0]["message"]
    assert json.loads(path.read_text())["places"] == json.loads(honest)["places"]
    assert reasons(orchestrate, refused) == {"record-altered"}
    assert orchestrate("verify", "--state").code == 0
    edit_cached(path, without_refusal, state_of(orchestrate.environ))
    found = orchestrate("doctor", "--format", "json").document["findings"]
    assert "chain-index-differs" in {finding["code"] for finding in found}
    repaired = orchestrate("doctor", "--repair", "--format", "json").document
    assert [item["code"] for item in repaired["repaired"]] == ["chain-index-differs"]
    assert json.loads(path.read_text())["places"] == json.loads(honest)["places"]
