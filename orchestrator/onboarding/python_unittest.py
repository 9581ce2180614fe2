"""Python's tests without pytest: Django's own runner, and unittest where it finds what is there."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterable, Sequence

from orchestrator.onboarding.codebase import Codebase
from orchestrator.onboarding.declared_commands import Declared, usual_call
from orchestrator.onboarding.proposal import Stage, run, skip
from orchestrator.onboarding.python_facts import PythonFacts
from orchestrator.onboarding.python_needs import Needs
from orchestrator.onboarding.task_files import target_for

MANAGE = "manage.py"

_MOST_FOLDERS = 6
_RUNNERS = frozenset({"django", "nose2", "nosetests", "stestr", "trial", "zope-testrunner"})
"""Programs that run tests which import unittest, in settings of their own."""

_PLAIN = re.compile(r"[^{}$`|;&<>]*")


def is_django(codebase: Codebase) -> bool:
    """Tell whether the codebase is a Django project: its ``manage.py`` is at the top."""
    return "django" in (codebase.text(MANAGE) or "")


def imports(text: str, module: str) -> bool:
    """Tell whether a Python file imports a module."""
    return re.search(rf"^\s*(?:import|from) {module}\b", text, re.M) is not None


def django_tests(facts: PythonFacts, files: Sequence[str]) -> Stage | None:
    """Return the test stage of a Django project with tests, None for another codebase.

    Without tests Django's runner ends with 0, so that a stage would pass which checks nothing.
    """
    # Its runner looks for test*.py.
    found = [name for name in files if posixpath.basename(name).startswith("test")]
    if not (is_django(facts.codebase) and found):
        return None
    return run("test", f"python {MANAGE} test", f"detected by {MANAGE}", timeout="15m")


def unittests(facts: PythonFacts, needs: Needs, files: Sequence[str]) -> Stage | None:
    """Return the test stage of a codebase whose tests import unittest, None for another."""
    codebase = facts.codebase
    found = [
        name
        for name in files
        if posixpath.basename(name) != "conftest.py" and imports(codebase.text(name) or "", "unittest")
    ]
    if not found:
        return None
    call = usual_call(facts.calls("unittest"))
    if call is not None and all(map(_PLAIN.fullmatch, call.arguments)):
        line = shlex.join(["python", "-m", "unittest", *call.arguments])
        return run("test", line, f"detected by {call.source}", timeout="15m")
    other = next((call for call in facts.commands if _is_other_runner(call)), None)
    target = target_for(codebase, "test")
    if other is not None and target is not None and target.skipped is None:
        return skip("test", f"{other.source} calls {other.tool}")
    lines = list(dict.fromkeys(_discovery(codebase, folder, found) for folder in _folders(codebase, found)))
    if len(lines) > _MOST_FOLDERS:
        needs.notes.append(f"unittest finds tests in {len(lines)} folders, each by itself; the first are proposed")
    return run("test", " && ".join(lines[:_MOST_FOLDERS]), f"detected by {found[0]}", timeout="15m")


def _is_other_runner(call: Declared) -> bool:
    return call.is_local and call.tool in _RUNNERS


def _folders(codebase: Codebase, files: Iterable[str]) -> list[str]:
    """Return the folders from which discovery comes to the files: it goes into packages only."""
    folders: dict[str, None] = {}
    for name in files:
        folder = posixpath.dirname(name)
        while folder and codebase.has(f"{folder}/__init__.py"):
            folder = posixpath.dirname(folder)
        # Within the codebase's top, the package that has the tests: what else is there is not imported.
        top = name.split("/")[0] if not folder and "/" in name else folder
        folders[top or "."] = None
    return list(folders)


def _discovery(codebase: Codebase, folder: str, files: Sequence[str]) -> str:
    names = [posixpath.basename(name) for name in files if folder == "." or name.startswith(f"{folder}/")]
    ends = all(re.fullmatch(r"\w*_test\.py", name) for name in names)
    # Nothing is found, and that is a success until Python 3.12, where the pattern does not fit.
    pattern = "" if all(name.startswith("test") for name in names) else "*_test.py" if ends else "*test*.py"
    top = ["-t", "."] if codebase.has(f"{folder}/__init__.py") or folder == "." else []
    return shlex.join(
        ["python", "-m", "unittest", "discover", "-s", folder, *top, *(["-p", pattern] if pattern else [])]
    )
