"""Metrics lines in the form that this program writes are read without JSON, and say what JSON says."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.json_values import json_text
from orchestrator.model.stage_tries import failed_state, tries_in
from orchestrator.report.statistics import metrics_record
from orchestrator.report.statistics.metrics_record import End, end_of
from orchestrator.report.statistics.usual_line import usual_line
from tests.records import TASK
from tests.unit.report.test_statistics import line_of

AT = "2026-11-22T08:43:05.720Z"
BYTES = st.sampled_from(b'0129.e-+"\\,:{}[] nulltrueZ\xc3\xa9')
TRIED = {"stages": [["build", True, AT], ["test", False, AT]], "state": ["c0ffee", None, "12ab"]}


def written(**changed: Any) -> bytes:
    """Return a line as it is written."""
    return json_text({**line_of(), **changed}, ensure_ascii=False).encode()


def seen(end: End | None) -> object:
    """Return all that is known of an end, with its types."""
    if end is None:
        return None
    tries = tries_in(end.pipeline_id, end.run_id, end.tried)
    return repr(end), end.digest, tries, failed_state(end.tried)


def both(line: bytes) -> tuple[object, object]:
    """Return what the pattern's reader says of a line, and what JSON's does."""
    fast = seen(end_of(line, TASK, sha256))
    with patch.object(metrics_record, "usual_line", lambda line: None):
        return fast, seen(end_of(line, TASK, sha256))


def test_lines_as_they_are_written_need_no_json() -> None:
    """With and without tries, and of a run that never began, a written line is of the usual form."""
    for line in (
        written(),
        written(tried=TRIED),
        written(began_at=None),
        written(parent_run_id="x", queued_seconds=0.5),
    ):
        assert usual_line(line) is not None
        fast, slow = both(line)
        assert fast == slow
        assert fast is not None
    assert failed_state(json.dumps(TRIED).encode()) == ("c0ffee", None, "12ab")


@given(
    st.sampled_from([written(), written(tried=TRIED)]),
    st.lists(
        st.tuples(st.integers(0, 1200), st.integers(0, 4), st.sampled_from(b'0129.e-+"\\,:{}[] nulltrueZ\xc3\xa9')),
        max_size=3,
    ),
)
def test_an_edited_line_says_the_same_to_both(line: bytes, edits: list[tuple[int, int, int]]) -> None:
    """Whatever byte of a line is changed, removed or added, both readers say the same of it, or that it is none."""
    for at, cut, byte in edits:
        place = at % len(line)
        line = line[:place] + bytes([byte]) * (cut % 2) + line[place + cut // 2 :]
    fast, slow = both(line)
    assert fast == slow


@given(
    st.sampled_from(
        ["attempt", "duration_seconds", "sla_seconds", "commands_passed", "queued_seconds", "status", "kind"]
    ),
    st.one_of(st.integers(), st.floats(), st.text(max_size=4), st.none(), st.sampled_from([0.1, 0.0004, 1e15, 10**12])),
)
def test_an_odd_value_says_the_same_to_both(key: str, value: object) -> None:
    """A value of any kind in a line's key is read, or refused, alike."""
    fast, slow = both(json.dumps({**line_of(), key: value}, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    assert fast == slow
