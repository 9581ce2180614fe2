"""Python: build back end, what has to be installed, linter, type checker and tests."""

from __future__ import annotations

import os
import re
import sys

from orchestrator.base.workspace import CONFIG_FOLDER
from orchestrator.onboarding.codebase import Codebase, table, texts
from orchestrator.onboarding.nox_files import FILE as NOX_FILE
from orchestrator.onboarding.proposal import Proposal, Stage, diagnostics, skip
from orchestrator.onboarding.python_checks import also_run, checks
from orchestrator.onboarding.python_facts import PythonFacts
from orchestrator.onboarding.python_needs import Needs
from orchestrator.onboarding.python_tests import tests
from orchestrator.onboarding.python_unittest import is_django
from orchestrator.onboarding.requirement import bare_name

NAME = "python"

_VERSION_FROM_GIT = frozenset(
    (
        *("hatch-vcs", "setuptools-scm", "setuptools-git-versioning", "versioningit", "poetry-dynamic-versioning"),
        *("flit-scm", "uv-dynamic-versioning", "vcs-versioning", "pbr", "dunamai"),
    )
)
"""Build requirements that take the version from git's tags."""

_LOOK_ABOVE = frozenset(
    (
        "setuptools-git-versioning",
        "versioningit",
        "poetry-dynamic-versioning",
        "uv-dynamic-versioning",
        "pbr",
        "dunamai",
    )
)
"""Those that ask git itself, which finds the repository of many packages that a codebase is a member of."""


def is_strong(codebase: Codebase) -> bool:
    """Tell whether the codebase says itself that it is a Python project."""
    pyproject = codebase.toml("pyproject.toml")
    declared = {"project", "build-system"} & pyproject.keys() or table(pyproject, "tool", "poetry")
    return bool(declared) or codebase.first("setup.py", "setup.cfg") is not None or is_django(codebase)


def is_weak(codebase: Codebase) -> bool:
    """Tell whether the codebase looks like Python without saying so; a workspace's own entry points say nothing."""
    if codebase.first("requirements.txt", "pyproject.toml", "tox.ini") is not None:
        return True
    return any(name.endswith(".py") and not codebase.is_entry_point(name) for name in codebase.names)


def propose(codebase: Codebase) -> Proposal:
    """Return what a Python codebase builds, lints and tests with."""
    requires = table(codebase.toml("pyproject.toml"), "project").get("requires-python")
    python = interpreter_for(requires if isinstance(requires, str) else "", sys.version_info[1])
    facts = PythonFacts(codebase, python)
    needs = Needs.of(facts)
    stages = [_build(codebase, needs), *checks(facts, needs), tests(facts, needs)]
    order = ("build", "lint", "test")
    stages.sort(key=lambda stage: order.index(stage.id) if stage.id in order else len(order))
    warnings = [*_version_warning(codebase), *_discovery_warning(codebase), *needs.warnings]
    if python is not None:
        warnings.append(f"requires-python is '{requires}', so Python {python} is asked for: it has to be installed")
    return Proposal(
        NAME,
        diagnostics(*stages),
        backend="uv|virtualenv",
        install=tuple(needs.arguments()),
        python=python,
        warnings=tuple(warnings),
        notes=tuple(_notes(facts, needs, stages)),
    )


def _notes(facts: PythonFacts, needs: Needs, stages: list[Stage]) -> list[str]:
    notes = []
    if needs.pins:
        named = ", ".join(f"{name} {pin.version} ({pin.source})" for name, pin in needs.pins.items())
        notes.append(f"versions that the codebase pins: {named}")
    contradicting = [
        f"{name} {pin.version} ({pin.source})" for name in needs.pins for pin in facts.versions.others(name)
    ]
    if contradicting:
        notes.append(f"other files name other versions, which were passed over: {', '.join(contradicting)}")
    if needs.loose:
        tools = ", ".join(needs.loose)
        notes.append(f"the codebase names no version of {tools}: the newest is installed, unless install pins it")
    others = also_run(facts, stages)
    if others:
        notes.append(f"the codebase also runs, and this does not: {', '.join(others)}")
    if facts.codebase.has(NOX_FILE) and not facts.codebase.is_entry_point(NOX_FILE):
        notes.append(f"{NOX_FILE} was only read: its sessions would make environments inside this one")
    return [*notes, *needs.notes]


def _version_warning(codebase: Codebase) -> list[str]:
    if not takes_version_from_git(codebase):
        return []
    return [
        "the version is taken from git, and the folder is no repository of its own: the install fails, unless "
        'set_env in [session] names one (SETUPTOOLS_SCM_PRETEND_VERSION = "1.0" for setuptools-scm and hatch-vcs)'
    ]


def _discovery_warning(codebase: Codebase) -> list[str]:
    """Return what fails where the workspace's folders lie beside a package that setuptools looks for by itself.

    Source: setuptools' "Package Discovery", automatic discovery: with a flat layout each folder that its list of
    names does not leave out is a package, and several of them end the build.
    """
    pyproject, cfg = codebase.toml("pyproject.toml"), codebase.ini("setup.cfg").get("options", {})
    backend = str(table(pyproject, "build-system").get("build-backend", "setuptools"))
    named = {"packages", "py-modules"} & table(pyproject, "tool", "setuptools").keys()
    named |= {"packages", "py_modules"} & dict(cfg).keys()
    looks = backend.startswith("setuptools") and codebase.first("setup.py", "src") is None and "project" in pyproject
    if not codebase.has(CONFIG_FOLDER) or named or not looks:
        return []
    packages = sorted(name for name in codebase.names if codebase.has(f"{name}/__init__.py"))
    include = ", ".join(f'"{name}*"' for name in packages) or '"NAME*"'
    return [
        f"setuptools looks for packages by itself and takes {CONFIG_FOLDER} and out for some, so that the build fails: "
        f"write [tool.setuptools.packages.find] include = [{include}] into pyproject.toml"
    ]


def takes_version_from_git(codebase: Codebase) -> bool:
    """Tell whether the build takes its version from git, and there is no repository that it looks at, nor a version."""
    pyproject = codebase.toml("pyproject.toml")
    tool = table(pyproject, "tool")
    used = _VERSION_FROM_GIT & set(map(bare_name, texts(table(pyproject, "build-system").get("requires"))))
    from_git = bool(used) or table(tool, "pdm", "version").get("source") == "scm"
    if not from_git or codebase.first(".git", "PKG-INFO") is not None:
        return False
    hatch = table(tool, "hatch", "version")
    settings = {*table(tool, "setuptools_scm"), *hatch, *table(hatch, "raw-options")}
    if {"fallback_version", "fallback-version"} & settings:
        return False
    looks_above = bool(used & _LOOK_ABOVE) or bool({"root", "search_parent_directories"} & settings)
    return not (looks_above and _is_in_repository(codebase.path))


def _is_in_repository(folder: str) -> bool:
    """Tell whether a folder above is a git repository's top."""
    above = os.path.dirname(os.path.realpath(folder))
    while not os.path.exists(os.path.join(above, ".git")):
        if above == os.path.dirname(above):
            return False
        above = os.path.dirname(above)
    return True


def interpreter_for(requires: str, running: int) -> str | None:
    """Return the Python that ``requires-python`` asks for where 3.``running`` will not do, else None."""
    least = max((int(minor) for minor in re.findall(r">=?\s*3\.(\d{1,2})", requires)), default=0)
    above = min((int(minor) for minor in re.findall(r"<\s*3\.(\d{1,2})", requires)), default=100)
    if least < above and running < least:
        return f"3.{least}"
    return f"3.{above - 1}" if least < above <= running else None


def _build(codebase: Codebase, needs: Needs) -> Stage:
    system = table(codebase.toml("pyproject.toml"), "build-system")
    if not system and codebase.first("setup.py", "setup.cfg") is None:
        return skip("build", "there is no [build-system] in pyproject.toml and no setup.py: nothing is built")
    # Without isolation: what the back end needs is installed once, and no build fetches it again.
    requires = texts(system.get("requires")) if "requires" in system else ["setuptools"]
    needs.add("build", *requires)
    backend = system.get("build-backend", "setuptools")
    outputs = {"outputs": ["dist/*"]}
    return Stage(
        "build", {"run": "python -m build --no-isolation", **outputs, "timeout": "10m"}, f"back end: {backend}"
    )
