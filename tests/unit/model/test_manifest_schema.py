"""The published schema of the manifest: it is the model's, and its shape has one version."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.errors import DamagedRecord, UsageError
from orchestrator.base.json_values import plain
from orchestrator.base.record import Record
from orchestrator.commands.context import Context
from orchestrator.commands.maintain.schema import schema
from orchestrator.model.manifest.document import VERSION
from orchestrator.model.manifest.json_schema import json_schema, load
from orchestrator.model.manifest.manifest import Manifest
from tests.records import make_manifest
from tests.unit.report.test_status_text import failed_run, shown, succeeded

PUBLISHED = Path(__file__).parents[3] / "docs" / "manifest.schema.json"

SHAPES = {2: "93eec7b23c4a199574e2bab5a8e2ea60acdf028d0721e3912ab478d906ba54e0"}
"""The sha256 of the manifest's shape, by version. One that was released never changes: raise ``VERSION`` instead."""


def answer(context: Context) -> str:
    """Return what ``schema manifest`` prints."""
    return schema(context).text


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A context outside of any workspace: the schema needs none."""
    import io

    return Context(str(tmp_path), {}, io.StringIO(), io.StringIO())


def shape_of(node: Any) -> Any:
    """Return a schema without its prose, which may be mended at any time."""
    if isinstance(node, dict):
        return {
            key: shape_of(value)
            for key, value in node.items()
            if not (key in ("title", "description") and isinstance(value, str))
        }
    return [shape_of(item) for item in node] if isinstance(node, list) else node


def test_the_published_schema_is_up_to_date(context: Context) -> None:
    """docs/manifest.schema.json is what ``codex-orchestrator schema manifest`` prints."""
    assert PUBLISHED.read_text(encoding="utf-8") == answer(context), (
        "write it anew: codex-orchestrator schema manifest > docs/manifest.schema.json"
    )


def test_the_shape_does_not_change_without_its_version() -> None:
    """The fingerprint of the shape is the one that is noted for its version."""
    canonical = json.dumps(shape_of(json_schema()), sort_keys=True, separators=(",", ":"))
    found = hashlib.sha256(canonical.encode()).hexdigest()
    assert SHAPES.get(VERSION) == found, "the manifest's shape changed: raise VERSION, or undo the change"


def test_a_key_is_added_in_one_place() -> None:
    """A key that is added to the class is read, defaulted, checked, published and written without any other change."""
    base: Any = Record
    more = {
        "__module__": Manifest.__module__,
        "__annotations__": {**Manifest.__annotations__, "shiny": "tuple[Count, ...]"},
        "shiny": (),
        **Manifest._field_defaults,
    }
    kind: Any = type(base)("Manifest", (base,), more)
    old = json.loads(json.dumps(make_manifest().as_json()))
    assert kind.from_json(old).shiny == ()
    assert kind.from_json({**old, "shiny": [1, 2]}).shiny == (1, 2)
    with pytest.raises(DamagedRecord, match="shiny"):
        kind.from_json({**old, "shiny": [-1]})
    shiny = json_schema(kind)["properties"]["shiny"]
    assert shiny == {"items": {"type": "integer"}, "type": "array", "title": "Shiny", "default": []}
    assert plain(kind.from_json({**old, "shiny": [1]}))["shiny"] == [1]


def test_status_shows_every_key_but_those_that_are_not_for_people() -> None:
    """A key of the record is a key of the status document, unless it is named as one that is not shown."""
    hidden = set(Manifest._fields) - set(shown(succeeded()))
    assert hidden == {
        *("resume_token", "metrics_recorded", "run_summary_path", "compat_path", "task_slug", "parent_run_id"),
        *("runner", "heartbeat_interval_seconds", "heartbeat_stale_after_seconds", "revision"),
    }


def test_records_hold_to_the_schema(context: Context) -> None:
    """The records that the transitions make are valid by the published schema, damaged ones are not."""
    validator = jsonschema.Draft202012Validator(json.loads(PUBLISHED.read_text(encoding="utf-8")))
    for manifest in (make_manifest(), succeeded(), failed_run()):
        record = json.loads(json.dumps(manifest.as_json()))
        assert list(validator.iter_errors(record)) == []
        assert list(validator.iter_errors({**record, "status": "finished"}))
        del record["commands"]
        assert list(validator.iter_errors(record))


SPOILT = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2**60),
    st.floats(),
    st.text(max_size=3),
    st.sampled_from([[], {}, [None], {"a": 1}, "2026-11-22T08:43:05.720Z", "success"]),
)


@given(st.data())
def test_what_the_model_reads_holds_to_the_schema(data: st.DataObject) -> None:
    """A record with any value, at any place, in another's stead is valid by the schema if the model reads it."""
    document: Any = json.loads(json.dumps(failed_run().as_json()))
    holder, key = document, data.draw(st.sampled_from(sorted(document)))
    while isinstance(holder[key], (dict, list)) and holder[key] and data.draw(st.booleans()):
        holder = holder[key]
        key = data.draw(st.sampled_from(sorted(holder) if isinstance(holder, dict) else range(len(holder))))
    if data.draw(st.booleans()):
        holder[key] = data.draw(SPOILT)
    else:
        del holder[key]
    with suppress(DamagedRecord):
        load(document, "manifest.json")
        assert list(jsonschema.Draft202012Validator(json_schema()).iter_errors(document)) == []


def test_an_unknown_schema_is_refused_with_the_known_ones(context: Context) -> None:
    """Another name is a usage error that names the nearest."""
    with pytest.raises(UsageError) as refused:
        schema(context, name="manifst")
    assert "manifest" in refused.value.hint
