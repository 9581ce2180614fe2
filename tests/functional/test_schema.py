"""``schema``: what commands print is as their schemas say."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from orchestrator.report.documents import DOCUMENTS
from tests.functional.test_fleet import ALL, add, fleet_of
from tests.functional.test_wait import blocked, release
from tests.harness import Orchestrator, WorkspaceFolder

JSON = ("--format", "json")


_SCHEMAS: dict[str, Any] = {}


def schema_of(orchestrate: Orchestrator, name: str) -> dict[str, Any]:
    """Return the schema of that name, which is asked for once."""
    if name not in _SCHEMAS:
        _SCHEMAS[name] = orchestrate("schema", name).document
        jsonschema.Draft202012Validator.check_schema(_SCHEMAS[name])
    schema: dict[str, Any] = _SCHEMAS[name]
    return schema


def check(orchestrate: Orchestrator, name: str, document: Any) -> None:
    """Hold a document against the schema of that name."""
    schema = schema_of(orchestrate, name)
    jsonschema.validate(document, schema, cls=jsonschema.Draft202012Validator)
    assert set(document) <= set(schema["properties"]) | {"digest_form", "dedup_key"} or name in (
        "event",
        "status",
        "review",
    )


def test_documents_of_a_failed_run(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Each command's document of a run that failed, and of one that goes on, is valid by its schema."""
    workspace.project("y", {"build": "echo broken; exit 4"})
    workspace.project("x", {})
    with (workspace.root / "project_configs/x.toml").open("a") as config:
        config.write("[[pipelines.diagnostics.stages]]\nid = 'below'\npipeline = 'diagnostics'\nproject = 'y'\n")
    events = orchestrate("start", "--project", "x", "--format", "ndjson")
    assert events.code == 3
    for line in events.stdout.splitlines():
        check_event(orchestrate, json.loads(line))
    failed = orchestrate("status", *JSON).document
    assert failed["failed"][0]["cause"]["stage"] == "build"
    check(orchestrate, "status", failed)
    check(orchestrate, "run", orchestrate("wait", "latest", *JSON).document)
    for words in (
        ("status", "--brief"),
        ("runs",),
        ("logs", "latest"),
        ("lineage", "latest"),
        ("metrics",),
        ("review",),
        ("verify",),
        ("plan", "--project", "x"),
        ("artifacts", "latest"),
    ):
        name = "brief" if "--brief" in words else words[0]
        check(orchestrate, name, orchestrate(*words, *JSON).document)
    check(orchestrate, "manifest", json.loads((workspace.root / failed["manifest"]).read_text()))
    check(orchestrate, "error", orchestrate("status", "nope", *JSON).document)
    live = blocked(workspace, orchestrate)
    check(orchestrate, "status", orchestrate("status", live, *JSON).document)
    check(orchestrate, "run", orchestrate("wait", live, "--timeout", "100ms", *JSON).document)
    release(workspace)
    check(orchestrate, "run", orchestrate("wait", live, *JSON).document)


def test_answers_of_a_fleet(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Each command's answer about a fleet, with projects of each fate, about an empty one, and its refusals."""
    fleet_of(workspace, "good", "below", "sick")
    fleet_of(workspace, "bad", test=f"test -e {workspace.root}/repaired")
    add(workspace, "below", 'depends_on = ["bad"]')
    workspace.config("sick", "schema_version = [")
    failed = orchestrate(*ALL, *JSON)
    assert failed.code == 3
    check(orchestrate, "run", failed.document)
    for name, words in (
        ("plan", ("plan", "smoke", "--all")),
        ("status", ("status",)),
        ("brief", ("status", "--brief")),
        ("run", ("wait", "latest")),
        ("review", ("review", "latest")),
        ("lineage", ("lineage", "latest")),
        ("projects", ("projects",)),
        ("runs", ("runs",)),
        ("run", ("resume", "latest")),
        ("error", ("start", "smoke", "--all", "--task", "x")),
        ("error", ("start", "smoke", "--tag", "wev")),
    ):
        check(orchestrate, name, orchestrate(*words, *JSON).document)
    for word in ("start", "plan"):
        nothing = orchestrate(word, "smoke", "--failed", "--projects", "good", *JSON)
        check(orchestrate, {"start": "run"}.get(word, word), nothing.document)
        assert (nothing.code, nothing.document["run_id"], nothing.document["next_command"]) == (0, None, None)


def test_a_fleet_that_runs_and_one_that_is_cancelled(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The answers about a fleet that is detached, goes on, and is cancelled are valid by their schemas."""
    fleet_of(workspace, "a", test="sleep 60")
    fleet_of(workspace, "b")
    started = orchestrate(*ALL, "--detach", *JSON).document
    check(orchestrate, "run", started)
    check(orchestrate, "status", orchestrate("status", started["run_id"], *JSON).document)
    check(orchestrate, "error", orchestrate("resume", started["run_id"], *JSON).document)
    check(orchestrate, "run", orchestrate("cancel", started["run_id"], *JSON).document)
    ended = orchestrate("status", started["run_id"], *JSON).document
    check(orchestrate, "status", ended)
    assert ended["status"] == "cancelled"


def check_event(orchestrate: Orchestrator, event: Any) -> None:
    """Hold an event against its schema."""
    jsonschema.validate(event, schema_of(orchestrate, "event"), cls=jsonschema.Draft202012Validator)


def test_a_document_that_is_not_as_its_schema(orchestrate: Orchestrator) -> None:
    """A schema refuses a document that lacks a key or has one of another kind, and there is one for each name."""
    schema = orchestrate("schema", "brief").document
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"run_id": 3}, schema)
    unknown = orchestrate("schema", "statsu")
    assert (unknown.code, "status" in unknown.stderr) == (2, True)
    assert {"run", "status", "brief", "plan", "runs", "logs", "lineage", "metrics", "review", "verify"} <= set(
        DOCUMENTS
    )
    assert {"artifacts", "event", "error"} <= set(DOCUMENTS)
