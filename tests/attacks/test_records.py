"""Attacks on records: each fails visibly, and the program signs nothing that contradicts a run's events."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.store.chain import find_link
from orchestrator.store.metrics_line import event_id
from tests.harness import Done, Orchestrator, WorkspaceFolder
from tests.records import make_store

TASK = "1-x"


def codes(done: Done) -> set[str]:
    """Return the codes of what a command found."""
    return {finding["code"] for finding in done.document["findings"]}


def reasons(orchestrate: Orchestrator, run: str = "latest") -> set[str]:
    """Return why a run is not ready, by code."""
    done = orchestrate("status", run, "--format", "json")
    assert done.code == 0
    return {reason["code"] for reason in done.document["ready"]["reasons"]}


def failed(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> Path:
    """Return the folder of a run whose stage ``test`` failed."""
    workspace.project("x", {"test": "false"})
    assert orchestrate("start", "--project", "x").code == 3
    return workspace.runs(TASK)[-1]


def passed(workspace: WorkspaceFolder, orchestrate: Orchestrator, **stages: str) -> Path:
    """Return the folder of a run that succeeded."""
    workspace.project("x", stages)
    assert orchestrate("start", "--project", "x").code == 0
    return workspace.runs(TASK)[-1]


def edit(run: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Rewrite a record by hand."""
    path = run / "manifest.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def whiten(document: dict[str, Any]) -> None:
    """Make a record say that everything succeeded."""
    document.update(status="succeeded", outcome="success", status_detail=None, summary="Guardrails: spec-guard passed.")
    whiten_stages(document)


def whiten_stages(document: dict[str, Any]) -> None:
    """Make the stages of a record say that they succeeded."""
    for command in document["commands"]:
        command.update(status="succeeded", outcome="success", exit_code=0, error_file=None)
        for attempt in command["attempts"]:
            attempt.update(outcome="success", exit_code=0)
    for entry in document["guardrails"]:
        entry.update(outcome="passed", reason="its stage succeeded")


def cut_last_line(path: Path) -> None:
    """Take the last line of a file away."""
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))


def snapshot(root: Path) -> dict[str, str]:
    """Return the digest of each file of the records, but for locks and what nobody relies on."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in (".runs", "out")
        for path in sorted((root / folder).rglob("*"))
        if path.is_file() and path.name not in (".lock", ".heartbeat") and "/.cache/" not in str(path)
    }


def test_a_resume_does_not_launder_an_edited_record(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A1: resume, review and cancel refuse a record that is not what its attempt left, and write nothing."""
    run = failed(workspace, orchestrate)
    edit(run, whiten_stages)
    before = snapshot(workspace.root)
    for words in (
        ("resume", "latest"),
        ("review", "latest", "--decision", "comment", "--reason", "seen", "--actor", "bob"),
        ("cancel", run.name),
    ):
        done = orchestrate(*words, "--format", "json")
        assert (done.code, done.document["error"]["code"]) == (7, "record-altered"), words
    assert snapshot(workspace.root) == before
    assert "record-altered" in reasons(orchestrate)
    assert orchestrate("verify", "--all").code == 4


def test_an_edited_record_ends_no_waiting_with_a_success(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Who waits for a run, or repeats its start by the key, gets no success that was written by hand."""
    workspace.project("x", {"test": "false"})
    words = ("start", "--project", "x", "--key", "job-1", "--format", "json")
    assert orchestrate(*words).code == 3
    [run] = workspace.runs(TASK)
    honest = (run / "manifest.json").read_bytes()
    again = orchestrate(*words)
    assert (again.code, again.document["deduplicated"]) == (3, True)
    edit(run, whiten)
    for asked in (words, ("wait", run.name, "--format", "json")):
        done = orchestrate(*asked)
        assert (done.code, done.document["error"]["code"]) == (7, "record-altered"), asked
    (run / "manifest.json").write_bytes(honest)
    assert orchestrate("wait", run.name).code == 3


def test_no_form_of_an_export_shows_an_edited_record(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """What other programs read of a run is not what somebody wrote into its record; of a child neither."""
    run = failed(workspace, orchestrate)
    assert orchestrate("export", run.name, "--as", "junit").code == 0
    edit(run, whiten)
    for form in ("junit", "github-summary", "otlp-json"):
        done = orchestrate("export", run.name, "--as", form)
        assert (done.code, done.stdout) == (4, ""), form
        assert "was altered" in done.stderr


@pytest.mark.parametrize("key", ["shell", "resume_token"])
def test_a_resume_takes_neither_an_edited_plan_nor_an_edited_token(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, key: str
) -> None:
    """A1: what a resume would run, and whom it would let resume, is not read from a record that was edited."""
    run = failed(workspace, orchestrate)
    mine = hashlib.sha256(b"mine").hexdigest()

    def change(document: dict[str, Any]) -> None:
        if key == "resume_token":
            document["resume_token"] = mine
        else:
            next(stage for stage in document["plan"]["stages"] if stage["id"] == "test")["shell"] = "true"

    edit(run, change)
    assert orchestrate("resume", "latest", "--token", "mine").code == 7


def forge_the_last_run(workspace: WorkspaceFolder, run: Path) -> None:
    """Cut the last lines of chain and metrics, and make the record say that it succeeded and is to be published."""
    for name in ("chain.jsonl", "metrics.json"):
        cut_last_line(workspace.root / ".runs" / TASK / name)

    def change(document: dict[str, Any]) -> None:
        whiten(document)
        document["metrics_recorded"] = False

    edit(run, change)


@pytest.mark.parametrize(
    "words",
    [
        ("review", "latest", "--decision", "comment", "--reason", "x", "--actor", "q"),
        ("doctor", "--repair"),
        ("resume", "latest"),
    ],
    ids=["review", "repair", "resume"],
)
def test_a_line_is_not_made_up_for_a_record_that_contradicts_its_events(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, words: tuple[str, ...]
) -> None:
    """A2: whoever would close a forged record leaves it alone: no line of chain or metrics is written for it."""
    passed(workspace, orchestrate)
    run = failed(workspace, orchestrate)
    forge_the_last_run(workspace, run)
    orchestrate(*words)
    for name in ("chain.jsonl", "metrics.json"):
        assert run.name not in (workspace.root / ".runs" / TASK / name).read_text()
    assert "record-altered" in reasons(orchestrate)
    assert orchestrate("verify", "--all").code == 4


def whiten_events(run: Path) -> None:
    """Make the events of a run say that everything succeeded, and take its error files away."""
    path = run / "runner.ndjson"
    events = [json.loads(line) for line in path.read_text().splitlines()]
    for event in events:
        if event["type"] == "stage:end":
            event.update(outcome="success", exit_code=0)
        if event["type"] == "run:end":
            event.update(status="succeeded", outcome="success")
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    for file in (run / "errors").iterdir():
        file.unlink()


@pytest.mark.parametrize("left", ["state", "pointer"])
def test_a_forged_record_with_forged_events_contradicts_what_was_published(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, left: str
) -> None:
    """A2: with events and error files made to fit, the state's digest or the pointer still says what the run was."""
    run = failed(workspace, orchestrate)
    forge_the_last_run(workspace, run)
    whiten_events(run)
    if left == "state":
        (workspace.root / ".runs" / TASK / "mcp" / run.name / "manifest.json").unlink()
    else:
        (workspace.root / "out" / TASK / "state.json").unlink()
    done = orchestrate("review", "latest", "--decision", "comment", "--reason", "x", "--actor", "q", "--format", "json")
    assert (done.code, done.document["error"]["code"]) == (7, "record-altered")
    assert run.name not in (workspace.root / ".runs" / TASK / "chain.jsonl").read_text()
    assert "record-altered" in reasons(orchestrate)


def test_a_start_names_a_forged_record_and_goes_on(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A2: recovery leaves a forged record on the list of open ones as it is, says so, and the start goes on."""
    run = failed(workspace, orchestrate)
    forge_the_last_run(workspace, run)
    (workspace.root / ".runs" / TASK / ".open").mkdir(exist_ok=True)
    (workspace.root / ".runs" / TASK / ".open" / run.name).touch()
    workspace.project("x")
    done = orchestrate("start", "--project", "x")
    assert done.code == 0
    assert run.name in done.stderr
    assert "altered" in done.stderr
    assert run.name not in (workspace.root / ".runs" / TASK / "chain.jsonl").read_text()


def test_an_honest_record_whose_line_is_missing_gets_it(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A record that agrees with its events, error files and metrics line is published again, and verifies."""
    run = failed(workspace, orchestrate)
    cut_last_line(workspace.root / ".runs" / TASK / "chain.jsonl")
    assert "record-altered" in reasons(orchestrate)
    assert orchestrate("review", "latest", "--decision", "comment", "--reason", "x", "--actor", "q").code == 0
    store = make_store(workspace.root)
    with store.task(TASK) as task:
        link = find_link(task, event_id(run.name, 1))
    assert link is not None
    assert link.line["events"]["read_back"] is True
    assert orchestrate("verify", "--all").code == 0
    assert reasons(orchestrate) == {"run-not-succeeded"}


def test_a_line_that_a_power_cut_took_is_no_alteration(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A run on the list of open ones is unpublished; one off it is not proved, and no other run's start makes it so."""
    run = passed(workspace, orchestrate)
    task = workspace.root / ".runs" / TASK
    cut_last_line(task / "chain.jsonl")
    assert orchestrate("start", "--project", "x").code == 0
    assert reasons(orchestrate, run.name) == {"record-altered"}
    shown = " ".join(orchestrate("status", run.name).stdout.split())
    assert "nothing proves the record: the task's chain has no line of attempt 1, which was removed or lost" in shown
    assert orchestrate("verify", "--all").code == 4
    (task / ".open" / run.name).touch()
    assert reasons(orchestrate, run.name) == {"record-unpublished"}
    assert orchestrate("verify", "--all").code == 0
    assert orchestrate("start", "--project", "x").code == 0
    assert reasons(orchestrate, run.name) == set()
    assert orchestrate("verify", "--all").code == 0


def test_a_record_whose_events_end_earlier_is_closed_as_interrupted(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """Without the events of its end, a record that says success is closed as interrupted, its stages as not run."""
    run = failed(workspace, orchestrate)
    forge_the_last_run(workspace, run)
    events = (run / "runner.ndjson").read_text().splitlines(keepends=True)
    (run / "runner.ndjson").write_text("".join(line for line in events if '"stage:end"' not in line)[:-1])
    kept = [line for line in events if '"stage:end"' not in line and '"run:end"' not in line]
    (run / "runner.ndjson").write_text("".join(kept))
    (run / "errors" / "03-test.json").unlink()
    assert orchestrate("review", "latest", "--decision", "comment", "--reason", "x", "--actor", "q").code == 0
    record = workspace.manifest(run)
    assert (record["status"], record["outcome"], record["status_detail"]) == ("failed", "error", "interrupted")
    assert {command["outcome"] for command in record["commands"]} == {"skip"}
    assert {entry["outcome"] for entry in record["guardrails"]} == {"missing"}


@pytest.mark.parametrize("name", ["runner.ndjson", "errors/03-test.json", "commands/01-build.log"])
def test_files_of_a_run_are_compared_by_size_at_least(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, name: str
) -> None:
    """Status says so when events, a log or an error file are longer than the attempt left them; resume refuses."""
    run = failed(workspace, orchestrate)
    with (run / name).open("a") as file:
        file.write("x\n")
    assert "record-altered" in reasons(orchestrate)
    assert orchestrate("resume", "latest").code == 7
    assert orchestrate("verify", run.name).code == 4


def test_an_error_file_that_was_taken_away_or_put_there_is_found(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """The error files of an attempt are those that its line names."""
    run = failed(workspace, orchestrate)
    (run / "errors" / "01-build.json").write_text("{}")
    assert "record-altered" in reasons(orchestrate)
    (run / "errors" / "01-build.json").unlink()
    assert "record-altered" not in reasons(orchestrate)
    (run / "errors" / "03-test.json").unlink()
    assert "record-altered" in reasons(orchestrate)


@pytest.mark.parametrize(
    "line",
    [
        'echo "all fine" > "$CODEX_ORCHESTRATOR_RUN_DIR/commands/01-build.log"',
        ': > "$CODEX_ORCHESTRATOR_RUN_DIR/commands/01-build.log"',
        'rm "$CODEX_ORCHESTRATOR_RUN_DIR/commands/01-build.log"',
        """echo '{"type": "stage:end", "stage": "lint"}' >> "$CODEX_ORCHESTRATOR_RUN_DIR/runner.ndjson\"""",
    ],
    ids=["rewritten", "emptied", "removed", "an event"],
)
def test_a_later_stage_can_not_rewrite_logs_and_events(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, line: str
) -> None:
    """B6: digests are of what was written, so that what a later stage of the run made of it is found."""
    run = passed(workspace, orchestrate, build="echo built", test=line)
    assert "record-altered" in reasons(orchestrate)
    assert orchestrate("verify", run.name).code == 4


def test_a_cached_success_of_other_work_is_not_reused(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A6: a stage's key is recomputed and compared with that in the cited run's record, whatever the cache says."""
    folder = workspace.project("x", {"test": {"shell": "grep -q print a.py", "inputs": ["a.py"]}})
    (folder / "a.py").write_text("print(1)\n")
    assert orchestrate("start", "--project", "x").code == 0
    (folder / "a.py").write_text("EVIL(\n")
    digest = "-" + hashlib.sha256(b"EVIL(\n").hexdigest()
    forge_entries(workspace, "inputs", "a.py", folder / "a.py", content=digest)
    assert orchestrate("start", "--project", "x").code == 3


def forge_entries(workspace: WorkspaceFolder, files: str, name: str, place: Path, *, content: str | None) -> None:
    """Make each cache entry say a file's current status, and ``content`` where that is given; one at least does."""
    status = place.stat()
    shown = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev, status.st_mode)
    numbers = b"".join(number.to_bytes(8, sys.byteorder) for number in shown).hex()
    forged = 0
    for path in (workspace.root / ".runs" / ".cache").glob("stage-*.json"):
        entry = json.loads(path.read_text())
        columns = entry.get(files, {"paths": []})
        if name not in columns["paths"]:
            continue
        at = columns["paths"].index(name)
        columns["contents"][at] = content or columns["contents"][at]
        columns["settled"][at] = True
        before, after = at * len(numbers), (at + 1) * len(numbers)
        columns["statuses"] = columns["statuses"][:before] + numbers + columns["statuses"][after:]
        path.write_text(json.dumps(entry))
        forged += 1
    assert forged, f"no entry has {name} among its {files}"


@pytest.mark.parametrize("swap", ["edit", "folder"])
def test_a_cached_status_of_an_edited_file_is_not_believed(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, swap: str
) -> None:
    """A6: the status of the edited file beside the old digest, also of a folder prepared before and put in place."""
    folder = workspace.project("x", {"test": {"shell": "grep -q print src/a.py", "inputs": ["src/**"]}})
    workspace.write("packages/x/src/a.py", "print(1)\n")
    workspace.write("packages/x/evil/a.py", "EVIL(\n")
    time.sleep(0.05)
    assert orchestrate("start", "--project", "x").code == 0
    assert orchestrate("start", "--project", "x").code == 0
    if swap == "edit":
        (folder / "src/a.py").write_text("EVIL(\n")
    else:
        (folder / "src").rename(folder / "old")
        (folder / "evil").rename(folder / "src")
    forge_entries(workspace, "inputs", "src/a.py", folder / "src/a.py", content=None)
    assert orchestrate("start", "--project", "x").code == 3


def test_a_cached_output_of_another_content_is_not_believed(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """A6: what a stage made is compared with the cited run's events, whatever the entry says of its outputs."""
    stage = {"shell": "cp a.py made; echo >> ../built", "inputs": ["a.py"], "outputs": ["made"]}
    workspace.write("packages/x/a.py", "print(1)\n")
    folder = workspace.project("x", {"build": stage})
    assert orchestrate("start", "--project", "x").code == 0
    assert orchestrate("start", "--project", "x").code == 0
    built = (workspace.root / "packages/built").read_text()
    (folder / "made").write_text("EVIL(\n")
    digest = "-" + hashlib.sha256(b"EVIL(\n").hexdigest()
    forge_entries(workspace, "outputs", "made", folder / "made", content=digest)
    assert orchestrate("start", "--project", "x").code == 0
    assert len((workspace.root / "packages/built").read_text()) == len(built) + 1
    assert (folder / "made").read_text() == "print(1)\n"


def test_a_success_of_an_altered_run_is_not_reused(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Reuse runs a stage whose cited run is not what its line in the chain says."""
    folder = workspace.project("x", {"test": {"shell": "echo >> ../ran", "inputs": ["a.py"]}})
    (folder / "a.py").write_text("print(1)\n")
    assert orchestrate("start", "--project", "x").code == 0
    assert orchestrate("start", "--project", "x").code == 0
    ran = (workspace.root / "packages" / "ran").read_text()
    edit(workspace.runs(TASK)[0], lambda document: document.update(summary="perfect"))
    assert orchestrate("start", "--project", "x").code == 0
    assert len((workspace.root / "packages" / "ran").read_text()) == len(ran) + 1


def test_a_hint_of_another_line_is_looked_up(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Where a run's line begins is a hint: a wrong, damaged or missing one changes nothing."""
    run = passed(workspace, orchestrate)
    hint = run / ".line"
    passed(workspace, orchestrate)
    for text in ('{"attempt": 1, "offset": 99999999}', '{"attempt": 1, "offset": 7}', "{", ""):
        hint.write_text(text)
        assert reasons(orchestrate, run.name) == set()
    hint.unlink()
    assert reasons(orchestrate, run.name) == set()


def test_a_kept_success_is_one_of_its_attempts_events(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A run that died after its events were lost redoes the stages whose success only the record has."""
    workspace.project("x", {"build": "echo >> ../built", "test": "test -f ../ok"})
    assert orchestrate("start", "--project", "x").code == 3
    run = workspace.runs(TASK)[-1]

    def reopened(document: dict[str, Any]) -> None:
        document.update(status="in_progress", outcome=None, completed_at=None, metrics_recorded=False)
        document["commands"][2].update(status="pending", outcome=None)

    edit(run, reopened)
    for name in ("chain.jsonl", "metrics.json"):
        cut_last_line(workspace.root / ".runs" / TASK / name)
    (run / "runner.ndjson").write_text("")
    (workspace.root / "packages" / "ok").touch()
    assert orchestrate("resume", "latest").code == 0
    assert len((workspace.root / "packages" / "built").read_text()) == 2


def test_an_edited_record_is_not_taken_for_one_that_died(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """An ended record that was edited to be in progress has its line already: it is altered, not interrupted."""
    run = failed(workspace, orchestrate)

    def reopened(document: dict[str, Any]) -> None:
        document.update(status="in_progress", outcome=None, completed_at=None)

    edit(run, reopened)
    assert orchestrate("resume", "latest").code == 7
    assert "record-altered" in reasons(orchestrate)


def test_a_tick_needs_the_logs_as_they_were(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A log whose bytes were exchanged, size and all, proves no item, though status does not read it."""
    run = passed(workspace, orchestrate, build="echo built")
    git = ("git", "-C", str(workspace.root), "-c", "user.name=t", "-c", "user.email=t@example.org")
    for place in ("tasks/tasks-1-x.md", "docs/checklists/1-x.md", ".agent/task/1-x.md"):
        workspace.write(place, "- [ ] **built**: it builds (needs: diagnostics/build)\n")
    workspace.write(".gitignore", "/.runs/\n/out/\n/.nox/\n")
    workspace.write("packages/x/a.py", "print(1)\n")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-qm", "one")):
        subprocess.run([*git, *words], check=True, capture_output=True)
    run = passed(workspace, orchestrate, build="echo built")
    log = run / "commands" / "01-build.log"
    honest = log.read_bytes()
    log.write_bytes(honest.swapcase())
    assert "record-altered" not in reasons(orchestrate)
    done = orchestrate("checklist", "tick", "built", "--run", run.name, "--yes", "--format", "json")
    assert (done.code, done.document["error"]["code"]) == (4, "record-altered")
    log.write_bytes(honest)
    assert orchestrate("checklist", "tick", "built", "--run", run.name, "--yes").code == 0


TICKED = ("checklist", "tick", "testing", "--run", "latest")
PRUNED = ("prune", "--dry-run")
SHAPES: tuple[tuple[tuple[str | int, ...], object, tuple[str, ...], set[int]], ...] = (
    (("started_at",), "+10000-01-01T00:00:00.000Z", ("verify", "--all"), {4}),
    (("started_at",), "+10000-01-01T00:00:00.000Z", TICKED, {4, 7}),
    (("completed_at",), "2026-12-31T24:00:00.000Z", PRUNED, {0}),
    (("commands", 0, "attempts", 0, "run_attempt"), "x", TICKED, {4, 7}),
    (("commands", 0), "x", ("compare", "latest", "--with", "latest"), {7}),
    (("provenance", 0, "commit"), ["x"], ("verify", "--all"), {4}),
    (("child_runs",), 5, PRUNED, {0}),
    (("approvals",), 1e308, ("status",), {7}),
    (("status",), "done", PRUNED, {0}),
    (("provenance", 0, "at_end"), {"moved": 5}, ("status",), {7}),
    (("commands", 0, "attempts", 0, "log_path"), "commands/\ud800.log", ("logs", "latest"), {0, 7}),
    (("commands", 0, "attempts", 0, "log_path"), "commands/a\0.log", ("logs", "latest"), {0, 7}),
    (("approvals",), 1e308, ("verify", "--all"), {4}),
    (("guardrails", 0), [], ("projects",), {0}),
    (("plan", "builtin_version"), True, TICKED, {4, 7}),
)


def test_a_record_of_another_shape_is_no_bug_of_ours(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A year 10000, an hour 24, or a value of another type in a record is named as damage by whoever reads it."""
    workspace.project("x")
    assert orchestrate("start", "--project", "x", "--key", "k").code == 0
    [run] = workspace.runs(TASK)
    workspace.write(f"tasks/tasks-{TASK}.md", "- [ ] **testing**: t (needs: diagnostics/test)\n")
    honest = (run / "manifest.json").read_text()
    for where, value, words, expected in SHAPES:
        document = inner = json.loads(honest)
        for key in where[:-1]:
            inner = inner[key]
        inner[where[-1]] = value
        (run / "manifest.json").write_text(json.dumps(document))
        done = orchestrate(*words)
        assert done.code in expected, (where, words, done.stderr)
        assert words is not PRUNED or "its record" in done.stdout


def test_a_record_of_ours_is_not_called_version_1(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A record that says it is of version 1 escapes no comparison, when the chain has its ends."""
    run = failed(workspace, orchestrate)

    def change(document: dict[str, Any]) -> None:
        whiten(document)
        document["version"] = 1

    edit(run, change)
    assert orchestrate("wait", run.name).code == 7
    assert "record-altered" in reasons(orchestrate)
    found = orchestrate("verify", "--all", "--format", "json")
    assert (found.code, codes(found)) == (4, {"manifest-edited"})
