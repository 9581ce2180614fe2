"""The finder of the program's own modules finds what Python's own finders do."""

from __future__ import annotations

import subprocess
import sys
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

import pytest

from orchestrator.base.module_finder import ModuleFinder

FINDER = ModuleFinder("orchestrator")


def said_of(spec: ModuleSpec | None) -> object:
    """Return what an import goes by."""
    if spec is None:
        return None
    folders = None if spec.submodule_search_locations is None else list(spec.submodule_search_locations)
    return spec.name, spec.origin, spec.cached, spec.has_location, folders, type(spec.loader)


@pytest.mark.parametrize("name", ["orchestrator.git", "orchestrator.git.process", "orchestrator.base.files.locks"])
def test_modules_and_packages_are_found_as_by_python(name: str) -> None:
    """Name, file, kept bytecode, folders and loader are the same."""
    above = find_spec(name.rpartition(".")[0])
    assert above is not None
    path = list(above.submodule_search_locations or ())
    assert said_of(FINDER.find_spec(name, path)) == said_of(PathFinder.find_spec(name, path)) != None  # noqa: E711


@pytest.mark.parametrize("name", ["orchestrator", "orchestrators.git", "json.decoder", "git"])
def test_modules_of_others_are_left_to_the_next_finder(name: str) -> None:
    """Only what lies below the package is looked for."""
    assert FINDER.find_spec(name, ["/nowhere"]) is None


@pytest.mark.parametrize("name", ["orchestrator.none", "orchestrator.data", "orchestrator.fast", "orchestrator.folder"])
def test_what_is_no_source_file_is_left_to_the_next_finder(tmp_path: Path, name: str) -> None:
    """Neither a missing module, nor a compiled one, nor a folder without __init__.py is found."""
    (tmp_path / "data.txt").write_text("")
    (tmp_path / "fast.so").write_text("")
    (tmp_path / "folder").mkdir()
    assert ModuleFinder("orchestrator").find_spec(name, [str(tmp_path)]) is None
    assert ModuleFinder("orchestrator").find_spec(name, [str(tmp_path / "program.zip")]) is None


def test_the_program_runs_from_an_archive(tmp_path: Path) -> None:
    """In an archive, whose folders can't be listed, Python's own finder is asked."""
    package = Path(__file__).parents[3] / "orchestrator"
    program = (
        "import sys, zipfile, pathlib\n"
        "package, archive = map(pathlib.Path, sys.argv[1:])\n"
        "with zipfile.ZipFile(archive, 'w') as packed:\n"
        "    for file in [*package.glob('*.py'), *package.glob('base/**/*.py')]:\n"
        "        packed.write(file, file.relative_to(package.parent))\n"
        "sys.path.insert(0, str(archive))\n"
        "import orchestrator.base.module_finder as finder\n"
        "finder.install('orchestrator')\n"
        "import orchestrator.base.clock as found\n"
        "print(found.__file__)\n"
    )
    archive = tmp_path / "program.zip"
    said = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, package, archive],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    assert said.strip() == f"{archive}/orchestrator/base/clock.py"
