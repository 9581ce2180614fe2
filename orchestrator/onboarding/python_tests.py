"""Python's tests: pytest with the arguments that the codebase itself gives it, unittest, or tox's command."""

from __future__ import annotations

import re
import shlex
import sys
from itertools import pairwise

from orchestrator.onboarding.codebase import ENTRY_POINTS, Codebase, table, texts
from orchestrator.onboarding.declared_commands import Declared, usual_call
from orchestrator.onboarding.proposal import REPORT, Stage, is_inside, run, skip
from orchestrator.onboarding.python_facts import PythonFacts, modules_of
from orchestrator.onboarding.python_needs import Needs
from orchestrator.onboarding.python_unittest import django_tests, imports, unittests
from orchestrator.onboarding.requirement import bare_name

_PLUGINS = {
    "-n": "pytest-xdist",
    "--numprocesses": "pytest-xdist",
    "--dist": "pytest-xdist",
    "--cov": "pytest-cov",
    "--no-cov": "pytest-cov",
    "--benchmark": "pytest-benchmark",
    "--timeout": "pytest-timeout",
    "--asyncio-mode": "pytest-asyncio",
    "--randomly-seed": "pytest-randomly",
    "--reruns": "pytest-rerunfailures",
}
"""Options of pytest's that a plugin brings, by how they begin."""

_SETTINGS = {"asyncio_mode": "pytest-asyncio", "timeout": "pytest-timeout", "env": "pytest-env"}
NO_TESTS = "no tests were found at the top, in tests, test, testing or src, and in packages at the top"
_OPTION = re.compile(r"--[\w-]+=")
_UNTOLD = re.compile(r"[{}$`|;&<>]")


def tests(facts: PythonFacts, needs: Needs) -> Stage:
    """Return the test stage."""
    codebase = facts.codebase
    calls = [*facts.calls("pytest"), *facts.calls("py.test")]
    where, files = _pytest_home(codebase), list(codebase.test_files())
    if where is None and needs.mentions("pytest") and files:
        where = "the dependencies"
    if where is None:
        where = next((name for name in files if _is_pytests(codebase.text(name) or "")), None)
    if where is not None or (calls and files):
        return _pytest(facts, needs, calls, where)
    found = django_tests(facts, files) or unittests(facts, needs, files) or _test_of_tox(codebase, needs)
    return found or skip("test", f"found {files[0]}, and nothing says what runs it" if files else NO_TESTS)


def _is_pytests(text: str) -> bool:
    """Tell whether a file has tests for pytest: it imports it, or has functions for tests, which unittest has not."""
    return imports(text, "pytest") or re.search(r"^(?:async )?def test_\w*\(", text, re.M) is not None


def _pytest(facts: PythonFacts, needs: Needs, calls: list[Declared], where: str | None) -> Stage:
    needs.use("pytest")
    call = usual_call(calls)
    words = _plain(needs, call) if call is not None else []
    settings = _settings(facts)
    addopts = settings.get("addopts", "")
    options = [*words, *(texts(addopts) or shlex.split(addopts if isinstance(addopts, str) else ""))]
    plugins = [plugin for start, plugin in _PLUGINS.items() if any(_begins(word, start) for word in options)]
    plugins += [plugin for key, plugin in _SETTINGS.items() if key in settings]
    for plugin in dict.fromkeys(plugins):
        needs.use(plugin)
    _warn_of_imports(facts, needs)
    source = call.source if call is not None else where
    written, added = _report(options)
    reports = {"reports": [written]} if written else {}
    if "--doctest-modules" in options:
        # It imports every module that it finds, and neither Invoke nor nox is in the session's environment.
        added += [f"--ignore={name}" for name in ENTRY_POINTS if facts.codebase.is_entry_point(name)]
    line = shlex.join(["python", "-m", "pytest", *words, *added])
    return run("test", line, f"detected by {source}", timeout="15m", **reports)


def _report(options: list[str]) -> tuple[str | None, list[str]]:
    """Return the report that pytest writes, and what has to be added to its arguments for that.

    None where the codebase has it written outside of the project's folder, or switches reports off.
    """
    for word, after in pairwise([*options, ""]):
        if word == "no:junitxml" or (word, after) == ("-p", "no:junitxml"):
            return None, []
        name, equals, value = word.partition("=")
        if name in ("--junitxml", "--junit-xml"):
            path = value if equals else after
            return (path if is_inside(path) else None), []
    return REPORT, [f"--junitxml={REPORT}"]


def _plain(needs: Needs, call: Declared) -> list[str]:
    """Return a call's arguments without those that only its own tool can fill in, which are noted."""
    left = [word for word in call.arguments if _UNTOLD.search(word)]
    if not left:
        return list(call.arguments)
    # An option with its value in one word goes alone; where a word of its own can't be known, all go.
    kept = [word for word in call.arguments if word not in left] if all(map(_OPTION.match, left)) else []
    gone = left if kept else list(call.arguments)
    needs.notes.append(f"{call.source} calls pytest with {' '.join(gone)}, which was left out")
    return kept


def _begins(word: str, start: str) -> bool:
    return word == start or (word.startswith(start) and (start.startswith("--") or word[2:].isalnum()))


def _settings(facts: PythonFacts) -> dict[str, object]:
    """Return pytest's settings: the first of its files that has any."""
    found: list[dict[str, object]] = [
        dict(facts.codebase.toml("pytest.toml").get("pytest", {}) or {}),
        dict(facts.codebase.ini("pytest.ini").get("pytest", {})),
        table(facts.tool, "pytest", "ini_options") or table(facts.tool, "pytest"),
        dict(facts.codebase.ini("tox.ini").get("pytest", {})),
        dict(facts.codebase.ini("setup.cfg").get("tool:pytest", {})),
    ]
    return next(filter(None, found), {})


def _warn_of_imports(facts: PythonFacts, needs: Needs) -> None:
    """Warn of modules that tests import and nothing that is installed is called, where that is known.

    Nothing is installed by a guess.
    """
    codebase = facts.codebase
    if facts.dependencies is None and needs.install:
        return
    known = modules_of((*needs.known, *map(bare_name, needs.tools)))
    own = {name.partition(".")[0] for name in codebase.names} | {
        name.partition(".")[0] for top in ("src", "tests", "test", "testing") for name in codebase.listed(top)
    }
    project = str(table(facts.pyproject, "project").get("name", "")).replace("-", "_").lower()
    certain = {"_pytest", "py", "pytest", "setuptools", "pkg_resources", "pip", "conftest", project}
    certain |= {"iniconfig", "packaging", "pluggy", "pygments"}  # pytest's own
    missing = {
        name
        for name in facts.test_imports - own - certain - set(sys.stdlib_module_names)
        if name.lower() not in known
        and not any(item.startswith(name.lower()) or name.lower() in item for item in known)
    }
    if missing and len(missing) < 10:
        names = ", ".join(sorted(missing))
        needs.warnings.append(
            f"tests import {names}, which nothing that is installed is called: add what brings it to install"
        )


def _pytest_home(codebase: Codebase) -> str | None:
    if table(codebase.toml("pyproject.toml"), "tool", "pytest"):
        return "[tool.pytest] in pyproject.toml"
    ini = (("pytest.ini", "pytest"), ("tox.ini", "pytest"), ("setup.cfg", "tool:pytest"))
    found = next((name for name, section in ini if section in codebase.ini(name)), None)
    return found or codebase.first("pytest.toml", "conftest.py", "tests/conftest.py", "test/conftest.py")


def _test_of_tox(codebase: Codebase, needs: Needs) -> Stage | None:
    """Return the first command of tox's test environment, when it is one that means the same outside of tox."""
    lines = [line.strip() for line in codebase.ini("tox.ini").get("testenv", {}).get("commands", "").splitlines()]
    command = next((line for line in lines if line), "").replace("{posargs}", "").strip()
    if re.fullmatch(r"(?:python -m )?[\w./ =:-]+", command) is None:
        return None
    if bare_name(command) == "pytest":
        needs.use("pytest")
    return run("test", command, "detected by [testenv] in tox.ini", timeout="15m")
