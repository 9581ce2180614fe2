"""What a fleet asks of each child's start, as words and as the file that a resume reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.base.errors import DamagedRecord
from orchestrator.base.files import Folder
from orchestrator.commands.run.child_start import ChildStart, child_start_of, read_child_start
from orchestrator.commands.run.requests import StartRequest
from orchestrator.runner.subpipeline_command import subpipeline_words
from orchestrator.store.layout import CHILD_START
from tests.records import make_manifest, make_plan, make_stage, make_store


def read_again(folder: Path, start: ChildStart) -> ChildStart:
    """Return what is read of the file of ``start`` in a folder; without a file of what a fleet asked for nothing."""
    data = start.to_bytes()
    (folder / CHILD_START).unlink(missing_ok=True)
    if data is not None:
        (folder / CHILD_START).write_bytes(data)
    with Folder.at(str(folder), make_store(folder).seam) as opened:
        return read_child_start(opened)


def test_each_child_is_placed_by_itself(tmp_path: Path) -> None:
    """``--mode cloud`` of a selection is each child's, also of one that a resume starts first; local needs no word."""
    asked = child_start_of(StartRequest(mode="cloud", priority=3), "k")
    assert asked.options == ("--priority=3", "--mode", "cloud")
    assert read_again(tmp_path, asked) == asked
    here = child_start_of(StartRequest(), None)
    assert (here.options, here.to_bytes()) == ((), None)
    assert read_again(tmp_path, here) == here


def test_a_child_is_started_with_the_words(tmp_path: Path) -> None:
    """The stage of a project starts its run with the fleet's mode behind the program's other words."""
    stage = make_stage("hello")._replace(kind="subpipeline", project="hello", pipeline="smoke")
    options = child_start_of(StartRequest(mode="cloud"), None).options
    manifest = make_manifest(plan=make_plan(stage))
    words = subpipeline_words(make_store(tmp_path), manifest, stage, "fleet", fresh=False, options=options)
    assert words[:5] == ("start", "--pipeline", "smoke", "--project", "hello")
    assert words[-2:] == ("--mode", "cloud")


def test_a_file_of_an_earlier_version_means_here(tmp_path: Path) -> None:
    """A file without a mode is of a local fleet; one with a mode that is none can't be read."""
    fields = {"key": None, "priority": 1, "wait": None, "no_wait": False}
    for mode, known in (({}, True), ({"mode": "cloud"}, True), ({"mode": "moon"}, False), ({"mode": []}, False)):
        (tmp_path / CHILD_START).write_text(json.dumps({**fields, **mode}))
        with Folder.at(str(tmp_path), make_store(tmp_path).seam) as opened:
            if known:
                assert read_child_start(opened).mode == mode.get("mode", "local")
                continue
            with pytest.raises(DamagedRecord):
                read_child_start(opened)
