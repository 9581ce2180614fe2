"""Failed tests in reports in JUnit form: what other tools write, and what nobody may make us read."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.model.failed_tests import FailedTest, failed_tests_of, placed
from orchestrator.model.junit import DEEPEST, JUnitReader, JUnitReport, Place

PYTEST = b"""<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" errors="1"
failures="1"><testcase classname="tests.test_a.TestC" name="test_bad[1]"><failure message="AssertionError: two
assert 1 == 2">def test_bad():
&gt;       helper(x)

tests/test_a.py:9:
lib/helper.py:2: AssertionError</failure></testcase><testcase classname="tests.test_a" name="test_ok"/>
<testcase classname="tests.test_a" name="test_off"><skipped message="x:1"/></testcase>
<testcase classname="tests.test_a" name="test_setup"><error message="failed on setup"/><failure message="second"/>
<system-err>tests/none.py:3</system-err></testcase></testsuite></testsuites>"""


def read(data: bytes, piece: int = 1 << 20) -> JUnitReport:
    """Return what is read of a file that comes in pieces."""
    reader = JUnitReader()
    for at in range(0, len(data), piece):
        reader.feed(data[at : at + piece])
    return reader.close()


def test_what_pytest_writes() -> None:
    """Failures and errors count, each test once; skipped ones and what is printed do not."""
    found = read(PYTEST)
    assert (found.is_junit, found.total, found.problem) == (True, 2, None)
    first, second = found.failed
    assert (first.name, first.message) == ("tests.test_a.TestC.test_bad[1]", "AssertionError: two assert 1 == 2")
    assert first.places == (Place("tests/test_a.py", 9), Place("lib/helper.py", 2))
    assert (second.name, second.message, second.places) == ("tests.test_a.test_setup", "failed on setup", ())


@given(st.integers(1, 80))
def test_pieces_make_no_difference(piece: int) -> None:
    """A file that comes in pieces is read as one that comes whole."""
    assert read(PYTEST, piece) == read(PYTEST)


def test_what_jest_and_go_write() -> None:
    """A name that holds its class is not said twice; a stack's and Go's places are found, Python's tracebacks too."""
    jest = read(
        b'<testsuites><testsuite><testcase classname="sum adds" name="sum adds" file="src/sum.test.js">'
        b"<failure>Error: no\n    at Object.&lt;anonymous&gt; (/app/src/sum.test.js:5:17)</failure></testcase>"
        b"</testsuite></testsuites>"
    ).failed[0]
    assert (jest.name, jest.message, jest.file) == ("sum adds", "Error: no", "src/sum.test.js")
    assert jest.places == (Place("/app/src/sum.test.js", 5),)
    go = read(
        b'<testsuites><testsuite><testcase classname="example.com/m/pkg" name="TestA"><failure message="Failed">'
        b"    a_test.go:12: got 1\n</failure></testcase></testsuite></testsuites>"
    ).failed[0]
    assert (go.name, go.places) == ("example.com/m/pkg.TestA", (Place("a_test.go", 12),))
    python = read(
        b'<testsuite><testcase name="t"><error>  File "t/x y.py", line 3, in f</error></testcase></testsuite>'
    )
    assert python.failed[0].places == (Place("t/x y.py", 3),)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b'<!DOCTYPE a [<!ENTITY x "y">]><testsuite><testcase name="&x;"/></testsuite>', "declares entities"),
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><testsuite>&x;</testsuite>', "declares entities"),
        (b'<!DOCTYPE a [<!ATTLIST testcase a CDATA "long">]><testsuite/>', "declares entities"),
        (b"<testsuite>&unknown;</testsuite>", "undefined entity in line 1"),
        (b"<testsuite>" * (DEEPEST + 1), f"nests deeper than {DEEPEST}"),
        (b"<testsuite><testcase name='a'", "is no whole XML: unclosed token"),
        (b"<testsuite>\x1b</testsuite>", "is no whole XML"),
        (b'<?xml version="1.0" encoding="no-such"?><testsuite/>', "in an encoding that is not known"),
        (b"", "is empty"),
    ],
)
def test_what_is_not_read(data: bytes, problem: str) -> None:
    """Entities, document types, depth and what is cut are named."""
    found = read(data)
    assert problem in (found.problem or "")


def test_other_files_are_none() -> None:
    """A report of another form has no failed tests, and nothing is wrong with it; a document type is no harm."""
    assert read(b'<?xml version="1.0"?><!DOCTYPE coverage SYSTEM "x.dtd"><coverage/>') == JUnitReport(False)
    assert read(b"<!DOCTYPE testsuites><testsuites/>") == JUnitReport(True)


def test_tests_before_a_cut_are_known() -> None:
    """A report whose tool was killed names the tests that failed until then."""
    found = read(PYTEST[:-60])
    assert found.total >= 1
    assert found.problem is not None


def test_much_is_read_in_little_memory_and_time() -> None:
    """What is held of a test has a limit, and so has their number; a million of text takes no second."""
    text = b'<testsuite><testcase name="a"><failure message="m">' + b"a.b:1 " * 200_000 + b"</failure></testcase>"
    began = time.process_time()
    found = read(text)
    assert time.process_time() - began < 5
    assert len(found.failed[0].places) == 20
    long = read(b'<testsuite><testcase name="' + b"n" * 100_000 + b'"><error/></testcase></testsuite>').failed[0]
    assert len(long.name) == 300


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_named(data: bytes) -> None:
    """No file breaks the reader."""
    read(data)
    read(b"<testsuite><testcase name='a'><failure>" + data)


FILES = {"/p/tests/test_a.py", "/p/lib/helper.py", "/p/sub/pkg/a_test.go", "/p/src/sum.test.js"}


def place(data: bytes, cwd: str = ".") -> tuple[str | None, int | None]:
    """Return where the first failed test of a report stands."""
    test = placed(read(data).failed[0], "/p", cwd, "packages/p", FILES.__contains__)
    return test.file, test.line


def case(classname: str, text: str, **attributes: str) -> bytes:
    """Return a report with one failed test."""
    given_ = "".join(f' {key}="{value}"' for key, value in {"classname": classname, **attributes}.items())
    return f'<testsuite><testcase name="t"{given_}><failure>{text}</failure></testcase></testsuite>'.encode()


def test_a_test_is_placed_where_to_look() -> None:
    """The last line of the test's own file, else the first of any file, else what the test says; from the workspace."""
    assert place(PYTEST) == ("packages/p/tests/test_a.py", 9)
    own = case("tests.test_a", "tests/test_a.py:4: in t\nlib/helper.py:2:\ntests/test_a.py:6: E")
    assert place(own) == ("packages/p/tests/test_a.py", 6)
    assert place(case("x", "lib/helper.py:2: E")) == ("packages/p/lib/helper.py", 2)
    assert place(case("m.com/m/pkg", "a_test.go:12: got"), "sub") == ("packages/p/sub/pkg/a_test.go", 12)
    assert place(case("x", "at (/p/src/sum.test.js:5:17)")) == ("packages/p/src/sum.test.js", 5)
    assert place(case("x", "boom", file="tests/test_a.py", line="7")) == ("packages/p/tests/test_a.py", 7)


@pytest.mark.parametrize("file", ["/etc/passwd", "../../etc/passwd", "tests/none.py", "a\x7fb.py", "", "tests"])
def test_files_outside_are_no_place(file: str) -> None:
    """A report names no file outside of the project, nor one that is not there."""
    assert place(case("x", f"{file}:3: E", file=file, line="3")) == (None, None)


def test_an_error_file_is_read_with_care() -> None:
    """What is no test is left out; the number is never less than those that are named."""
    test = {"name": "a", "message": "b", "file": None, "line": None}
    found = failed_tests_of({"tests": [test, {"name": 3}, None, test], "tests_failed": True})
    assert (found.total, found.tests) == (2, (FailedTest("a", "b", None, None),) * 2)
    assert failed_tests_of({"tests": [test], "tests_failed": 9}).total == 9
    assert failed_tests_of({"tests": "x"}).total == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("=== RUN   TestA\n    a_test.go:14: got 1, want 2\n    a_test.go:15: more\n--- FAIL: TestA (0.00s)\n", 0),
        ("=== RUN   TestA\npanic: boom [recovered]\n\ngoroutine 7 [running]:\n\t/go/src/testing.go:9 +0x1\n", 1),
        ("--- FAIL: TestA (0.00s)\n", 2),
    ],
)
def test_a_go_test_says_why_in_its_text(text: str, expected: int) -> None:
    """``Failed`` is the message of each failure that gotestsum writes: what the test logged stands for it."""
    case = f'<testcase name="TestA"><failure message="Failed">{text}</failure></testcase>'
    (test,) = read(f"<testsuite>{case}</testsuite>".encode()).failed
    assert test.message == ("a_test.go:14: got 1, want 2", "panic: boom [recovered]", "Failed")[expected]
