"""Making real environments: cold, warm, at once, and without what they need."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.model.plan import SessionPlan
from orchestrator.runner.environment import (
    bin_paths,
    describe,
    environment_folder,
    mark_made,
    needs_making,
    stage_environ,
    tools_dir,
)
from orchestrator.runner.environment.fingerprint import environment_key
from orchestrator.runner.environment.steps import EnvironmentLock, prepare

SOURCES = str(Path(__file__).resolve().parents[2])
ENVIRON = {**os.environ, "PYTHONPATH": SOURCES, "UV_PYTHON_DOWNLOADS": "never", "NOXSESSION": "other"}
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"


@dataclass(frozen=True)
class Making:
    """How a caller makes an environment, without the process guard."""

    root: Path
    session: SessionPlan

    @property
    def env_dir(self) -> str:
        """The environment's folder."""
        folder = environment_folder(str(self.root / ".nox"), self.session)
        assert folder is not None
        return folder

    @property
    def key(self) -> str:
        """The key that is wanted."""
        return environment_key(self.session, env_dir=self.env_dir, project_folder=str(self.root / "project"))

    def stage_environ(self) -> dict[str, str]:
        """What stages see."""
        tools = tools_dir(str(self.root / ".runs"), ENVIRON)
        return stage_environ(ENVIRON, self.session, bin_paths=bin_paths(self.env_dir), tools_dir=tools)

    def run(self) -> list[tuple[str, int, str]]:
        """Run the steps until one fails; return each one's name, exit code and last line."""
        done: list[tuple[str, int, str]] = []
        for step in prepare(
            self.session,
            env_dir=self.env_dir,
            project_folder=str(self.root / "project"),
            key=self.key,
            environ=ENVIRON,
            stage_environ=self.stage_environ(),
        ):
            result = subprocess.run(
                step.argv, cwd=step.cwd, env=dict(step.env), capture_output=True, text=True, timeout=120, check=False
            )
            lines = (result.stdout + result.stderr).strip().splitlines()
            done.append((step.name, result.returncode, lines[-1] if lines else ""))
            if result.returncode:
                return done
        mark_made(self.env_dir, self.key)
        return done


def making(tmp_path: Path, *install: str, backend: str = "uv", python: str | None = None) -> Making:
    """Return a workspace with one project, which installs without the network."""
    project = tmp_path / "project"
    if not project.exists():
        (project / "wheels").mkdir(parents=True)
    return Making(tmp_path, SessionPlan(name="diagnostics-x", backend=backend, python=python, install=install))


def wheel(folder: Path, name: str) -> str:
    """Write the smallest wheel that can be installed, and return its path."""
    from zipfile import ZipFile

    path = folder / f"{name}-1-py3-none-any.whl"
    with ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{name}-1.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        archive.writestr(f"{name}-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{name}-1.dist-info/RECORD", "")
    return str(path)


@pytest.mark.parametrize("backend", ["uv|virtualenv", "virtualenv"])
def test_cold_then_warm(tmp_path: Path, backend: str) -> None:
    """A cold environment is made and installed into; then it is warm, and stages run its Python."""
    project = making(tmp_path).root / "project"
    cold = making(tmp_path, "--no-index", wheel(project, "thing"), backend=backend)
    assert [step[:2] for step in cold.run()] == [("create", 0), ("install", 0)]
    assert not needs_making(cold.env_dir, cold.key)
    assert describe(cold.env_dir)["backend"] == backend.split("|")[0]
    program = "import sys, thing; print(sys.prefix)"
    seen = subprocess.run(
        ["python", "-c", program], env=cold.stage_environ(), capture_output=True, text=True, check=True
    )
    assert seen.stdout.strip() == cold.env_dir


def test_uv_needs_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has no home folder that can be written gets an environment of uv, whose cache lies beside it."""
    monkeypatch.setitem(ENVIRON, "HOME", "/dev/null/home")
    for variable in ("UV_CACHE_DIR", "UV_NO_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delitem(ENVIRON, variable, raising=False)
    cold = making(tmp_path, "--no-index", wheel(making(tmp_path).root / "project", "thing"))
    assert [step[:2] for step in cold.run()] == [("create", 0), ("install", 0)]
    assert (tmp_path / ".nox" / ".uv-cache").is_dir()


def test_other_arguments_are_installed_into_the_same_environment(tmp_path: Path) -> None:
    """When only the arguments change, the environment is kept; without a marker it is made anew."""
    first = making(tmp_path)
    assert [step[:2] for step in first.run()] == [("create", 0)]
    trace = Path(first.env_dir) / "trace"
    trace.touch()
    second = making(tmp_path, "--no-index", wheel(tmp_path / "project", "thing"))
    assert needs_making(second.env_dir, second.key)
    assert [step[:2] for step in second.run()] == [("install", 0)]
    assert trace.exists()
    (Path(first.env_dir) / ".codex-environment.json").unlink()
    assert [step[0] for step in second.run()] == ["create", "install"]
    assert not trace.exists()


def test_a_missing_interpreter_is_named(tmp_path: Path) -> None:
    """An interpreter that is nowhere ends the first step with its cause in the last line."""
    for backend in ("uv", "virtualenv"):
        made = making(tmp_path, "thing", backend=backend, python="3.99")
        (step,) = made.run()
        assert step[:2] == ("create", 1)
        assert "Python 3.99 was not found on this machine" in step[2]
        assert needs_making(made.env_dir, made.key)


def test_a_missing_backend_is_named(tmp_path: Path) -> None:
    """A backend that is not there, or not known, ends the first step with its cause."""
    for backend in ("mamba", "nonsense"):
        (step,) = making(tmp_path, backend=backend).run()
        assert step[:2] == ("create", 1)
        assert f"backend {backend}: " in step[2]


def test_a_failed_install_is_not_taken_for_a_made_environment(tmp_path: Path) -> None:
    """When installing fails, also over a good environment, that environment is not warm for either key."""
    good = making(tmp_path)
    good.run()
    bad = making(tmp_path, "--no-index", "no-such-thing")
    steps = bad.run()
    assert steps[-1][0] == "install"
    assert steps[-1][1] != 0
    assert needs_making(bad.env_dir, bad.key)
    assert needs_making(good.env_dir, good.key)


def test_what_a_killed_start_left_is_replaced(tmp_path: Path) -> None:
    """A folder that a killed process left half made is made anew, whatever is in it."""
    made = making(tmp_path, backend="venv", python=HERE)
    (Path(made.env_dir) / "bin").mkdir(parents=True)
    (Path(made.env_dir) / "bin" / "python").write_text("half")
    (Path(made.env_dir) / "pyvenv.cfg").touch()
    assert [step[:2] for step in made.run()] == [("create", 0)]
    assert describe(made.env_dir)["python"] == ".".join(map(str, sys.version_info[:3]))


HOLDER = """
import sys, time
from orchestrator.runner.environment.fingerprint import environment_key
from orchestrator.runner.environment.steps import EnvironmentLock
lock = EnvironmentLock(sys.argv[1])
assert lock.try_acquire()
print("held", flush=True)
time.sleep(60)
"""


def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    """A holder that is killed leaves the lock free at once."""
    env_dir = str(tmp_path / ".nox" / "x")
    command = [sys.executable, "-P", "-c", HOLDER, env_dir]
    with subprocess.Popen(command, env=ENVIRON, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        lock = EnvironmentLock(env_dir)
        assert not lock.try_acquire()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert lock.try_acquire()
        lock.release()


COLD_START = """
import sys, time
from pathlib import Path
from tests.functional.test_prepare_environment import making, needs_making, EnvironmentLock
made = making(Path(sys.argv[1]), backend="uv")
lock = EnvironmentLock(made.env_dir)
while not lock.try_acquire():
    time.sleep(0.02)
steps = made.run() if needs_making(made.env_dir, made.key) else []
lock.release()
print(len(steps), needs_making(made.env_dir, made.key))
"""


def test_cold_starts_at_once_share_one_environment(tmp_path: Path) -> None:
    """Of several cold starts one makes the environment, the others find it made."""
    making(tmp_path)
    command = [sys.executable, "-P", "-c", COLD_START, str(tmp_path)]
    starts = [subprocess.Popen(command, env=ENVIRON, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = sorted(start.communicate(timeout=120)[0].strip() for start in starts)
    assert answers == ["0 False", "0 False", "1 False"]


def test_a_stage_finds_the_three_programs_and_nothing_else_of_ours(tmp_path: Path) -> None:
    """Both nox and invoke answer on the stage's PATH; other programs of the orchestrator's environment don't."""
    environ = making(tmp_path).stage_environ()
    for name in ("nox", "invoke"):
        result = subprocess.run([name, "--version"], env=environ, capture_output=True, text=True, check=False)
        assert result.returncode == 0
    own = Path(sys.prefix) / "bin"
    if sys.prefix != sys.base_prefix:
        assert str(own) not in environ["PATH"].split(os.pathsep)


def test_scripts_survive_odd_paths(tmp_path: Path) -> None:
    """An interpreter in a folder with spaces, quotes and dollars is started, and arguments reach it unchanged."""
    odd = tmp_path / 'it\'s a $HOME "folder"'
    odd.mkdir()
    interpreter = odd / "python"
    interpreter.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    interpreter.chmod(0o755)
    folder = tools_dir(str(tmp_path / ".runs"), {}, executable=str(interpreter))
    result = subprocess.run([f"{folder}/nox", "a b", "$c", "'"], capture_output=True, text=True, check=True)
    assert result.stdout == "-P|-m|nox|a b|$c|'|"


def test_the_warm_path_imports_nothing_heavy(tmp_path: Path) -> None:
    """What every start calls needs neither nox nor pydantic, portalocker or a subprocess."""
    program = """
        import os, sys
        from orchestrator.runner.environment import *
        from orchestrator.runner.environment.fingerprint import environment_key
        from orchestrator.model.plan import SessionPlan
        session = SessionPlan(name="x", backend="uv", install=("-e", "."))
        tools = tools_dir(sys.argv[1], os.environ)
        stage_environ(os.environ, session, bin_paths=("/e/bin",), tools_dir=tools)
        needs_making("/e", environment_key(session, env_dir="/e", project_folder="."))
        print(sorted({"nox", "pydantic", "portalocker", "subprocess", "importlib.metadata"} & set(sys.modules)))
    """
    command = [sys.executable, "-P", "-c", textwrap.dedent(program), str(tmp_path)]
    result = subprocess.run(command, env=ENVIRON, capture_output=True, text=True, check=False)
    assert result.stdout == "[]\n", result.stderr
