"""``export``: the Statement says what ran, and others' implementations accept it."""

from __future__ import annotations

import base64
import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from orchestrator.checks.attestation import PAYLOAD_TYPE, pre_authentication
from tests.harness import Orchestrator, WorkspaceFolder


def git(folder: Path, *words: str) -> str:
    """Run git in a folder, without anybody's configuration, and return what it printed."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def app(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> tuple[Path, str]:
    """A project with one commit and a passing run of it; its folder, and the commit."""
    folder = workspace.project("app", {"lint": {"shell": "false", "allow_failure": True}})
    (folder / "code.txt").write_text("code\n")
    git(folder, "init", "--quiet")
    git(folder, "add", "code.txt")
    git(folder, "commit", "--quiet", "-m", "first")
    assert orchestrate("start").code == 0
    return folder, git(folder, "rev-parse", "HEAD")


def test_the_statement(workspace: WorkspaceFolder, orchestrate: Orchestrator, app: tuple[Path, str]) -> None:
    """Its subject is the commit, its predicate the stages by outcome, and the manifest digest is in it."""
    done = orchestrate("export", "latest", "--as", "in-toto")
    assert done.code == 0, done.stderr
    statement = done.document
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert statement["subject"] == [{"name": "app", "digest": {"gitCommit": app[1]}}]
    predicate = statement["predicate"]
    assert predicate["result"] == "WARNED"
    assert predicate["warnedTests"] == ["diagnostics/lint"]
    assert predicate["passedTests"] == ["diagnostics/build", "diagnostics/test", "diagnostics/spec-guard"]
    assert predicate["failedTests"] == []
    (plan,) = predicate["configuration"]
    digest = workspace.state("1-app")["runs"][0]["manifestDigest"]
    assert plan["annotations"]["run"]["manifestDigest"] == digest
    assert plan["annotations"]["run"]["chainLine"]["manifest_digest"] == digest


def test_what_can_not_be_attested_is_refused(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, app: tuple[Path, str]
) -> None:
    """A tree that is not the commit's, and a run whose record was edited, are no statement about a commit."""
    (app[0] / "code.txt").write_text("other\n")
    assert orchestrate("start").code == 0
    assert orchestrate("export", "latest").code == 4
    first = workspace.runs("1-app")[0]
    (first / "commands" / "01-build.log").write_text("forged\n")
    refused = orchestrate("export", first.name)
    assert refused.code == 4
    assert refused.stdout == ""
    assert "does not verify" in refused.stderr


def refused(orchestrate: Orchestrator, workspace: WorkspaceFolder, *codes: str) -> None:
    """Hold that the newest run is not attested, that each reason is named, and that no file is written."""
    done = orchestrate("export", "latest", "--as", "in-toto", "--output", "statement.json")
    assert (done.code, done.stdout) == (4, "")
    for code in codes:
        assert f"{code}: " in done.stderr
    assert not (workspace.root / "statement.json").exists()


def test_a_failed_run_is_not_attested(orchestrate: Orchestrator, workspace: WorkspaceFolder) -> None:
    """A run that failed is not ready: no statement is made of it."""
    workspace.project("app", {"test": "false"})
    workspace.commit()
    assert orchestrate("start").code == 3
    refused(orchestrate, workspace, "run-not-succeeded")


def test_a_run_in_which_nothing_was_checked_is_not_attested(
    orchestrate: Orchestrator, workspace: WorkspaceFolder
) -> None:
    """A success in which every stage was allowed to fail is not ready: no statement is made of it."""
    stages = {name: {"shell": "true", "allow_failure": True} for name in ("build", "lint", "test")}
    workspace.project("app", stages)
    workspace.commit()
    assert orchestrate("start").code == 0
    refused(orchestrate, workspace, "nothing-checked")


def test_a_run_without_its_approvals_is_attested_once_it_has_them(
    orchestrate: Orchestrator, workspace: WorkspaceFolder
) -> None:
    """Approvals that are missing are a reason like others: with them, the run is attested."""
    workspace.project("app", extra="[review]\napprovals = 1\n")
    workspace.commit()
    assert orchestrate("start").code == 0
    refused(orchestrate, workspace, "approval-missing")
    assert orchestrate("review", "latest", "--actor", "bob", "--decision", "approve", "--reason", "r").code == 0
    assert orchestrate("export", "latest", "--as", "in-toto").code == 0


def make_key(path: Path) -> Any:
    """Write a new ed25519 key as PEM and return it."""
    pytest.importorskip("cryptography")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = Ed25519PrivateKey.generate()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return key


def test_the_signature_is_accepted_by_another_implementation(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, app: tuple[Path, str]
) -> None:
    """securesystemslib, which in-toto is built on, verifies the envelope; one byte changed, it doesn't."""
    key = make_key(workspace.root / "key.pem")
    dsse = pytest.importorskip("securesystemslib.dsse")
    from securesystemslib.exceptions import VerificationError
    from securesystemslib.signer._key import SSlibKey

    done = orchestrate("export", "latest", "--sign", "key.pem", "--output", "statement.json")
    assert done.code == 0, done.stderr
    envelope = json.loads((workspace.root / "statement.json").read_text())
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    public = SSlibKey.from_crypto(key.public_key(), keyid=envelope["signatures"][0]["keyid"])
    assert dsse.Envelope.from_dict(copy.deepcopy(envelope)).verify([public], 1)
    statement = base64.b64decode(envelope["payload"])
    assert json.loads(statement)["subject"][0]["digest"] == {"gitCommit": app[1]}
    forged = {**envelope, "payload": base64.b64encode(statement.replace(b"WARNED", b"PASSED")).decode()}
    with pytest.raises(VerificationError):
        dsse.Envelope.from_dict(forged).verify([public], 1)


def test_what_is_signed() -> None:
    """The pre-authentication encoding is that of DSSE's own example."""
    example = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pre_authentication("http://example.com/HelloWorld", b"hello world") == example
    assert pre_authentication(PAYLOAD_TYPE, b"").startswith(b"DSSEv1 28 application/vnd.in-toto+json 0 ")


def test_keys_that_are_none_are_refused(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, app: tuple[Path, str]
) -> None:
    """A missing file and a file that holds no key are usage errors; nothing is printed."""
    workspace.write("not-a-key.pem", "hello\n")
    for name in ("missing.pem", "not-a-key.pem"):
        refused = orchestrate("export", "latest", "--sign", name)
        assert refused.code == 2
        assert refused.stdout == ""


def test_both_entry_points_take_the_form(orchestrate: Orchestrator, app: tuple[Path, str]) -> None:
    """``--as`` is a word of Python's own; Invoke's parser takes it all the same, and others are refused."""
    assert orchestrate("export", "--help").code == 0
    assert orchestrate("export", "--run", "latest", "--as=in-toto").code == 0
    assert orchestrate("export", "latest", "--as", "slsa").code == 2
