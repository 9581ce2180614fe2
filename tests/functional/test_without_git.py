"""A PATH without git: what needs git says so and what to do, and the rest goes on and records what is not known."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness import Orchestrator, WorkspaceFolder

MISSING = "git is not on PATH"
REMEDY = "install git, or put its folder on PATH"
CANARY = '[[guardrails.canary]]\nguardrail = "mine"\nplant = { "bad.py" = "x" }\n'


@pytest.fixture
def without_git(workspace: WorkspaceFolder, tmp_path: Path) -> dict[str, str]:
    """A workspace with a commit and a spec; its environment has a shell on PATH, and no git."""
    workspace.project("app", {"mine": {"run": ["true"], "guardrail": True}}, guard=None, extra=CANARY)
    workspace.write("tasks/specs/1-app.md", "# spec\n")
    workspace.commit()
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "true"):
        (tools / name).symlink_to(f"/bin/{name}")
    return {"PATH": str(tools)}


def test_a_run_without_git(workspace: WorkspaceFolder, orchestrate: Orchestrator, without_git: dict[str, str]) -> None:
    """The guard fails with the cause and what to do; the record says that commit and policy are not known, and why."""
    done = orchestrate("start", "--format", "json", env=without_git)
    assert done.code == 3, done.stderr
    [run] = workspace.runs("1-app")
    manifest = workspace.manifest(run)
    log = "".join(path.read_text() for path in (run / "commands").glob("*spec-guard*"))
    assert f"{MISSING} [git-failed]" in log
    assert REMEDY in log
    provenance = manifest["provenance"][0]
    assert (provenance["commit"], provenance["dirty"], provenance["note"]) == (None, None, MISSING)
    assert [entry["message"] for entry in manifest["policy"]] == [
        f"the config was not compared with the base's: {MISSING}"
    ]
    assert "Errno" not in done.stderr + done.stdout + log + (run / "manifest.json").read_text()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("plan", "--affected"), "no-base"),
        (("start", "--affected"), "no-base"),
        (("checkpoint",), "no-repository"),
        (("verify", "--witness", "origin"), "no-repository"),
        (("prove", "--project", "app"), "no-repository"),
    ],
)
def test_what_needs_git_is_refused(
    workspace: WorkspaceFolder,
    orchestrate: Orchestrator,
    without_git: dict[str, str],
    words: tuple[str, ...],
    code: str,
) -> None:
    """The refusal names git and what to do, not the repository, which is there; nothing is written."""
    done = orchestrate(*words, "--format", "json", env=without_git)
    assert done.code == 2, done.stderr
    error = done.document["error"]
    assert (error["code"], error["hint"]) == (code, REMEDY)
    assert error["message"].endswith(MISSING)
    assert not (workspace.root / ".runs").exists()


def test_a_git_that_can_not_be_started(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, without_git: dict[str, str]
) -> None:
    """What is on PATH by that name and is no program is named with the cause, by ``doctor`` and the guard."""
    git = Path(without_git["PATH"]) / "git"
    git.write_text("#!/nonexistent/interpreter\n")
    git.chmod(0o755)
    for words in (("doctor",), ("spec-guard", "--project", "app"), ("checkpoint",)):
        done = orchestrate(*words, env=without_git)
        assert "git can't be started: No such file or directory" in done.stdout + done.stderr


def test_doctor_and_the_guard_alone(orchestrate: Orchestrator, without_git: dict[str, str]) -> None:
    """``doctor`` warns, and the guard as a command ends with 4, both with what to do."""
    warned = orchestrate("doctor", env=without_git)
    assert (warned.code, f"{MISSING}: runs" in warned.stdout + warned.stderr) == (0, True)
    guard = orchestrate("spec-guard", "--project", "app", env=without_git)
    assert guard.code == 4
    for said in (warned.stdout + warned.stderr, guard.stdout + guard.stderr):
        assert REMEDY in said
        assert "Errno" not in said
