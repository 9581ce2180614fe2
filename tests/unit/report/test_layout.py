"""The reviewer's view as text: wide, narrow, coloured when asked, and safe whatever the record says."""

from __future__ import annotations

import re
from typing import Any

import pytest

from orchestrator.model.manifest.manifest import Lineage, Mode, ResumeEvent
from orchestrator.model.outcome import Ended
from orchestrator.model.plan import Flag
from orchestrator.report.changes import changes
from orchestrator.report.layout import Ink, clean, clip, columns, duration, rows_on_screen, table, wrap
from orchestrator.report.status_text import status_text
from tests.records import make_manifest, make_plan, make_run_id, make_stage
from tests.unit.report.test_status_text import begun, child, over, ran, resumed, shown, succeeded, version_1


def text_of(document: dict[str, Any], width: int = 100, *, color: bool = False) -> str:
    """Return the view of a document."""
    return status_text(document, width=width, color=color)


def test_one_screen_says_what_ran_and_how_it_ended() -> None:
    """The view of a failed run names run, project, stages, verdicts and what to type, on one screen."""
    manifest = ran("spec-guard", ran("build", make_manifest()), Ended("failure", None, "SIGKILL", wall_seconds=3.2))
    text = text_of(shown(over(manifest, outcome="failure")))
    for part in (
        make_run_id(1),
        "failed",
        "hello, task 1001-hello, pipeline diagnostics",
        "of 30m",
        "spec-guard  failed  3.2 s  SIGKILL  guardrail",
        "Guardrail  spec-guard failed",
        "m.json",
        f"codex-orchestrator resume {make_run_id(1)}",
    ):
        assert part in text
    assert len(text.splitlines()) <= 24


def test_a_ready_run_says_so() -> None:
    """A run that nothing is missing of says that it is ready, and where it stands in git."""
    text = text_of(shown(succeeded()))
    assert re.search(r"^Ready +yes$", text, re.M)
    assert "on main, clean" in text


def test_what_is_missing_is_listed() -> None:
    """Each reason why a run is not ready stands on a line of its own."""
    assert "- passed on another tree than that of attempt 2: build (attempt 1)" in text_of(shown(resumed("a", "b")))


def test_relatives_resumes_overrides_and_approvals_are_shown() -> None:
    """Parent, children, resumes, approvals and overrides are on the screen when there are any."""
    event = ResumeEvent("ann", "flaky", "accepted", "2026-11-22T09:00:00.000Z", 2, "failed", False, (), 1.0)
    manifest = succeeded()._replace(
        parent_run_id=make_run_id(7),
        lineage=Lineage(make_run_id(7), make_run_id(7), 1, parent_stage_id="diag"),
        child_runs=(child(2, "failed"),),
        resume_events=(event,),
        approvals=({"actor": "bob", "decision": "approved"},),
        mode=Mode("local", {"sla": "5m"}, "release", "ann"),
    )
    text = text_of(shown(manifest))
    assert f"{make_run_id(7)}, its stage diag, depth 1" in text
    assert f"{make_run_id(2)} smoke of other failed" in text
    assert "1 time, last by ann: flaky" in text
    assert "actor bob, decision approved" in text
    assert "sla=5m" in text


def test_a_breach_is_said_beside_the_time() -> None:
    """A live run that took too long says so, one that did not says what is left."""
    assert "longer than allowed" in text_of(shown(make_manifest(), alive=True, at=2000))
    assert "29m 30s left" in text_of(shown(make_manifest(), alive=True, at=30))


@pytest.mark.parametrize("width", [20, 40, 63, 64, 80, 200])
def test_lines_keep_to_the_width_but_for_what_is_copied(width: int) -> None:
    """Only a word that must stay whole, as a path or a run id, and what is to be copied, is longer than a line."""
    plan = make_plan(make_stage("a-stage-with-a-name-of-sixty-four-characters-that-is-the-longest"), make_stage("b"))
    manifest = ran("b", make_manifest(plan=plan), Ended("failure", 1, detail="a long reason " * 20))
    text = text_of(shown(over(manifest, plan, "failure")), width)
    for line in text.splitlines():
        copied = ".runs/" in line or "codex-orchestrator" in line or make_run_id(1) in line or " " not in line.strip()
        assert columns(line) <= max(width, 30) or copied, line


def test_colour_only_when_asked() -> None:
    """Without colour there is no escape in the text; with it, the text is the same but for them."""
    document = shown(succeeded())
    plain, coloured = text_of(document), text_of(document, color=True)
    assert "\x1b" not in plain
    bare = re.sub("\x1b\\[[0-9]+m", "", coloured)
    assert [line.rstrip() for line in bare.splitlines()] == plain.splitlines()
    assert coloured != bare


def test_foreign_text_cannot_steer_the_terminal() -> None:
    """Escapes, newlines and right-to-left marks in titles, reasons and names are shown, not obeyed."""
    evil = "\x1b]0;owned\x07\x1b[2J\u202e\nReady      yes\ud800"
    record = succeeded().as_json()
    record.update(project=evil, pipeline_id=evil, status_detail=evil, approvals=[{"actor": evil}])
    record["commands"][0].update(id=evil, status="failed", summary=evil, signal=evil)
    record["guardrails"] = [{"id": evil, "required": True, "outcome": "failed", "reason": evil}]
    record["lineage"]["note"] = evil
    text = text_of(shown(record))
    text.encode()
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", text)
    assert not re.search(r"^Ready +yes", text, re.M)


def test_long_lists_are_cut_and_flags_are_shown() -> None:
    """Five children are listed, of more the number; a flag of the plan has its line; no stage is said."""
    flag = Flag(None, "guardrail-not-required", "this project does not require 'spec-guard'")
    manifest = succeeded(make_plan()._replace(flags=(flag,)))
    children = tuple(child(number, "succeeded") for number in range(2, 9))
    text = text_of(shown(manifest._replace(child_runs=children, commands=())))
    assert "and 2 more" in text
    assert "Flag       this project does not require 'spec-guard'" in text
    assert "  none" in text


def test_a_timeout_is_distinguished_from_a_signal() -> None:
    """A stage that was stopped for its time says so, whatever signal ended it."""
    late = Ended("timeout", None, "SIGTERM", wall_seconds=5.0)
    text = text_of(shown(over(ran("build", make_manifest()), outcome="timeout")))
    assert "failed (timeout)" in text
    record = over(ran("spec-guard", ran("build", make_manifest()), late), outcome="timeout")
    assert re.search(r"spec-guard +failed +5\.0 s +timeout", text_of(shown(record)))


def test_version_1_is_shown_as_such() -> None:
    """A version-1 run is marked; the killed one is failed, and nothing is offered to resume it."""
    text = text_of(shown(version_1("478d5061")))
    assert "version 1" in text
    assert "took 162 ms" in text_of(shown(version_1("f3d12e41")))
    assert re.search(r"^Status +failed \(error\): interrupted$", text, re.M)
    assert "resume" not in text


def test_a_forgiven_failure_differs_from_a_skipped_stage() -> None:
    """A failure that was allowed is not shown as a stage that did not run."""
    record = succeeded().as_json()
    record["commands"][0].update(status="skipped", outcome="failure", exit_code=1)
    assert re.search(r"build +allowed +1\.0 s +exit 1", text_of(shown(record)))


def test_changes_are_reported_once_each() -> None:
    """A watcher is told of the state it finds, then of each change, then of the end."""
    first = shown(begun("build", make_manifest()), alive=True)
    assert changes(None, first) == [f"run {make_run_id(1)}, attempt 1: in progress", "build: running"]
    assert changes(first, first) == []
    second = shown(begun("spec-guard", ran("build", make_manifest())), alive=True)
    assert changes(first, second) == ["build: ok after 1.0 s", "spec-guard: running"]
    done = ran("spec-guard", ran("build", make_manifest()), Ended("failure", 4, wall_seconds=2.0))
    last = shown(over(done, outcome="failure"))
    assert changes(second, last) == ["spec-guard: failed after 2.0 s, exit 4", f"run {make_run_id(1)}: failed"]


def test_a_breach_a_child_and_a_death_are_changes() -> None:
    """A breach, a new child and the death of the run are told."""
    manifest = make_manifest()
    before = shown(manifest, alive=True)
    late = shown(manifest._replace(child_runs=(child(2, "in_progress"),)), alive=True, at=3000)
    assert changes(before, late) == [f"child {make_run_id(2)} smoke: in progress", "longer than allowed: 30m"]
    assert changes(before, shown(manifest))[-1] == f"run {make_run_id(1)}: failed (interrupted)"


def test_another_attempt_of_a_stage_is_a_change() -> None:
    """A retry that began between two looks is told, with its number."""
    once = begun("build", make_manifest())
    again = begun("build", ran("build", make_manifest(), Ended("failure", 1)), 3.0)
    assert changes(shown(once, alive=True), shown(again, alive=True)) == ["build: running, attempt 2"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "-"),
        (0.0, "0 ms"),
        (0.0404, "40 ms"),
        (0.99996, "1.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1m"),
        (185, "3m 05s"),
        (3600, "1h"),
        (3720.4, "1h 02m"),
        (-90, "-1m 30s"),
    ],
)
def test_durations_for_people(seconds: float | None, words: str) -> None:
    """Durations are told with as much precision as people need."""
    assert duration(seconds) == words


def test_wide_characters_take_two_columns() -> None:
    """Columns are counted as a terminal shows them, when text is measured, cut and broken."""
    assert [columns("日本"), columns("e\u0301"), columns("ab")] == [4, 1, 2]
    assert clip("日本語", 5) == "日本…"
    assert clip("abc", 3) == "abc"
    assert wrap("日本 語 x", 5) == ["日本", "語 x"]
    assert rows_on_screen("\x1b[1mabc\x1b[0m\n\n12345\n", 4) == 4


def test_empty_columns_take_no_place() -> None:
    """A column in which nothing stands is left out of a table; a table of nothing is nothing."""
    assert table(Ink(False), [[("", "a"), ("", ""), ("", "b")], [("", "cc"), ("", ""), ("", "")]], 80) == [
        "  a   b",
        "  cc",
    ]
    assert table(Ink(False), [], 80) == []


def test_clean_keeps_one_line() -> None:
    """Line ends and tabs in foreign text become spaces."""
    assert clean("a\nb\tc") == "a b c"
