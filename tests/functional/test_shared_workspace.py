"""Two accounts of one group who share a workspace, as they share a git repository."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import Orchestrator, WorkspaceFolder

GROUP = "4711"
READS = "+dac_read_search"
"""So that an account reads where these tests' Python lies; writing is what the group allows."""


@pytest.fixture
def shared() -> Iterator[WorkspaceFolder]:
    """A workspace below a folder that others may enter: pytest closes its own for them whenever a pytest begins."""
    with tempfile.TemporaryDirectory(prefix="shared-") as folder:
        os.chmod(folder, 0o755)
        root = Path(folder).resolve() / "workspace"
        root.mkdir()
        yield WorkspaceFolder(root)


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root, to be somebody else")
def test_another_account_of_the_group_approves(shared: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """With umask 002 a second user approves the first one's run and runs their own; neither approves their own."""
    shared.project("x")
    subprocess.run(["chgrp", "-R", GROUP, str(shared.root)], check=True)
    subprocess.run(["chmod", "-R", "u+rwX,g+rwXs", str(shared.root)], check=True)
    outside_of_ci = {"CIRCLECI": "", "CIRCLE_USERNAME": "", "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}

    def call(user: str, *words: str) -> int:
        account = ["setpriv", "--reuid", user, "--regid", GROUP, "--clear-groups", f"--inh-caps={READS}"]
        account += [f"--ambient-caps={READS}", *orchestrate.command(*words)]
        done = subprocess.run(
            ["sh", "-c", 'umask 002; exec "$@"', "sh", *account],
            cwd=shared.root,
            env={**orchestrate.environ, **outside_of_ci, "LOGNAME": f"user{user}", "USER": f"user{user}"},
            capture_output=True,
            check=False,
        )
        return done.returncode

    approve = ("review", "latest", "--decision", "approve", "--reason", "read")
    assert call("5001", "start", "--project", "x") == 0
    assert (call("5001", *approve), call("5002", *approve)) == (5, 0)
    assert call("5002", "start", "--project", "x") == 0
    assert (call("5002", *approve), call("5001", *approve)) == (5, 0)
    assert (call("5001", "verify", "--all", "--state"), call("5002", "doctor")) == (0, 0)
    records = [json.loads((run / "manifest.json").read_text()) for run in shared.runs("1-x")]
    assert [entry["account"]["uid"] for record in records for entry in record["approvals"]] == [5002, 5001]
