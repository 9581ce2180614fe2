"""What uv is asked to install again."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.runner.environment.reinstall import project_names, reinstall_arguments


def test_copies_at_any_depth_are_reinstalled_and_editable_ones_are_not(tmp_path: Path) -> None:
    """Lists, variables and the projects' own dependencies lead to copies; an editable project is as it is."""
    for name, needs in {"a": "b @ {root:uri}/../b", "b": "", "c": "", "d": ""}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "pyproject.toml").write_text(f'[project]\nname = "{name}"\ndependencies = ["{needs}"]\n')
    (tmp_path / "r.txt").write_text("./a\n-e ./d\n")
    (tmp_path / "c.txt").write_text(f"c @ file://{tmp_path}/c\n")
    again = reinstall_arguments(["-r", "r.txt"], str(tmp_path), {"UV_CONSTRAINT": "c.txt"})
    assert again == tuple(word for name in "abc" for word in ("--reinstall-package", name))


@pytest.mark.parametrize("arguments", [["-e", "."], ["thing==1"], []])
def test_nothing_is_reinstalled_where_nothing_is_copied(tmp_path: Path, arguments: list[str]) -> None:
    """What comes from an index, and an editable install, are left to uv."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n')
    assert reinstall_arguments(arguments, str(tmp_path), {}) == ()


@pytest.mark.parametrize(
    ("file", "text", "names"),
    [
        ("pyproject.toml", '[project]\nname = "A.b-c"\n', ["A.b-c"]),
        ("pyproject.toml", '[tool.poetry]\nname = "poem"\n', ["poem"]),
        ("pyproject.toml", '[project]\nname = "--index-url=x"\n', []),
        ("pyproject.toml", "[project\n", []),
        ("setup.cfg", "[metadata]\nname = conf\n", ["conf"]),
        ("setup.cfg", "name = conf\n", []),
        ("setup.py", "import setuptools\nsetuptools.setup(version='1', name='old')\n", ["old"]),
        ("setup.py", "from setuptools import setup\nsetup(name=read())\n", []),
        ("setup.py", "print 'Python 2'\n", []),
    ],
)
def test_the_name_is_read_from_the_project_files(tmp_path: Path, file: str, text: str, names: list[str]) -> None:
    """Each of the three files may give the name; where none does, everything is installed again."""
    (tmp_path / file).write_text(text)
    assert list(project_names(str(tmp_path))) == names
    again = reinstall_arguments(["."], str(tmp_path), {})
    assert again == (("--reinstall-package", names[0]) if names else ("--reinstall",))


def test_a_folder_without_a_project_is_left_to_uv(tmp_path: Path) -> None:
    """A folder that can't be installed is refused by uv itself; it is no reason to install all else again."""
    (tmp_path / "empty").mkdir()
    assert reinstall_arguments(["./empty"], str(tmp_path), {}) == ()
