"""``sla`` writes what was measured, and ``verify --docs`` turns red for every figure that does not hold."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.harness import Orchestrator, WorkspaceFolder

PAGE = "docs/sla.md"
IDENTITY = {f"GIT_{who}_{what}": "t@t" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@pytest.fixture
def app(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> WorkspaceFolder:
    """A project with two runs that were measured, and one that failed, which is no measure of anything."""
    folder = workspace.project("app", {"test": "test -e ready"})
    (folder / "ready").touch()
    assert [orchestrate("start").code for _ in range(2)] == [0, 0]
    (folder / "ready").unlink()
    assert orchestrate("start").code == 3
    assert orchestrate("sla", "--yes").code == 0
    return workspace


def page(app: WorkspaceFolder) -> Path:
    """Return the page."""
    return app.root / PAGE


def codes(orchestrate: Orchestrator, env: Mapping[str, str] | None = None) -> set[str]:
    """Return what ``verify --docs`` finds; its exit code must fit."""
    done = orchestrate("verify", "--docs", "--format", "json", env=env)
    found = {finding["code"] for finding in done.document["findings"]}
    assert done.code == (4 if found else 0)
    return found


def change(app: WorkspaceFolder, pattern: str, text: str) -> None:
    """Change the page."""
    before = page(app).read_text()
    after = re.sub(pattern, text, before, count=1)
    assert after != before
    page(app).write_text(after)


def row(app: WorkspaceFolder) -> list[str]:
    """Return the cells of the only row."""
    return [cell.strip() for cell in page(app).read_text().splitlines()[-1].strip("|").split("|")]


def test_what_was_measured_stands_in_the_page(app: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Limit, p90, number of runs, the latest run and the host are those of configs and records; verify agrees."""
    project, pipeline, limit, p90, runs, latest, host = row(app)
    *lines, _ = app.metrics("1-app")
    assert (project, pipeline, limit, runs) == ("app", "diagnostics", "30m", "2")
    assert latest == lines[-1]["run_id"]
    longest = max(line["duration_seconds"] for line in lines)
    assert float(p90.removesuffix("s")) == pytest.approx(longest, abs=0.006)
    provenance = app.manifest(app.runs("1-app")[1])["provenance"][-1]
    assert host == f"{provenance['host']} ({provenance['platform']})"
    assert codes(orchestrate) == set()
    done = orchestrate("sla", "--format", "json")
    assert (done.code, done.document["result"]) == (0, "nothing-to-do")
    (told,) = done.document["rows"]
    assert (told["limit_seconds"], told["runs"], told["latest_run"], told["host"]) == (1800.0, 2, latest, host)


def test_nothing_is_written_through_a_link(app: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A link in the page's place is never written; verifying follows it in the workspace, and refuses it outside."""
    page(app).rename(app.root / "elsewhere.md")
    page(app).symlink_to(app.root / "elsewhere.md")
    assert orchestrate("sla", "--yes").code == 2
    assert codes(orchestrate) == set()
    shutil.move(app.root / "elsewhere.md", app.root.parent / "elsewhere.md")
    page(app).unlink()
    page(app).symlink_to(app.root.parent / "elsewhere.md")
    assert orchestrate("sla", "--yes").code == 2
    assert codes(orchestrate) == {"document-unreadable"}


def test_the_words_around_stay_and_the_difference_is_shown_first(
    app: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """Without anybody to ask nothing is written; then only the table is."""
    words = "# Ours\n\nbefore\n\nTABLE\nafter\n"
    table = "\n".join(page(app).read_text().splitlines()[-3:])
    page(app).write_text(words.replace("TABLE", table.replace("30m", "31m")))
    shown = orchestrate("sla")
    assert (shown.code, "-| app | diagnostics | 31m" in shown.stdout) == (2, True)
    assert "31m" in page(app).read_text()
    assert orchestrate("sla", "--dry-run").code == 0
    assert orchestrate("sla", "--yes").code == 0
    assert page(app).read_text() == words.replace("TABLE", table)


def test_a_project_is_red_until_it_was_measured(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """What nobody ran is said to be not measured, and what changes that; without the page nothing is asked."""
    workspace.project("app")
    assert codes(orchestrate) == set()
    done = orchestrate("sla", "--yes")
    assert "nothing was measured yet; codex-orchestrator start --project app" in done.stdout
    assert row(workspace)[3:] == ["not measured", "0", "–", "–"]
    told = orchestrate("verify", "--docs")
    assert told.code == 4
    assert f"{PAGE}:9: 'app', diagnostics: its p90 was not measured yet (sla-not-measured)" in told.stdout
    assert "hint: codex-orchestrator start --project app, then codex-orchestrator sla" in told.stdout


def aged(app: WorkspaceFolder, days: str) -> None:
    """Let the latest run be of another day."""
    change(app, r"\| \d{4}-\d\d-\d\d(T\S+)", rf"| {days}\1")


LIES: dict[str, tuple[str, Callable[[WorkspaceFolder], object]]] = {
    "a project without a row": ("sla-missing", lambda app: change(app, r"\| app .*\n", "")),
    "another limit in the config": (
        "sla-limit-differs",
        lambda app: app.config(
            "app", (app.root / "project_configs/app.toml").read_text() + '[pipelines.diagnostics]\nsla = "20m"\n'
        ),
    ),
    "a better figure": ("sla-differs", lambda app: change(app, r"\| [\d.]+m?s \|", "| 3ms |")),
    "more runs than there were": ("sla-differs", lambda app: change(app, r"\| 2 \|", "| 20 |")),
    "a figure above the limit": ("sla-exceeded", lambda app: change(app, r"\| [\d.]+m?s \|", "| 31m |")),
    "an old measurement": ("sla-old", lambda app: aged(app, "2026-01-01")),
    "a run of a day to come": ("sla-future", lambda app: aged(app, "2999-01-01")),
    "a run of no day": ("sla-future", lambda app: aged(app, "2026-02-31")),
    "a project that is not there": ("sla-unknown", lambda app: change(app, r"\| app ", "| other ")),
    "two rows of one project": (
        "sla-repeated",
        lambda app: change(app, r"(\| app .*\n)", r"\1\1"),
    ),
    "a row that is none": ("sla-page-damaged", lambda app: change(app, r"\| 30m", "| soon")),
    "no table": ("sla-page-damaged", lambda app: page(app).write_text("# Limits\n\nAll is well.\n")),
    "a config with faults": ("config-unreadable", lambda app: app.config("app", "schema_version = 1\nno = 1\n")),
}


def test_every_lie_turns_it_red(app: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Whatever the page claims against configs and records is found, by its code; taken back, it is green again."""
    files = [page(app), app.root / "project_configs" / "app.toml"]
    before = [file.read_text() for file in files]
    for lie, (code, tell) in LIES.items():
        tell(app)
        assert code in codes(orchestrate), lie
        for file, text in zip(files, before, strict=True):
            file.write_text(text)
    assert codes(orchestrate) == set()


def test_a_figure_that_has_moved_is_stale(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Runs that take longer by more than a tenth of the limit make the page stale, until it is written anew."""
    folder = workspace.project(
        "app", {"test": "test ! -e slow || sleep 1.5"}, extra='[pipelines.diagnostics]\nsla = "5s"'
    )
    assert orchestrate("start").code == 0
    assert orchestrate("sla", "--yes").code == 0
    (folder / "slow").touch()
    assert orchestrate("start").code == 0
    assert codes(orchestrate) == {"sla-moved"}
    assert orchestrate("sla", "--yes").code == 0
    assert codes(orchestrate) == set()


def test_a_clone_verifies_what_it_can(app: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Without records the page still holds, keeps its figures when it is written, and its age counts by commits."""
    shutil.rmtree(app.root / ".runs")
    shutil.rmtree(app.root / "out")
    assert codes(orchestrate) == set()
    before = page(app).read_text()
    assert "Nothing to do" in orchestrate("sla").stdout
    aged(app, "2026-01-01")
    assert codes(orchestrate) == {"sla-old"}

    def commit(day: str) -> None:
        dates = {"GIT_AUTHOR_DATE": f"{day}T00:00:00Z", "GIT_COMMITTER_DATE": f"{day}T00:00:00Z"}
        lines = "git init -q . && git add -A && git commit -q --allow-empty -m x && git commit -q --amend -m y"
        subprocess.run(["sh", "-ec", lines], cwd=app.root, env={**orchestrate.environ, **IDENTITY, **dates}, check=True)

    commit("2026-01-20")
    assert codes(orchestrate) == set()
    page(app).write_text(page(app).read_text() + "\nlater\n")
    commit("2026-02-20")
    assert codes(orchestrate) == {"sla-old"}
    assert before != page(app).read_text()


def test_a_project_may_let_its_figures_grow_old(app: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """With ``max_sla_age = "any"`` no figure is too old, with a number of days that number counts."""
    aged(app, str(datetime.now(UTC).date() - timedelta(days=60)))
    config = (app.root / "project_configs/app.toml").read_text()
    for age, found in (("any", set()), ("7d", {"sla-old"}), ("90d", set())):
        app.config("app", f'{config}[metrics]\nmax_sla_age = "{age}"\n')
        assert codes(orchestrate) == found
    app.config("app", f"{config}[metrics]\nmax_sla_age = 7\n")
    assert "'30d', or 'any'" in orchestrate("plan").stderr


def test_onboarding_adds_a_row(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The page is made by the first project, and a later one has its row added; what stands there stays."""
    for name in ("one", "two"):
        (workspace.root / "packages" / name).mkdir(parents=True)
        assert orchestrate("onboard", name, "--yes").code == 0
        page(workspace).write_text(page(workspace).read_text() + f"\nafter {name}\n")
    text = page(workspace).read_text()
    assert "| one | diagnostics | 30m | not measured" in text
    assert "| two | diagnostics | 30m | not measured" in text
    assert text.endswith("\nafter one\n\nafter two\n")
    assert codes(orchestrate) == {"sla-not-measured"}
    page(workspace).write_text("nothing that is a table\n")
    assert orchestrate("onboard", "one", "--yes").code == 0
    assert page(workspace).read_text() == "nothing that is a table\n"
