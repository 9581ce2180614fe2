"""Tests of Python codebases that pytest does not run: what is proposed finds them, or says what was looked at."""

from __future__ import annotations

import pytest

from orchestrator.onboarding.detect import propose
from orchestrator.onboarding.python_tests import NO_TESTS
from tests.unit.onboarding.conftest import Make, does

CASE = "import unittest\n"
DISCOVER = "python -m unittest discover -s "
MANAGE = "from django.core.management import execute_from_command_line\n"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("tests/__init__.py", "tests/test_a.py"), "tests -t ."),
        (("tests/test_a.py",), "tests"),
        (("tests/unit/test_a.py",), "tests/unit"),
        (("tests/unit/test_a.py", "tests/io/test_b.py"), f"tests/io && {DISCOVER}tests/unit"),
        (("tests/__init__.py", "tests/a_test.py"), "tests -t . -p '*_test.py'"),
        (("tests/a_test.py", "tests/test_b.py"), "tests -p '*test*.py'"),
        (("lib/__init__.py", "lib/tests/__init__.py", "lib/tests/test_a.py"), "lib -t ."),
        (("lib/__init__.py", "lib/tests/test_a.py"), "lib/tests"),
        (("src/lib/__init__.py", "src/lib/test_a.py"), "src"),
        (("test_a.py",), ". -t ."),
        (("test.py",), ". -t ."),
        (("tests/__init__.py", "tests/tests.py"), "tests -t ."),
    ],
)
def test_unittest_is_called_where_it_finds_the_tests(make: Make, names: tuple[str, ...], expected: str) -> None:
    """Discovery goes into packages only, and knows one pattern: with other words it runs no test, and succeeds."""
    files = {name: "" if name.endswith("__init__.py") else CASE for name in names}
    assert does(propose(make({"setup.py": "", **files})))["test"] == DISCOVER + expected


def test_unittest_is_called_as_the_codebase_calls_it(make: Make) -> None:
    """The arguments of its own call are taken, and a target that runs tests in settings of its own goes before it."""
    files = {"setup.py": "", "tests/__init__.py": "", "tests/test_a.py": CASE}
    own = make({**files, "tox.ini": "[testenv]\ncommands = python -m unittest discover -s tests -p 'test_*.py'\n"})
    assert does(propose(own))["test"] == "python -m unittest discover -s tests -p 'test_*.py'"
    target = "test:\n\tDJANGO_SETTINGS_MODULE=tests.settings python -m django test tests\n"
    other = make({"tox.ini": "", "Makefile": target})
    assert does(propose(other))["test"] == "make test"


def test_what_is_said_of_files_with_tests_that_nothing_runs(make: Make) -> None:
    """A function for tests is pytest's; another file is named, as a search that found nothing names its places."""
    files = {"setup.py": "", "tests/test_a.py": "def test_it() -> None: ...\n"}
    assert does(propose(make(files)))["test"] == "python -m pytest --junitxml=junit.xml"
    other = propose(make({"tests/test_a.py": "print('ok')\n"}))
    assert other.diagnostics.stages[2].skipped == "found tests/test_a.py, and nothing says what runs it"


def test_a_django_project_is_tested_by_its_own_runner(make: Make) -> None:
    """Its manage.py is a sign of Python before a package.json beside it; without a test nothing passes for tested."""
    files = {"manage.py": MANAGE, "requirements.txt": "django\n", "package.json": '{"scripts": {"lint": "eslint ."}}'}
    found = propose(make({**files, "shop/__init__.py": ""}))
    assert (found.template, does(found)["test"]) == ("python", "-")
    assert found.diagnostics.stages[2].skipped == NO_TESTS
    assert (
        does(propose(make({"shop/tests.py": "from django.test import TestCase\n"})))["test"] == "python manage.py test"
    )
    assert does(propose(make({"pytest.ini": "[pytest]\n"})))["test"] == "python -m pytest --junitxml=junit.xml"
