"""Failed tests as documents show them: one-line names and messages, and where each stands, from the workspace."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress

from orchestrator.base.errors import DamagedRecord
from orchestrator.base.kinds import Count
from orchestrator.base.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.model.junit import JUnitTest

MOST_TESTS = 20
"""Failed tests that are shown of a stage (contract, section 10)."""


class FailedTest(Record):
    """A failed test of a stage. ``file`` is a path as others in the record are; null where the report names none."""

    name: str
    message: str
    file: str | None
    line: Count | None


class FailedTests(Record):
    """The failed tests that are shown of a stage, and how many failed."""

    tests: tuple[FailedTest, ...] = ()
    total: Count = 0

    def fields(self) -> dict[str, Any]:
        """Return the keys that an error file has of them."""
        return {"tests": [test._asdict() for test in self.tests], "tests_failed": self.total}


NO_TESTS = FailedTests()


def failed_tests_of(note: Mapping[str, Any]) -> FailedTests:
    """Return the failed tests that an error file names; what can't be read is left out."""
    entries, total = note.get("tests"), note.get("tests_failed")
    found = []
    for entry in entries if isinstance(entries, list) else ():
        with suppress(DamagedRecord):
            found.append(FailedTest.from_json(entry))
    known = total if isinstance(total, int) and not isinstance(total, bool) else 0
    return FailedTests(tuple(found[:MOST_TESTS]), max(known, len(found)))


def placed(test: JUnitTest, folder: str, cwd: str, project: str, is_file: Callable[[str], bool]) -> FailedTest:
    """Return a failed test with the line to look at.

    That is the last line of its own file that the failure's text names, else the first of any file of the codebase,
    else what the test case says of itself. ``folder`` is the absolute path of the project's folder, without links,
    ``project`` the same as the record shows it; names in the report are from ``cwd`` there, or the folder itself.
    """
    own = _own_file(test, folder, cwd, is_file)
    known = [(found, place.line) for place in test.places if (found := _inside(place.file, test, folder, cwd, is_file))]
    of_own = [(path, line) for path, line in known if path == own]
    path, line = (own, test.line) if own is not None or not known else known[0]
    if of_own:
        path, line = of_own[-1]
    if path is None:
        return FailedTest(test.name, test.message, None, None)
    return FailedTest(test.name, test.message, os.path.normpath(os.path.join(project, path)), line or None)


def _own_file(test: JUnitTest, folder: str, cwd: str, is_file: Callable[[str], bool]) -> str | None:
    """Return the file that a test stands in, from the project's folder: as it says, else by its Python module."""
    if test.file is not None:
        found = _inside(test.file, test, folder, cwd, is_file)
        if found is not None:
            return found
    parts = test.classname.split(".")
    for end in range(len(parts), 0, -1):
        found = _inside("/".join(parts[:end]) + ".py", test, folder, cwd, is_file)
        if found is not None:
            return found
    return None


def _inside(name: str, test: JUnitTest, folder: str, cwd: str, is_file: Callable[[str], bool]) -> str | None:
    """Return a file's path from the project's folder; None for what is no file inside it."""
    for candidate in _candidates(name, test, folder, cwd):
        path = os.path.normpath(os.path.join(folder, candidate))
        if "\0" not in path and path.startswith(f"{folder}/") and path.isprintable() and is_file(path):
            return path[len(folder) + 1 :]
    return None


def _candidates(name: str, test: JUnitTest, folder: str, cwd: str) -> Iterator[str]:
    yield os.path.join(cwd, name)
    yield name
    # Go names a file from its package's folder, and the package by its module's path.
    parts: Iterable[str] = test.classname.split("/")
    while parts := list(parts)[1:]:
        yield os.path.join(cwd, *parts, name)
