"""Signed decisions: by a real key, judged by the signers of the base commit, in a fresh clone too."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.harness import Done, Orchestrator, WorkspaceFolder

SIGNERS = ".github/allowed_signers"
POLICY = f'[review]\napprovals = 1\nsigners = "{SIGNERS}"\nsigned = true\n'


def make_key(path: Path) -> str:
    """Make a key without a passphrase, and return its public part."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path), "-C", "x"], check=True)
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


def test_one_key_counts_once(workspace: WorkspaceFolder, orchestrate: Orchestrator, tmp_path: Path) -> None:
    """Of two approvals by one key under two names one counts; a second key makes two."""
    one, two = make_key(tmp_path / "key"), make_key(tmp_path / "other")
    workspace.project("app", extra=POLICY.replace("approvals = 1", "approvals = 2"))
    workspace.write(SIGNERS, f"bob@example.org {one}\ncarl@example.org {two}\n")
    workspace.commit()
    assert orchestrate("start").code == 0
    assert approve(orchestrate, "--sign", str(tmp_path / "key")).code == 0
    assert not approve(orchestrate, "--sign", str(tmp_path / "key"), actor="dora").document["ready"]["ready"]
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
