"""A required guard that was replaced, redirected or given nothing to compare never makes a run ready."""

from __future__ import annotations

import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Orchestrator, WorkspaceFolder

STALE = "---\nlast_review: 1999-01-01\n---\n# spec\n"
FRESH = "---\nlast_review: 9999-01-01\n---\n# spec\n"


@pytest.fixture
def stale(workspace: WorkspaceFolder) -> WorkspaceFolder:
    """A committed project whose spec nobody has reviewed for years: an honest guard fails."""
    workspace.project("p", guard=None)
    workspace.write("packages/p/a.py", "print(1)\n")
    workspace.write("tasks/specs/1-p.md", STALE)
    workspace.commit()
    return workspace


def verdict(
    workspace: WorkspaceFolder,
    orchestrate: Orchestrator,
    guard: Mapping[str, object] | None,
    extra: str = "",
    **more: Any,
) -> tuple[int, str, bool, set[str]]:
    """Start with that guard; return the exit code, the guard's outcome, whether the run is ready, and the reasons."""
    stages = {**({} if guard is None else {"spec-guard": guard}), **more}
    workspace.project("p", stages, guard=None, extra=extra)
    workspace.commit()
    code = orchestrate("start", "--project", "p").code
    status = orchestrate("status", "--format", "json").document
    entry = next(entry for entry in status["guardrails"] if entry["id"] == "spec-guard")
    return code, entry["outcome"], status["ready"]["ready"], {reason["code"] for reason in status["ready"]["reasons"]}


def test_an_honest_guard_fails(stale: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Nothing replaced: the stale spec fails the run."""
    assert verdict(stale, orchestrate, None)[:3] == (3, "failed", False)


@pytest.mark.parametrize(
    "guard",
    [
        {"run": "test -d ."},
        {"run": "codex-orchestrator plan"},
        {"run": "codex-orchestrator spec-guard -h"},
        {"shell": "trap 'exit 0' EXIT; codex-orchestrator spec-guard --project p"},
        {"shell": "codex-orchestrator spec-guard --project p || cd ."},
        {"run": ["env", "CODEX_ORCHESTRATOR_ROOT=/tmp", "true"]},
        {"shell": "rc=0; codex-orchestrator spec-guard --project p || rc=0; exit $rc"},
    ],
)
def test_a_replaced_guard_is_advisory(
    stale: WorkspaceFolder, orchestrate: Orchestrator, guard: dict[str, object]
) -> None:
    """Whatever stands under the guard's id instead of it succeeds without a verdict (attack A3)."""
    _, outcome, ready, reasons = verdict(stale, orchestrate, guard)
    assert (outcome, ready) == ("advisory", False)
    assert "guardrail-replaced" in reasons


def test_nothing_that_the_project_sets_reaches_the_guard(stale: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Its Python path, PATH with a git and a program of that name, and base are not the guard's (attacks A3, A4)."""
    for name in ("git", "codex-orchestrator"):
        stale.write(f"packages/p/bin/{name}", "#!/bin/sh\nexit 0\n").chmod(0o755)
    stale.write("packages/p/sitecustomize.py", "import os; os._exit(0)\n")
    folder = stale.root / "packages/p"
    extra = f'set_env = {{ PYTHONPATH = "{folder}", PATH = "{folder}/bin:/usr/bin:/bin", BASE_SHA = "HEAD" }}\n'
    assert verdict(stale, orchestrate, None, extra)[:3] == (3, "failed", False)


def test_a_stage_can_not_replace_the_guards_program(stale: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Programs that the orchestrator puts on a stage's PATH are not what it runs itself (attack A4)."""
    fake = 'f=$(command -v codex-orchestrator); printf "#!/bin/sh\\necho spec-guard: passed\\n" > "$f"'
    guard = {"run": "codex-orchestrator spec-guard", "needs": ["build"]}
    assert verdict(stale, orchestrate, guard, build=fake)[:3] == (3, "failed", False)


@pytest.mark.parametrize("how", ['echo "#!/bin/sh" >', "chmod -x"])
def test_a_stage_lends_the_next_one_no_program(stale: WorkspaceFolder, orchestrate: Orchestrator, how: str) -> None:
    """Programs that a stage overwrote, may not be executed, or lie beside ours are gone for the next one (A4)."""
    fake = f'd=$(dirname "$(command -v nox)"); for f in codex-orchestrator nox invoke; do {how} "$d/$f"; done; '
    fake += 'printf "#!/bin/sh\\n" > "$d/licence-check"; chmod +x "$d/licence-check"'
    nested: dict[str, object] = {"shell": "codex-orchestrator start --pipeline smoke", "needs": ["build"]}
    stale.project("p", pipeline="smoke")
    smoke = "".join((stale.root / "project_configs/p.toml").read_text().partition("[[pipelines")[1:])
    stages: dict[str, str | Mapping[str, object]] = {
        "build": fake,
        "test": nested,
        "lint": {"run": "nox --version", "needs": ["build"]},
        "licences": {"run": "licence-check", "needs": ["build"]},
    }
    stale.project("p", stages, guard=None)
    config = stale.root / "project_configs/p.toml"
    config.write_text(config.read_text() + smoke)
    assert orchestrate("start", "--project", "p").code == 3  # by the spec
    commands = {command["id"]: command for command in orchestrate("status", "--format", "json").document["commands"]}
    assert [commands[name]["outcome"] for name in ("build", "lint", "test")] == ["success"] * 3
    assert commands["licences"]["outcome"] == "failure"
    assert len(stale.runs("1-p")) == 2
    assert commands["lint"]["summary"]


def test_console_scripts_by_our_names_are_named(stale: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A codebase whose package installs programs by our names is judged by ours; doctor names them (A4)."""
    wheel = stale.root / "packages/p/fakeco-1-py3-none-any.whl"
    scripts = "".join(f"{name} = fakeco:main\n" for name in ("codex-orchestrator", "nox", "invoke"))
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("fakeco.py", "def main():\n    print('spec-guard: passed')\n    return 0\n")
        file.writestr("fakeco-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: fakeco\nVersion: 1\n")
        file.writestr("fakeco-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr("fakeco-1.dist-info/entry_points.txt", f"[console_scripts]\n{scripts}")
        file.writestr("fakeco-1.dist-info/RECORD", "")
    config = stale.project("p", {"test": "codex-orchestrator"}, guard=None).parents[1] / "project_configs/p.toml"
    install = f'backend = "uv|virtualenv"\ninstall = ["--no-index", "--no-deps", "{wheel.name}"]'
    config.write_text(config.read_text().replace('backend = "none"', install))
    stale.commit()
    assert orchestrate("start", "--project", "p").code == 3
    status = orchestrate("status", "--format", "json").document
    outcomes = {command["id"]: (command["outcome"], command["summary"]) for command in status["commands"]}
    assert outcomes["test"] == ("success", "spec-guard: passed")
    assert (outcomes["spec-guard"][0], status["guardrails"][0]["outcome"]) == ("failure", "failed")
    found = orchestrate("doctor", "--format", "json").document["findings"]
    (message,) = [item["message"] for item in found if item["code"] == "tool-shadowed"]
    assert "codex-orchestrator, nox, invoke" in message


@pytest.mark.parametrize(
    "line", ["git update-ref refs/heads/main HEAD", "git branch -m main old; git branch main HEAD"]
)
def test_a_stage_does_not_move_the_base(workspace: WorkspaceFolder, orchestrate: Orchestrator, line: str) -> None:
    """The default branch is what it was when the run began: a stage that moves it hides no commit from the guard."""
    guard = {"run": "codex-orchestrator spec-guard", "needs": ["build"]}
    workspace.project("p", {"build": line, "spec-guard": guard}, guard=None)
    workspace.write("packages/p/a.py", "print(1)\n")
    workspace.write("tasks/specs/1-p.md", FRESH.replace("9999-01-01", _today()))
    workspace.commit()
    workspace.git("switch", "-qc", "topic")
    for text in ("print(2)\n", "print(2)\n# the last commit is harmless\n"):
        workspace.write("packages/p/a.py", text)
        workspace.commit()
    workspace.write("README.md", "no code of the project\n")
    workspace.commit()
    assert orchestrate("start", "--project", "p").code == 3
    (entry,) = orchestrate("status", "--format", "json").document["guardrails"]
    assert (entry["outcome"], "a.py" in entry["reason"]) == ("failed", True)


def test_a_stage_does_not_move_the_base_of_the_projects_repository(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """So it is where the project lies in a repository of its own, whose default branch a stage moves."""
    guard = {"run": "codex-orchestrator spec-guard", "needs": ["build"]}
    workspace.project("p", {"build": "git update-ref refs/heads/main HEAD", "spec-guard": guard}, guard=None)
    workspace.write(".gitignore", "/.runs/\n/out/\n/.nox/\n/packages/\n")
    workspace.write("tasks/specs/1-p.md", FRESH.replace("9999-01-01", _today()))
    workspace.write("tasks/index.json", '{"items": []}')
    workspace.commit()
    workspace.git("commit", "-q", "--allow-empty", "-m", "a parent to compare specs with")
    folder = workspace.root / "packages/p"

    def git(*words: str) -> None:
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *words], cwd=folder, check=True)

    git("init", "-q", "-b", "main")
    for branch, text in (("", "print(1)\n"), ("topic", "print(2)\n"), ("", "print(2)\n# harmless\n")):
        if branch:
            git("switch", "-qc", branch)
        workspace.write("packages/p/a.py", text)
        git("add", "-A")
        git("commit", "-qm", "x")
    workspace.write("packages/p/README.md", "no code\n")
    git("add", "-A")
    git("commit", "-qm", "x")
    assert orchestrate("start", "--project", "p").code == 3
    (entry,) = orchestrate("status", "--format", "json").document["guardrails"]
    assert (entry["outcome"], "a.py" in entry["reason"]) == ("failed", True)


def forge_parent(graph: Path, commit: str, parent: str) -> None:
    """Give a commit another parent in a repository's commit-graph, which git does not compare with the commit."""
    data = bytearray(graph.read_bytes())
    entries = [data[at : at + 12] for at in range(8, 8 + 12 * data[6], 12)]
    chunks = {bytes(entry[:4]): int.from_bytes(entry[4:], "big") for entry in entries}
    count = int.from_bytes(data[chunks[b"OIDF"] + 1020 : chunks[b"OIDF"] + 1024], "big")
    ids = [data[at : at + 20].hex() for at in range(chunks[b"OIDL"], chunks[b"OIDL"] + 20 * count, 20)]
    at = chunks[b"CDAT"] + 36 * ids.index(commit) + 20
    data[at : at + 4] = ids.index(parent).to_bytes(4, "big")
    graph.chmod(0o644)
    graph.write_bytes(data)


def test_a_forged_commit_graph_moves_no_base(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The parents of commits are those in the commits, and not in a file about them, which a stage may write."""
    workspace.project("p", guard=None)
    workspace.write("packages/p/a.py", "print(1)\n")
    workspace.write("tasks/specs/1-p.md", FRESH.replace("9999-01-01", _today()))
    first = workspace.commit()
    workspace.write("packages/p/b.py", "print(1)\n")
    main = workspace.commit()
    workspace.git("switch", "-qc", "topic")
    workspace.write("packages/p/a.py", "print(2)\n")
    forged = workspace.commit()
    workspace.write("packages/p/a.py", "print(3)\n")
    workspace.commit()
    workspace.git("commit-graph", "write", "--reachable")
    forge_parent(workspace.root / ".git/objects/info/commit-graph", forged, first)
    assert workspace.git("merge-base", "main", "HEAD").strip() == first
    assert orchestrate("start", "--project", "p").code == 3
    (entry,) = orchestrate("status", "--format", "json").document["guardrails"]
    assert (entry["outcome"], entry["compared"]["base"]) == ("failed", main)


def test_a_base_that_is_head_hides_no_commit(stale: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """On a branch, --base HEAD compares with where the branch left the default one (attack A3)."""
    stale.write("tasks/specs/1-p.md", FRESH.replace("9999-01-01", _today()))
    stale.commit()
    stale.git("switch", "-qc", "topic")
    stale.write("packages/p/a.py", "print(2)\n")
    stale.commit()
    stale.write("packages/p/README.md", "later\n")
    code, outcome, ready, _ = verdict(stale, orchestrate, {"run": "codex-orchestrator spec-guard --base HEAD"})
    assert (code, outcome, ready) == (3, "failed", False)


@pytest.mark.parametrize("how", ["no-git", "ignored", "no-code"])
def test_a_guard_that_compares_nothing_is_advisory(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, how: str
) -> None:
    """Without a repository, with the project ignored, or with code that matches nothing, no guard passed (B12)."""
    workspace.project("p", guard=None, extra='[spec_guard]\ncode = ["nothing"]\n' if how == "no-code" else "")
    workspace.write("packages/p/a.py", "print(1)\n")
    workspace.write("tasks/specs/1-p.md", FRESH.replace("9999-01-01", _today()))
    if how == "ignored":
        workspace.write(".gitignore", "/.runs/\n/out/\n/.nox/\n/packages/\n")
    if how != "no-git":
        workspace.commit()
    assert orchestrate("start", "--project", "p").code == 0
    status = orchestrate("status", "--format", "json").document
    entry = status["guardrails"][0]
    assert (entry["outcome"], entry["reason"].partition(":")[0]) == ("advisory", "nothing-compared")
    assert not status["ready"]["ready"]
    assert orchestrate("spec-guard", "--project", "p").code == 4


def test_what_was_compared_is_kept(stale: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """An honest pass names base, head and the number of files in the manifest."""
    stale.write("tasks/specs/1-p.md", FRESH.replace("9999-01-01", _today()))
    first = stale.git("rev-parse", "HEAD").strip()
    head = stale.commit()
    assert orchestrate("start", "--project", "p").code == 0
    entry = stale.manifest(stale.runs("1-p")[-1])["guardrails"][0]
    assert (entry["outcome"], entry["compared"]) == ("passed", {"base": first, "head": head, "files": 0})


def _today() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).date().isoformat()
