"""When an environment has to be made again, or installed into again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.model.plan import SessionPlan
from orchestrator.runner.environment.fingerprint import environment_key


def key(project: Path, *, interpreter: str = "cpython-3.11.7", env_dir: str = "/w/.nox/x", **session: Any) -> list[str]:
    """Return the two parts of the key: made from, installed from."""
    plan = SessionPlan(name="x", **{"backend": "uv", "install": ("-e", "."), **session})
    return environment_key(plan, env_dir=env_dir, project_folder=str(project), interpreter=interpreter).split(":")


@pytest.mark.parametrize(
    "change",
    [{"backend": "venv"}, {"python": "3.12"}, {"interpreter": "cpython-3.11.8"}, {"env_dir": "/v/.nox/x"}],
)
def test_another_python_or_backend_makes_it_anew(tmp_path: Path, change: dict[str, str]) -> None:
    """The first part changes with what the environment is made from, and only that part."""
    before, after = key(tmp_path), key(tmp_path, **change)
    assert before[0] != after[0]
    assert before[1] == after[1]


@pytest.mark.parametrize("change", [{"install": ("-e", ".[test]")}, {"set_env": {"PIP_CONSTRAINT": "c.txt"}}])
def test_other_arguments_install_again(tmp_path: Path, change: dict[str, Any]) -> None:
    """The second part changes with the arguments, and only that part."""
    before, after = key(tmp_path), key(tmp_path, **change)
    assert before[0] == after[0]
    assert before[1] != after[1]


@pytest.mark.parametrize(
    "name",
    [
        *("pyproject.toml", "setup.cfg", "setup.py", "requirements.txt", "requirements-dev.txt", "constraints.txt"),
        *("uv.lock", "pylock.toml", "pylock.dev.toml", "poetry.lock", "Pipfile.lock"),
    ],
)
def test_dependency_files_count(tmp_path: Path, name: str) -> None:
    """A dependency file at the top counts from the moment that it is there, and with each change."""
    keys = [key(tmp_path)]
    for content in ("a", "b"):
        (tmp_path / name).write_text(content)
        keys.append(key(tmp_path))
    assert len({tuple(one) for one in keys}) == 3


def test_other_files_do_not_count(tmp_path: Path) -> None:
    """Code, documents and settings that install nothing leave an editable environment as it is."""
    before = key(tmp_path)
    (tmp_path / "README.md").write_text("x")
    (tmp_path / "module.py").write_text("x")
    assert key(tmp_path) == before
    (tmp_path / "uv.lock").write_text("x")
    assert key(tmp_path, install=()) == key(tmp_path, install=(), set_env={"MODE": "ci"})


@pytest.mark.parametrize(
    "install",
    [
        *(
            ("-r", "deps/all.txt"),
            ("-rdeps/all.txt",),
            ("--requirement=deps/all.txt",),
            ("--requirement", "deps/all.txt"),
        ),
        *(("x", "-c", "deps/all.txt"), ("-e", "deps"), ("-e", "./deps[extra]"), ("--editable=deps",), ("./deps",)),
    ],
)
def test_named_files_and_folders_count(tmp_path: Path, install: tuple[str, ...]) -> None:
    """Files named by -r and -c, files that these name, and dependency files of local folders count."""
    deps = tmp_path / "deps"
    deps.mkdir()
    (deps / "all.txt").write_text("# comment\nx\n-r more.txt  # and more\n-r all.txt\n")
    (deps / "more.txt").write_text("y")
    (deps / "pyproject.toml").write_text("y")
    before = key(tmp_path, install=install)
    (deps / "more.txt").write_text("z")
    (deps / "pyproject.toml").write_text("z")
    assert key(tmp_path, install=install) != before


def test_an_installed_copy_follows_its_sources(tmp_path: Path) -> None:
    """A local folder that is installed without -e is a copy: a change of its code installs it again."""
    (tmp_path / "src").mkdir()
    module = tmp_path / "src" / "module.py"
    module.write_text("a")
    before = key(tmp_path, install=(".",))
    (tmp_path / ".cache").write_text("x")
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "a.whl").write_text("x")
    assert key(tmp_path, install=(".",)) == before
    module.write_text("ab")
    assert key(tmp_path, install=(".",)) != before


def test_what_cannot_be_read_counts_as_missing(tmp_path: Path) -> None:
    """A folder in a file's place, a dangling link and a missing folder are no errors."""
    install = ("-r", "none.txt", "-e", "none", "-r")
    (tmp_path / "setup.py").mkdir()
    (tmp_path / "uv.lock").symlink_to("nowhere")
    os.mkfifo(tmp_path / "requirements.txt")
    before = key(tmp_path, install=install)
    (tmp_path / "none.txt").write_text("x")
    assert key(tmp_path, install=install) != before
    assert key(tmp_path / "gone", install=install) != before


@given(st.lists(st.text(max_size=8), max_size=4), st.lists(st.text(max_size=8), max_size=4))
def test_different_arguments_never_share_a_key(one: list[str], other: list[str]) -> None:
    """Keys are equal exactly when the arguments are, however odd these look."""
    gone = Path("/nonexistent")
    keys = [key(gone, install=tuple(f"x{argument}" for argument in arguments)) for arguments in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)
