"""Whose a signature is, by OpenSSH's own files and a real key."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from orchestrator.base.errors import UsageError
from orchestrator.checks.signatures import allowed_key, sign, signer_of, statement_of
from orchestrator.model.accounts import Signed
from tests.harness import can_sign

pytestmark = pytest.mark.skipif(not can_sign(), reason="there is no ssh-keygen, or it does not know this user")

RUN = "2026-11-22T08-43-05-720Z-5087869c"
ENTRY = {
    "attempt": 1,
    "manifest_digest": "0" * 64,
    "tree_digest": "1" * 64,
    "decision": "approve",
    "actor": "bob",
    "role": None,
    "timestamp": "2026-11-22T09:00:00.000Z",
}


def make_key(path: Path, passphrase: str = "") -> str:
    """Make a key, and return its public part without the comment."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", str(path), "-C", "x"], check=True)
    return path.with_suffix(".pub").read_text().rsplit(" ", 1)[0]


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """A decision that a key signed, and the public key."""
    place = tmp_path_factory.mktemp("keys") / "key"
    public = make_key(place)
    return {**ENTRY, "signature": sign(statement_of(RUN, ENTRY), str(place), os.environ)}, public


COUNTS = {
    "one line": ("bob@x {}\n", ("bob@x",)),
    "two addresses": ("bob@x,bob@y {}\n", ("bob@x", "bob@y")),
    "quoted": ('"bob@x,bob@y" {}\n', ("bob@x", "bob@y")),
    "the same line twice": ("bob@x {0}\nbob@x {0}\n", ("bob@x",)),
    "a line for git, a line for us": ('bob@x namespaces="git" {0}\nbob@x {0}\n', ("bob@x",)),
    "an old time and a new one": ('bob@x valid-before="20200101" {0}\nbob@x,bob@y {0}\n', ("bob@x", "bob@y")),
    "until after the decision": ('bob@x valid-before="20300101Z" {}\n', ("bob@x",)),
    "comments and CRLF": ("# signers\r\n\r\nbob@x {} comment\r\n", ("bob@x",)),
    "behind a broken line": ("not a line\nbob@x {}\n", ("bob@x",)),
}


@pytest.mark.parametrize("form", COUNTS)
def test_the_signer_is_whom_the_file_names(signed: tuple[dict[str, Any], str], form: str) -> None:
    """Every way in which OpenSSH's file gives a key to one person, with all names of that person."""
    entry, public = signed
    lines, names = COUNTS[form]
    found = signer_of(RUN, entry, lines.format(public).encode(), os.environ)
    assert isinstance(found, Signed), found
    assert (found.principal, *found.also) == names


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("", "not one of the signers"),
        ("bob@x\n", "not one of the signers"),
        ("bob@x {0}\namy@x {0}\n", "several signers: bob@x, amy@x"),
        ('bob@x namespaces="git" {0}\namy@x {0}\n', "several signers"),
        ("*@x {}\n", "is a pattern"),
        ("!ann@x,*@x {}\n", "is a pattern"),
        ('bob@x valid-before="20200101" {}\n', "not at that time"),
        ('bob@x valid-after="20300101" {}\n', "not at that time"),
        ('bob@x namespaces="git" {}\n', "not one of the signers"),
        ("bob@x cert-authority {}\n", "not one of the signers"),
    ],
)
def test_who_is_no_signer_says_why(signed: tuple[dict[str, Any], str], lines: str, why: str) -> None:
    """Nobody, several people, a pattern, another time or another purpose: the key counts for nobody."""
    entry, public = signed
    found = signer_of(RUN, entry, lines.format(public).encode(), os.environ)
    assert isinstance(found, str)
    assert why in found


@pytest.mark.parametrize("key", [*ENTRY, "run_id", "signature"])
def test_every_field_of_a_decision_is_signed(signed: tuple[dict[str, Any], str], key: str) -> None:
    """An approval that is moved to another run, attempt, record, tree, name, role or time is nobody's."""
    entry, public = signed
    allowed = f"bob@x {public}\n".encode()
    run = RUN.replace("5087869c", "00000000") if key == "run_id" else RUN
    other = {"attempt": 2, "timestamp": "2026-11-22T09:00:01.000Z", "signature": entry["signature"][:-80]}
    changed = entry if key == "run_id" else {**entry, key: other.get(key, f"{entry.get(key)}0")}
    assert isinstance(signer_of(run, changed, allowed, os.environ), str)


def test_a_key_with_a_passphrase_and_no_agent_is_refused(tmp_path: Path) -> None:
    """Nobody is there to type it: refused with what ssh-keygen says, and never waited for."""
    make_key(tmp_path / "key", "secret words")
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    with pytest.raises(UsageError, match="can't be signed") as caught:
        sign(b"x", str(tmp_path / "key"), environ)
    assert caught.value.code == "not-signed"


def test_the_agents_key_is_the_one_that_is_a_signers() -> None:
    """Of several keys in an agent the signer's; none where several are, or nobody knows which."""
    one, two = "ssh-ed25519 AAAA x", "ssh-ed25519 BBBB y"
    allowed = b"bob@x ssh-ed25519 AAAA\n"
    assert allowed_key([one, two], allowed) == one
    assert allowed_key([one], None) == one
    assert allowed_key([one, two], None) is None
    assert allowed_key([two], allowed) is None
    assert allowed_key([one, two], allowed + b"carl@x ssh-ed25519 BBBB\n") is None
