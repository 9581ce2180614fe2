"""Small files that a run's folder holds: what can't be read is none, and nothing else is taken for one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.base.files import Folder
from orchestrator.base.files.system_calls import Seam
from orchestrator.store.chain import LineHint, read_first_hint, read_hint
from orchestrator.store.child_links import ChildNote, notes_left
from orchestrator.store.layout import CHILDREN, LINE_HINT

SEAM = Seam()
RUN = "2026-11-22T08-43-05-720Z-5087869c"
NOTE = {"run_id": RUN, "task_id": "1-app", "stage_id": "test"}


@pytest.mark.parametrize(
    ("content", "is_read"),
    [
        (json.dumps(NOTE), True),
        (json.dumps({**NOTE, "stage_id": None, "later": 1}), True),
        (json.dumps({**NOTE, "stage_id": 7}), False),
        (json.dumps({**NOTE, "task_id": "../x"}), False),
        (json.dumps({**NOTE, "run_id": RUN[:-1] + "d"}), False),
        (json.dumps({"run_id": RUN}), False),
        ("[" * 100_000, False),
        ("7", False),
    ],
)
def test_a_childs_note_is_read_or_none(tmp_path: Path, content: str, is_read: bool) -> None:
    """Only an object of a valid run, task and stage under the run's name is a note."""
    (tmp_path / CHILDREN).mkdir()
    (tmp_path / CHILDREN / f"{RUN}.json").write_text(content)
    with Folder.at(str(tmp_path), SEAM) as folder:
        found = list(notes_left(folder))
    assert [note._replace(stage_id=None) for note in found] == [ChildNote(RUN, "1-app", None)] * is_read


@pytest.mark.parametrize(
    ("hint", "offset"),
    [
        ({"attempt": 2, "offset": 0}, 0),
        ({"attempt": 2, "offset": 70}, 70),
        ({"attempt": 1, "offset": 70}, None),
        ({"attempt": 2, "offset": -1}, None),
        ({"attempt": 2, "offset": True}, None),
        ({"attempt": 2}, None),
        ([2, 70], None),
    ],
)
def test_a_lines_hint_is_of_its_attempt(tmp_path: Path, hint: Any, offset: int | None) -> None:
    """A hint counts for its own attempt, and only when it is a place in a file."""
    (tmp_path / LINE_HINT).write_text(json.dumps(hint))
    with Folder.at(str(tmp_path), SEAM) as folder:
        assert read_hint(folder, 2) == offset
    assert LineHint._fields == ("attempt", "offset", "first")


@pytest.mark.parametrize(
    ("hint", "first"),
    [
        ({"attempt": 1, "offset": 70}, 70),
        ({"attempt": 3, "offset": 200, "first": 70}, 70),
        ({"attempt": 3, "offset": 200}, None),
        ({"attempt": 3, "offset": 200, "first": None}, None),
        ({"attempt": 3, "offset": 200, "first": "70"}, None),
    ],
)
def test_a_resumed_runs_hint_knows_the_first_line(tmp_path: Path, hint: Any, first: int | None) -> None:
    """It is the line of attempt 1, whichever attempt was last."""
    (tmp_path / LINE_HINT).write_text(json.dumps(hint))
    with Folder.at(str(tmp_path), SEAM) as folder:
        assert read_first_hint(folder) == first
