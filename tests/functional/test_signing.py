"""Signed decisions: by a real key, judged by the signers of the base commit, in a fresh clone too."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.harness import Done, Orchestrator, WorkspaceFolder, can_sign

pytestmark = pytest.mark.skipif(not can_sign(), reason="there is no ssh-keygen, or it does not know this user")

SIGNERS = ".github/allowed_signers"
POLICY = f'[review]\napprovals = 1\nsigners = "{SIGNERS}"\nsigned = true\n'


def make_key(path: Path, passphrase: str = "") -> str:
    """Make a key, and return its public part."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", str(path), "-C", "x"], check=True)
    return path.with_suffix(".pub").read_text().rsplit(" ", 1)[0]


@pytest.fixture
def key(workspace: WorkspaceFolder, orchestrate: Orchestrator, tmp_path: Path) -> Path:
    """A project that counts bob's signed approvals only, with a green run."""
    public = make_key(tmp_path / "key")
    workspace.project("app", extra=POLICY)
    workspace.write(SIGNERS, f'bob@example.org namespaces="codex-orchestrator" {public}\n')
    workspace.write("tasks/tasks-1-app.md", "- [ ] **approved**: x (needs: approval)\n")
    workspace.commit()
    assert orchestrate("start").code == 0
    return tmp_path / "key"


def approve(orchestrate: Orchestrator, *words: str, actor: str = "bob") -> Done:
    """Approve the latest run."""
    return orchestrate("review", "latest", "--decision", "approve", "--actor", actor, "--format", "json", *words)


def test_a_signed_approval_counts_here_and_in_a_clone(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, key: Path, tmp_path: Path
) -> None:
    """It is shown with its signer, proves an item, and is checked from what is in git; an edited one is found."""
    done = approve(orchestrate, "--sign", str(key))
    assert done.code == 0, done.stderr
    assert done.document["recorded"]["validity"]["signer"] == "bob@example.org"
    assert done.document["ready"]["ready"]
    assert orchestrate("verify", "--all").code == 0
    assert orchestrate("checklist", "tick", "approved", "--run", "latest").code == 0
    workspace.commit()
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(workspace.root), str(clone)], check=True)
    there = Orchestrator(clone, orchestrate.environ)
    assert there("verify", "--docs").code == 0
    from orchestrator.checks.checklists.evidence import approvals_digest

    (path,) = clone.glob("tasks/evidence/*/*.json")
    document = json.loads(path.read_text())
    document["approvals"][0]["role"] = "security"
    document["approvals_digest"] = approvals_digest(document["approvals"])
    path.write_text(json.dumps(document))
    found = {finding["code"] for finding in there("verify", "--docs", "--format", "json").document["findings"]}
    assert {"approval-missing", "approval-stale"} <= found


def test_the_own_account_may_sign_with_somebody_elses_key(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, key: Path
) -> None:
    """A key that the base gives to somebody who did not run it approves, whatever account it is used from."""
    done = orchestrate("review", "latest", "--decision", "approve", "--sign", str(key), "--format", "json")
    assert done.code == 0, done.stderr
    assert done.document["ready"]["ready"]


@pytest.mark.parametrize("words", [(), ("--sign",), ("--sign", "nowhere")])
def test_an_approval_without_a_good_key_is_refused(
    orchestrate: Orchestrator, key: Path, words: tuple[str, ...]
) -> None:
    """No signature, no key of git's, and a key that is not there are usage errors; nothing is recorded."""
    done = approve(orchestrate, *words)
    assert done.code == 2
    assert done.document["error"]["code"] in ("unsigned", "no-key", "not-signed")


def test_a_strangers_key_is_refused(workspace: WorkspaceFolder, orchestrate: Orchestrator, key: Path) -> None:
    """A key of nobody at the base is refused, also when this very commit lets it in; git's own key setting is used."""
    stranger = key.with_name("stranger")
    public = make_key(stranger)
    done = approve(orchestrate, "--sign", str(stranger))
    assert (done.code, done.document["error"]["code"]) == (2, "not-a-signer")
    workspace.write(SIGNERS, f"{(workspace.root / SIGNERS).read_text()}mallory@example.org {public}\n")
    workspace.commit("lets mallory in")
    assert orchestrate("start").code == 0
    assert approve(orchestrate, "--sign", str(stranger), actor="mallory").code == 2
    workspace.git("config", "user.signingkey", str(key))
    assert approve(orchestrate, "--sign").code == 0


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An ssh-agent of the test's own; yields what names it."""
    place = tempfile.mkdtemp(prefix="agent-")  # a socket's path is short
    process = subprocess.Popen(["ssh-agent", "-D", "-a", f"{place}/s"], stdout=subprocess.DEVNULL)
    until = time.monotonic() + 30
    while not Path(place, "s").exists() and time.monotonic() < until:
        time.sleep(0.02)
    yield {"SSH_AUTH_SOCK": f"{place}/s"}
    process.terminate()
    process.wait()
    shutil.rmtree(place)


def add_key(agent: dict[str, str], key: Path, passphrase: str = "") -> None:
    """Load a key into the agent; its passphrase is given by a program, as a desktop does."""
    asks = key.with_name("asks")
    asks.write_text(f"#!/bin/sh\necho '{passphrase}'\n")
    asks.chmod(0o700)
    env = {**os.environ, **agent, "SSH_ASKPASS": str(asks), "SSH_ASKPASS_REQUIRE": "force"}
    subprocess.run(["ssh-add", "-q", str(key)], env=env, check=True, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("setting", ["key::", "file", "none", "openpgp"])
def test_sign_without_a_value_takes_gits_key_or_the_agents(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, key: Path, agent: dict[str, str], setting: str
) -> None:
    """The public key or file of `user.signingkey`, whose private part only the agent has; else the signer's own."""
    make_key(key.with_name("other"))
    add_key(agent, key.with_name("other"))
    assert approve(orchestrate, "--sign").document["error"]["code"] == "no-key"
    add_key(agent, key)
    key.unlink()
    public = key.with_suffix(".pub")
    value = {"key::": f"key::{public.read_text().strip()}", "file": str(public), "openpgp": "4AEE18F83AFDEB23"}
    if setting in value:
        workspace.git("config", "user.signingkey", value[setting])
    done = orchestrate("review", "latest", "--decision", "approve", "--sign", "--format", "json", env=agent)
    assert done.code == 0, done.stderr
    assert done.document["recorded"]["validity"]["signer"] == "bob@example.org"


def test_a_key_with_a_passphrase_signs_through_an_agent_only(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, tmp_path: Path, agent: dict[str, str]
) -> None:
    """Without an agent it is refused at once and nothing is recorded; with one it signs."""
    public = make_key(tmp_path / "key", "secret words")
    workspace.project("app", extra=POLICY)
    workspace.write(SIGNERS, f"bob@example.org,bob@home {public}\n")
    workspace.commit()
    assert orchestrate("start").code == 0
    done = approve(orchestrate, "--sign", str(tmp_path / "key"))
    assert (done.code, done.document["error"]["code"]) == (2, "not-signed")
    assert orchestrate("status", "--format", "json").document["approvals"] == []
    assert orchestrate("verify", "--all").code == 0
    add_key(agent, tmp_path / "key", "secret words")
    done = orchestrate("review", "latest", "--decision", "approve", "--sign", str(tmp_path / "key"), env=agent)
    assert done.code == 0, done.stderr


def test_ones_own_key_approves_no_run_of_ones_own(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, tmp_path: Path
) -> None:
    """A signer who ran it is known by every name of the key's line; a key of two people counts for neither."""
    public = make_key(tmp_path / "key")
    workspace.project("app", extra=POLICY)
    workspace.write(SIGNERS, f"bob@example.org,tester {public}\n")
    workspace.commit()
    assert orchestrate("start").code == 0
    done = approve(orchestrate, "--sign", str(tmp_path / "key"))
    assert (done.code, done.document["error"]["code"]) == (5, "own-run")
    workspace.write(SIGNERS, f"bob@example.org {public}\ntester {public}\n")
    workspace.commit("two people, one key")
    workspace.write("packages/app/more.py", "x = 1\n")
    workspace.commit("later")
    assert orchestrate("start").code == 0
    done = approve(orchestrate, "--sign", str(tmp_path / "key"))
    assert (done.code, done.document["error"]["code"]) == (2, "not-a-signer")
    assert "several signers" in done.document["error"]["message"]


def test_a_key_that_was_taken_back_counts_no_more(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, key: Path
) -> None:
    """Who is removed from the list loses what they signed; a `valid-before` behind it leaves that as it is."""
    assert approve(orchestrate, "--sign", str(key)).code == 0
    run = orchestrate("status", "--format", "json").document["run_id"]
    line = (workspace.root / SIGNERS).read_text()
    for content, ready in ((line.replace("namespaces", 'valid-before="20300101",namespaces'), True), ("", False)):
        workspace.write(SIGNERS, content)
        workspace.commit("signers")
        workspace.write("packages/app/more.py", f"x = {ready}\n")
        workspace.commit("later")
        assert orchestrate("status", run, "--format", "json").document["ready"]["ready"] is ready


@pytest.mark.parametrize(
    "line",
    [
        'bob@example.org namespaces="codex-orchestrator",valid-before="20200101" {}\n',
        'bob@example.org namespaces="git" {}\n',
        "not a line\n",
        "",
    ],
)
def test_who_is_a_signer_no_more_does_not_count(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, tmp_path: Path, line: str
) -> None:
    """Expired, of another namespace, broken, empty: the signature counts for nobody."""
    public = make_key(tmp_path / "key")
    workspace.project("app", extra=POLICY)
    workspace.write(SIGNERS, line.format(public))
    workspace.commit()
    assert orchestrate("start").code == 0
    done = approve(orchestrate, "--sign", str(tmp_path / "key"))
    assert (done.code, done.document["error"]["code"]) == (2, "not-a-signer")


def test_signers_that_are_missing_or_a_link_give_nobody_a_say(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, tmp_path: Path
) -> None:
    """A policy that can't be told is unknown, and never none."""
    make_key(tmp_path / "key")
    workspace.project("app", extra=POLICY)
    (workspace.root / ".github").mkdir()
    (workspace.root / SIGNERS).symlink_to("../elsewhere")
    workspace.commit()
    assert orchestrate("start").code == 0
    assert approve(orchestrate, "--sign", str(tmp_path / "key")).code == 2
    codes = [reason["code"] for reason in orchestrate("status", "--format", "json").document["ready"]["reasons"]]
    assert "review-policy-unknown" in codes


def test_one_signer_counts_once(workspace: WorkspaceFolder, orchestrate: Orchestrator, tmp_path: Path) -> None:
    """Approvals by one key, or by two keys of one signer, count once under any names; another signer's makes two."""
    one, two, three = (make_key(tmp_path / name) for name in ("key", "other", "second"))
    workspace.project("app", extra=POLICY.replace("approvals = 1", "approvals = 2"))
    workspace.write(SIGNERS, f"bob@example.org {one}\nbob@example.org {three}\ncarl@example.org {two}\n")
    workspace.commit()
    assert orchestrate("start").code == 0
    assert approve(orchestrate, "--sign", str(tmp_path / "key")).code == 0
    assert not approve(orchestrate, "--sign", str(tmp_path / "key"), actor="dora").document["ready"]["ready"]
    assert not approve(orchestrate, "--sign", str(tmp_path / "second"), actor="eve").document["ready"]["ready"]
    assert approve(orchestrate, "--sign", str(tmp_path / "other"), actor="carl").document["ready"]["ready"]


def test_alone_is_granted_by_the_base_only(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A commit can't let its own author approve it."""
    workspace.project("app")
    workspace.commit()
    workspace.project("app", extra="[review]\nalone = true\n")
    workspace.commit("alone")
    assert orchestrate("start").code == 0
    assert approve(orchestrate, actor="tester").code == 5
    workspace.write("packages/app/more.py", "x = 1\n")
    workspace.commit("later")
    assert orchestrate("start").code == 0
    assert approve(orchestrate, actor="tester").code == 0


def test_the_base_that_the_bases_guard_names_grants(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """``--base`` of the guard in the default base's config names the base; one that the change brings does not."""
    guard = {"run": "codex-orchestrator spec-guard --base release"}
    workspace.project("app", {"spec-guard": guard}, guard=None)
    workspace.commit()
    workspace.git("branch", "release")
    workspace.project("app", {"spec-guard": guard}, guard=None, extra="[review]\nalone = true\n")
    workspace.write("tasks/specs/1-app.md", f"---\nlast_review: {datetime.now(UTC):%F}\n---\n")
    workspace.commit("alone")
    workspace.write("packages/app/more.py", "x = 1\n")
    workspace.commit("later")
    assert orchestrate("start").code == 0
    assert approve(orchestrate, actor="tester").code == 5  # main's last commit grants it, and release does not
    workspace.git("branch", "-f", "release", "HEAD~1")
    workspace.write("packages/app/more.py", "x = 2\n")
    workspace.write("tasks/specs/1-app.md", f"---\nlast_review: {datetime.now(UTC):%F}\n---\n# again\n")
    workspace.commit("last")
    assert orchestrate("start").code == 0
    assert approve(orchestrate, actor="tester").code == 0
