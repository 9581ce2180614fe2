"""What ``doctor`` concludes from bytes: lines of metrics, mounts, states and earlier attempts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.files import Seam
from orchestrator.model.manifest.command import Attempt, Command
from orchestrator.model.manifest.manifest import Manifest, ResumeEvent
from orchestrator.model.manifest.transitions import closed
from orchestrator.store.doctor.attempt_ends import as_of, expected_lines
from orchestrator.store.doctor.filesystem import flock_fault, inspect_file_system, mount_type
from orchestrator.store.doctor.metrics_file import missing, read_lines, repaired
from orchestrator.store.doctor.records import is_temp
from orchestrator.store.doctor.tasks import read_state, state_of
from tests.records import TASK, make_manifest

AT = "2026-11-22T08:43:09.000Z"

MOUNTS = """\
22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
30 22 0:40 / /home rw shared:1 - nfs4 server:/home rw
31 30 0:41 / /home/with\\040space rw - tmpfs tmpfs rw
32 30 0:42 / /srv rw - ext4 /dev/sdb rw
33 32 0:43 / /srv rw - fuse.sshfs box: rw
broken line
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/homestead", "ext4"),
        ("/home", "nfs4"),
        ("/home/ada/ws", "nfs4"),
        ("/home/with space/x", "tmpfs"),
        ("/srv/runs", "fuse.sshfs"),
    ],
)
def test_the_mount_of_a_path(path: str, kind: str) -> None:
    """The longest mount point wins, of two on one point the later; escapes in names are undone."""
    assert mount_type(MOUNTS, path) == kind
    assert mount_type("", path) is None


@given(st.text(max_size=200))
def test_any_mount_table_is_read(text: str) -> None:
    """No text makes it fail."""
    mount_type(text, "/home/x")


def test_a_network_file_system_is_reported(tmp_path: Path) -> None:
    """A warning that says what serves instead of the lock; a local one gets no word."""
    (finding,) = inspect_file_system(str(tmp_path), ".runs", Seam(), mountinfo="1 0 0:1 / / rw - nfs a:/ rw\n")
    assert (finding.code, finding.level) == ("network-file-system", "warning")
    assert "boot id" in finding.message
    assert "heartbeat" in finding.message
    assert inspect_file_system(str(tmp_path), ".runs", Seam(), mountinfo="1 0 0:1 / / rw - ext4 a rw\n") == []


def test_locks_that_do_not_hold_are_reported(tmp_path: Path) -> None:
    """Locks that are refused, or granted twice, are a fault."""

    class Granting(Seam):
        def flock(self, fd: int, operation: int) -> None:
            """Grant everything."""

    class Lacking(Seam):
        def flock(self, fd: int, operation: int) -> None:
            raise OSError(95, "not supported")

    assert flock_fault(str(tmp_path), Seam()) is None
    assert flock_fault(str(tmp_path), Granting()) == "two holders had one lock at once"
    assert flock_fault(str(tmp_path), Lacking()) is not None
    (finding,) = inspect_file_system(str(tmp_path), ".runs", Granting(), mountinfo="")
    assert (finding.code, finding.level) == ("no-flock", "error")


def line(event: str, **keys: object) -> bytes:
    """Return a metrics line."""
    return json.dumps({"run_id": "r", "event_id": event, **keys}).encode()


def test_lines_are_distinguished() -> None:
    """Kept, repeated (but for the time of writing), contradicting, unreadable and torn."""
    early = b'{"run_id":"v1"}'
    data = b"\n".join(
        [early, early, line("a", recorded_at="1"), b"noise", line("a", recorded_at="2"), line("a", status="x"), b'{"to']
    )
    file = read_lines(data)
    assert file.kept == (early, early, line("a", recorded_at="1"))
    assert file.repeated == (line("a", recorded_at="2"),)
    assert file.aside == (b"noise", line("a", status="x"), b'{"to')
    assert file.is_torn
    assert missing(file, [{"event_id": "a"}, {"event_id": "b"}]) == [{"event_id": "b"}]


def test_a_whole_line_without_its_end_is_kept() -> None:
    """Only its newline was lost."""
    file = read_lines(line("a"))
    assert (file.kept, file.is_torn) == ((line("a"),), True)
    assert repaired(file, []) == line("a") + b"\n"


_LINES = st.lists(
    st.one_of(st.binary(max_size=12), st.builds(line, st.sampled_from("abc"), status=st.sampled_from(["x", "y"]))),
    max_size=12,
)


@given(_LINES, st.booleans(), st.lists(st.sampled_from("abcd"), unique=True))
def test_repairs_lose_nothing_and_are_done_once(lines: list[bytes], ended: bool, expected: list[str]) -> None:
    """Every byte is kept, aside or repeated; the healed file has each expected event once and heals to itself."""
    data = b"\n".join(lines) + (b"\n" if ended and lines else b"")
    file = read_lines(data)
    pieces = data.split(b"\n")
    if pieces[-1] == b"":
        pieces.pop()
    assert sorted((*file.kept, *file.repeated, *file.aside)) == sorted(pieces)
    wanted = [{"run_id": "r", "event_id": event} for event in expected]
    again = read_lines(whole := repaired(file, missing(file, wanted)))
    assert not again.aside
    assert not again.repeated
    assert not again.is_torn
    assert set(expected) <= again.events
    assert repaired(again, missing(again, wanted)) == whole


def resumed_run() -> Manifest:
    """Return a run that failed at its guardrail, idled for 10 s, and succeeded in its second attempt."""
    manifest = make_manifest(1)
    first = "2026-11-22T08:43:08.001Z"

    def tried(number: int, outcome: str) -> Attempt:
        return Attempt(number, AT, AT, outcome, 0, None, 1.0, 0.0, 0, "log")  # type: ignore[arg-type]

    build, guard = manifest.commands
    commands: tuple[Command, ...] = (
        build._replace(status="succeeded", outcome="success", attempts=(tried(1, "success"),)),
        guard._replace(status="succeeded", outcome="success", attempts=(tried(1, "failure"), tried(2, "success"))),
    )
    event = ResumeEvent("a", "", "accepted", "2026-11-22T08:43:18.001Z", 2, "failed", False, (), 10.0)
    manifest = manifest._replace(attempt=2, commands=commands, resume_events=(event,), started_at=first)
    return closed(manifest, "2026-11-22T08:43:20.001Z", "success", None, None)


def test_an_earlier_attempt_is_worked_out() -> None:
    """Status from the resume, outcome and counts from the stages' attempts, times without the idle time."""
    early = as_of(resumed_run(), 1)
    assert (early.status, early.outcome, early.completed_at) == ("failed", "failure", "2026-11-22T08:43:08.001Z")
    assert early.sla.active_seconds == pytest.approx(0.0, abs=0.002)
    lines = list(expected_lines(resumed_run(), AT))
    assert [(item["attempt"], item["status"], item["commands_failed"]) for item in lines] == [
        (1, "failed", 1),
        (2, "succeeded", 0),
    ]
    assert lines[0]["event_id"] != lines[1]["event_id"]


def test_only_ended_runs_of_version_2_count_in_a_state() -> None:
    """Early records, those that could not be read and those that still run are left out."""
    ended = resumed_run().as_json()
    state = state_of(TASK, [None, {"version": 1, "status": "succeeded"}, make_manifest(2).as_json(), ended])
    assert [run["runId"] for run in state["runs"]] == [ended["run_id"]]
    assert read_state(json.dumps(state).encode(), TASK) == state
    assert read_state(json.dumps(state).encode(), "other") is None
    assert read_state(b"{", TASK) is None


def test_only_names_of_ours_are_temporary() -> None:
    """What a stage leaves in its run's folder is its own."""
    ours = (".manifest.json.tmp", ".cancel.json.17.tmp", ".metrics.json.tmp", ".state.json.tmp")
    assert all(is_temp(name) for name in ours)
    assert not any(is_temp(name) for name in ("manifest.json", ".notes.tmp", "manifest.json.tmp", ".lock"))
