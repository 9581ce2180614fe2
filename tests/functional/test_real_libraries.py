"""Two well-known libraries from the package index, onboarded as a platform engineer would.

Their real build, lint and tests run through ``start``; a test is broken, repaired and resumed.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from tests.harness import Orchestrator, WorkspaceFolder, clean_environ

pytestmark = [pytest.mark.network, pytest.mark.slow]

NOT_DIGESTED = {"approvals", "metrics_recorded", "child_runs", "heartbeat_at", "updated_at", "revision"}
RUN_SECONDS = 900.0


@dataclass(frozen=True)
class Library:
    """A release, the ``[session] install`` it needs, and one line of its tests with what breaks it."""

    name: str
    version: str
    install: tuple[str, ...]
    test: str
    broken_file: str
    right: str
    wrong: str
    broken_test: str

    @property
    def config(self) -> str:
        """The project's config."""
        return f'''\
schema_version = 1

[project]
name = "{self.name}"
path = "packages/{self.name}"
task_id = "3001-{self.name}"

[session]
backend = "uv|virtualenv"
install = {json.dumps(self.install)}

[[pipelines.diagnostics.stages]]
id = "build"
run = "python -m build --no-isolation"
outputs = ["dist/*"]

[[pipelines.diagnostics.stages]]
id = "lint"
shell = "ruff check --no-fix src tests && ruff format --check src tests"

[[pipelines.diagnostics.stages]]
id = "test"
{self.test}
'''


# Ruff is pinned: the releases were written for the rules of its time.
TOOLS = ("build==1.3.0", "flit_core==3.12.0", "ruff==0.9.10", "pytest==8.4.2")

PACKAGING = Library(
    name="packaging",
    version="25.0",
    install=("-e", ".", *TOOLS, "pretend==1.0.9"),
    # Two products of all versions and all spellings are 25 000 of its 27 000 tests; three runs of them show no more.
    test='run = ["python", "-m", "pytest", "-q", "-x", "-k", "not comparison and not valid"]\ntimeout = "10m"\n',
    broken_file="tests/test_structures.py",
    right='assert repr(Infinity) == "Infinity"',
    wrong='assert repr(Infinity) == "Finity"',
    broken_test="tests/test_structures.py::test_infinity_repr",
)
ITSDANGEROUS = Library(
    name="itsdangerous",
    version="2.2.0",
    install=("-e", ".", *TOOLS, "freezegun==1.5.5"),
    test='run = "python -m pytest -q"\ntimeout = "5m"\n',
    broken_file="tests/test_itsdangerous/test_encoding.py",
    right='base64_decode("12345")',
    wrong='base64_decode("1234")',
    broken_test="tests/test_itsdangerous/test_encoding.py::test_base64_bad",
)


@pytest.mark.parametrize("library", [PACKAGING, ITSDANGEROUS], ids=lambda library: library.name)
def test_a_real_library_breaks_is_repaired_and_runs_three_times(
    library: Library, workspace: WorkspaceFolder, orchestrate: Orchestrator, home: Path
) -> None:
    """A broken test ends in exit 3 and a digest; repaired and resumed, three runs in a row leave records that agree."""
    folder = _onboard(library, workspace, home)
    broken = folder / library.broken_file
    original = broken.read_text()
    assert library.right in original
    broken.write_text(original.replace(library.right, library.wrong))
    _commit_with_spec(workspace, library, "a test is broken")

    failed = _start(orchestrate, library)
    assert failed.code == 3, failed.stderr
    (digest,) = failed.document["failed"]
    assert (digest["stage"], digest["outcome"], digest["exit_code"]) == ("test", "failure", 1)
    assert any(library.broken_test in line for line in digest["last_lines"])
    assert library.broken_test in (workspace.root / digest["log_path"]).read_text()
    assert digest["next_command"] == f"codex-orchestrator resume {failed.document['run_id']}"
    _assert_records_agree(workspace, library, failed.document["run_id"], "failed")

    broken.write_text(original)
    _commit_with_spec(workspace, library, "the test is repaired")
    resumed = orchestrate(*digest["next_command"].split()[1:], "--format", "json", timeout=RUN_SECONDS)
    assert (resumed.code, resumed.document["attempt"]) == (0, 2), resumed.stderr
    assert resumed.document["run_id"] == failed.document["run_id"]
    attempts = {
        stage["id"]: len(stage["attempts"]) for stage in _stages(workspace, resumed.document["run_id"], library)
    }
    assert attempts == {"build": 1, "lint": 1, "test": 2, "spec-guard": 1}

    runs = [resumed.document["run_id"]]
    for _ in range(2):
        done = _start(orchestrate, library)
        assert done.code == 0, done.stderr
        runs.append(done.document["run_id"])
    for run_id in runs:
        _assert_records_agree(workspace, library, run_id, "succeeded")
    assert [path.name for path in workspace.runs(f"3001-{library.name}")] == sorted(runs)
    totals = workspace.state(f"3001-{library.name}")["totals"]
    assert totals == {"runs": 3, "succeeded": 3, "failed": 0, "cancelled": 0}


def _onboard(library: Library, workspace: WorkspaceFolder, home: Path) -> Path:
    """Unpack the release's source distribution into ``packages/`` and write its config; return its folder."""
    source = workspace.root.parent / "sdist"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", library.name),
            *("--dest", str(source), f"{library.name}=={library.version}"),
        ],
        env=clean_environ(home),
        check=True,
        timeout=300,
    )
    (archive,) = source.glob("*.tar.gz")
    # Not by tarfile: Python 3.11.2 has no filter, and later ones ask for one.
    subprocess.run(["tar", "-xzf", str(archive), "-C", str(source), "--no-same-owner"], check=True)
    folder = workspace.root / "packages" / library.name
    folder.parent.mkdir()
    (source / f"{library.name}-{library.version}").rename(folder)
    workspace.config(library.name, library.config)
    workspace.write(".gitignore", "/.runs/\n/out/\n/.nox/\n__pycache__/\n/packages/*/dist/\n*.egg-info/\n.*_cache/\n")
    return folder


def _commit_with_spec(workspace: WorkspaceFolder, library: Library, what: str) -> None:
    spec = f"---\nlast_review: {datetime.now(UTC).date()}\n---\n# {library.name}: {what}\n"
    workspace.write(f"tasks/specs/3001-{library.name}.md", spec)
    workspace.commit(what)


def _start(orchestrate: Orchestrator, library: Library) -> Any:
    return orchestrate("start", "--project", library.name, "--format", "json", timeout=RUN_SECONDS)


def _stages(workspace: WorkspaceFolder, run_id: str, library: Library) -> list[dict[str, Any]]:
    commands: list[dict[str, Any]] = _manifest(workspace, f"3001-{library.name}", run_id)["commands"]
    return commands


def _manifest(workspace: WorkspaceFolder, task: str, run_id: str) -> dict[str, Any]:
    return workspace.manifest(workspace.root / ".runs" / task / "cli" / run_id)


def _assert_records_agree(workspace: WorkspaceFolder, library: Library, run_id: str, status: str) -> None:
    """Manifest, the last metrics line, state entry and both pointers say the same of a run."""
    task = f"3001-{library.name}"
    manifest = _manifest(workspace, task, run_id)
    assert (manifest["status"], manifest["project"], manifest["metrics_recorded"]) == (status, library.name, True)

    lines = [line for line in workspace.metrics(task) if line["run_id"] == run_id]
    assert len(lines) == manifest["attempt"]
    shared = ("task_id", "project", "pipeline_id", "status", "outcome", "attempt", "started_at", "completed_at")
    assert {key: lines[-1][key] for key in shared} == {key: manifest[key] for key in shared}
    assert lines[-1]["guardrails_present"]
    assert lines[-1]["guardrails_executed"]

    (entry,) = [entry for entry in workspace.state(task)["runs"] if entry["runId"] == run_id]
    body = {key: value for key, value in manifest.items() if key not in NOT_DIGESTED}
    assert entry["manifestDigest"] == hashlib.sha256(rfc8785.dumps(body)).hexdigest()
    assert [entry[key] for key in ("attempt", "status", "outcome", "startedAt", "completedAt")] == [
        manifest[key] for key in ("attempt", "status", "outcome", "started_at", "completed_at")
    ]

    pointer = workspace.pointer(task, run_id)
    assert [pointer[key] for key in ("status", "completed_at")] == [manifest[key] for key in ("status", "completed_at")]
    record = workspace.root / ".runs" / task / "cli" / run_id / "manifest.json"
    assert (workspace.root / pointer["manifest"]).samefile(record)
    assert (workspace.root / ".runs" / "local-mcp" / run_id / "manifest.json").samefile(record)
