"""The engine of a run of mode cloud, as its record holds it."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from orchestrator.base.errors import DamagedRecord
from orchestrator.model.manifest.account import AttemptAccount
from orchestrator.model.manifest.engine import Engine, EngineClock, EngineSnapshot, Incarnation, is_open_in_cloud
from orchestrator.model.manifest.json_schema import json_schema, load
from orchestrator.model.manifest.manifest import Manifest
from tests.records import make_manifest

AT = "2026-11-22T08:43:00.000Z"
ACCOUNT = AttemptAccount(attempt=1, uid=7, host="h2", login="worker", name=None, email=None, ci_actor=None)
ENGINE = Engine(
    name="dask.distributed",
    scheduler="tls://scheduler.example:8786",
    state="running",
    incarnations=(
        Incarnation(1, "w1", "h1", AT, AT, "lost", "worker w1 was lost"),
        Incarnation(2, "w2", "h2", AT, None, None, None, ACCOUNT),
    ),
    snapshot=EngineSnapshot("ab" * 20, "cd" * 32, "ef" * 32, 4096),
    clock=EngineClock(0.012, 0.004),
    versions={"distributed": "2026.1.0", "python": "3.12"},
    last_contact_at=AT,
)


def in_cloud() -> Manifest:
    """Return the record of a run that is on a worker."""
    manifest = make_manifest()
    return manifest._replace(engine=ENGINE, mode=manifest.mode._replace(name="cloud"), digest_form=2)


def as_written(manifest: Manifest) -> dict[str, Any]:
    """Return the record's document as a reader gets it."""
    document: dict[str, Any] = json.loads(json.dumps(manifest.as_json()))
    return document


def test_an_engine_is_read_as_it_was_written() -> None:
    """The record of a run in the cloud is valid by the schema, and loads as the values that it was made of."""
    document = as_written(in_cloud())
    assert list(jsonschema.Draft202012Validator(json_schema()).iter_errors(document)) == []
    assert load(document, "manifest.json") == in_cloud()


@pytest.mark.parametrize(
    ("key", "value"),
    [("state", "asleep"), ("incarnations", [{"n": 1}]), ("clock", {"offset_seconds": "1"}), ("versions", {"a": 1})],
)
def test_an_engine_that_is_none_is_named(key: str, value: object) -> None:
    """A record whose engine has another shape is damaged, and the error names the key."""
    document = as_written(in_cloud())
    document["engine"][key] = value
    with pytest.raises(DamagedRecord, match=f"engine.{key}"):
        load(document, "manifest.json")
    assert list(jsonschema.Draft202012Validator(json_schema()).iter_errors(document))


def test_a_run_is_open_in_the_cloud_until_it_ends() -> None:
    """A run with an engine is open there while its status is not terminal."""
    document = as_written(in_cloud())
    for status, is_open in (
        *(("queued", True), ("in_progress", True)),
        *(("succeeded", False), ("failed", False), ("cancelled", False)),
    ):
        assert is_open_in_cloud({**document, "status": status}) is is_open


def test_other_records_are_not_open_in_the_cloud() -> None:
    """No engine, an engine that is no object, a record of version 1, and an attempt resumed with ``--mode local``."""
    document = as_written(in_cloud())
    assert not is_open_in_cloud(as_written(make_manifest()))
    assert not is_open_in_cloud({**document, "engine": "dask"})
    assert not is_open_in_cloud({**document, "mode": None})
    assert not is_open_in_cloud({"version": 1, "status": "in_progress"})
    assert not is_open_in_cloud({**document, "mode": {**document["mode"], "name": "local"}})
