"""Ticked items against the runs that they cite: every kind of lie turns ``verify --docs`` red."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.checks.checklists.evidence import approvals_digest
from tests.harness import Orchestrator, WorkspaceFolder, clean_environ

TASK = "1-app"
LIST = f"""# Task {TASK}: App

Spec: [spec](SPEC)

## Checklist

- [ ] **testing**: the tests pass (needs: diagnostics/test)
- [ ] **enablement**: the pipeline passes, approved (needs: diagnostics, approval)
- [ ] Something else that somebody writes by hand
"""
PLACES = (f"tasks/tasks-{TASK}.md", f"docs/checklists/{TASK}.md", f".agent/task/{TASK}.md")
SPECS = (f"specs/{TASK}.md", f"../../tasks/specs/{TASK}.md", f"../../tasks/specs/{TASK}.md")


def approve(orchestrate: Orchestrator, run: str, actor: str = "reviewer") -> None:
    """Approve a run as somebody else than who ran it."""
    done = orchestrate("review", run, "--decision", "approve", "--actor", actor, "--reason", "good")
    assert done.code == 0, done.stderr


@pytest.fixture(scope="module")
def proved(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Path:
    """A project whose checklist stands in three places, with one approved run that proves both milestones."""
    workspace = WorkspaceFolder(tmp_path_factory.mktemp("proved").resolve())
    orchestrate = Orchestrator(workspace.root, clean_environ(home))
    workspace.project("app")
    for place, spec in zip(PLACES, SPECS, strict=True):
        workspace.write(place, LIST.replace("SPEC", spec))
    workspace.commit()
    assert orchestrate("start").code == 0
    approve(orchestrate, "latest")
    for item in ("testing", "enablement"):
        done = orchestrate("checklist", "tick", item, "--run", "latest")
        assert done.code == 0, done.stderr
    return workspace.root


@pytest.fixture
def app(proved: Path, workspace: WorkspaceFolder) -> WorkspaceFolder:
    """That project in a workspace of its own, to tell lies in."""
    shutil.copytree(proved, workspace.root, symlinks=True, dirs_exist_ok=True)
    return workspace


def codes(orchestrate: Orchestrator, *words: str) -> set[str]:
    """Return what ``verify --docs`` and ``words`` find; its exit code must fit."""
    done = orchestrate("verify", "--docs", *words, "--format", "json")
    found = {finding["code"] for finding in done.document["findings"]}
    assert done.code == (4 if found else 0)
    return found


def run_of(app: WorkspaceFolder) -> Path:
    """Return the folder of the run that is cited."""
    return app.runs(TASK)[0]


def evidence_of(app: WorkspaceFolder) -> Path:
    """Return the evidence of the run that is cited."""
    return app.root / "tasks" / "evidence" / TASK / f"{run_of(app).name}.json"


def test_a_tick_is_in_every_place_with_link_digest_and_approval(
    app: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """Links lead to the evidence from each place; digest and approval are those of the record."""
    state = app.state(TASK)["runs"][0]
    approval = app.manifest(run_of(app))["approvals"][0]
    for place in PLACES:
        path = app.root / place
        line = next(line for line in path.read_text().splitlines() if "enablement" in line)
        target = line.partition("](")[2].partition(")")[0]
        assert (path.parent / target).resolve() == evidence_of(app).resolve()
        assert line.startswith("- [x] ")
        assert f"digest `{state['manifestDigest']}`" in line
        assert line.endswith(f"approved by `reviewer` at {approval['timestamp']}")
    assert codes(orchestrate) == set()
    assert orchestrate("verify", "--all", "--docs", "--state").code == 0


def test_evidence_survives_a_fresh_clone(app: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Without .runs and out, checklists verify from what is in git; and an edited evidence does not."""
    shutil.rmtree(app.root / ".runs")
    shutil.rmtree(app.root / "out")
    assert codes(orchestrate) == set()
    path = evidence_of_clone(app)
    path.write_text(path.read_text().replace('"actor": "tester"', '"actor": "another"'))
    assert codes(orchestrate) == {"evidence-damaged"}


def evidence_of_clone(app: WorkspaceFolder) -> Path:
    """Return the one evidence file of the workspace."""
    (path,) = app.root.glob("tasks/evidence/*/*.json")
    return path


def every_place(app: WorkspaceFolder, change: Callable[[str], str]) -> None:
    """Change the text of all three places."""
    for place in PLACES:
        path = app.root / place
        before = path.read_text()
        assert change(before) != before
        path.write_text(change(before))


def other_task(app: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Let the items cite a run of another task and project, with evidence of its own."""
    app.project("other")
    app.commit()
    assert orchestrate("start", "--project", "other").code == 0
    approve(orchestrate, "latest")
    run = app.runs("1-other")[0].name
    app.write("tasks/tasks-1-other.md", LIST.replace(TASK, "1-other").replace("(needs: diagnostics/test)", ""))
    assert orchestrate("checklist", "tick", "testing", "--run", run, "--task", "1-other").code == 0
    digest = app.state("1-other")["runs"][0]["manifestDigest"]
    old = app.state(TASK)["runs"][0]["manifestDigest"]
    cited = run_of(app).name
    every_place(
        app,
        lambda text: (
            text.replace(f"evidence/{TASK}/{cited}", f"evidence/1-other/{run}").replace(cited, run).replace(old, digest)
        ),
    )


def edited_manifest(app: WorkspaceFolder) -> None:
    """Change the summary in the full record."""
    path = run_of(app) / "manifest.json"
    path.write_text(path.read_text().replace('"summary": "', '"summary": "all good. ', 1))


def failed_run(app: WorkspaceFolder) -> None:
    """Let the evidence be of a run that failed, digest and all."""
    path = evidence_of(app)
    document = json.loads(path.read_text())
    document["manifest"].update(status="failed", outcome="failure")
    rewrite(app, document)


def rewrite(app: WorkspaceFolder, document: dict[str, object]) -> None:
    """Write evidence whose digests are right, and cite that of the record everywhere."""
    from orchestrator.base.canonical import digest_of
    from orchestrator.model.manifest.manifest import manifest_digest

    manifest = document["manifest"]
    assert isinstance(manifest, dict)
    old, new = document["manifest_digest"], manifest_digest(manifest)
    assert isinstance(old, str)
    forged = {**document, "manifest_digest": new, "chain": None, "chain_digest": digest_of(None)}
    evidence_of(app).write_text(json.dumps(forged))
    every_place(app, lambda text: text.replace(old, new))
    shutil.rmtree(app.root / ".runs")


def cannot_fail(app: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Let the items cite a real run whose guardrail could not fail: by hand, because ``tick`` refuses it."""
    from orchestrator.checks.checklists.evidence import evidence_of as evidence_by
    from orchestrator.checks.checklists.evidence import render_evidence

    app.project("app", guard="test -e nothing || true")
    assert orchestrate("start").code == 0
    refused = orchestrate("checklist", "tick", "testing", "--run", "latest", "--format", "json")
    assert (refused.code, refused.document["error"]["code"]) == (4, "guardrail-not-passed")
    run = app.runs(TASK)[-1]
    kept = evidence_by(app.manifest(run), None)
    cited, old = run_of(app).name, app.state(TASK)["runs"][0]["manifestDigest"]
    evidence_of(app).with_name(f"{run.name}.json").write_text(render_evidence(kept))
    every_place(app, lambda text: text.replace(cited, run.name).replace(old, kept.digest))


def stale_approval(app: WorkspaceFolder) -> None:
    """Let the approval be of another attempt, in the record and in what is kept of it."""
    for path in (run_of(app) / "manifest.json", evidence_of(app)):
        text = path.read_text()
        document = json.loads(text)
        for entry in document["approvals"]:
            entry["attempt"] = 7
        if "evidence" in document:
            document["approvals_digest"] = approvals_digest(document["approvals"])
        path.write_text(json.dumps(document))


def cut_metrics(app: WorkspaceFolder) -> None:
    """Let the metrics have lost the run."""
    (app.root / ".runs" / TASK / "metrics.json").write_text("")


Lie = Callable[[WorkspaceFolder, Orchestrator], object]
LIES: dict[str, tuple[str, Lie]] = {
    "tick without a run": (
        "tick-without-run",
        lambda app, _: every_place(app, lambda text: text.replace("- [ ] Something", "- [x] Something")),
    ),
    "another task's run": ("wrong-task", other_task),
    "another project's run": ("wrong-project", other_task),
    "evidence gone": ("evidence-missing", lambda app, _: evidence_of(app).unlink()),
    "edited evidence": (
        "evidence-damaged",
        lambda app, _: evidence_of(app).write_text(evidence_of(app).read_text().replace("diagnostics", "smoke", 1)),
    ),
    "noise for evidence": ("evidence-damaged", lambda app, _: evidence_of(app).write_text("{")),
    "edited manifest": ("manifest-edited", lambda app, _: edited_manifest(app)),
    "edited manifest, against the evidence": ("evidence-stale", lambda app, _: edited_manifest(app)),
    "stale approval": ("review-altered", lambda app, _: stale_approval(app)),
    "cut metrics file": ("metrics-cut", lambda app, _: cut_metrics(app)),
    "damaged manifest": ("manifest-damaged", lambda app, _: (run_of(app) / "manifest.json").write_text("{")),
    "evidence without a chain": ("evidence-unproven", lambda app, _: failed_run(app)),
    "approval typed into the evidence": (
        "evidence-damaged",
        lambda app, _: evidence_of(app).write_text(evidence_of(app).read_text().replace('"reviewer"', '"boss"')),
    ),
    "failed run": ("run-not-succeeded", lambda app, _: failed_run(app)),
    "guardrail that cannot fail": ("guardrail-not-passed", cannot_fail),
    "milestone not covered": (
        "not-covered",
        lambda app, _: every_place(app, lambda text: text.replace("diagnostics/test", "diagnostics/deploy")),
    ),
    "other digest": (
        "wrong-digest",
        lambda app, _: every_place(app, lambda text: text.replace("digest `", "digest `0000000000000000")),
    ),
    "other approver": (
        "wrong-approval",
        lambda app, _: every_place(app, lambda text: text.replace("approved by `reviewer`", "approved by `boss`")),
    ),
    "other approver, before the digest": (
        "wrong-approval",
        lambda app, _: every_place(
            app, lambda text: text.replace(", digest `", ", approved by `boss` at 2026-01-01T00:00:00.000Z, digest `")
        ),
    ),
    "other run in the link's words": (
        "wrong-run",
        lambda app, _: every_place(app, lambda text: text.replace("[run 20", "[run 19")),
    ),
    "changes requested since": (
        "changes-requested",
        lambda app, orchestrate: orchestrate(
            *("review", "latest", "--decision", "request-changes", "--actor", "boss", "--reason", "no")
        ),
    ),
    "mirror that differs": (
        "mirror-differs",
        lambda app, _: (app.root / PLACES[1]).write_text((app.root / PLACES[1]).read_text().replace("tests", "Tests")),
    ),
    "mirror without a tick": (
        "mirror-differs",
        lambda app, _: (app.root / PLACES[2]).write_text(LIST.replace("SPEC", SPECS[2])),
    ),
    "mirror gone": ("mirror-missing", lambda app, _: (app.root / PLACES[2]).unlink()),
    "ticked elsewhere in docs": (
        "tick-without-task",
        lambda app, _: app.write("docs/notes.md", "# Notes\n\n- [x] all is well\n"),
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_every_lie_turns_it_red(app: WorkspaceFolder, orchestrate: Orchestrator, lie: str) -> None:
    """Whatever a document claims and no record proves is found by what CI calls, by its code."""
    code, tell = LIES[lie]
    tell(app, orchestrate)
    assert code in codes(orchestrate, "--all", "--state")


def test_an_approval_goes_stale_with_a_new_attempt(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A ticked item is red as soon as its run is not the attempt that was approved."""
    workspace.project("app")
    workspace.write(PLACES[0], LIST.replace("SPEC", SPECS[0]))
    workspace.commit()
    assert orchestrate("start").code == 0
    approve(orchestrate, "latest")
    assert orchestrate("checklist", "tick", "enablement", "--run", "latest").code == 0
    assert codes(orchestrate) == set()
    path = workspace.runs(TASK)[0] / "manifest.json"
    path.write_text(path.read_text().replace('"attempt": 1,\n', '"attempt": 2,\n', 1))
    assert "evidence-stale" in codes(orchestrate)


def test_later_commits_do_not_untick(app: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """What was approved stays approved for what it cites, though the tree goes on and the run is not ready any more."""
    config = app.root / "project_configs" / "app.toml"
    config.write_text(config.read_text() + "[review]\napprovals = 1\nstale_when_tree_moves = true\n")
    app.write("packages/app/new.py", "x = 1\n")
    ready = orchestrate("status", "--format", "json").document["ready"]
    assert [reason["code"] for reason in ready["reasons"]] == ["approval-missing", "approval-stale"]
    assert codes(orchestrate, "--all", "--state") == set()


def test_findings_name_file_and_line(app: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The text says where, as compilers do."""
    (app.root / PLACES[0]).write_text((app.root / PLACES[0]).read_text().replace("- [ ] Something", "- [x] Something"))
    done = orchestrate("verify", "--docs")
    assert done.code == 4
    assert f"{PLACES[0]}:9: 'something-else-that-somebody-writes-by-hand': it is ticked and cites no run" in done.stdout
    assert f"{PLACES[1]}:9: " in done.stdout
    assert "1 checklist, 3 ticked items, 0 limits" in done.stdout  # however often they are mirrored


def test_a_run_that_does_not_prove_an_item_ticks_nothing(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A failed run, one without approval, and a wrong name are refused, and nothing is written."""
    workspace.project("app", {"test": "test -e ready"})
    path = workspace.write(PLACES[0], LIST.replace("SPEC", SPECS[0]))
    workspace.write(".gitignore", "/.runs/\n/out/\n/packages/app/ready\n")
    before = path.read_text()
    workspace.commit()
    assert orchestrate("start").code == 3
    refused = orchestrate("checklist", "tick", "testing", "--run", "latest", "--format", "json")
    assert (refused.code, refused.document["error"]["code"]) == (4, "run-not-succeeded")
    (workspace.root / "packages" / "app" / "ready").touch()
    assert orchestrate("resume", "latest").code == 0
    refused = orchestrate("checklist", "tick", "enablement", "--run", "latest", "--format", "json")
    assert (refused.code, refused.document["error"]["code"]) == (4, "approval-missing")
    refused = orchestrate("checklist", "tick", "tasting", "--run", "latest")
    assert refused.code == 2
    assert "did you mean 'testing'" in refused.stderr
    assert path.read_text() == before
    assert not (workspace.root / "tasks" / "evidence").exists()


def test_a_config_that_asks_for_more_names_the_run_to_approve(app: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Who asks for two approvals from now on sees of each ticked item which run lacks one, and what to do."""
    config = app.root / "project_configs" / "app.toml"
    config.write_text(config.read_text() + "[review]\napprovals = 2\n")
    run = run_of(app).name
    found = [one for one in orchestrate("verify", "--docs", "--format", "json").document["findings"] if one["hint"]]
    assert {one["code"] for one in found} == {"approval-missing"}
    assert all("1 of 2 approvals" in one["message"] for one in found)
    assert all(f"of run {run} that it cites" in one["message"] for one in found)
    assert all(f"codex-orchestrator review {run} --decision approve" in one["hint"] for one in found)


def test_sync_shows_a_difference_and_repairs_mirrors(app: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Without anybody to ask it only shows; with --yes mirrors are made equal, and a tick is nowhere lost."""
    source, mirror = app.root / PLACES[0], app.root / PLACES[1]
    whole = {place: (app.root / place).read_text() for place in PLACES}
    source.write_text(LIST.replace("SPEC", SPECS[0]))
    (app.root / PLACES[2]).unlink()
    shown = orchestrate("checklist", "sync")
    assert shown.code == 2
    assert f"+++ b/{PLACES[2]}" in shown.stdout
    assert mirror.read_text() == whole[PLACES[1]]
    assert orchestrate("checklist", "sync", "--yes").code == 0
    assert {place: (app.root / place).read_text() for place in PLACES} == whole
    assert codes(orchestrate) == set()
    assert "Nothing to do" in orchestrate("checklist", "sync", "--yes").stdout


def test_what_a_quoted_command_says_is_no_need(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """An item's needs are what stands last: a command that an item quotes can't ask for less."""
    workspace.project("app")
    line = "- [ ] **deploy**: `echo (needs: diagnostics)` passed (needs: diagnostics/deploy)\n"
    workspace.write(PLACES[0], f"# Task {TASK}\n\n{line}")
    workspace.commit()
    assert orchestrate("start").code == 0
    refused = orchestrate("checklist", "tick", "deploy", "--run", "latest", "--format", "json")
    assert (refused.code, refused.document["error"]["code"]) == (4, "not-covered")


def test_words_that_are_no_verb_are_refused(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A verb that isn't there, and a tick without a run, are usage errors."""
    for words in (["tock", "x"], ["tick", "x"], ["tick"], [], ["sync", "x"]):
        assert orchestrate("checklist", *words).code == 2


def test_several_items_are_ticked_at_once_or_none(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """One call ticks what the run proves in all places; one item that it does not prove stops all of them."""
    workspace.project("app")
    path = workspace.write(
        PLACES[0], "- [ ] **a**: x (needs: diagnostics)\n- [ ] **b**: y\n- [ ] **c**: (needs: smoke)\n"
    )
    workspace.commit()
    assert orchestrate("start").code == 0
    before = path.read_bytes()
    assert orchestrate("checklist", "tick", "a", "c", "--run", "latest").code == 4
    assert path.read_bytes() == before
    assert orchestrate("checklist", "tick", "a", "b", "--run", "latest").code == 0
    assert path.read_text().count("- [x]") == 2
    assert codes(orchestrate) == set()


def test_a_run_of_uncommitted_files_ticks_nothing(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Nobody can repeat a run whose tree was no commit's: neither with changes, nor outside of git."""
    workspace.project("app")
    workspace.write(PLACES[0], "- [ ] **a**: x\n")
    assert orchestrate("start").code == 0
    refused = orchestrate("checklist", "tick", "a", "--run", "latest", "--format", "json")
    assert (refused.code, refused.document["error"]["code"]) == (4, "dirty-tree")
    workspace.commit()
    workspace.write("packages/app/main.py", "print(2)\n")
    assert orchestrate("start").code == 0
    refused = orchestrate("checklist", "tick", "a", "--run", "latest", "--format", "json")
    assert (refused.code, refused.document["error"]["code"]) == (4, "dirty-tree")


def test_a_baseline_names_what_was_ticked_before(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Items that were ticked at the commit of [docs] since are notes; what is ticked later is a finding."""
    workspace.project("app")
    for place in PLACES:
        workspace.write(place, "- [x] **a**: x\n- [ ] **b**: y\n")
    workspace.write("docs/old/page.md", "- [x] done\n")
    since = workspace.commit()
    toml = f'schema_version = 1\n[docs]\nsince = "{since}"\nignore = ["docs/old/**"]\n'
    workspace.write("workspace.toml", toml)
    done = orchestrate("verify", "--docs", "--format", "json")
    assert (done.code, done.document["findings"]) == (0, [])
    assert {note["code"] for note in done.document["docs"]["notes"]} == {"before-baseline"}
    assert "before-baseline" in orchestrate("verify", "--docs").stdout
    for place in PLACES:
        workspace.write(place, "- [x] **a**: x\n- [x] **b**: y\n")
    assert codes(orchestrate) == {"tick-without-run"}
    workspace.write("workspace.toml", toml.replace(since, "0" * 40))
    assert "baseline-unknown" in codes(orchestrate)
    workspace.write("workspace.toml", toml.replace("since", "sincce"))
    refused = orchestrate("verify", "--docs")
    assert refused.code == 2
    assert "docs.sincce" in refused.stderr


def test_one_bad_page_stops_nothing_else(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A page that can't be read is a finding of its own; ticking and syncing of other tasks go on."""
    workspace.project("app")
    workspace.write(PLACES[0], "- [ ] **a**: x\n")
    (workspace.root / "docs").mkdir()
    (workspace.root / "docs" / "old.md").write_bytes(b"caf\xe9 - [x] a\n")
    (workspace.root / "docs" / "wide.md").write_bytes("- [x] a\n".encode("utf-16"))
    (workspace.root / "docs" / "gone.md").symlink_to("nowhere.md")
    (workspace.root / "docs" / "here.md").symlink_to("../README.md")
    (workspace.root / "docs" / "more").symlink_to("../elsewhere")
    workspace.write("README.md", "# Nothing\n")
    workspace.write("elsewhere/x.MD", "1) [x] unproved\n")
    workspace.commit()
    assert orchestrate("start").code == 0
    assert orchestrate("checklist", "tick", "a", "--run", "latest").code == 0
    assert orchestrate("checklist", "sync", "--yes").code == 0
    found = orchestrate("verify", "--docs", "--format", "json").document
    assert {(one["code"], one["path"]) for one in found["findings"]} == {
        ("document-unreadable", "docs/old.md"),
        ("document-unreadable", "docs/wide.md"),
        ("document-unreadable", "docs/gone.md"),
        ("tick-without-task", "docs/more/x.MD"),
    }
    assert [note["path"] for note in found["docs"]["notes"]] == ["docs/more"]


def test_sync_drops_no_line_that_is_no_item(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A hand-written mirror is not replaced: what stands there only is lost with --drop-lines alone."""
    workspace.project("app")
    workspace.write(PLACES[0], "# T\n\n- [ ] **a**: x\n")
    mirror = workspace.write(PLACES[2], "# T\n\n## Context\n\nWritten by hand.\n\n- [ ] **a**: old words\n")
    before = mirror.read_text()
    refused = orchestrate("checklist", "sync", "--yes", "--format", "json")
    assert (refused.code, refused.document["error"]["code"]) == (2, "lines-dropped")
    assert mirror.read_text() == before
    assert orchestrate("checklist", "sync", "--yes", "--drop-lines").code == 0
    assert mirror.read_text() == "# T\n\n- [ ] **a**: x\n"


def test_ambiguous_items_are_never_guessed(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Two items of one name, and a conflict's markers, are findings; neither tick nor sync chooses."""
    workspace.project("app")
    path = workspace.write(PLACES[0], "- [ ] **a**: x\n- [ ] **a**: y\n")
    workspace.commit()
    assert orchestrate("start").code == 0
    assert orchestrate("checklist", "tick", "a", "--run", "latest").code == 2
    assert orchestrate("checklist", "sync", "--yes").code == 2
    assert "item-repeated" in codes(orchestrate)
    path.write_text("<<<<<<< ours\n- [ ] **a**: x\n=======\n- [ ] **b**: y\n>>>>>>> theirs\n")
    assert orchestrate("checklist", "tick", "a", "--run", "latest").code == 2
    assert orchestrate("checklist", "sync", "--yes").code == 2
    assert "conflict-markers" in codes(orchestrate)
