"""What a fleet asks of each child's start, as words and as the file that a resume reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.errors import DamagedRecord
from orchestrator.base.files import Folder
from orchestrator.cli.command_table import COMMANDS
from orchestrator.cli.parser import parse
from orchestrator.commands.run.child_start import ChildStart, child_start_of, read_child_start
from orchestrator.commands.run.requests import StartRequest
from orchestrator.runner.subpipeline_command import new_child, subpipeline_words
from orchestrator.store.layout import CHILD_START
from tests.records import make_manifest, make_plan, make_stage, make_store

WORDS = st.one_of(st.text(max_size=12), st.sampled_from(["-x", "--help", "--actor", "--", "-", "a=b", "=", "a b"]))
NAMES = st.text("ab.-_1", min_size=1, max_size=8)


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


@given(
    WORDS,
    st.none() | WORDS,
    st.dictionaries(NAMES, WORDS, max_size=3),
    WORDS,
    st.sampled_from(["smoke", "diagnostics", "a-1"]),
    st.booleans(),
)
def test_what_a_copy_is_asked_for_is_what_the_words_say(
    actor: str, policy: str | None, overrides: dict[str, str], reason: str, pipeline: str, is_fleet: bool
) -> None:
    """The request of a child that is looked up is the one that its start's words are read as."""
    stage = make_stage("hello")._replace(kind="subpipeline", project="hello", pipeline=pipeline)
    plan = make_plan(stage)
    selection = {"by": {"all": True}, "fail_fast": False, "projects": []}
    manifest = make_manifest(plan=plan._replace(selection=selection) if is_fleet else plan)
    mode = manifest.mode._replace(actor=actor, overrides=overrides, reason=reason if overrides else None)
    manifest = manifest._replace(mode=mode, approval_policy=policy)
    words = subpipeline_words(make_store(Path("/nowhere")), manifest, stage, "fleet", fresh=False)
    line = parse(words, COMMANDS)
    assert line.command is not None
    read = StartRequest(**line.command.arguments(line.given))
    asked = StartRequest(**new_child(manifest, stage, "fleet")._asdict())
    assert read == asked
    assert bool(read.overrides) == (is_fleet and bool(overrides))
