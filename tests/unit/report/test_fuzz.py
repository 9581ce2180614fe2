"""Whatever a record holds, it is shown or refused as damaged: nothing else comes out."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.base.errors import DamagedRecord
from orchestrator.report.changes import changes
from orchestrator.report.stage_logs import stage_logs
from orchestrator.report.status_text import status_text
from tests.generated import examples
from tests.records import make_manifest
from tests.unit.report.test_status_text import begun, child, failed_run, resumed, shown, version_1

RECORDS = [
    json.dumps(record)
    for record in (
        begun("build", make_manifest()).as_json(),
        failed_run().as_json(),
        resumed("a", "b")._replace(child_runs=(child(2, "failed"),)).as_json(),
        version_1("f3d12e41"),
        version_1("478d5061"),
        version_1("71b0ec47"),
    )
]

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(
        ["\x1b[2J", "\ud800", "failed", "running", "2026-11-22T08:43:05.720Z", "9999-12-31T23:59:59-23:59"]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=3), inner, max_size=2)),
    max_leaves=4,
)
_REMOVED = object()


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path to everything below a JSON value."""
    keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    return [place for key in keys for place in [(*path, key), *places(node[key], (*path, key))]]


PLACES = [places(json.loads(record)) for record in RECORDS]


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """Draw a record with up to three values replaced or removed."""
    number = draw(st.integers(0, len(RECORDS) - 1))
    record = json.loads(RECORDS[number])
    for place in draw(st.lists(st.sampled_from(PLACES[number]), min_size=1, max_size=3)):
        value = draw(st.one_of(st.just(_REMOVED), VALUES))
        node = record
        with suppress(KeyError, IndexError, TypeError):
            for key in place[:-1]:
                node = node[key]
            if value is _REMOVED:
                del node[place[-1]]
            else:
                node[place[-1]] = value
    return record


@given(record=mutated(), alive=st.booleans(), width=st.sampled_from([1, 40, 100]))
@settings(max_examples=examples(150))
def test_a_record_is_shown_or_refused(record: Any, alive: bool, width: int) -> None:
    """Any record makes a whole, printable document and text, or a DamagedRecord."""
    with suppress(DamagedRecord):
        document = shown(record, alive=alive)
        json.dumps(document)
        text = status_text(document, width=width, color=False)
        text.encode()
        assert "\x1b" not in text
        assert changes(document, document) == []
        "".join(changes(None, document)).encode()


@given(record=mutated())
@settings(max_examples=examples(60))
def test_the_logs_of_a_record_are_shown_or_refused(record: Any) -> None:
    """The list of logs holds to the same."""
    with suppress(DamagedRecord):
        stage_logs(record)


@given(value=st.dictionaries(st.sampled_from(["version", "run_id", "status", "commands"]), VALUES))
@settings(max_examples=examples(30))
def test_what_is_no_record_is_refused(value: Any) -> None:
    """Any object in a record's place is refused as damaged, for want of a key."""
    try:
        shown(value)
    except DamagedRecord:
        return
    raise AssertionError("it was shown")
