"""``verify`` through the real command: records and state, sound and not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import Orchestrator, WorkspaceFolder

TASK = "1-app"


@pytest.fixture
def runs(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> list[Path]:
    """A project with a run that failed and was resumed, and two that passed; the folders of the three."""
    folder = workspace.project("app", {"test": "test -e ready"})
    assert orchestrate("start").code == 3
    (folder / "ready").touch()
    assert orchestrate("resume", "latest").code == 0
    for _ in range(2):
        assert orchestrate("start").code == 0
    return workspace.runs(TASK)


def found(orchestrate: Orchestrator, *words: str) -> set[str]:
    """Return the codes that ``verify`` finds; its exit code must fit."""
    done = orchestrate("verify", *words, "--format", "json")
    codes = {finding["code"] for finding in done.document["findings"]}
    assert done.code == (4 if codes else 0)
    assert done.document["ok"] is not bool(codes)
    return codes


def test_real_runs_verify(orchestrate: Orchestrator, runs: list[Path]) -> None:
    """Runs, one of them resumed and approved later, have no findings; what was looked at is counted."""
    done = orchestrate("verify", "--all", "--state", "--format", "json")
    assert done.code == 0, done.stdout
    assert done.document["records"] == {"tasks": 1, "runs": 3, "chain_lines": 4, "notes": []}
    (row,) = done.document["state"]
    assert (row["project"], row["runs"], row["agree"]) == ("app", 3, True)
    assert [entry["run_id"] for entry in row["last"]] == [run.name for run in runs]
    text = orchestrate("verify", runs[0].name)
    assert text.code == 0
    assert "Findings   none" in text.stdout


def test_it_writes_nothing(workspace: WorkspaceFolder, orchestrate: Orchestrator, runs: list[Path]) -> None:
    """Every file of the workspace is as it was."""

    def look() -> dict[str, bytes]:
        files = [path for path in workspace.root.rglob("*") if path.is_file()]
        return {str(path): path.read_bytes() for path in files}

    before = look()
    assert orchestrate("verify", "--all", "--state").code == 0
    assert look() == before


def test_an_edited_log_is_named(orchestrate: Orchestrator, runs: list[Path]) -> None:
    """The file stands in the finding, as text and as JSON."""
    log = runs[1] / "commands" / "03-test.log"
    log.write_text("all fine\n")
    done = orchestrate("verify", runs[1].name)
    assert done.code == 4
    assert f".runs/{TASK}/cli/{runs[1].name}/commands/03-test.log" in done.stdout
    assert found(orchestrate, runs[0].name) == set()


def _edit(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


STATE_LIES: dict[str, tuple[str, Callable[[WorkspaceFolder], object]]] = {
    "state edited": (
        "state-differs",
        lambda w: _edit(
            w.root / "out" / TASK / "state.json", lambda state: state.update(lastRunAt="2026-01-01T00:00:00.000Z")
        ),
    ),
    "state without its last run": (
        "state-lacks-run",
        lambda w: _edit(w.root / "out" / TASK / "state.json", lambda state: state["runs"].pop()),  # type: ignore[attr-defined]
    ),
    "state gone": ("state-missing", lambda w: (w.root / "out" / TASK / "state.json").unlink()),
    "metrics cut": (
        "metrics-missing",
        lambda w: (w.root / ".runs" / TASK / "metrics.json").write_text(
            (w.root / ".runs" / TASK / "metrics.json").read_text().partition("\n")[0] + "\n"
        ),
    ),
    "pointer edited": (
        "pointer-stale",
        lambda w: _edit(
            w.root / ".runs" / TASK / "mcp" / w.runs(TASK)[0].name / "manifest.json",
            lambda pointer: pointer.update(status="failed"),
        ),
    ),
    "manifest edited": (
        "metrics-differ",
        lambda w: _edit(w.runs(TASK)[2] / "manifest.json", lambda manifest: manifest.update(pipeline_id="smoke")),
    ),
}


@pytest.mark.parametrize("lie", STATE_LIES)
def test_what_does_not_agree_is_named(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, runs: list[Path], lie: str
) -> None:
    """State, metrics, pointers and manifests are compared with each other, all runs of them."""
    code, tell = STATE_LIES[lie]
    tell(workspace)
    done = orchestrate("verify", "--state", "--format", "json")
    assert done.code == 4
    assert code in {finding["code"] for finding in done.document["findings"]}
    assert done.document["state"][0]["agree"] is False


def test_a_run_and_all_exclude_each_other(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """One run and every run can't both be meant; a run that isn't there is not found."""
    assert orchestrate("verify", "latest", "--all").code == 2
    assert orchestrate("verify", "2026-11-22T08-43-05-720Z-5087869c").code == 6
