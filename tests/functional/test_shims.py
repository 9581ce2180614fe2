"""The scripts with the early version's names: each by bash or node, from below the workspace and from elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness import REPOSITORY, Done, Orchestrator, WorkspaceFolder

SHELL_SHIMS = ("mcp-runner-start.sh", "mcp-runner-poll.sh", "run-mcp-diagnostics.sh", "spec-guard.sh", "run-review")
NODE_SHIMS = ("agents_mcp_runner.mjs", "mcp-runner-metrics.js", "mcp-runner-migrate.js")
EVERY_SHIM = (*SHELL_SHIMS, *NODE_SHIMS, "run-local-mcp.sh")
STARTERS = (("mcp-runner-start.sh",), ("agents_mcp_runner.mjs", "start"), ("run-mcp-diagnostics.sh",))
TASK = "1-hello"
TELLER = """#!/bin/sh
printf '%s\\n' "${CODEX_ORCHESTRATOR_ROOT:-}" "$@"
exit "${TELL_CODE:-0}"
"""


@dataclass(frozen=True, slots=True)
class Shims:
    """Calls the workspace's own copy of a script; its ``.venv`` is this interpreter's environment."""

    root: Path
    environ: Mapping[str, str]

    def command(self, name: str, *args: str) -> list[str]:
        """Return the argument list that calls a script by bash, or by node, which the test is skipped without."""
        script = str(self.root / "scripts" / name)
        if not name.endswith((".js", ".mjs")):
            return ["bash", script, *args]
        return [_node(), script, *args]

    def __call__(self, name: str, *args: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Done:
        """Call a script to its end."""
        finished = subprocess.run(
            self.command(name, *args),
            cwd=cwd or self.root / "packages" / "hello",
            env={**self.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        try:
            document = json.loads(finished.stdout)
        except ValueError:
            document = None
        return Done(finished.returncode, finished.stdout, finished.stderr, document)


def _node() -> str:
    found = shutil.which("node")
    if found is not None:
        return found
    if os.environ.get("CI"):
        pytest.fail("node is not on PATH; in CI the tests that need it must run")
    pytest.skip("node is not on PATH")


def _install(root: Path, program: str) -> None:
    shutil.copytree(REPOSITORY / "scripts", root / "scripts")
    target = root / ".venv" / "bin" / "codex-orchestrator"
    target.parent.mkdir(parents=True)
    target.write_text(program)
    target.chmod(0o755)


@pytest.fixture
def shims(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> Shims:
    """The scripts in a workspace with the project ``hello``, and the real program in its ``.venv``."""
    workspace.project("hello")
    _install(workspace.root, f'#!/bin/sh\nexec "{sys.executable}" -m orchestrator "$@"\n')
    return Shims(workspace.root, orchestrate.environ)


@pytest.fixture
def told(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> Shims:
    """The scripts with a program that prints the workspace named to it and its words, one a line."""
    workspace.project("hello")
    _install(workspace.root, TELLER)
    return Shims(workspace.root, orchestrate.environ)


@pytest.mark.parametrize("name", EVERY_SHIM)
def test_scripts_hold_no_project(name: str) -> None:
    """No script holds a project's or a task's id, and each can be called by its name."""
    script = REPOSITORY / "scripts" / name
    assert os.access(script, os.X_OK)
    known = [path.stem for path in (REPOSITORY / "project_configs").glob("*.toml")]
    known += [item["id"] for item in json.loads((REPOSITORY / "tasks" / "index.json").read_text())["items"]]
    text = script.read_text() + "".join(path.read_text() for path in (REPOSITORY / "scripts" / "shims").iterdir())
    # The program's own package is a project of this repository too.
    assert [word for word in known if word in text and word != "orchestrator"] == []


@pytest.mark.parametrize("name", [*SHELL_SHIMS, "run-local-mcp.sh", "shims/find.sh", "shims/early_words.sh"])
def test_shell_scripts_are_plain_sh(name: str) -> None:
    """The shell scripts are valid for sh and for bash."""
    for shell in ("sh", "bash"):
        subprocess.run([shell, "-n", str(REPOSITORY / "scripts" / name)], check=True, timeout=20)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (("mcp-runner-start.sh", "--task", "a b", "--format", "json"), ["start", "--task", "a b", "--format", "json"]),
        (("mcp-runner-start.sh", "--resume", "R", "--resume-token", "T"), ["resume", "R", "--token", "T"]),
        (("mcp-runner-start.sh", "--timeout", "9", "--actor", "me"), ["start", "--actor", "me"]),
        (("mcp-runner-start.sh", "--timeout=9", "--", "--timeout"), ["start", "--", "--timeout"]),
        (("mcp-runner-poll.sh", "R", "--watch", "--interval", "3"), ["status", "R", "--watch", "--interval", "3"]),
        (("mcp-runner-poll.sh", "--run-id", "R"), ["status", "--run", "R"]),
        (
            ("run-mcp-diagnostics.sh", "--approval-policy", "on request", "--no-watch"),
            ["start", "--pipeline", "diagnostics", "--approval-policy", "on request", "--detach"],
        ),
        (("spec-guard.sh", "--dry-run"), ["spec-guard", "--dry-run"]),
        (("run-review", "R", "--decision", "approve"), ["review", "R", "--decision", "approve"]),
        (("run-review", "--manifest", ".runs/0101/cli/R/manifest.json"), ["review", "R"]),
        (("run-review", "--manifest=.runs/local-mcp/R/manifest.json", "--role", "qa"), ["review", "R", "--role", "qa"]),
        (("agents_mcp_runner.mjs", "start", "--task=x=y", ""), ["start", "--task=x=y", ""]),
        (
            ("agents_mcp_runner.mjs", "resume", "--run-id", "R", "--resume-token=T"),
            ["resume", "--run", "R", "--token=T"],
        ),
        (("agents_mcp_runner.mjs", "poll", "R", "--watch"), ["status", "R", "--watch"]),
        (("agents_mcp_runner.mjs", "status", "--run", "R", "--timeout", "9"), ["status", "--run", "R"]),
        (("mcp-runner-metrics.js", "--summarize", "--format", "json"), ["metrics", "--format", "json"]),
        (("mcp-runner-migrate.js", "--dry-run", "--run-id", "R"), ["migrate", "--dry-run", "--run", "R"]),
    ],
)
def test_words_are_passed_on(told: Shims, call: tuple[str, ...], words: list[str]) -> None:
    """Each script calls the right command with the early words in today's, and says on stderr which it is."""
    done = told(*call)
    assert done.stdout.splitlines()[1:] == words
    assert f"{call[0]}: now: codex-orchestrator {words[0]}\n" in done.stderr
    assert ("metrics-summary.json is not written" in done.stderr) == (words[0] == "metrics")
    assert ("has no counterpart" in done.stderr) == bool({"--timeout", "--timeout=9", "--summarize"} & set(call[:5]))


def test_the_newest_run_of_a_task_is_reviewed(told: Shims, tmp_path: Path) -> None:
    """run-review --task means the newest run of that task below --runs-dir, and says when there is none."""
    for run in ("2026-11-22T08-43-05-720Z-5087869c", "2026-11-21T08-43-05-720Z-ffffffff"):
        (tmp_path / "records" / "0101-billing" / "cli" / run).mkdir(parents=True)
    done = told("run-review", "--runs-dir", str(tmp_path / "records"), "--task=0101-billing")
    assert done.stdout.splitlines()[1:] == ["review", "2026-11-22T08-43-05-720Z-5087869c"]
    gone = told("run-review", "--runs-dir", str(tmp_path / "records"), "--task", "0102")
    assert (gone.code, "there is no run of task 0102" in gone.stderr) == (6, True)
    assert told("run-review", "--task").code == 2


@pytest.mark.parametrize("name", [*SHELL_SHIMS, *NODE_SHIMS])
def test_from_any_folder(told: Shims, name: str, tmp_path: Path) -> None:
    """The current folder's workspace is meant; from elsewhere the script's own, unless the environment names one."""
    words = {"agents_mcp_runner.mjs": ["status"], "mcp-runner-poll.sh": ["latest"]}.get(name, [])
    own = str(told.root)
    other = tmp_path / "other" / "below"
    other.mkdir(parents=True)
    inside = told(name, *words, env={"CDPATH": str(told.root)})
    assert (inside.code, inside.stdout.splitlines()[0]) == (0, "")
    assert told(name, *words, cwd=other).stdout.splitlines()[0] == own
    named = told(name, *words, cwd=other, env={"CODEX_ORCHESTRATOR_ROOT": "/named"})
    assert named.stdout.splitlines()[0] == "/named"
    (tmp_path / "other" / "project_configs").mkdir()
    assert told(name, *words, cwd=other).stdout.splitlines()[0] == ""


@pytest.mark.parametrize("name", [*SHELL_SHIMS, *NODE_SHIMS])
def test_through_a_link(told: Shims, name: str, tmp_path: Path) -> None:
    """A link to a script in another folder, whose name has a space, does what the script does."""
    words = {"agents_mcp_runner.mjs": ["status"], "mcp-runner-poll.sh": ["latest"]}.get(name, [])
    bin_folder = tmp_path / "my bin"
    bin_folder.mkdir()
    (bin_folder / name).symlink_to(told.root / "scripts" / name)
    command = [*told.command(name)[:-1], str(bin_folder / name), *words]
    done = subprocess.run(command, cwd=bin_folder, env=told.environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[:1]) == (0, [str(told.root)]), done.stderr


@pytest.mark.parametrize("name", [*SHELL_SHIMS, *NODE_SHIMS])
@pytest.mark.parametrize("code", [0, 2, 3, 143])
def test_exit_codes_are_passed_on(told: Shims, name: str, code: int) -> None:
    """A script exits as the program does."""
    words = {"agents_mcp_runner.mjs": ["poll"], "mcp-runner-poll.sh": ["latest"]}.get(name, [])
    assert told(name, *words, env={"TELL_CODE": str(code)}).code == code


@pytest.mark.parametrize("name", ["mcp-runner-start.sh", "mcp-runner-migrate.js"])
def test_where_the_program_is_found(told: Shims, name: str, tmp_path: Path) -> None:
    """Without a .venv the program on PATH is called, without that python3's; without any it is told, exit code 2."""
    shutil.rmtree(told.root / ".venv")
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("sh", "bash", "dirname", "basename"):
        (tools / tool).symlink_to(shutil.which(tool) or pytest.fail(f"{tool} is needed"))
    bare = {"PATH": str(tools)}
    command = [shutil.which("bash") or "bash", *told.command(name)[1:]] if name.endswith(".sh") else told.command(name)

    def call() -> Done:
        environ = {**told.environ, **bare}
        done = subprocess.run(command, cwd=told.root, env=environ, capture_output=True, text=True, check=False)
        return Done(done.returncode, done.stdout, done.stderr, None)

    none = call()
    assert none.code == 2
    assert "not installed" in none.stderr
    assert "scripts/setup" in none.stderr
    python = tools / "python3"
    python.write_text('#!/bin/sh\n[ "$1" = -c ] && exit 0\nprintf "python %s\\n" "$@"\n')
    python.chmod(0o755)
    assert call().stdout.splitlines()[:2] == ["python -m", "python orchestrator"]
    program = tools / "codex-orchestrator"
    program.write_text("#!/bin/sh\necho from PATH\n")
    program.chmod(0o755)
    assert call().stdout == "from PATH\n"


@pytest.mark.parametrize("starter", STARTERS, ids=lambda starter: starter[0])
def test_a_run_through_a_script(shims: Shims, workspace: WorkspaceFolder, starter: tuple[str, ...]) -> None:
    """A script that starts waits for the run's end: 0 when it succeeded, 3 when a stage failed, 2 on a wrong option."""
    done = shims(*starter, "--approval-policy", "never", "--format", "json")
    assert (done.code, done.document["status"]) == (0, "succeeded"), done.stderr
    assert workspace.manifest(workspace.runs(TASK)[-1])["approval_policy"] == "never"
    workspace.project("hello", {"test": "exit 9"})
    failed = shims(*starter, "--format", "json")
    assert (failed.code, failed.document["status"]) == (3, "failed")
    assert shims(*starter, "--no-such-option").code == 2


@pytest.mark.parametrize("starter", STARTERS[:2], ids=lambda starter: starter[0])
def test_signals_are_passed_on(shims: Shims, workspace: WorkspaceFolder, starter: tuple[str, ...]) -> None:
    """SIGTERM to a script stops the run: its record is closed as cancelled, and the exit code is 143."""
    workspace.project("hello", {"build": "touch began; sleep 60"})
    process = subprocess.Popen(
        shims.command(*starter),
        cwd=shims.root,
        env=dict(shims.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 30
    while not (shims.root / "packages" / "hello" / "began").exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143
    assert workspace.manifest(workspace.runs(TASK)[-1])["status"] == "cancelled"


def test_a_program_that_is_killed(told: Shims) -> None:
    """When the program dies by a signal, node's scripts exit with 128 and its number."""
    program = told.root / ".venv" / "bin" / "codex-orchestrator"
    program.write_text("#!/bin/sh\nkill -9 $$\n")
    assert told("mcp-runner-migrate.js").code == 128 + 9


def test_no_watch_then_poll_then_resume(shims: Shims, workspace: WorkspaceFolder) -> None:
    """Without watching the run's id is printed at once; polling waits for its end; resuming goes on with it."""
    workspace.project("hello", {"test": "test -e mended"})
    begun = shims("run-mcp-diagnostics.sh", "--no-watch")
    run_id = begun.stdout.strip()
    assert (begun.code, begun.stdout) == (0, f"{run_id}\n")
    for poll in (("mcp-runner-poll.sh",), ("agents_mcp_runner.mjs", "poll")):
        seen = shims(*poll, run_id, "--watch", "--interval", "1", "--format", "json")
        assert (seen.code, seen.document["run_id"], seen.document["status"]) == (0, run_id, "failed")
    assert shims("mcp-runner-start.sh", "--resume", run_id).code == 3
    workspace.write("packages/hello/mended", "")
    assert shims("agents_mcp_runner.mjs", "resume", "--run-id", run_id).code == 0
    assert shims("mcp-runner-start.sh", "--resume", run_id).code == 5


def test_usage_is_printed(told: Shims) -> None:
    """A script that lacks a word it needs tells its usage, exit code 2, and calls nothing."""
    for call in (("mcp-runner-poll.sh",), ("mcp-runner-start.sh", "--resume"), ("agents_mcp_runner.mjs",)):
        done = told(*call)
        assert (done.code, done.stdout) == (2, "")
        assert "usage:" in done.stderr.lower()


def test_the_server_is_no_more(shims: Shims) -> None:
    """run-local-mcp.sh starts nothing and says what replaces it."""
    done = shims("run-local-mcp.sh", "--dry-run")
    assert (done.code, done.stdout) == (2, "")
    assert "codex-orchestrator start" in done.stderr


def test_migrate_and_spec_guard_through_scripts(shims: Shims) -> None:
    """The scripts for migration and the spec guard do what the commands do."""
    assert shims("mcp-runner-migrate.js", "--dry-run").stdout == "Nothing of the early version is here.\n"
    assert shims("mcp-runner-migrate.js", "--run-id", "2025-01-01T00-00-00Z").code == 6
    guard = shims("spec-guard.sh", "--dry-run", "--format", "json")
    assert (guard.code, guard.document["project"], guard.document["dry_run"]) == (0, "hello", True)


@pytest.mark.parametrize("door", [*STARTERS, ("spec-guard.sh",)], ids=lambda door: door[0])
def test_a_wrong_task_is_refused_by_each_script(
    shims: Shims, workspace: WorkspaceFolder, door: tuple[str, ...]
) -> None:
    """$MCP_RUNNER_TASK_ID of another project is refused with the right one named, a mistyped one with the nearest."""
    workspace.project("other")
    foreign = shims(*door, "--project", "hello", env={"MCP_RUNNER_TASK_ID": "1-other"})
    assert foreign.code == 2
    assert "belongs to project 'other'" in foreign.stderr
    assert f"'{TASK}'" in foreign.stderr
    mistyped = shims(*door, env={"MCP_RUNNER_TASK_ID": "1-helo"})
    assert (mistyped.code, f"'{TASK}'" in mistyped.stderr) == (2, True)
    assert not (workspace.root / ".runs").exists()
    right = shims(*door, *(["--dry-run"] if "guard" in door[0] else []), env={"MCP_RUNNER_TASK_ID": "1-other"})
    assert right.code == 0, right.stderr


def test_the_index_decides_for_each_script(shims: Shims, workspace: WorkspaceFolder) -> None:
    """A task that tasks/index.json gives to another project is that project's, whatever the configs say."""
    workspace.project("other")
    workspace.write("tasks/index.json", json.dumps({"items": [{"id": TASK, "project": "other"}]}))
    for door in STARTERS:
        done = shims(*door, "--project", "hello", env={"MCP_RUNNER_TASK_ID": TASK})
        assert (done.code, "belongs to project 'other'" in done.stderr) == (2, True)


@pytest.mark.parametrize("door", ["invoke", "nox"])
def test_a_wrong_task_is_refused_by_invoke_and_nox(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, door: str
) -> None:
    """The other two doors refuse a foreign task too, name the right one and record nothing."""
    workspace.project("hello")
    workspace.project("other")
    shutil.copy(REPOSITORY / "tasks.py", workspace.root)
    workspace.write("noxfile.py", "from orchestrator.nox_session import register\n\nregister()\n")
    call = {"invoke": ["invoke", "start", "--project", "hello"], "nox": ["nox", "-s", "diagnostics-hello"]}[door]
    done = subprocess.run(
        [sys.executable, "-m", *call],
        cwd=workspace.root,
        env={**orchestrate.environ, "MCP_RUNNER_TASK_ID": "1-other"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in (1, 2)
    assert "belongs to project 'other'" in done.stdout + done.stderr
    assert not (workspace.root / ".runs").exists()
