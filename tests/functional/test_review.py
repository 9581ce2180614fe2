"""``review`` on real runs: who may approve, what an approval is bound to, and that no decision is lost."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from orchestrator.model.manifest.manifest import manifest_digest
from orchestrator.store.decisions import add_decision
from tests.harness import REPOSITORY, Done, Orchestrator, WorkspaceFolder
from tests.records import make_store

TASK = "1-x"


def git(folder: Path, *words: str) -> None:
    """Call git with a name of its own."""
    identity = ("-c", "user.name=Git Smith", "-c", "user.email=smith@example.org")
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


def codes(document: dict[str, Any]) -> list[str]:
    """Return the codes of what keeps a run from being ready."""
    return [reason["code"] for reason in document["ready"]["reasons"]]


def states(document: dict[str, Any]) -> list[str]:
    """Return the validity of each review."""
    return [entry["validity"]["state"] for entry in document["approvals"]]


def passed(workspace: WorkspaceFolder, orchestrate: Orchestrator, review: str = "") -> Path:
    """Onboard ``x`` with a table ``[review]``, let alice run it under git, and return the run's folder."""
    folder = workspace.project("x", extra=f"[review]\n{review}\n" if review else "")
    (folder / "code.py").write_text("one\n")
    (workspace.root / ".gitignore").write_text(".runs\nout\n")
    git(workspace.root, "init", "-q", "-b", "main")
    git(workspace.root, "add", "-A")
    git(workspace.root, "commit", "-qm", "first")
    done = orchestrate("start", "--project", "x", "--actor", "alice")
    assert done.code == 0, done.stderr
    return workspace.runs(TASK)[-1]


def failed(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> Path:
    """Let alice run ``x``, whose test fails until the file ``fixed`` is there, and return the run's folder."""
    folder = workspace.project("x", {"test": "echo 'three tests broke'; test -f ../../fixed"})
    (folder / "code.py").write_text("one\n")
    assert orchestrate("start", "--project", "x", "--actor", "alice").code == 3
    return workspace.runs(TASK)[-1]


def decide(orchestrate: Orchestrator, decision: str, actor: str, *more: str) -> Done:
    """Decide about the newest run, with a reason."""
    words = ("--decision", decision, "--actor", actor, "--reason", f"{actor} says so", "--format", "json")
    return orchestrate("review", "latest", *words, *more)


def status(orchestrate: Orchestrator) -> dict[str, Any]:
    """Return the status document of the newest run."""
    document: dict[str, Any] = orchestrate("status", "--format", "json").document
    return document


def test_an_approval_says_what_was_approved(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The entry is bound to attempt, record, commit and tree; nothing else of the run changes but the revision."""
    run = passed(workspace, orchestrate)
    before = workspace.manifest(run)
    beside = (workspace.metrics(TASK), workspace.state(TASK), (run / "runner.ndjson").read_bytes())
    done = decide(orchestrate, "approve", "bob", "--role", "security", "--scope", "the release")
    assert done.code == 0, done.stderr
    after = workspace.manifest(run)
    (entry,) = after["approvals"]
    last = before["provenance"][-1]
    account = entry.pop("account")
    assert (account["ci_actor"], account["uid"]) == ("bob", os.getuid())
    assert [one["ci_actor"] for one in before["recorded_by"]] == ["tester"]
    assert entry == {
        "actor": "bob",
        "role": "security",
        "timestamp": entry["timestamp"],
        "decision": "approve",
        "reason": "bob says so",
        "scope": "the release",
        "escalation": None,
        "own_run": False,
        "recorded_by": "tester",
        "attempt": 1,
        "manifest_digest": manifest_digest(before),
        "commit": last["commit"],
        "tree_digest": last["tree_digest"],
    }
    assert after["revision"] == before["revision"] + 1
    assert manifest_digest(after) == manifest_digest(before)
    assert beside == (workspace.metrics(TASK), workspace.state(TASK), (run / "runner.ndjson").read_bytes())
    assert done.document["recorded"]["validity"] == {"state": "valid", "reason": ""}
    assert done.document["ready"] == {"ready": True, "reasons": []}
    assert orchestrate("doctor", "--format", "json").document["findings"] == []


@pytest.mark.parametrize(
    ("actor", "environ"),
    [
        (["--actor", "Alice"], {}),
        ([], {"GITHUB_ACTOR": "alice"}),
        ([], {"GIT_AUTHOR_EMAIL": "ALICE"}),
        (["--actor", "smith"], {"LOGNAME": "smith", "GITHUB_ACTOR": "alice"}),
    ],
)
def test_nobody_approves_a_run_of_their_own(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, actor: list[str], environ: dict[str, str]
) -> None:
    """Under no name by which the environment or git knows the run's actor; a comment on one's own run is fine."""
    run = passed(workspace, orchestrate)
    done = orchestrate("review", "--decision", "approve", "--format", "json", *actor, env=environ)
    assert (done.code, done.document["error"]["code"]) == (5, "own-run")
    assert workspace.manifest(run)["approvals"] == []
    assert orchestrate("review", "--decision", "comment", "--reason", "mine", *actor, env=environ).code == 0
    assert workspace.manifest(run)["approvals"][0]["own_run"] is True


def test_an_account_that_ran_it_is_not_called_by_another_name(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """Who gives another actor is told that this account ran it, and what of [review] the base commit lacks yet."""
    passed(workspace, orchestrate)
    config = workspace.root / "project_configs/x.toml"
    config.write_text(config.read_text() + "[review]\nalone = true\n")
    git(workspace.root, "commit", "-qam", "alone")
    command = orchestrate.command("review", "--decision", "approve", "--actor", "carol", "--format", "json")
    done = subprocess.run(command, cwd=workspace.root, env=dict(orchestrate.environ), capture_output=True, check=False)
    message = json.loads(done.stdout)["error"]["message"]
    assert message.startswith("this account ran '")
    assert "'review.alone' is not set at the base commit" in message


def test_gits_identity_counts(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Who ran it under the address that git knows can't approve it under the login name."""
    passed(workspace, orchestrate)
    git(workspace.root, "config", "user.email", "alice")
    done = orchestrate("review", "--decision", "approve", "--format", "json")
    assert (done.code, done.document["error"]["code"]) == (5, "own-run")


def test_who_resumed_a_run_ran_it(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """An actor of a later attempt can't approve it either."""
    failed(workspace, orchestrate)
    (workspace.root / "fixed").touch()
    assert orchestrate("resume", "latest", "--actor", "Carl").code == 0
    assert decide(orchestrate, "approve", "carl").code == 5
    assert decide(orchestrate, "approve", "bob").code == 0


def test_one_person_alone(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The config may allow it: then status says so; when the config takes it back, the approval ends."""
    passed(workspace, orchestrate, "approvals = 1\nalone = true")
    assert codes(status(orchestrate)) == ["approval-missing"]
    assert decide(orchestrate, "approve", "alice").code == 0
    assert status(orchestrate)["ready"]["ready"] is True
    assert "approved by the run's own actor" in " ".join(orchestrate("status").stdout.split())
    config = workspace.root / "project_configs" / "x.toml"
    config.write_text(config.read_text().replace("alone = true", "alone = false"))
    document = status(orchestrate)
    assert (states(document), codes(document)) == (["own-run"], ["approval-missing", "approval-own-run"])


def test_so_many_people_and_roles(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A run is ready when N people and somebody in each role approved; a role that nobody asks for is refused."""
    passed(workspace, orchestrate, 'approvals = 2\nroles = ["security"]')
    assert orchestrate("review").code == 4
    done = decide(orchestrate, "approve", "bob")
    assert (done.code, codes(done.document)) == (0, ["approval-missing", "approval-role-missing"])
    assert done.document["ready"]["reasons"][0]["message"] == "1 of 2 approvals"
    refused = decide(orchestrate, "approve", "carl", "--role", "secruity")
    assert (refused.code, refused.document["error"]["hint"]) == (2, "did you mean 'security'?")
    assert decide(orchestrate, "approve", "carl", "--role", "security").document["ready"]["ready"] is True
    assert orchestrate("review").code == 0


def test_a_failed_run_can_be_spoken_of_but_not_approved(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Approval: 4 and the reasons. The packet names the failure with its last lines."""
    run = failed(workspace, orchestrate)
    done = decide(orchestrate, "approve", "bob")
    assert (done.code, done.document["error"]["code"]) == (4, "review-not-ready")
    assert "outcome failure: stage test" in done.document["error"]["message"]
    assert workspace.manifest(run)["approvals"] == []
    assert decide(orchestrate, "request-changes", "bob").code == 0
    packet = orchestrate("review", "--format", "json")
    assert packet.code == 4
    (failure,) = packet.document["failures"]
    assert (failure["stage"], failure["exit_code"], failure["last_lines"]) == ("test", 1, ["three tests broke"])
    assert "| three tests broke" in orchestrate("review").stdout


def record(workspace: WorkspaceFolder, run: Path, *entries: dict[str, Any]) -> None:
    """Record decisions that no command would take: their lines in the chain, then the manifest."""
    manifest = workspace.manifest(run)
    store = make_store(workspace.root)
    with store.task(TASK) as task:
        for entry in entries:
            add_decision(task, run.name, manifest["attempt"], entry)
    (run / "manifest.json").write_text(json.dumps({**manifest, "approvals": [*manifest["approvals"], *entries]}))


def test_a_new_attempt_ends_an_approval_and_no_objection(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """After a resume the approval is stale; who asked for changes must decide anew."""
    run = failed(workspace, orchestrate)
    manifest = workspace.manifest(run)
    at = "2026-11-22T09:00:00.000Z"
    bound = {"attempt": 1, "manifest_digest": manifest_digest(manifest)}
    earlier = {"actor": "bob", "decision": "approve", "timestamp": at, **bound}
    record(workspace, run, earlier)
    assert states(status(orchestrate)) == ["valid"]
    assert decide(orchestrate, "request-changes", "carl").code == 0
    (workspace.root / "fixed").touch()
    assert orchestrate("resume", "latest", "--actor", "alice").code == 0
    document = status(orchestrate)
    assert states(document) == ["stale-attempt", "valid"]
    assert codes(document) == ["approval-stale", "changes-requested"]
    assert "attempt 1; the run is at attempt 2" in document["approvals"][0]["validity"]["reason"]
    assert decide(orchestrate, "approve", "carl").code == 0
    assert status(orchestrate)["ready"]["ready"] is True


def test_an_edited_record_ends_its_approvals(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """What was approved is the record as it was."""
    run = passed(workspace, orchestrate)
    assert decide(orchestrate, "approve", "bob").code == 0
    manifest = workspace.manifest(run)
    (run / "manifest.json").write_text(json.dumps({**manifest, "summary": "perfect"}))
    document = status(orchestrate)
    assert (states(document), codes(document)) == (["stale-record"], ["record-altered", "approval-stale"])


def test_a_tree_that_moves_is_shown_and_ends_approvals_by_policy(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """Status says moved, review names the files; the policy makes approvals stale, and refuses new ones."""
    passed(workspace, orchestrate)
    assert decide(orchestrate, "approve", "bob").code == 0
    assert status(orchestrate)["freshness"]["tree"] == "same"
    folder = workspace.root / "packages" / "x"
    (folder / "code.py").write_text("two\n")
    (folder / "more.py").write_text("new\n")
    document = status(orchestrate)
    assert (document["freshness"]["tree"], document["ready"]["ready"]) == ("moved", True)
    assert "has changed since" in orchestrate("status").stdout
    files = orchestrate("review", "--format", "json").document["tree_changes"]["files"]
    assert files == [{"path": "code.py", "change": "changed"}, {"path": "more.py", "change": "added"}]
    config = workspace.root / "project_configs" / "x.toml"
    config.write_text(config.read_text() + "\n[review]\nstale_when_tree_moves = true\n")
    assert codes(status(orchestrate)) == ["approval-stale"]
    assert decide(orchestrate, "approve", "carl").code == 4
    (folder / "code.py").write_text("one\n")
    (folder / "more.py").unlink()
    assert codes(status(orchestrate)) == []
    assert decide(orchestrate, "approve", "carl").code == 0


def test_a_policy_that_can_not_be_read_does_not_count_as_none(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """Such a run is not ready, and can't be approved; status shows it all the same."""
    passed(workspace, orchestrate)
    config = workspace.root / "project_configs" / "x.toml"
    good = config.read_text()
    for bad in ("[review]\napprovals = -1\n", "[review\n", '["\\u0072eview"]\napprovals = "1"\n'):
        config.write_text(good + bad)
        assert codes(status(orchestrate)) == ["review-policy-unknown"]
    assert decide(orchestrate, "approve", "bob").code == 4
    config.unlink()
    assert codes(status(orchestrate)) == ["review-policy-unknown"]


def test_what_is_refused(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A live run, an unknown one, words that are missing or wrong, a damaged record; nothing is written."""
    process = start_of_a_long_run(workspace, orchestrate)
    try:
        live = decide(orchestrate, "comment", "bob")
        assert (live.code, live.document["error"]["code"]) == (5, "alive")
        assert orchestrate("review").code == 4
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    run = workspace.runs(TASK)[-1]
    before = (run / "manifest.json").read_bytes()
    assert orchestrate("review", "2020-01-01T00-00-00-000Z-00000000", "--decision", "approve").code == 6
    for words in (
        ["--decision", "aprove"],
        ["--decision", "comment"],
        ["--decision", "request-changes", "--reason", " "],
        ["--decision", "approve", "--escalate", "ann"],
        ["--decision", "comment", "--reason", "x" * 4001],
        ["--decision", "comment", "--reason", "x", "--role", "Not A Role"],
        ["--decision", "comment", "--reason", "x", "--actor", "y" * 201],
        ["--reason", "no decision"],
    ):
        assert orchestrate("review", *words).code == 2, words
    assert (run / "manifest.json").read_bytes() == before
    (run / "manifest.json").write_text("{")
    assert decide(orchestrate, "comment", "bob").code == 7


def start_of_a_long_run(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> subprocess.Popen[bytes]:
    """Return the process of a run whose build has begun and goes on."""
    workspace.project("x", {"build": "touch ../../begun; sleep 60"})
    process = orchestrate.popen("start", "--project", "x")
    until = time.monotonic() + 30
    while not (workspace.root / "begun").exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    return process


def test_a_run_that_died_is_closed_first(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Its record is closed as interrupted, with its metrics line, and then holds the comment."""
    process = start_of_a_long_run(workspace, orchestrate)
    process.kill()
    process.communicate(timeout=30)
    run = workspace.runs(TASK)[-1]
    assert decide(orchestrate, "request-changes", "bob").code == 0
    manifest = workspace.manifest(run)
    assert (manifest["status_detail"], len(manifest["approvals"])) == ("interrupted", 1)
    assert len(workspace.metrics(TASK)) == 1


def test_a_record_of_version_1_is_never_changed(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """It is shown, and takes no decision."""
    shutil.copytree(REPOSITORY / "tests" / "samples" / "version-1" / "runs", workspace.root / ".runs", symlinks=True)
    shown = orchestrate("review", "--format", "json")
    assert (shown.code, shown.document["version"]) == (4, 1)
    done = decide(orchestrate, "comment", "bob")
    assert (done.code, done.document["error"]["code"]) == (5, "version-1")


def test_an_escalation_is_a_comment(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """It says to whom the matter goes, and holds nothing up; secrets in its words are masked."""
    run = passed(workspace, orchestrate)
    done = orchestrate("review", "--escalate", "to ann: hunter22", "--actor", "hunter22", env={"A_TOKEN": "hunter22"})
    assert done.code == 0, done.stderr
    (entry,) = workspace.manifest(run)["approvals"]
    assert (entry["decision"], entry["escalation"], entry["actor"]) == ("comment", "to ann: ***", "***")
    assert "hunter22" not in (run / "manifest.json").read_text() + done.stdout + done.stderr
    assert status(orchestrate)["ready"]["ready"] is True


def test_reviewers_at_once_are_all_recorded(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Each waits for the record, and none overwrites another."""
    run = passed(workspace, orchestrate)
    people = [f"person-{number}" for number in range(6)]
    with ThreadPoolExecutor(len(people)) as pool:
        done = list(pool.map(lambda person: decide(orchestrate, "approve", person), people))
    assert [item.code for item in done] == [0] * len(people), [item.stdout for item in done]
    assert sorted(entry["actor"] for entry in workspace.manifest(run)["approvals"]) == people
    assert set(states(status(orchestrate))) == {"valid"}


def moments() -> Iterator[float]:
    """Yield seconds after which a review is killed."""
    yield from (0.05, 0.12, 0.18, 0.22, 0.26, 0.3, 0.35, 0.4)


def test_a_review_that_is_killed_leaves_a_whole_record(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """At whatever moment: the entry is there or not, and the next review is recorded."""
    run = passed(workspace, orchestrate)
    for seconds in moments():
        process = orchestrate.popen("review", "--decision", "comment", "--reason", "x", "--actor", "bob")
        time.sleep(seconds)
        process.kill()
        process.communicate(timeout=30)
        before = workspace.manifest(run)
        assert before["status"] == "succeeded"
    assert decide(orchestrate, "approve", "carl").code == 0
    chain = (workspace.root / ".runs" / TASK / "chain.jsonl").read_text().splitlines()
    decided = [line["decision"]["actor"] for line in map(json.loads, chain) if line.get("kind") == "review"]
    # One that was killed between its line and the record is taken in by the next.
    assert [entry["actor"] for entry in workspace.manifest(run)["approvals"]] == decided
    assert decided[-1] == "carl"
    assert status(orchestrate)["ready"]["ready"] is True
    assert orchestrate("doctor", "--format", "json").document["findings"] == []


def in_terminal(
    orchestrate: Orchestrator, typed: str, meanwhile: Callable[[], object] = lambda: None
) -> tuple[int, str]:
    """Call ``review`` in a terminal, and return its exit code and the screen.

    ``typed`` is typed once the question is there and ``meanwhile`` has happened.
    """
    terminal, inner = pty.openpty()
    process = subprocess.Popen(
        orchestrate.command("review"),
        cwd=orchestrate.cwd,
        env={**orchestrate.environ, "LOGNAME": "bob", "USER": "bob", "CIRCLE_USERNAME": "bob"},
        stdin=inner,
        stdout=inner,
        stderr=inner,
        start_new_session=True,
    )
    os.close(inner)
    screen = b""
    while b"Decision:" not in screen:
        screen += os.read(terminal, 65536)
    meanwhile()
    os.write(terminal, typed.encode())
    try:
        while chunk := os.read(terminal, 65536):
            screen += chunk
    except OSError:  # Linux says so when the last process has closed the terminal
        pass
    os.close(terminal)
    return process.wait(timeout=30), screen.decode("utf-8", "replace")


def test_a_terminal_is_asked(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The packet is shown, then decision and reason are asked for; Ctrl-D leaves and writes nothing."""
    run = passed(workspace, orchestrate, "approvals = 1")
    code, screen = in_terminal(orchestrate, "\x04")
    assert (code, workspace.manifest(run)["approvals"]) == (4, [])
    assert "Decision:" in screen
    code, screen = in_terminal(orchestrate, "perhaps\na\nlooks good\n")
    assert code == 0, screen
    (entry,) = workspace.manifest(run)["approvals"]
    assert (entry["actor"], entry["decision"], entry["reason"]) == ("bob", "approve", "looks good")
    assert entry["recorded_by"] is None


FAILING = (
    '<testsuite><testcase name="adds" classname="sums" file="tests/sums.py" line="7">'
    '<failure message="1 is not 2"/></testcase></testsuite>'
)


def test_the_terminal_shows_what_is_approved(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Tree, record, what the policy asks less, guardrails with proofs and failed tests stand above the question."""
    guard = {"shell": "! grep -r BAD src", "guardrail": True, "needs": []}
    required = '[guardrails]\nrequired = ["spec-guard", "no-bad"]\n'
    canary = '[[guardrails.canary]]\nguardrail = "no-bad"\nplant = { "src/a.py" = "BAD" }\n'
    test = {"shell": "echo '" + FAILING + "' > junit.xml; exit 3", "reports": ["junit.xml"]}
    folder = workspace.project("x", {"no-bad": guard, "test": test}, extra=required + canary)
    workspace.write("packages/x/src/a.py", "fine")
    workspace.write("packages/x/.gitignore", "junit.xml")
    workspace.commit()
    config = workspace.root / "project_configs/x.toml"
    config.write_text(config.read_text().replace('id = "test"', 'id = "test"\nallow_failure = true'))
    workspace.commit("the tests are forgiven")
    assert orchestrate("prove").code == 0
    assert orchestrate("start", "--actor", "alice").code == 0
    (folder / "src/a.py").write_text("moved")
    code, screen = in_terminal(orchestrate, "\x04")
    assert code == 4, screen
    shown = " ".join(screen.partition("Decision:")[0].split())
    (run,) = (run for run in workspace.runs(TASK) if workspace.manifest(run)["pipeline_id"] == "diagnostics")
    manifest = workspace.manifest(run)
    for words in (
        "no-bad passed, proved to be able to fail by 2",
        "pipelines.diagnostics.stages[test].allow_failure",
        f"Commit {manifest['provenance'][0]['commit'][:12]}",
        "Tree has changed since: changes that are not committed",
        "changed src/a.py",
        "1 test failed in test",
        "sums.adds: 1 is not 2",
        manifest_digest(manifest),
        manifest["provenance"][0]["tree_digest"],
        "is about attempt 1",
    ):
        assert words in shown, (words, screen)


def test_what_changed_while_the_reviewer_thought_takes_no_decision(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """An approval is of what was shown, not of an attempt that came after it."""
    run = failed(workspace, orchestrate)
    (workspace.root / "fixed").touch()

    def resumed() -> None:
        assert orchestrate("resume", "latest", "--actor", "alice").code == 0

    code, screen = in_terminal(orchestrate, "a\nfine\n", resumed)
    assert code == 5, screen
    assert "not what was shown" in screen
    assert workspace.manifest(run)["approvals"] == []


def test_the_packet_names_what_the_config_asks_for_today(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Dropped and changed stages since the run are named, and a config that can't be read too."""
    passed(workspace, orchestrate)
    config = workspace.root / "project_configs" / "x.toml"
    config.write_text(config.read_text() + '[[pipelines.diagnostics.stages]]\nid = "later"\nrun = "true"\n')
    assert orchestrate("review", "--format", "json").document["plan_changes"] == ["stage 'later' is new"]
    assert "stage 'later' is new" in orchestrate("review").stdout
    config.write_text("schema_version = 9\n")
    packet = orchestrate("review", "--format", "json").document
    assert packet["plan_changes"] == []
    assert "schema_version" in packet["plan_note"]


def test_drift_from_the_approved_plan_is_reported(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """By plan, in the manifest and in status, once a run was approved; against any run when asked."""
    first = passed(workspace, orchestrate)
    assert orchestrate("plan", "--project", "x", "--format", "json").document["drift"]["approved_run"] is None
    assert decide(orchestrate, "approve", "bob").code == 0
    assert status(orchestrate)["drift"] == {"approved_run": first.name, "changes": []}
    assert "approved" not in workspace.manifest(first)["plan"]
    extra = {"later": "true"}
    workspace.project("x", extra)
    assert orchestrate("start", "--project", "x", "--actor", "alice").code == 0
    second = workspace.runs(TASK)[-1]
    assert workspace.manifest(second)["plan"]["approved"] == {"run_id": first.name, "changes": ["stage 'later' is new"]}
    assert decide(orchestrate, "approve", "bob").code == 0
    workspace.project("x", {"lint": {"shell": "true", "timeout": "9s"}})
    changes = ["stage 'lint': 'timeout_seconds' changed", "stage 'later' is gone"]
    planned = orchestrate("plan", "--project", "x", "--format", "json").document
    assert planned["drift"] == {"approved_run": second.name, "against": second.name, "changes": changes}
    assert "stage 'later' is gone" in orchestrate("plan", "--project", "x").stdout
    assert orchestrate("start", "--project", "x", "--actor", "alice").code == 0
    assert status(orchestrate)["drift"] == {"approved_run": second.name, "changes": changes}
    assert "- stage 'later' is gone" in orchestrate("status").stdout
    named = orchestrate("plan", "--project", "x", "--against", first.name, "--format", "json").document["drift"]
    assert named["changes"] == changes[:1]
    assert decide(orchestrate, "request-changes", "bob").code == 0
    assert status(orchestrate)["drift"]["approved_run"] == second.name
    asked = ("--decision", "request-changes", "--actor", "bob", "--reason", "no")
    assert orchestrate("review", second.name, *asked).code == 0
    assert status(orchestrate)["drift"] == {"approved_run": None, "changes": []}


def test_a_plan_is_compared_with_runs_of_its_pipeline_only(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """Another pipeline's run is a usage error, one that is not there is not found."""
    passed(workspace, orchestrate)
    done = orchestrate("plan", "smoke", "--project", "x", "--against", "latest", "--format", "json")
    assert (done.code, done.document["error"]["code"]) == (2, "other-pipeline")
    unknown = "2020-01-01T00-00-00-000Z-00000000"
    assert orchestrate("plan", "--project", "x", "--against", unknown).code == 6


def test_reviews_never_make_a_record_too_large_to_be_read(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """They have room for 1 MiB; what does not fit is refused, and the record stays as it was."""
    run = passed(workspace, orchestrate)
    at = "2026-11-22T09:00:00.000Z"
    filler = [{"actor": "old", "justification": "x" * 1024, "timestamp": at} for _ in range(945)]
    record(workspace, run, *filler)
    before = workspace.manifest(run)
    done = decide(orchestrate, "comment", "bob", "--escalate", "y" * 4000)
    assert (done.code, done.document["error"]["code"]) == (5, "too-many")
    assert workspace.manifest(run) == before
    assert decide(orchestrate, "comment", "bob").code == 0
    assert len(workspace.manifest(run)["approvals"]) == 946
