"""This repository's own sessions: which Pythons the fast tests run with."""

from __future__ import annotations

import sys
from pathlib import Path

from noxfile import interpreters


def program(path: Path) -> str:
    """Make a program that is never started."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o755)
    return str(path.resolve())


def test_each_other_python_is_found_once(tmp_path: Path) -> None:
    """PATH and pyenv's versions are looked through; too old ones, links, configs, shims and this one are left out."""
    first, second = tmp_path / "first", tmp_path / "second"
    twelve, other_twelve = program(first / "python3.12"), program(second / "python3.12")
    (second / "python3.13").symlink_to(first / "python3.12")
    (second / "python3.11").symlink_to(sys.executable)
    (second / "python3.14").symlink_to("nowhere")
    for name in ("python3.10", "python3.12-config", "python3"):
        program(first / name)
    pyenv = tmp_path / "pyenv"
    kept = program(pyenv / "versions" / "3.13.0" / "bin" / "python3.13")
    program(pyenv / "versions" / "3.9.18" / "bin" / "python3.9")
    program(pyenv / "shims" / "python3.13")
    path = f"{pyenv}/shims:{first}::{second}:{tmp_path}/missing"
    found = interpreters({"PATH": path, "PYENV_ROOT": str(pyenv)})
    assert found == {"3.12": twelve, "3.12-1": other_twelve, "3.13.0": kept}
    assert interpreters({"PATH": f"{pyenv}/shims", "HOME": str(tmp_path)}) == {"3.13.0": kept}
    assert interpreters({"HOME": str(tmp_path)}) == {}
