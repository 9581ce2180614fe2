"""Which programs of a stage count as another environment's: Python's, found on the user's PATH and nowhere nearer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.model.plan import PlannedStage
from orchestrator.runner.environment.external_programs import external_programs

PYTHON, SHELL, BINARY = "#!/usr/bin/env python3\n", "#!/bin/sh\n", "\x7fELF"
LONG = "#!/bin/sh\n'''exec' /a/long/path/bin/python \"$0\" \"$@\"\n"


@pytest.fixture
def find(tmp_path: Path) -> Callable[[PlannedStage], list[str]]:
    """Return what finds them, by name: on PATH are a session's environment with ruff, and a machine's folder."""
    programs = {
        "session/bin": {"ruff": BINARY, "python": BINARY, "python3": BINARY},
        "project/tools": {"check": PYTHON},
        "machine/bin": {
            **dict.fromkeys(("ruff", "mypy", "make", "node", "git", "uv", "python", "python3.9"), BINARY),
            "pytest": PYTHON,
            "meson": LONG,
            "npm": SHELL,
            "tox": PYTHON,
        },
        "pipx/venvs/odd/bin": {"odd": BINARY},
    }
    for folder, files in programs.items():
        (tmp_path / folder).mkdir(parents=True)
        for name, text in files.items():
            (tmp_path / folder / name).write_text(text)
            (tmp_path / folder / name).chmod(0o755)
    (tmp_path / "pipx/venvs/odd/pyvenv.cfg").touch()
    (tmp_path / "machine/bin/odd").symlink_to(tmp_path / "pipx/venvs/odd/bin/odd")
    path = ":".join(str(tmp_path / folder) for folder in ("session/bin", "project/tools", "machine/bin"))

    def found(stage: PlannedStage) -> list[str]:
        paths = external_programs(stage, {"PATH": path}, str(tmp_path / "session"), str(tmp_path / "project"))
        assert all(Path(each).parent == tmp_path / "machine/bin" for each in paths)
        return [Path(each).name for each in paths]

    return found


@pytest.mark.parametrize(
    ("argv", "names"),
    [
        ("pytest -q", ["pytest"]),
        ("meson test", ["meson"]),
        ("mypy .", ["mypy"]),
        ("odd", ["odd"]),
        ("python3.9 -m pytest", ["python3.9"]),
        ("env A=1 pytest", ["pytest"]),
        ("ruff check", []),
        ("python -m pytest", []),
        ("check", []),
        ("make pytest", []),
        ("node pytest.js", []),
        ("npm test", []),
        ("uv run pytest", []),
        ("tox", []),
        ("sh -c pytest", []),
        ("absent", []),
        ("/usr/bin/pytest", []),
        ("./pytest", []),
    ],
)
def test_the_program_of_a_command(find: Callable[[PlannedStage], list[str]], argv: str, names: list[str]) -> None:
    """A Python program of another environment is named; the session's, the project's and the system's are not."""
    assert find(PlannedStage("s", "s", "command", tuple(argv.split()))) == names


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("ruff check . && pytest -q; mypy . | tee log", ["pytest", "mypy"]),
        ("A=1 pytest\nmypy", ["pytest", "mypy"]),
        ("if pytest; then echo mypy; fi", ["pytest"]),
        ("pytest; pytest", ["pytest"]),
        ("echo 'use pytest; it is good' # pytest", []),
        ("echo 'it is open", []),
    ],
)
def test_the_programs_of_a_shell_line(find: Callable[[PlannedStage], list[str]], line: str, names: list[str]) -> None:
    """Each command of a line counts, and no word that is an argument."""
    assert find(PlannedStage("s", "s", "shell", shell=line)) == names
