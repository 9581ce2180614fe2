"""Runs in odd places: locales, paths, owners, file systems, shared folders, hooks, stages that start runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Done, Orchestrator, WorkspaceFolder

TASK = "1-x"
NOXFILE = "from orchestrator.nox_session import register\n\nregister()\n"
TASKS = "from orchestrator.cli import namespace  # noqa: F401\n"
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount, or be another user")
NO_UTF8 = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def only_run(workspace: WorkspaceFolder, task: str = TASK) -> dict[str, Any]:
    """Return the manifest of a task's only run."""
    (run,) = workspace.runs(task)
    return workspace.manifest(run)


def words_of(orchestrate: Orchestrator, way: str) -> list[str]:
    """Return a command line that starts a run of project x, by one of the ways in."""
    python = sys.executable
    return {
        "console": orchestrate.command("start", "--project", "x"),
        "invoke": [python, "-m", "invoke", "start", "--project", "x"],
        "nox": [python, "-m", "nox", "-s", "diagnostics-x"],
    }[way]


@pytest.fixture
def latin1(tmp_path: Path) -> dict[str, str]:
    """Return what makes an ISO-8859-1 locale, compiled for the test."""
    localedef = shutil.which("localedef")
    if localedef is None:
        pytest.skip("there is no localedef")
    made = subprocess.run(
        [localedef, "-i", "en_US", "-f", "ISO-8859-1", str(tmp_path / "en_US.ISO-8859-1")],
        capture_output=True,
        check=False,
    )
    if not (tmp_path / "en_US.ISO-8859-1").is_dir():
        pytest.skip(f"no locale can be compiled: {made.stderr[:200]!r}")
    return {"LOCPATH": str(tmp_path), "LC_ALL": "en_US.ISO-8859-1"}


@pytest.mark.parametrize("way", ["console", "invoke", "nox"])
@pytest.mark.parametrize("locale", ["C", "latin-1"])
def test_names_in_a_config_are_utf8_in_any_locale(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, request: pytest.FixtureRequest, way: str, locale: str
) -> None:
    """Folders and commands with letters beyond ASCII are what the config says, byte for byte, by each way in."""
    env = NO_UTF8 if locale == "C" else request.getfixturevalue("latin1")
    workspace.project("x", {"build": "echo ü; ls ../ü", "test": {"run": ["printf", "ä"]}}, path="packages/ü")
    workspace.write("packages/ü/main.py", "")
    workspace.write("noxfile.py", NOXFILE)
    workspace.write("tasks.py", TASKS)
    done = subprocess.run(
        words_of(orchestrate, way),
        cwd=workspace.root,
        env={**orchestrate.environ, **env},
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    (run,) = workspace.runs(TASK)
    assert (run / "commands" / "01-build.log").read_text(encoding="utf-8") == "ü\nmain.py\n"
    assert (run / "commands" / "03-test.log").read_text(encoding="utf-8") == "ä"


def test_sessions_are_listed_on_a_stream_of_ascii(tmp_path: Path, orchestrate: Orchestrator) -> None:
    """``nox --list`` prints the noxfile's path, with escapes for what the stream's encoding does not have."""
    workspace = WorkspaceFolder(tmp_path / "é漢")
    workspace.root.mkdir()
    workspace.project("x")
    workspace.write("noxfile.py", NOXFILE)
    done = subprocess.run(
        [sys.executable, "-m", "nox", "--list"],
        cwd=workspace.root,
        env={**orchestrate.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"\\xe9\\u6f22/noxfile.py" in done.stdout
    assert b"diagnostics-x" in done.stdout


def test_a_newline_in_the_workspaces_path(tmp_path: Path, orchestrate: Orchestrator) -> None:
    """It is a folder like any other: the run succeeds, its record verifies, and status shows it."""
    workspace = WorkspaceFolder(tmp_path / "a\nb")
    workspace.root.mkdir()
    workspace.project("x", {"build": "pwd"})
    workspace.commit()
    done = orchestrate("start", "--project", "x", "--format", "json", cwd=workspace.root)
    assert done.code == 0, done.stderr
    assert orchestrate("status", "--format", "json", cwd=workspace.root).document["provenance"][0]["commit"]
    assert orchestrate("verify", "--all", cwd=workspace.root).code == 0


def test_two_worktrees_share_a_runs_folder(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, tmp_path: Path
) -> None:
    """Each run's pointer is right for both sides: neither finds anything, and a repair of one breaks nothing."""
    workspace.project("x")
    workspace.commit()
    other = tmp_path / "other"
    workspace.git("worktree", "add", "-q", str(other))
    shared = {
        "CODEX_ORCHESTRATOR_RUNS_DIR": str(workspace.root / ".runs"),
        "CODEX_ORCHESTRATOR_OUT_DIR": str(workspace.root / "out"),
    }
    assert orchestrate("start", "--project", "x").code == 0
    assert orchestrate("start", "--project", "x", cwd=other, env=shared).code == 0
    sides: list[tuple[Path, Mapping[str, str]]] = [(workspace.root, {}), (other, shared)]
    for words in (("verify", "--all", "--state"), ("doctor",), ("doctor", "--repair")):
        for folder, env in sides:
            done = orchestrate(*words, cwd=folder, env=env)
            assert done.code == 0, done.stdout


def test_a_run_that_a_stage_detached_ends_with_the_stage(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Its record says that its parent's stage had ended, not only that a signal came."""
    start = "codex-orchestrator start smoke --project y --detach"
    workspace.project("x", {"build": f"{start}; for _ in $(seq 100); do [ -e ../../up ] && exit; sleep 0.1; done"})
    workspace.project("y", {"build": "touch ../../up; sleep 600"}, pipeline="smoke")
    assert orchestrate("start", "--project", "x").code == 0
    parent = only_run(workspace)
    child = only_run(workspace, "1-y")
    assert child["status"] == "cancelled"
    detail = f"stopped by SIGTERM: stage 'build' of its parent run '{parent['run_id']}' had ended"
    assert child["status_detail"] == detail


def test_a_start_in_a_hook(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The hook's GIT_DIR and GIT_INDEX_FILE point nobody at another repository: it is that of the workspace."""
    workspace.project("x", {"build": "git -C ../../elsewhere rev-parse --show-toplevel"})
    workspace.commit()
    elsewhere = workspace.root / "elsewhere"
    elsewhere.mkdir()
    subprocess.run(["git", "init", "-q", str(elsewhere)], check=True)
    workspace.write("packages/x/main.py", "print(2)\n")
    hook = workspace.root / ".git" / "hooks" / "pre-commit"
    words = " ".join(f"'{word}'" for word in orchestrate.command("start", "--project", "x"))
    hook.write_text(f"#!/bin/sh\nexec {words} > '{workspace.root}/hook.log' 2>&1\n")
    hook.chmod(0o755)
    head = workspace.git("rev-parse", "HEAD").strip()
    done = subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qam", "two"],
        cwd=workspace.root,
        env=dict(orchestrate.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (workspace.root / "hook.log").read_text()
    manifest = only_run(workspace)
    assert [entry["commit"] for entry in manifest["provenance"]] == [head]
    assert (workspace.runs(TASK)[0] / "commands" / "01-build.log").read_text() == f"{elsewhere}\n"


@AS_ROOT
def test_a_checkout_of_another_owner(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The guard's hint and the doctor's are the command that git names; what the caller allows reaches our git."""
    workspace.project("x", guard=None)
    workspace.write(f"tasks/specs/{TASK}.md", f"---\nlast_review: {time.strftime('%Y-%m-%d')}\n---\n# x\n")
    workspace.commit()
    subprocess.run(["chown", "-R", "1500", str(workspace.root)], check=True)
    command = f"git config --global --add safe.directory {workspace.root}"
    assert orchestrate("start", "--project", "x").code == 3
    found = orchestrate("spec-guard", "--project", "x", "--format", "json").document["findings"]
    assert [(one["rule"], one["hint"]) for one in found] == [("git-failed", command)]
    doctor = orchestrate("doctor", "--format", "json")
    assert doctor.code == 4
    assert [(one["code"], one["hint"]) for one in doctor.document["findings"]] == [("foreign-repository", command)]
    allowed = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": str(workspace.root)}
    assert orchestrate("start", "--project", "x", env=allowed).code == 0
    assert orchestrate("doctor", env=allowed).code == 0


def as_user(orchestrate: Orchestrator, prefix: list[str], *words: str, env: Mapping[str, str], cwd: Path) -> Done:
    """Call the program through ``prefix``, which changes who calls or what is allowed."""
    done = subprocess.run(
        [*prefix, *orchestrate.command(*words)], cwd=cwd, env=dict(env), capture_output=True, text=True, check=False
    )
    document = json.loads(done.stdout) if done.stdout.startswith("{") else None
    return Done(done.returncode, done.stdout, done.stderr, document)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Yield what mounts a file system in memory, with the options given."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options: str) -> Path:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=False)
        if done.returncode != 0:
            pytest.skip("nothing can be mounted here")
        return place

    yield mount
    subprocess.run(["umount", str(place)], check=False, capture_output=True)


@AS_ROOT
def test_a_tmp_that_is_full_or_executes_nothing(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, small_disk: Callable[[str], Path]
) -> None:
    """A run needs no room and no programs in $TMPDIR, with an environment of its own too."""
    config = 'backend = "none"'
    workspace.project("x")
    text = (workspace.root / "project_configs" / "x.toml").read_text()
    workspace.config("x", text.replace(config, 'backend = "venv"'))
    full = small_disk("size=64k,noexec")
    with open(full / "filler", "wb") as filler:
        assert os.write(filler.fileno(), bytes(100_000)) < 100_000
    done = orchestrate("start", "--project", "x", env={"TMPDIR": str(full)})
    assert done.code == 0, done.stderr


@AS_ROOT
def test_a_read_only_checkout(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, small_disk: Callable[[str], Path], tmp_path: Path
) -> None:
    """Each refusal names the variable that moves what can't be written; with all three moved the run succeeds."""
    workspace.project("x")
    text = (workspace.root / "project_configs" / "x.toml").read_text()
    workspace.config("x", text.replace('backend = "none"', 'backend = "venv"'))
    disk = small_disk("size=10m")
    shutil.copytree(workspace.root, disk / "ws")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    env: dict[str, str] = {}
    for variable in ("OUT_DIR", "RUNS_DIR", "ENV_DIR"):
        done = orchestrate("start", "--project", "x", cwd=disk / "ws", env=env)
        assert done.code == 8, done.stderr
        assert f"$CODEX_ORCHESTRATOR_{variable} " in done.stderr
        env[f"CODEX_ORCHESTRATOR_{variable}"] = str(tmp_path / variable)
    assert orchestrate("start", "--project", "x", cwd=disk / "ws", env=env).code == 0


@pytest.mark.parametrize("refused", ["threads", "processes"])
def test_no_more_threads_or_processes(workspace: WorkspaceFolder, orchestrate: Orchestrator, refused: str) -> None:
    """A user's limit is no bug of ours, whatever it hits first: a run goes on without a thread, else it is refused."""
    workspace.project("x")
    workspace.commit()
    program = workspace.write(
        "limited.py",
        "import errno, os, sys, threading\n"
        "def no_thread(self):\n"
        '    raise RuntimeError("can\'t start new thread")\n'
        "def no_process(*_, **__):\n"
        "    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))\n"
        "threading.Thread.start = no_thread\n"
        f"if {refused == 'processes'}:\n"
        "    os.posix_spawn = os.posix_spawnp = os.fork = no_process\n"
        "from orchestrator.__main__ import main\n"
        "sys.argv[0] = 'codex-orchestrator'\n"
        "raise SystemExit(main())\n",
    )
    done = subprocess.run(
        [orchestrate.command()[0], str(program), "start", "--project", "x", "--format", "json"],
        cwd=workspace.root,
        env=dict(orchestrate.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    document = json.loads(done.stdout)
    if refused == "processes":
        assert (done.returncode, document["error"]["code"]) == (8, "no-process"), done.stderr
    else:
        assert (done.returncode, document["status"]) == (0, "succeeded"), done.stderr


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root, to be somebody else")
def test_a_real_limit_of_processes(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """From one process on, a limit is a refusal, or a stage that says so, and never a bug."""
    workspace.project("x", {"build": "sleep 0 & wait"})
    subprocess.run(["chmod", "-R", "a+rwX", str(workspace.root.parent)], check=True)
    for folder in workspace.root.parents[:-2]:  # pytest's own folders are for one user
        folder.chmod(folder.stat().st_mode | 0o055)
    # A user of its own, for the system counts a user's processes: it may read where these tests' Python lies.
    user = str(100_000 + os.getpid())
    reads = "+dac_read_search"
    somebody = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", f"--inh-caps={reads}"]
    env = {**orchestrate.environ, "HOME": str(workspace.root)}
    found = []
    for limit in (1, 2, 3, 4, 5, 6, 20):
        words = [*somebody, f"--ambient-caps={reads}", "prlimit", f"--nproc={limit}:{limit}"]
        done = as_user(orchestrate, words, "start", "--project", "x", "--format", "json", env=env, cwd=workspace.root)
        assert done.code in (0, 3, 8), done.stderr
        if done.code == 8:
            error = done.document["error"]
            assert (error["code"], "ulimit -u" in error["hint"]) == ("no-process", True)
        elif done.code == 3:
            entries = workspace.manifest(workspace.runs(TASK)[-1])["commands"]
            failed = next(entry for entry in entries if entry["outcome"] == "failure")
            assert "no more processes" in failed["summary"] or "fork" in failed["summary"].lower()
        found.append(done.code)
    assert (found[0], found[-1]) == (8, 0)
    assert found == sorted(found, key=[8, 3, 0].index)
