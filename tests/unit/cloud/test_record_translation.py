"""From what a worker wrote to what is recorded here."""

from __future__ import annotations

from orchestrator.cloud.record_translation import (
    Translation,
    cleared,
    cut_back,
    ended_unseen,
    lost,
    merged,
    relayed,
    report_below,
    shifting,
    with_log_digests,
)
from orchestrator.model.manifest.transitions import stage_ended, stage_started
from orchestrator.model.outcome import Ended
from tests.records import make_manifest

AT = "2026-01-01T00:00:10.000Z"
SAID = Translation(lambda name: f"local-{name}", lambda text: text.replace("hush", "***"), str, {})


def test_times_are_shifted_by_an_offset_that_is_known() -> None:
    """An offset beyond its uncertainty moves a moment to our clock, one within it moves nothing."""
    assert shifting(90.0, 0.1)(AT) == "2025-12-31T23:58:40.000Z"
    assert shifting(-0.5, 0.1)(AT) == "2026-01-01T00:00:10.500Z"
    assert shifting(0.09, 0.1)(AT) == AT
    assert shifting(-30.0, 31.0)(AT) == AT


def test_a_workers_stages_come_behind_the_attempts_before() -> None:
    """What ran before stays first, a stage that need not run stays as it was, and texts are masked."""
    here = make_manifest()
    first, second = (command.id for command in here.commands[:2])
    here = stage_ended(stage_started(here, first, AT, "x/01.log"), first, AT, Ended("success"), summary="one")
    here = stage_ended(stage_started(here, second, AT, "x/02.log"), second, AT, Ended("failure", 3), summary="two")
    base = cleared(here._replace(attempt=2), (first,))
    worker = stage_started(make_manifest(), second, AT, "far/commands/02-b.log")
    worker = stage_ended(worker, second, AT, Ended("success", 0), summary="hush now")
    found = merged(base, base, worker, (first,), SAID)
    assert found.command(first) == here.command(first)
    entry = found.command(second)
    assert [(attempt.run_attempt, attempt.outcome) for attempt in entry.attempts] == [(1, "failure"), (2, "success")]
    assert entry.summary == "*** now"
    assert entry.log_path == f"{here.artifact_root}/commands/local-02-b.log"
    again = cut_back(found, (first,), {command.id: len(command.attempts) for command in base.commands})
    assert again.commands == base.commands
    digested = with_log_digests(found, {"local-02-b.log": "d" * 64}).command(second)
    assert [attempt.log_sha256 for attempt in digested.attempts] == [None, "d" * 64]


def test_what_ran_on_a_lost_worker_has_ended_as_an_error() -> None:
    """Running stages say which worker was lost; what succeeded there is to run again, unless it was done before."""
    manifest = make_manifest()
    first, second = (command.id for command in manifest.commands[:2])
    manifest = stage_ended(stage_started(manifest, first, AT, "x"), first, AT, Ended("success", 0), summary=None)
    running = stage_started(manifest, second, AT, "y")
    after, stages, unproven = lost(running, AT, "worker w2 was lost", lambda since: 1.5, ())
    assert (stages, unproven) == ([second], [first])
    attempt = after.command(second).attempts[0]
    assert (attempt.outcome, attempt.detail, attempt.duration_seconds) == ("error", "worker w2 was lost", 1.5)
    assert (after.command(first).status, after.command(first).attempts[0].outcome) == ("pending", "success")
    after, _, unproven = lost(running, AT, "worker w2 was lost", lambda since: 1.5, (first,))
    assert (after.command(first).outcome, unproven) == ("success", [])


def test_a_stage_that_only_events_know_to_have_ended() -> None:
    """What a worker left that was lost between an event and its record: the record does not know of the end."""
    manifest = make_manifest()
    first, second = (command.id for command in manifest.commands[:2])
    end = {"type": "stage:end", "outcome": "success"}
    assert ended_unseen(manifest, {first: end, second: {"type": "stage:skip"}}) == [first]
    assert ended_unseen(stage_started(manifest, first, AT, "y"), {first: end}) == []
    assert ended_unseen(manifest, {}) == []


def test_a_report_is_of_the_record_that_came_back() -> None:
    """A path of a worker's record that leads out of it, or to another part of it, names no report."""
    assert report_below(".runs/t/cli/r", ".runs/t/cli/r/reports/a/out/r.xml") == "reports/a/out/r.xml"
    for path in ("/etc/passwd", "reports/a/r.xml", "/reports/../../x", "/reports/a//x", "/reports/x", "/commands/a/x"):
        assert report_below(".runs/t/cli/r", path if path == "/etc/passwd" else f".runs/t/cli/r{path}") is None


def test_events_of_the_submitter_are_its_own() -> None:
    """A worker's word on the run's begin and end is none here; its stages' are, numbered on."""
    assert relayed({"type": "run:end", "seq": 9}, {}) is None
    event = {"type": "stage:start", "seq": 2, "run_id": "r", "attempt": 1, "stage": "b", "stage_attempt": 1}
    assert relayed(event, {"b": 2}) == ("stage:start", {"stage": "b", "stage_attempt": 3})
    assert relayed({"seq": 1}, {}) is None
