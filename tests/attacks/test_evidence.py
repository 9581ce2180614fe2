"""Evidence in git: a value that was edited by hand is found from the file alone."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.base.errors import DamagedRecord
from orchestrator.checks.checklists.evidence import read_evidence
from tests.harness import Orchestrator, WorkspaceFolder

Place = tuple[str | int, ...]


def places_in(value: Any, place: Place = ()) -> Iterator[Place]:
    """Yield where each plain value of a document stands; empty lists and objects are values too."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not inner or not value:
        yield place
        return
    for key, below in inner:
        yield from places_in(below, (*place, key))


def edited(document: dict[str, Any], place: Place) -> dict[str, Any]:
    """Return the document with another value of the same kind at a place."""
    made = copy.deepcopy(document)
    holder: Any = made
    for key in place[:-1]:
        holder = holder[key]
    value = holder[place[-1]]
    if isinstance(value, bool):
        holder[place[-1]] = not value
    elif isinstance(value, int | float):
        holder[place[-1]] = value + 1
    elif isinstance(value, str):
        holder[place[-1]] = f"{value}x"
    else:
        holder[place[-1]] = ["x"] if value in (None, []) else "x"
    return made


def test_no_value_of_evidence_can_be_edited(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Manifest, reviews, the chain's line, digests and version: each single value, and each that is taken out."""
    workspace.project("app")
    workspace.write("tasks/tasks-1-app.md", "- [ ] **t**: x (needs: approval)\n")
    workspace.commit()
    assert orchestrate("start", "--actor", "ann").code == 0
    bob = {"CIRCLE_USERNAME": "bob", "LOGNAME": "bob"}
    assert orchestrate("review", "latest", "--decision", "approve", "--actor", "bob", env=bob).code == 0
    done = orchestrate("checklist", "tick", "t", "--run", "latest")
    assert done.code == 0, done.stderr
    (path,) = workspace.root.glob("tasks/evidence/1-app/*.json")
    document = json.loads(path.read_text())
    assert read_evidence(path.read_text(), path.name).run_id == path.stem
    places = [place for place in places_in(document) if place != ("evidence",)]
    assert len(places) > 300
    for place in places:
        with pytest.raises(DamagedRecord):
            read_evidence(json.dumps(edited(document, place)), path.name)
    for key in document:
        less = {name: value for name, value in document.items() if name != key}
        with pytest.raises(DamagedRecord):
            read_evidence(json.dumps(less), path.name)
    for version in (1, 2):
        older = {**edited(document, ("chain", "host")), "evidence": version}
        with pytest.raises(DamagedRecord):
            read_evidence(json.dumps(older), path.name)
