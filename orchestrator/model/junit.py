"""Failed tests in a report in JUnit form, read in one pass: its text is a stage's, so nothing in it is trusted.

Sources: the schemas of Ant and Jenkins; what pytest, jest-junit and gotestsum write. Document types with content of
their own are refused, so that nothing expands; depth, text and the number of tests that are held have limits. The
reader is expat, in pieces of at least 1 MiB: time grows with the size of the file, whatever stands in it.
"""

from __future__ import annotations

import re
from xml.parsers import expat

from orchestrator.base.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

DEEPEST = 64
"""Levels of elements; suites of suites need a handful."""

MOST_HELD = 10_000
"""Failed tests that are held; more are counted."""

_SUITES = frozenset({"testsuites", "testsuite"})
_FAILED = frozenset({"failure", "error"})
_LONGEST = 300
"""Characters of a name or message."""

_TEXT = 8 * 1024
"""Characters of a failure's text that are held, of its beginning and of its end: places stand in them."""

_MOST_PLACES = 20
_PLACE = re.compile(
    r"""File\ "(?P<quoted>[^"\n]{1,500})",\ line\ (?P<of_quoted>\d{1,7})
    |(?<![^\s('"\[])(?P<plain>[^\s:()'"<>|\[\]]{1,500}\.[A-Za-z0-9_]{1,8}):(?P<of_plain>\d{1,7})(?!\d)""",
    re.VERBOSE,
)
_OF_GO = "Failed"
"""The message of every failure that gotestsum and go-junit-report write; the text is the test's output."""

_GO_LINE = re.compile(r"\s+[^\s:]{1,500}\.go:\d{1,7}: \S")


class Place(Record):
    """A line of a file, as a report names it."""

    file: str
    line: int


class JUnitTest(Record):
    """A failed test: its one-line ``name`` and ``message``, and what is said of where it stands.

    ``file`` and ``line`` are the test case's own attributes, ``places`` those that its failure's text names, in order.
    """

    name: str
    message: str
    classname: str
    file: str | None
    line: int | None
    places: tuple[Place, ...]


class JUnitReport(Record):
    """What was read: whether it is of this form, its failed tests, how many there are in all, and what is wrong."""

    is_junit: bool
    failed: tuple[JUnitTest, ...] = ()
    total: int = 0
    problem: str | None = None


class _Stop(Exception):  # noqa: N818 -- an end, and not always an error
    """Reading ends here; the text says why, empty for a file of another form."""


class JUnitReader:
    """Reads a report as its bytes pass: ``feed`` takes them, ``close`` returns what they were."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.StartDoctypeDeclHandler = _refuse_content
        self._stopped: str | None = None
        self._size = 0
        self._depth = 0
        self._is_junit = False
        self._case: Mapping[str, str] | None = None
        self._failure: str | None = None
        self._reads_text = False
        self._head = self._tail = ""
        self._found: list[JUnitTest] = []
        self._count = 0

    def feed(self, data: bytes) -> None:
        """Take more of the file."""
        self._size += len(data)
        if self._stopped is None and data:
            self._parse(data, final=False)

    def close(self) -> JUnitReport:
        """Return what was read; of a file that was cut, the tests before the cut."""
        if self._stopped is None:
            self._parse(b"", final=True)
        problem = "is empty" if self._size == 0 else self._stopped or None
        return JUnitReport(self._is_junit, tuple(self._found), self._count, problem)

    def _parse(self, data: bytes, *, final: bool) -> None:
        try:
            self._parser.Parse(data, final)
        except _Stop as stop:
            self._stopped = str(stop)
        except expat.ExpatError as error:
            self._stopped = f"is no whole XML: {expat.ErrorString(error.code)} in line {error.lineno}"
        except (LookupError, ValueError):  # an encoding that Python doesn't know either
            self._stopped = "is XML in an encoding that is not known"

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        name = name.rpartition("}")[2].rpartition(":")[2]
        if self._depth == 0:
            if name not in _SUITES:
                raise _Stop("")
            self._is_junit = True
        self._depth += 1
        if self._depth > DEEPEST:
            raise _Stop(f"nests deeper than {DEEPEST} elements")
        if name == "testcase":
            self._case, self._failure = attributes, None
        elif name in _FAILED and self._case is not None and self._failure is None:
            self._failure = attributes.get("message") or ""
            self._head, self._tail, self._reads_text = "", "", True

    def _end(self, name: str) -> None:
        self._depth -= 1
        name = name.rpartition("}")[2].rpartition(":")[2]
        if name in _FAILED:
            self._reads_text = False
        elif name == "testcase" and self._case is not None:
            if self._failure is not None:
                self._count += 1
                if len(self._found) < MOST_HELD:
                    text = f"{self._head}\n{self._tail}" if self._tail else self._head
                    self._found.append(_test(self._case, self._failure, text))
            self._case = self._failure = None

    def _text(self, data: str) -> None:
        if not self._reads_text:
            return
        room = _TEXT - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail = (self._tail + data[-_TEXT:])[-_TEXT:]


def _refuse_content(name: str, system: str | None, public: str | None, has_content: int) -> None:
    if has_content:
        raise _Stop("declares entities or a document type of its own, which are not read")


def _test(case: Mapping[str, str], message: str, text: str) -> JUnitTest:
    classname, name = (case.get(key, "")[:_LONGEST] for key in ("classname", "name"))
    whole = name if not classname or name.startswith(classname) else f"{classname}.{name}"
    first = _said_by_go(text) if message == _OF_GO else None
    first = first or message or next((line for line in text.splitlines() if line.strip()), "")
    line = case.get("line") or ""
    return JUnitTest(
        name=_one_line(whole),
        message=_one_line(first[: 4 * _LONGEST]),
        classname=classname,
        file=case.get("file") or None,
        line=int(line) if line.isascii() and line.isdigit() and len(line) < 8 else None,
        places=_places(f"{message[:_TEXT]}\n{text}"),
    )


def _said_by_go(text: str) -> str | None:
    """Return what a Go test's output says of its failure: the first line that it logged, else of a panic's."""
    lines = text.splitlines()
    logged = next((line for line in lines if _GO_LINE.match(line)), None)
    return logged or next((line for line in lines if line.startswith("panic: ")), None)


def _one_line(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _LONGEST else f"{flat[: _LONGEST - 1]}…"


def _places(text: str) -> tuple[Place, ...]:
    found = [
        Place(match["quoted"] or match["plain"], int(match["of_quoted"] or match["of_plain"]))
        for match in _PLACE.finditer(text)
    ]
    half = _MOST_PLACES // 2
    return tuple(found if len(found) <= _MOST_PLACES else [*found[:half], *found[-half:]])
