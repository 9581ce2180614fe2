"""``metrics`` on real folders: what is read of a long history, damage that fails nothing, and the gate."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.base.clock import stamp
from orchestrator.base.errors import UsageError
from orchestrator.base.text import progress_bar
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.look.metrics import metrics
from orchestrator.report.run_list.metrics_lines import OLD_LINES, recorded_since
from tests.functional.test_status import files_of
from tests.harness import REPOSITORY, Orchestrator, WorkspaceFolder
from tests.records import START, TASK, FakeClock, make_run_id, make_store
from tests.unit.report.test_statistics import line_of

SAMPLES = REPOSITORY / "tests" / "samples" / "version-1" / "runs"
NOW = START + timedelta(days=30)


class LaterClock(FakeClock):
    """A clock that stands a month after the runs of tests began."""

    def now(self) -> datetime:
        """Return the wall time."""
        return NOW


def answered(root: Path, **asked: Any) -> Answer:
    """Return the answer of ``metrics``."""
    return metrics(Context(str(root), {}, io.StringIO(), io.StringIO(), LaterClock()), **asked)


def figures(root: Path, **asked: Any) -> dict[str, Any]:
    """Return the document of ``metrics``."""
    document = answered(root, **asked).document
    assert document is not None
    return dict(document)


def line_at(number: int, completed: datetime, recorded: datetime | None = None, **changed: Any) -> str:
    """Return the line of a run that completed, and was recorded, at some moment."""
    at = {"completed_at": stamp(completed), "recorded_at": stamp(recorded or completed)}
    return json.dumps({**line_of(number), "event_id": f"{number:032x}", **at, **changed}) + "\n"


def write_lines(root: Path, *lines: str) -> Path:
    """Write a task's metrics and return their path."""
    make_store(root)
    path = root / ".runs" / TASK / "metrics.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines))
    return path


def test_the_cost_follows_the_window(tmp_path: Path) -> None:
    """Of a file of megabytes only the window's lines, and as many as the bound says, are read; they come in blocks."""
    old = line_at(1, NOW - timedelta(days=20)) * 20_000
    path = write_lines(tmp_path, old, *(line_at(number, NOW - timedelta(days=1)) for number in (2, 3)))
    assert path.stat().st_size > 5_000_000
    assert figures(tmp_path)["projects"][0]["runs"] == 2
    found = recorded_since(make_store(tmp_path), TASK, NOW - timedelta(days=7))
    assert len(found.ends) == 2 + OLD_LINES


def test_a_late_record_and_a_clock_set_back_hide_nothing(tmp_path: Path) -> None:
    """Runs behind a long-dead one that was recorded late are found, and behind fewer old lines than the bound."""
    start = NOW - timedelta(days=7)
    recent, dead = line_at(1, NOW - timedelta(days=2)), line_at(2, NOW - timedelta(days=25), NOW)
    assert figures(write_lines(tmp_path, recent, dead * 300).parents[2])["projects"][0]["runs"] == 1
    strayed = [line_at(number + 10, NOW - timedelta(days=25)) for number in range(OLD_LINES)]
    write_lines(tmp_path, recent, *strayed[1:])
    assert len(recorded_since(make_store(tmp_path), TASK, start).ends) == OLD_LINES
    write_lines(tmp_path, recent, *strayed)
    assert make_run_id(1) not in [end.run_id for end in recorded_since(make_store(tmp_path), TASK, start).ends]
    near = [line_at(number + 10, NOW - timedelta(days=7, hours=20)) for number in range(OLD_LINES * 2)]
    write_lines(tmp_path, recent, *near)
    assert figures(tmp_path)["projects"][0]["runs"] == 1


def test_how_far_it_has_come_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that were read are counted on stderr, and not for programs."""
    monkeypatch.setattr(progress_bar, "PATIENCE_SECONDS", -1.0)
    write_lines(tmp_path, *(line_at(number, NOW - timedelta(days=1)) for number in range(1000)))
    for form in ("json", "text"):
        stderr = io.StringIO()
        metrics(Context(str(tmp_path), {}, io.StringIO(), stderr, LaterClock()), format=form)
        assert stderr.getvalue() == ("metrics: lines: 1000\n" if form == "text" else "")


def test_damage_is_counted_and_fails_nothing(tmp_path: Path) -> None:
    """Torn, unreadable, foreign, repeated and oversized lines are told, and the runs between them count."""
    good = [line_at(number, NOW - timedelta(days=1)) for number in (1, 2, 3)]
    foreign = line_at(4, NOW, task_id="another")
    path = write_lines(tmp_path, good[0], "{\n", good[1], good[1], foreign, "x" * 300_000 + "\n", "\n", good[2])
    path.write_text(path.read_text() + good[0][:-20])
    document = figures(tmp_path)
    assert document["projects"][0]["runs"] == 3
    notes = document["notes"]
    assert [notes[key] for key in ("unreadable_lines", "torn_lines", "repeated_lines")] == [3, 1, 1]
    path.unlink()
    path.symlink_to("/etc/hostname")
    answer = answered(tmp_path, gate=True)
    assert answer.exit_code == 4
    assert "metrics-unreadable" in answer.text


def test_version_1_and_its_owner(workspace: WorkspaceFolder) -> None:
    """Lines of the early version count for the owner of their task; a resumed run once, by its last end."""
    shutil.copytree(SAMPLES, workspace.root / ".runs", symlinks=True)
    workspace.project("billing", task_id="0101-billing")
    (project,) = figures(workspace.root, window="40d")["projects"]
    assert (project["project"], project["runs"], project["outcomes"]) == ("billing", 4, {"success": 4})
    assert project["guardrails"]["coverage"] == 1.0
    assert project["sla"] == {"runs": 0, "breaches": 0, "share": None}


def test_what_can_not_be_asked(workspace: WorkspaceFolder) -> None:
    """Bad spans and unknown projects are refused; nothing to judge is no gate that is met."""
    workspace.project("good")
    for asked in ({"window": "7"}, {"window": "400d"}, {"project": "goood"}, {"project": "../x"}):
        with pytest.raises(UsageError):
            answered(workspace.root, **asked)
    answer = answered(workspace.root, gate=True)
    assert (answer.exit_code, answered(workspace.root).exit_code) == (4, 0)
    assert "no-guarded-runs" in answer.text
    (workspace.root / "project_configs" / "good.toml").unlink()
    assert "no-project" in answered(workspace.root, gate=True).text


def test_a_broken_config_is_a_finding(workspace: WorkspaceFolder) -> None:
    """A project whose policy can't be read does not get the default one in silence."""
    workspace.config("bad", "[metrics]\nmin_coverage = 7\n")
    findings = figures(workspace.root)["gate"]["findings"]
    assert [one["code"] for one in findings] == ["config-unreadable", "no-guarded-runs"]


@pytest.fixture
def with_runs(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> str:
    """A project with a flaky stage and a skipped guardrail: a failed run, its resume; return the run's id."""
    folder = workspace.project(
        "hello",
        {"test": "test -f ../../repaired", "license": {"needs": ["test"], "shell": "test -d .", "guardrail": True}},
        extra='[metrics]\nmin_coverage = 0.95\n[guardrails]\nrequired = ["spec-guard", "license"]\n',
    )
    (folder / "a.txt").write_text("a")
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "a"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    done = orchestrate("start", "--project", "hello", "--format", "json")
    assert done.code == 3
    return str(done.document["run_id"])


def test_the_gate_over_real_runs(workspace: WorkspaceFolder, orchestrate: Orchestrator, with_runs: str) -> None:
    """A guardrail that never ran fails the gate, named with its run; the repaired resume meets it, and is flaky."""
    failed = orchestrate("metrics", "--gate", "--format", "json")
    assert failed.code == 4
    (found,) = failed.document["gate"]["findings"]
    assert (found["project"], found["code"], found["runs"][0]["run_id"]) == ("hello", "coverage-low", with_runs)
    assert found["runs"][0]["stages"] == ["license"]
    assert "95 % is the least" in failed.stderr
    workspace.write("repaired", "")
    assert orchestrate("resume", with_runs).code == 0
    before = files_of(workspace.root)
    met = orchestrate("metrics", "--gate", "--format", "json")
    assert met.code == 0, met.stderr
    (project,) = met.document["projects"]
    assert (project["runs"], project["guardrails"]["coverage"]) == (1, 1.0)
    assert [(entry["stage"], entry["times"]) for entry in project["flaky"]] == [("test", 1)]
    plot = orchestrate("metrics", "--format", "svg")
    assert (plot.code, plot.stdout.startswith("<svg "), plot.stdout.count(with_runs)) == (0, True, 1)
    assert orchestrate("metrics", "--format", "openmetrics").stdout.endswith("\n# EOF\n")
    over = orchestrate("metrics", "--gate", "--sla-budget", "0%", "--min-coverage", "1", "--format", "openmetrics")
    assert over.code == 0
    assert orchestrate("metrics", "--min-coverage", "2").code == 2
    assert files_of(workspace.root) == before
    (run,) = workspace.runs("1-hello")
    (run / "manifest.json").rename(run / "elsewhere")
    plain = orchestrate("metrics", "--format", "json").document
    (run / "elsewhere").rename(run / "manifest.json")
    assert plain["projects"] == met.document["projects"], "no record is opened, and none is needed"
    assert (plain["gate"], plain["notes"]["records_missing"]) == ({"met": None, "findings": []}, None)


def test_it_is_light(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """None of the three commands that read many runs loads pydantic, nox or rich."""
    workspace.project("good")
    code = (
        "import sys; from orchestrator.commands.look import runs, lineage, metrics; "
        "from orchestrator.commands.context import Context; metrics.metrics(Context.of_process(), gate=True); "
        "runs.runs(Context.of_process()); "
        "print([name for name in ('pydantic', 'nox', 'rich', 'jsonschema', 'subprocess') if name in sys.modules])"
    )
    command = orchestrate.command()
    done = subprocess.run(
        [command[0], "-c", code], cwd=orchestrate.cwd, env=dict(orchestrate.environ), capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == "[]"
