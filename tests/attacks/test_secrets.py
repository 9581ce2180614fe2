"""Attacks on masking: a secret that something stands in the middle of reaches no file and no screen."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest

from tests.harness import Orchestrator, WorkspaceFolder

SECRET = "Tr0ub4dor-9x-Zeta"
MIDDLE = {
    "the colours of grep": b"\x1b[01;31m\x1b[K",
    "a title": b"\x1b]0;anything\x07",
    "a long title": b"\x1b]0;" + b"t" * 5000 + b"\x07",
    "a NUL": b"\0",
    "DEL": b"\x7f",
    "a zero width space": "\u200b".encode(),
    "a bidirectional control": "\u202e".encode(),
    "a tag character": "\U000e0041".encode(),
}


def told_of(workspace: WorkspaceFolder) -> list[Path]:
    """Return every file that a run leaves."""
    return [path for folder in (".runs", "out") for path in (workspace.root / folder).rglob("*") if path.is_file()]


@pytest.mark.parametrize("middle", MIDDLE.values(), ids=MIDDLE)
def test_what_stands_in_a_secret_does_not_hide_it(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, middle: bytes
) -> None:
    """Neither manifest, error file, events, status, review, logs nor the screen show it, as it is or put together."""
    printed = b"found " + SECRET[:3].encode() + middle + SECRET[3:].encode() + b" there\n"
    printer = f"import os, sys; os.write(1, {printed!r}); sys.exit(1)"
    command = shlex.join([sys.executable, "-c", printer])
    script = workspace.root / "print.sh"
    script.write_text(f"{command}\n")
    workspace.project("x", {"test": f"sh {script}"}, extra='secret_env = ["MY_TOKEN"]')
    secret = {"MY_TOKEN": SECRET}
    outputs = [orchestrate("start", "--project", "x", env=secret)]
    assert outputs[0].code == 3
    outputs += [
        orchestrate(*words) for words in (("status",), ("review",), ("logs", "latest"), ("status", "--format", "json"))
    ]
    for text in (done.stdout + done.stderr for done in outputs):
        assert SECRET not in text
        assert len(middle) > 4096 or SECRET[3:] not in text
    assert len(middle) > 4096 or "found ***" in outputs[0].stdout + outputs[0].stderr
    for path in told_of(workspace):
        assert SECRET.encode() not in path.read_bytes(), path
        assert len(middle) > 4096 or SECRET[3:].encode() not in path.read_bytes(), path


def test_the_password_of_a_url_is_masked_wherever_it_comes_from(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """In a command of the config, in the plan that is shown and recorded, in output: the password is nowhere."""
    url = "https://deploy:s3cr3t-pw@host.example/simple"
    workspace.project(
        "x", {"build": f"echo building from {url}", "test": "sh -c 'echo p://u:s3cr3t-$((40+2))@h >&2; exit 1'"}
    )
    planned = orchestrate("plan", "--project", "x", "--format", "json")
    started = orchestrate("start", "--project", "x")
    shown = orchestrate("status", "--format", "json")
    assert "https://deploy:***@host.example/simple" in json.dumps(planned.document)
    assert (planned.code, started.code, shown.code) == (0, 3, 0)
    for done in (planned, started, shown):
        assert "s3cr3t-pw" not in done.stdout + done.stderr
        assert "s3cr3t-42" not in done.stdout + done.stderr
    for path in told_of(workspace):
        assert b"s3cr3t-pw" not in path.read_bytes(), path
        assert b"s3cr3t-42" not in path.read_bytes(), path
