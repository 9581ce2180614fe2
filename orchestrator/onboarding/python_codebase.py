"""Python: build back end, what has to be installed, linter, type checker and tests."""

from __future__ import annotations

import re
import sys

from orchestrator.onboarding.codebase import Codebase, table, texts
from orchestrator.onboarding.proposal import Proposal, Stage, diagnostics, run, skip
from orchestrator.onboarding.python_needs import Needs, bare_name

NAME = "python"


def is_strong(codebase: Codebase) -> bool:
    """Tell whether the codebase says itself that it is a Python project."""
    pyproject = codebase.toml("pyproject.toml")
    declared = {"project", "build-system"} & pyproject.keys() or table(pyproject, "tool", "poetry")
    return bool(declared) or codebase.first("setup.py", "setup.cfg") is not None


def is_weak(codebase: Codebase) -> bool:
    """Tell whether the codebase looks like Python without saying so."""
    if codebase.first("requirements.txt", "pyproject.toml", "tox.ini") is not None:
        return True
    return any(name.endswith(".py") for name in codebase.names)


def propose(codebase: Codebase) -> Proposal:
    """Return what a Python codebase builds, lints and tests with."""
    needs = Needs.of(codebase)
    stages = [_build(codebase, needs), *_checks(codebase, needs), _test(codebase, needs)]
    order = ("build", "lint", "test")
    stages.sort(key=lambda stage: order.index(stage.id) if stage.id in order else len(order))
    notes = list(needs.notes)
    if needs.loose:
        tools = ", ".join(needs.loose)
        notes.append(f"the codebase names no version of {tools}: the newest is installed, unless install pins it")
    if codebase.has("noxfile.py"):
        notes.append("noxfile.py was only looked at: its sessions would make environments inside this one")
    requires = table(codebase.toml("pyproject.toml"), "project").get("requires-python")
    python = interpreter_for(requires if isinstance(requires, str) else "", sys.version_info[1])
    if python is not None:
        notes.append(f"requires-python is '{requires}', so Python {python} is asked for: it has to be installed")
    return Proposal(
        NAME,
        diagnostics(*stages),
        backend="uv|virtualenv",
        install=tuple(needs.arguments()),
        python=python,
        notes=tuple(notes),
    )


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


def _checks(codebase: Codebase, needs: Needs) -> list[Stage]:
    """Return the lint stage, and a stage for the type checker where there is one besides."""
    lint = _ruff(codebase, needs) or _flake8(codebase, needs) or _other_linter(codebase, needs)
    types = _mypy(codebase, needs, "typecheck" if lint else "lint")
    found = [stage for stage in (lint, types) if stage is not None]
    return found or [skip("lint", "no linter is configured in the codebase")]


def _ruff(codebase: Codebase, needs: Needs) -> Stage | None:
    pyproject = codebase.toml("pyproject.toml")
    own = codebase.first("ruff.toml", ".ruff.toml")
    where = own or ("[tool.ruff] in pyproject.toml" if "ruff" in table(pyproject, "tool") else None)
    hints = codebase.workflows()
    if where is None and not (needs.mentions("ruff") or "astral-sh/ruff" in hints):
        return None
    pinned = re.search(r"astral-sh/ruff-pre-commit[\"']?\s*\n\s*rev:\s*[\"']?v?(\d[\w.]*)", hints)
    needs.add_missing("ruff", f"=={pinned[1]}" if pinned else "")
    formats = "ruff-format" in hints or "ruff format" in hints or "format" in table(pyproject, "tool", "ruff")
    formats = formats or bool(own and codebase.toml(own).get("format"))
    line = "ruff check --no-fix . && ruff format --check ." if formats else "ruff check --no-fix ."
    return run("lint", line, f"detected by {where or 'the dependencies and CI files'}", timeout="5m")


def _flake8(codebase: Codebase, needs: Needs) -> Stage | None:
    homes = (".flake8", "setup.cfg", "tox.ini")
    where = next((name for name in homes if "flake8" in codebase.ini(name)), None)
    if where is None and not (needs.mentions("flake8") or re.search(r"\bid:\s*flake8\b", codebase.workflows())):
        return None
    needs.add_missing("flake8")
    return run("lint", "python -m flake8", f"detected by {where or 'the dependencies or pre-commit'}", timeout="5m")


def _other_linter(codebase: Codebase, needs: Needs) -> Stage | None:
    tools = table(codebase.toml("pyproject.toml"), "tool")
    if "black" in tools or needs.mentions("black"):
        needs.add_missing("black")
        return run("lint", "python -m black --check .", "detected by black's settings or dependencies", timeout="5m")
    target = _package(codebase)
    if ("pylint" in tools or codebase.has(".pylintrc")) and target is not None:
        needs.add_missing("pylint")
        return run("lint", f"python -m pylint {target}", "detected by pylint's settings", timeout="5m")
    return None


def _mypy(codebase: Codebase, needs: Needs, stage_id: str) -> Stage | None:
    settings = table(codebase.toml("pyproject.toml"), "tool", "mypy")
    for name in ("mypy.ini", ".mypy.ini", "setup.cfg"):
        settings = settings or dict(codebase.ini(name).get("mypy", {}))
    if not settings:
        return None
    target = None if {"files", "packages", "modules"} & settings.keys() else _package(codebase)
    if target is None and not {"files", "packages", "modules"} & settings.keys():
        return None
    needs.add_typing_file(codebase)
    needs.add_missing("mypy")
    command = "python -m mypy" if target is None else f"python -m mypy {target}"
    keys = {"needs": ["build"]} if stage_id == "typecheck" else {}
    return run(stage_id, command, "detected by mypy's settings", timeout="10m", **keys)


def _package(codebase: Codebase) -> str | None:
    """Return the folder of the code: ``src``, else the package that is called as the project is."""
    if codebase.has("src"):
        return "src"
    name = table(codebase.toml("pyproject.toml"), "project").get("name")
    if isinstance(name, str):
        folder = re.sub(r"[-.]+", "_", name)
        if re.fullmatch(r"\w+", folder) and codebase.has(folder):
            return folder
    found = [name for name in sorted(codebase.names) if codebase.has(f"{name}/__init__.py") and name != "tests"]
    return found[0] if len(found) == 1 and re.fullmatch(r"\w+", found[0]) else None


def _test(codebase: Codebase, needs: Needs) -> Stage:
    where = _pytest_home(codebase)
    files = list(codebase.test_files())
    if where is None and needs.mentions("pytest") and files:
        where = "the dependencies"
    if where is None:
        where = next((name for name in files if _imports(codebase.text(name) or "", "pytest")), None)
    if where is not None:
        needs.add_missing("pytest")
        return run("test", "python -m pytest", f"detected by {where}", timeout="15m")
    first = next((name for name in files if _imports(codebase.text(name) or "", "unittest")), None)
    if first is not None:
        folder = first.split("/")[0] if "/" in first else "."
        return run("test", f"python -m unittest discover -s {folder} -t .", f"detected by {first}", timeout="15m")
    return _test_of_tox(codebase, needs) or skip("test", "no tests were found in the codebase")


def _pytest_home(codebase: Codebase) -> str | None:
    if table(codebase.toml("pyproject.toml"), "tool", "pytest"):
        return "[tool.pytest] in pyproject.toml"
    ini = (("pytest.ini", "pytest"), ("tox.ini", "pytest"), ("setup.cfg", "tool:pytest"))
    found = next((name for name, section in ini if section in codebase.ini(name)), None)
    return found or codebase.first("pytest.toml", "conftest.py", "tests/conftest.py", "test/conftest.py")


def _imports(text: str, module: str) -> bool:
    return re.search(rf"^\s*(?:import|from) {module}\b", text, re.M) is not None


def _test_of_tox(codebase: Codebase, needs: Needs) -> Stage | None:
    """Return the first command of tox's test environment, when it is one that means the same outside of tox."""
    lines = [line.strip() for line in codebase.ini("tox.ini").get("testenv", {}).get("commands", "").splitlines()]
    command = next((line for line in lines if line), "").replace("{posargs}", "").strip()
    if re.fullmatch(r"(?:python -m )?[\w./ =:-]+", command) is None:
        return None
    if bare_name(command) == "pytest":
        needs.add_missing("pytest")
    return run("test", command, "detected by [testenv] in tox.ini", timeout="15m")
