"""An installed copy of a local project is never an old one, whichever way it is named."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator.model.plan import SessionPlan
from orchestrator.runner.environment import needs_making
from tests.functional.test_prepare_environment import Making

BACKEND = '''"""A build backend that needs no network: a wheel of all Python files of ``code``."""
import os, tomllib
from zipfile import ZipFile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    with open("pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    info = f"{project['name']}-1.dist-info"
    requires = "".join(f"Requires-Dist: {line}\\n" for line in NEEDS)
    with ZipFile(os.path.join(folder, f"{project['name']}-1-py3-none-any.whl"), "w") as wheel:
        for name in sorted(os.listdir("code")):
            if name.endswith(".py"):
                wheel.write(os.path.join("code", name), name)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\\nName: {project['name']}\\nVersion: 1\\n{requires}")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return f"{project['name']}-1-py3-none-any.whl"
'''
SPELLINGS: Mapping[str, tuple[Mapping[str, str], tuple[str, ...], Mapping[str, str]]] = {
    "folder": ({}, ("./lib",), {}),
    "url": ({}, ("lib @ file://{here}/lib",), {}),
    "list": ({"r.txt": "./lib\n"}, ("--requirement=r.txt",), {}),
    "list of a list": ({"r.txt": "-r deep/r.txt\n", "deep/r.txt": "lib @ file://{here}/lib\n"}, ("-r", "r.txt"), {}),
    "constraint": ({"c.txt": "lib @ file://{here}/lib\n"}, ("-c", "c.txt", "lib"), {}),
    "variable": (
        {"c.txt": "lib @ file://{here}/lib\n"},
        ("lib",),
        {"UV_CONSTRAINT": "c.txt", "PIP_CONSTRAINT": "c.txt"},
    ),
    "link": ({"r.txt": "./link\n"}, ("-r", "r.txt"), {}),
    "source of uv": ({}, ("-r", "r.txt"), {}),
    "dependency of a dependency": ({}, ("-r", "r.txt"), {}),
}


def _project(folder: Path, name: str, needs: str = "", more: str = "") -> None:
    (folder / "code").mkdir(parents=True)
    (folder / "backend.py").write_text(f"NEEDS = {[needs] if needs else []!r}\n{BACKEND}")
    (folder / "pyproject.toml").write_text(
        f'[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        f'[project]\nname = "{name}"\nversion = "1"\n' + (f'dependencies = ["{needs}"]\n' if needs else "") + more
    )
    (folder / "code" / f"{name}.py").write_text("AGE = 'old'\n")


@pytest.mark.parametrize("backend", ["uv", pytest.param("virtualenv", marks=pytest.mark.slow)])
def test_a_changed_module_of_a_local_project_is_installed(tmp_path: Path, backend: str) -> None:
    """After a module changed, and neither version nor project file did, the environment holds the new one."""
    ages: dict[str, str] = {}
    for number, (spelling, (files, install, set_env)) in enumerate(SPELLINGS.items()):
        here = tmp_path / str(number) / "project"
        _project(here / "lib", "lib")
        if spelling == "dependency of a dependency":
            _project(here / "middle", "middle", f"lib @ file://{here}/lib")
            _project(here / "outer", "outer", f"middle @ file://{here}/middle")
            files = {"r.txt": "./outer\n"}
        elif spelling == "source of uv":
            if backend != "uv":
                continue
            _project(here / "outer", "outer", "lib", '[tool.uv.sources]\nlib = { path = "../lib" }\n')
            files = {"r.txt": "./outer\n"}
        (here / "link").symlink_to("lib")
        for name, text in files.items():
            (here / name).parent.mkdir(exist_ok=True)
            (here / name).write_text(text.format(here=here))
        words = tuple(word.format(here=here) for word in ("--no-index", *install))
        session = SessionPlan(name="diagnostics-x", backend=backend, install=words, set_env=dict(set_env))
        made = Making(here.parent, session)
        assert [step[:2] for step in made.run()] == [("create", 0), ("install", 0)], spelling
        (here / "lib" / "code" / "lib.py").write_text("AGE = 'new, with other text'\n")
        assert needs_making(made.env_dir, made.key), spelling
        assert [step[:2] for step in made.run()] == [("install", 0)], spelling
        seen = subprocess.run(
            [f"{made.env_dir}/bin/python", "-c", "import lib; print(lib.AGE)"],
            capture_output=True,
            text=True,
            check=True,
        )
        ages[spelling] = seen.stdout.strip()
    assert ages == dict.fromkeys(ages, "new, with other text")
