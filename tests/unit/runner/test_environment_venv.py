"""Whether an environment is whole, and what it is made of."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.errors import StorageError
from orchestrator.model.failure_lines import cause_in
from orchestrator.model.plan import SessionPlan
from orchestrator.runner.environment import (
    bin_paths,
    describe,
    environment_folder,
    mark_made,
    needs_making,
)
from orchestrator.runner.environment.steps import EnvironmentLock, prepare
from orchestrator.runner.environment.venv import MARKER

KEY = "made:installed"


@pytest.fixture
def env(tmp_path: Path) -> Path:
    """An environment's folder with an interpreter in it and no marker."""
    folder = tmp_path / ".nox" / "diagnostics-x"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    (folder / "pyvenv.cfg").write_text("home = /usr/bin\nuv = 0.13.9\nversion_info = 3.12.3\n")
    return folder


def steps(env: Path, key: str, *install: str) -> list[str]:
    """Return the names of the steps that make ``env`` right for ``key``."""
    session = SessionPlan(name="diagnostics-x", backend="uv|virtualenv", python="3.12", install=install)
    made = prepare(
        session, env_dir=str(env), project_folder="/p", key=key, environ={"NOXSESSION": "x"}, stage_environ={"A": "b"}
    )
    assert all("NOXSESSION" not in step.env and step.cwd == "/p" for step in made)
    return [step.name for step in made]


def test_a_marked_environment_is_warm(env: Path) -> None:
    """An environment is right when its marker holds the key and its interpreter is there."""
    assert needs_making(str(env), KEY)
    mark_made(str(env), KEY)
    assert not needs_making(str(env), KEY)
    assert needs_making(str(env), "made:other")


def test_a_vanished_interpreter_is_noticed(env: Path) -> None:
    """An environment whose interpreter was uninstalled is made again."""
    mark_made(str(env), KEY)
    (env / "bin" / "python").unlink()
    (env / "bin" / "python").symlink_to("/nowhere/python3.12")
    assert needs_making(str(env), KEY)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"key": 3}', '{"other": 1}'])
def test_a_damaged_marker_counts_as_none(env: Path, content: str) -> None:
    """A marker that can't be read means that the environment is made again."""
    (env / MARKER).write_text(content)
    assert needs_making(str(env), KEY)
    assert steps(env, KEY) == ["create"]


def test_no_environment_needs_nothing() -> None:
    """The backend none has no folder, no programs, and never needs making."""
    session = SessionPlan(name="diagnostics-x", backend="none")
    assert environment_folder("/w", session) is None
    assert bin_paths(None) == ()
    assert not needs_making(None, KEY)
    assert describe(None) == {"backend": "none", "python": None}


def test_the_folder_is_the_one_that_nox_takes() -> None:
    """Plain names keep their letters; a dot becomes a dash."""
    session = SessionPlan(name="diagnostics-my.lib_2", backend="uv")
    assert environment_folder("/w", session) == "/w/diagnostics-my-lib_2"


def test_a_half_made_environment_is_made_anew(env: Path) -> None:
    """Without a marker nothing is kept; with one for the same Python only the installing is repeated."""
    assert steps(env, KEY, "-e", ".") == ["create", "install"]
    mark_made(str(env), KEY)
    assert steps(env, "made:other", "-e", ".") == ["install"]
    assert steps(env, "other:installed", "-e", ".") == ["create", "install"]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("uv = 0.13.9\nversion_info = 3.12.3\n", {"backend": "uv", "python": "3.12.3"}),
        ("virtualenv = 21\nversion_info = 3.11.7.final.0\n", {"backend": "virtualenv", "python": "3.11.7"}),
        ("version = 3.13.0\n", {"backend": "venv", "python": "3.13.0"}),
        ("home = /usr\n", {"backend": "venv", "python": None}),
    ],
)
def test_the_backend_is_known_by_its_traces(env: Path, config: str, expected: dict[str, str]) -> None:
    """Backend and version come from pyvenv.cfg, and from the marker after it was written."""
    (env / "pyvenv.cfg").write_text(config)
    assert describe(str(env)) == expected
    mark_made(str(env), KEY)
    (env / "pyvenv.cfg").unlink()
    assert describe(str(env)) == expected
    assert json.loads((env / MARKER).read_text()) == {"key": KEY, **expected}


def test_conda_is_known_by_its_records(env: Path) -> None:
    """A conda environment has no pyvenv.cfg; its package records name the Python."""
    (env / "pyvenv.cfg").unlink()
    (env / "conda-meta").mkdir()
    (env / "conda-meta" / "python-dateutil-2.9-py.json").touch()
    (env / "conda-meta" / "python-3.12.4-h1_0.json").touch()
    assert describe(str(env)) == {"backend": "conda", "python": "3.12.4"}


def test_an_empty_folder_tells_nothing(tmp_path: Path) -> None:
    """What is not there is described as unknown."""
    assert describe(str(tmp_path / "gone")) == {"backend": None, "python": None}


def test_one_holder_at_a_time(env: Path) -> None:
    """The lock has one holder, is free after release, and its file stays."""
    first, second = EnvironmentLock(str(env)), EnvironmentLock(str(env))
    assert first.try_acquire()
    assert first.try_acquire()
    assert not second.try_acquire()
    first.release()
    first.release()
    assert second.try_acquire()
    second.release()
    assert env.with_name("diagnostics-x.lock").exists()


def test_a_planted_lock_is_refused(env: Path, tmp_path: Path) -> None:
    """A link in the lock's place is refused and nothing is made at its end."""
    env.with_name("diagnostics-x.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError):
        EnvironmentLock(str(env)).try_acquire()
    assert not (tmp_path / "elsewhere").exists()


def test_the_cause_is_no_general_advice() -> None:
    """The last line that says something is the cause, before what uv ends every failed build with."""
    assert (
        cause_in(["one", "fatal: no such tag", "", "hint: Build failures usually indicate a problem"])
        == "fatal: no such tag"
    )
    assert cause_in(["hint: try again"]) == "hint: try again"
    assert cause_in([]) is None


@given(st.text("ab9._-", min_size=1, max_size=12))
def test_a_folder_is_named_as_nox_names_it(name: str) -> None:
    """The name is that of nox's own expressions (``nox.sessions._normalize_path``)."""
    folder = environment_folder("/w", SessionPlan(name=name, backend="uv"))
    named = re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "-", name).strip().lower()).strip("-")
    assert folder == f"/w/{named}"
