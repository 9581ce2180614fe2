"""The early version's records: moments, ids, what is missing is filled and nothing is invented, migration twice."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.errors import StorageError, UsageError
from orchestrator.base.files import Folder, Seam
from orchestrator.base.identifiers import is_run_id
from orchestrator.report.status_document import status_document
from orchestrator.store.doctor.repair_folds import fold_again
from orchestrator.store.doctor.tasks import inspect_task
from orchestrator.store.doctor.workspace import full_check
from orchestrator.store.find import find_run, read_document
from orchestrator.store.layout import Location
from orchestrator.store.legacy.early_records import as_version_1, index_id, is_whole, may_be_running, moment
from orchestrator.store.legacy.migrating import Migrated, migrate_task, planned
from orchestrator.store.legacy.migration import Session, sessions, survey, unplaced
from orchestrator.store.legacy.stage_log import decoded_events
from orchestrator.store.legacy.state import name_aside
from orchestrator.store.store import RunStore
from tests.records import START, make_store

SAMPLES = Path(__file__).parents[2] / "samples" / "version-1" / "runs"
TASK = "0101-billing"
RUN = "2026-11-22T10-05-47-594Z-513d1ee0"
EARLY_NAME = "2025-10-18T18-26-01-631Z-39463"
SESSION_NAME = "2025-10-16T01-23-45Z"
SESSION = {"mode": "mcp", "started_at": SESSION_NAME, "repo": "/gone", "command": "codex mcp-server"}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(
    [
        *("status", "commands", "command", "started_at", "completed_at", "updated_at", "heartbeat_at", "run_id"),
        *("pipeline_id", "summary", "resume_events", "log_path", "approval_policy", "parent_run_id", "version"),
    ]
)


def converted(document: dict[str, Any], result: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a record's version-1 form under an id made from its name."""
    run_id = index_id(SESSION_NAME, document) or pytest.fail("no id")
    return as_version_1(
        document, result, run_id=run_id, task_id=TASK, folder=f".runs/{TASK}/cli/{run_id}", source="x", digest="0" * 64
    )


def no_task(document: object) -> tuple[str | None, str]:
    """Tell no task."""
    return None, "it names no task"


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    """A store with the runs of the early version in it."""
    shutil.copytree(SAMPLES, tmp_path / ".runs", symlinks=True)
    return make_store(tmp_path)


def put(folder: Path, document: object) -> Path:
    """Write a record into ``folder`` and return the folder."""
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(document))
    return folder


def content(root: Path) -> dict[str, str]:
    """Return every file below ``root`` with what it holds; a link with its target."""
    return {
        str(path.relative_to(root)): os.readlink(path) if path.is_symlink() else path.read_bytes().hex()
        for path in root.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def migrate(store: RunStore, every: list[Session] | None = None, task: str = TASK) -> Migrated:
    """Migrate one task."""
    return migrate_task(store, task, every or [], "billing", None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-10-16T01-23-45Z", datetime(2025, 10, 16, 1, 23, 45, tzinfo=UTC)),
        ("20251016T012345Z", datetime(2025, 10, 16, 1, 23, 45, tzinfo=UTC)),
        ("2025-10-18T18-26-01-631Z-39463", datetime(2025, 10, 18, 18, 26, 1, 631_000, UTC)),
        ("2025-10-18T18:26:01.631Z", datetime(2025, 10, 18, 18, 26, 1, 631_000, UTC)),
        ("2025-10-18T20:26:01+02:00", datetime(2025, 10, 18, 18, 26, 1, tzinfo=UTC)),
        ("2025-13-40T01-23-45Z", None),
        ("yesterday", None),
        (7, None),
    ],
)
def test_moments(text: object, expected: datetime | None) -> None:
    """The early version's ways to write a moment are read, names of folders included."""
    assert moment(text) == expected


@given(st.text(max_size=40))
def test_any_name_is_a_moment_or_none(text: str) -> None:
    """No text breaks the reading of a moment."""
    found = moment(text)
    assert found is None or found.tzinfo is not None


def test_ids_of_early_records() -> None:
    """A run id is kept; another name gives the same valid id each time, another name another one."""
    assert index_id(RUN, {}) == RUN
    made = index_id(EARLY_NAME, {})
    assert made == index_id(EARLY_NAME, {})
    assert made is not None
    assert made.startswith("2025-10-18T18-26-01-631Z-")
    assert is_run_id(made)
    assert index_id(EARLY_NAME + "0", {}) != made
    assert index_id("some-session", {"started_at": "2025-10-16T01-23-45Z"}) is not None
    assert index_id("some-session", {"started_at": "then"}) is None


@given(st.dictionaries(keys, json_values, max_size=8), st.none() | st.dictionaries(keys, json_values, max_size=3))
def test_whatever_an_early_record_holds_can_be_shown(document: dict[str, Any], result: dict[str, Any] | None) -> None:
    """A record made from any early record is whole, and status shows it."""
    record = converted(document, result)
    assert is_whole(record, record["run_id"])
    shown = status_document(record, alive=False, now=START, manifest="manifest.json")
    assert shown["version"] == 1


def test_a_session_without_an_end_stays_without_one() -> None:
    """What a session did not write is not invented: it is shown as interrupted, under a pipeline of its own."""
    record = converted({**SESSION, "command": "codex exec"})
    assert (record["status"], record["completed_at"], record["pipeline_id"]) == ("in_progress", None, "local-mcp")
    assert record["mode"] == "mcp"
    shown = status_document(record, alive=False, now=START, manifest="manifest.json")
    assert (shown["status"], shown["status_detail"], shown["guardrails"]) == ("failed", "interrupted", [])


@pytest.mark.parametrize(("code", "status"), [(0, "succeeded"), (3, "failed")])
def test_a_session_with_a_result_has_ended(code: int, status: str) -> None:
    """A session's result.json gives its end and its status."""
    record = converted(dict(SESSION), {"finished_at": "2025-10-16T01-30-00Z", "exit_code": code})
    assert (record["status"], record["completed_at"]) == (status, "2025-10-16T01:30:00.000Z")
    assert record["commands"][0]["exit_code"] == code


def test_signs_of_life() -> None:
    """An open record is taken for live within the early version's patience, an ended one never."""
    at = "2025-10-18T18:26:01.631Z"
    then = datetime(2025, 10, 18, 18, 26, 1, 631_000, UTC)
    document = {"status": "in_progress", "heartbeat_at": at}
    assert may_be_running(document, then + timedelta(seconds=29))
    assert not may_be_running(document, then + timedelta(seconds=31))
    assert may_be_running({**document, "heartbeat_stale_after_seconds": 60}, then + timedelta(seconds=31))
    assert not may_be_running({**document, "status": "failed"}, then)


def test_missing_pointers_are_made_once(store: RunStore, tmp_path: Path) -> None:
    """Pointers that runs of version 1 lack are made, everything else stays byte by byte, and twice is once."""
    runs = tmp_path / ".runs"
    shutil.rmtree(runs / TASK / "mcp" / RUN)
    shutil.rmtree(runs / "local-mcp" / RUN)
    before = content(runs)
    first = migrate(store)
    after = content(runs)
    assert [entry["kind"] for entry in first.made] == ["pointer", "older-pointer"]
    assert {name: after[name] for name in before} == before
    pointer = json.loads((runs / TASK / "mcp" / RUN / "manifest.json").read_text())
    assert pointer == {
        "redirect_to": f".runs/{TASK}/cli/{RUN}",
        "manifest": f".runs/{TASK}/cli/{RUN}/manifest.json",
        "status": "succeeded",
        "completed_at": "2026-11-22T10:05:47.640Z",
        "updated_at": "2026-11-22T10:05:47.644Z",
    }
    assert (runs / "local-mcp" / RUN / "manifest.json").resolve() == runs / TASK / "cli" / RUN / "manifest.json"
    assert first.log is not None
    second = migrate(store)
    assert (second.made, second.log, content(runs)) == ((), None, after)


def test_the_log_tells_everything(store: RunStore, tmp_path: Path) -> None:
    """The log names each thing found, each thing made and each thing left alone with its reason."""
    done = migrate(store)
    log = json.loads((tmp_path / (done.log or "")).read_text())
    assert log["error"] is None
    assert {entry["kind"] for entry in log["found"]} == {"run", "summary"}
    assert len([entry for entry in log["found"] if entry["kind"] == "run"]) == 5
    assert all("summary" in entry["reason"] for entry in log["left_alone"])
    assert log["made"] == []


def test_an_older_folder_is_copied_whole(store: RunStore, tmp_path: Path) -> None:
    """A real record below mcp/ is copied below cli/ with all of its files; links in it are left out and named."""
    record = json.loads((SAMPLES / TASK / "cli" / RUN / "manifest.json").read_text())
    run_id = "2025-10-19T10-00-00-000Z-0123abcd"
    folder = put(tmp_path / ".runs" / TASK / "mcp" / run_id, {**record, "run_id": run_id})
    (folder / "commands").mkdir()
    (folder / "commands" / "01-build.ndjson").write_text("{}\n")
    token = folder / ".resume-token"
    token.write_text("t")
    token.chmod(0o600)
    (folder / "planted").symlink_to("/etc/passwd")
    done = migrate(store)
    made = tmp_path / ".runs" / TASK / "cli" / run_id
    assert (made / "manifest.json").read_bytes() == (folder / "manifest.json").read_bytes()
    assert (made / "commands" / "01-build.ndjson").read_text() == "{}\n"
    assert (made / ".resume-token").stat().st_mode & 0o777 == 0o600
    assert not os.path.lexists(made / "planted")
    assert done.made[0]["left_out"] == [str(folder / "planted")]
    assert [entry["kind"] for entry in done.made] == ["record", "older-pointer"]
    assert (folder / "manifest.json").is_file()
    assert migrate(store).made == ()


def test_an_early_run_is_found_by_both_names(store: RunStore, tmp_path: Path) -> None:
    """A run of the first runner gets a run id, and is found by its own name too; its guardrail is seen."""
    commands = [{"command": "bash scripts/spec-guard.sh", "status": "succeeded", "exit_code": 0}]
    early = {"runner": "agents-sdk", "status": "succeeded", "commands": commands, "run_id": EARLY_NAME}
    folder = put(tmp_path / ".runs" / TASK / "mcp" / EARLY_NAME, early)
    before = content(folder)
    migrate(store)
    where = find_run(store, EARLY_NAME)
    assert where == Location(TASK, str(index_id(EARLY_NAME, {})))
    record = read_document(store, where)
    assert (record["pipeline_id"], record["status"]) == ("diagnostics", "succeeded")
    assert record["migrated_from"]["path"] == f".runs/{TASK}/mcp/{EARLY_NAME}"
    assert content(folder) == before


def test_sessions_go_to_their_task_or_stay(store: RunStore, tmp_path: Path) -> None:
    """A session is placed by its own word or by what the caller tells; without either it is left alone."""
    put(tmp_path / ".runs" / "local-mcp" / SESSION_NAME, SESSION)
    named = "2025-10-17T01-23-45Z"
    put(tmp_path / ".runs" / "local-mcp" / named, {**SESSION, "task_id": TASK})
    every = sessions(store, no_task)
    assert [(item.name, item.task_id, item.reason) for item in every] == [
        (SESSION_NAME, None, "it names no task"),
        (named, TASK, ""),
    ]
    migrate(store, every)
    assert find_run(store, named).task_id == TASK
    told = sessions(store, lambda document: (TASK, ""))
    migrate(store, told)
    assert find_run(store, SESSION_NAME).task_id == TASK


def test_a_session_is_placed_once(store: RunStore, tmp_path: Path) -> None:
    """Once a session is in the index, no later migration places it under another task, or calls it left alone."""
    put(tmp_path / ".runs" / "local-mcp" / SESSION_NAME, SESSION)
    assert [item.reason for item in unplaced(store, sessions(store, no_task))] == ["it names no task"]
    migrate(store, sessions(store, lambda document: (TASK, "")))
    other = sessions(store, lambda document: ("other", ""))
    assert migrate(store, other, "other").made == ()
    assert [item.reason for item in unplaced(store, sessions(store, no_task))] == [""]


def test_a_live_looking_run_is_left_alone(store: RunStore, tmp_path: Path) -> None:
    """An early run with a fresh heartbeat is not copied while it may still write."""
    at = f"{START:%Y-%m-%dT%H:%M:%S}.000Z"
    put(tmp_path / ".runs" / TASK / "mcp" / EARLY_NAME, {"status": "in_progress", "heartbeat_at": at, "commands": []})
    found = [item for item in survey(store, TASK, []) if item.kind == "older-run"]
    assert [(item.steps, "sign of life" in item.reason) for item in found] == [((), True)]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"commands": 1, "commands": 2}'])
def test_unreadable_records_are_named(store: RunStore, tmp_path: Path, text: str) -> None:
    """What is no record is left alone, with the reason."""
    folder = put(tmp_path / ".runs" / TASK / "mcp" / EARLY_NAME, {})
    (folder / "manifest.json").write_text(text)
    found = [item for item in survey(store, TASK, []) if item.kind == "older-run"]
    assert [item.steps for item in found] == [()]
    assert found[0].reason


def test_links_are_not_followed(store: RunStore, tmp_path: Path) -> None:
    """A planted link in the place of an early folder, or of the migrations' folder, gets nothing through it."""
    outside = put(tmp_path / "outside", {"status": "succeeded", "commands": []})
    (tmp_path / ".runs" / TASK / "mcp" / EARLY_NAME).symlink_to(outside)
    found = [item for item in survey(store, TASK, []) if item.kind == "older-run"]
    assert [(item.steps, "link" in item.reason) for item in found] == [((), True)]
    (tmp_path / ".runs" / TASK / "migrations").symlink_to(outside)
    with pytest.raises(StorageError):
        migrate(store)
    assert [path.name for path in outside.iterdir()] == ["manifest.json"]


def test_the_state_of_version_1_is_kept(store: RunStore, tmp_path: Path) -> None:
    """A version-1 state becomes state.v1.json byte by byte, and the new one is the fold of version 2's runs."""
    early = (SAMPLES.parent / "out" / TASK / "state.json").read_bytes()
    folder = tmp_path / "out" / TASK
    folder.mkdir(parents=True)
    (folder / "state.json").write_bytes(early)
    done = migrate(store)
    assert [entry["kind"] for entry in done.made] == ["state"]
    assert (folder / "state.v1.json").read_bytes() == early
    state = json.loads((folder / "state.json").read_text())
    assert (state["schema_version"], state["project"], state["runs"]) == (2, "billing", [])
    assert migrate(store).made == ()


def test_a_state_migration_that_died_is_finished(store: RunStore, tmp_path: Path) -> None:
    """Whether it died after the copy or after the old file was gone, the next migration ends the same."""
    early = (SAMPLES.parent / "out" / TASK / "state.json").read_bytes()
    folder = tmp_path / "out" / TASK
    folder.mkdir(parents=True)
    for left in (("state.v1.json", "state.json"), ("state.v1.json",)):
        for path in folder.iterdir():
            path.unlink()
        for name in left:
            (folder / name).write_bytes(early)
        migrate(store)
        assert sorted(path.name for path in folder.iterdir()) == ["state.json", "state.v1.json"]
        assert (folder / "state.v1.json").read_bytes() == early
        assert json.loads((folder / "state.json").read_text())["schema_version"] == 2


def test_an_older_kept_state_is_not_overwritten(store: RunStore, tmp_path: Path) -> None:
    """When another state.v1.json stands there already, both are kept."""
    folder = tmp_path / "out" / TASK
    folder.mkdir(parents=True)
    (folder / "state.json").write_text('{"taskId": "x", "runs": []}')
    (folder / "state.v1.json").write_text("kept before")
    migrate(store)
    assert (folder / "state.v1.json").read_text() == "kept before"
    other = [path for path in folder.iterdir() if path.name.startswith("state.v1-")]
    assert [path.read_text() for path in other] == ['{"taskId": "x", "runs": []}']


def test_a_plan_writes_nothing(store: RunStore, tmp_path: Path) -> None:
    """What a dry run looks at says what would be made, and leaves no file behind."""
    shutil.rmtree(tmp_path / ".runs" / TASK / "mcp")
    before = content(tmp_path)
    plan = planned(TASK, survey(store, TASK, []))
    assert {entry["kind"] for entry in plan.made} == {"pointer"}
    assert len(plan.made) == 5
    assert content(tmp_path) == before


def test_a_half_made_copy_is_made_again(store: RunStore, tmp_path: Path) -> None:
    """What a migration that died left aside is no run, and hinders no later migration."""
    put(tmp_path / ".runs" / TASK / "mcp" / EARLY_NAME, {"status": "failed", "commands": []})
    run_id = str(index_id(EARLY_NAME, {}))
    left = tmp_path / ".runs" / TASK / ".staging" / f"migrating-{run_id}"
    left.mkdir(parents=True)
    (left / "manifest.json").write_text("torn")
    migrate(store)
    assert read_document(store, Location(TASK, run_id))["status"] == "failed"
    assert not left.exists()


LONG_TASK = "1303-coordinator-symphony-parity-linear-autonomous-intake-and-run-handoff"


@pytest.mark.parametrize("task", [LONG_TASK, "trail-", "-lead", "a..b"])
def test_an_early_task_of_any_form_is_readable(store: RunStore, tmp_path: Path, task: str) -> None:
    """Runs below a task id that we would refuse are found, read and given their pointers."""
    shutil.copytree(SAMPLES / TASK / "cli" / RUN, tmp_path / ".runs" / task / "cli" / RUN)
    shutil.rmtree(tmp_path / ".runs" / TASK)
    where = find_run(store, RUN)
    assert where == Location(task, RUN)
    assert read_document(store, where)["version"] == 1
    assert [item.name for item in survey(store, task, [])] == [RUN]
    assert unplaced(store, []) == []


def test_folders_that_no_version_made_are_named(store: RunStore, tmp_path: Path) -> None:
    """A folder of runs whose name no task ever had is left alone, with the reason."""
    (tmp_path / ".runs" / "A B" / "cli").mkdir(parents=True)
    assert [item.name for item in unplaced(store, [])] == ["A B"]


def test_layouts_of_before_are_left_alone_by_name(store: RunStore, tmp_path: Path) -> None:
    """Records directly below a task, and approvals of specs, are named with what they are; nothing is made of them."""
    put(tmp_path / ".runs" / TASK / "2025-10-16T01-33-15Z", {"task": "3", "run": {}, "validations": []})
    put(tmp_path / ".runs" / TASK / "spec-approvals" / "2025-10-16T01-33-15Z-mini", {"event": "spec-approval"})
    put(tmp_path / ".runs" / "obys-library" / "20251125T220723Z", {"task": "x", "outputs": []})
    found = [item for task in (TASK, "obys-library") for item in survey(store, task, []) if item.kind == "other"]
    assert [item.name for item in found] == [
        *("2025-10-16T01-33-15Z", "2025-10-16T01-33-15Z-mini", "20251125T220723Z"),
    ]
    assert all(item.reason and not item.steps for item in found)
    assert "an event 'spec-approval'" in found[1].reason


def test_an_end_that_nobody_wrote_down_is_unknown() -> None:
    """A session without heartbeats is shown without an end, whatever rewrote its record later."""
    open_session = {**SESSION, "command": "codex exec", "status": "in_progress"}
    record = converted({**open_session, "updated_at": "2025-10-19T07:25:00Z"})
    shown = status_document(record, alive=False, now=START, manifest="m")
    assert (shown["status"], shown["outcome"], shown["completed_at"]) == ("failed", "error", None)
    assert [command["duration_seconds"] for command in shown["commands"]] == [None]
    beat = converted({**SESSION, "status": "in_progress", "heartbeat_at": "2025-10-16T01:25:00Z"})
    assert status_document(beat, alive=False, now=START, manifest="m")["completed_at"] == "2025-10-16T01:25:00.000Z"


@pytest.mark.parametrize("command", [None, "codex -C /Users/me/CO mcp-server", "codex mcp-server"])
def test_a_session_of_the_server_is_no_failed_run(command: str | None) -> None:
    """One whose end is unknown was ended by its user, also where the record names how the server was started."""
    record = converted({**SESSION, "command": command, "updated_at": "2025-10-19T07:25:00.037Z"})
    shown = status_document(record, alive=False, now=START, manifest="m")
    assert (shown["status"], shown["outcome"], shown["completed_at"]) == ("cancelled", "cancellation", None)
    assert "was not written down" in shown["status_detail"]


def test_a_name_that_is_no_stamp_finds_its_run(store: RunStore, tmp_path: Path) -> None:
    """An early name in whatever form finds the run that was taken in from it; an unknown one is refused as before."""
    document = {"task_id": TASK, "started_at": "2025-10-18T18:26:01Z", "commands": []}
    put(tmp_path / ".runs" / TASK / "mcp" / "demo-legacy", document)
    migrate(store)
    assert find_run(store, "demo-legacy").task_id == TASK
    with pytest.raises(UsageError, match="neither a run id"):
        find_run(store, "demo-legend")


@pytest.mark.parametrize("kind", ["command:stdout", "command:stderr", "exec:chunk"])
def test_a_log_of_each_form_has_its_output(tmp_path: Path, kind: str) -> None:
    """Of an early log's last attempt the output is shown, whichever events hold it."""
    begin = {"command:": "command:start", "exec:chu": "exec:begin"}[kind[:8]]
    events = [
        *({"type": begin}, {"type": kind, "data": "first\n"}, {"type": begin}),
        *({"type": kind, "stream": "stderr", "data": "oops\n"}, {"type": "exec:end", "data": "x"}),
    ]
    lines = (json.dumps(event, separators=(",", ":")) + "\n" for event in events)
    (tmp_path / "01.ndjson").write_text("".join(lines))
    with Folder.at(str(tmp_path), Seam()) as folder:
        assert b"".join(decoded_events(folder, "01.ndjson")) == b"oops\n"


@pytest.mark.parametrize(
    ("taken", "is_early", "name"),
    [
        ((), True, "state.v1.json"),
        (("state.v1.json",), True, "state.v1-2026-11-22T10-00-00Z.json"),
        ((), False, "state.json.damaged-2026-11-22T10-00-00Z"),
    ],
)
def test_the_name_of_a_state_that_is_set_aside(taken: tuple[str, ...], is_early: bool, name: str) -> None:
    """Version 1's state is never called damaged, also when both programs wrote in turn."""
    assert name_aside(taken.__contains__, "2026-11-22T10:00:00Z", is_early=is_early) == name


def test_doctor_sets_another_programs_state_aside(store: RunStore, tmp_path: Path) -> None:
    """A state that is of no known version, of a task without runs of version 2, is repaired by its own hint."""
    state = tmp_path / "out" / TASK / "state.json"
    state.parent.mkdir(parents=True)
    state.write_text('{"updated_at": "2026-11-28T18:41:50.061Z", "safety": {}}')
    assert [finding.code for finding in inspect_task(store, TASK, full_check).findings] == ["state-damaged"]
    with store.task(TASK) as task:
        (done,) = fold_again(store, TASK, task)
    assert "it is kept as 'state.json.damaged-" in done.done
    assert not state.exists()
    assert inspect_task(store, TASK, full_check).findings == ()
