"""A Python codebase that has the workspace at its own root: what lies beside its package does not break it."""

from __future__ import annotations

import shlex

import pytest

from orchestrator.onboarding.detect import propose
from tests.unit.onboarding.conftest import Make, does

OWN = {
    "tasks.py": "from orchestrator.cli import namespace as ns\n",
    "noxfile.py": "from orchestrator.nox_session import register\n\nregister()\n",
    "project_configs/README.md": "",
}
DOCTESTS = '[project]\nname = "lib"\n[tool.pytest.ini_options]\naddopts = "--doctest-modules"\n'
FLAT = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n[project]\nname = "lib"\n'


def test_doctests_leave_the_entry_points_out(make: Make) -> None:
    """Doctests of all modules import what is found; the workspace's own files can't be imported there."""
    files = {"pyproject.toml": DOCTESTS, "lib/__init__.py": "", "tests/test_a.py": "import pytest\n"}
    words = shlex.split(does(propose(make({**files, **OWN})))["test"])
    assert {"--ignore=tasks.py", "--ignore=noxfile.py"} <= set(words)
    assert "--ignore" not in does(propose(make({**files, "noxfile.py": "import nox\n", "tasks.py": "x = 1\n"})))["test"]


@pytest.mark.parametrize(
    ("more", "files", "warned"),
    [
        ("", {"lib/__init__.py": ""}, True),
        ("", {"lib.py": ""}, True),
        ("", {"src/lib/__init__.py": ""}, False),
        ('[tool.setuptools]\npackages = ["lib"]\n', {"lib/__init__.py": ""}, False),
        ('[tool.setuptools.packages.find]\ninclude = ["lib*"]\n', {"lib/__init__.py": ""}, False),
        ("", {"lib.py": "", "setup.cfg": "[options]\npy_modules = lib\n"}, False),
        ("", {"lib.py": "", "setup.py": "from setuptools import setup\nsetup()\n"}, False),
    ],
)
def test_packages_that_setuptools_looks_for_are_to_be_named(
    more: str, files: dict[str, str], warned: bool, make: Make
) -> None:
    """Automatic discovery takes the workspace's folders for packages; where packages are named nothing is warned of."""
    found = propose(make({"pyproject.toml": FLAT + more, **files, **OWN}))
    assert any("[tool.setuptools.packages.find] include = [" in one for one in found.warnings) is warned


def test_another_layout_is_not_warned_of(make: Make) -> None:
    """A codebase below a workspace, or of another back end, has nothing beside its package."""
    assert not propose(make({"pyproject.toml": FLAT, "lib/__init__.py": ""})).warnings
    other = FLAT.replace("setuptools.build_meta", "hatchling.build")
    found = propose(make({"pyproject.toml": other, "lib/__init__.py": "", **OWN}))
    assert not any("setuptools looks" in one for one in found.warnings)
