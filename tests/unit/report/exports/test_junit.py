"""JUnit XML: what readers take, and what both schemas ask of it."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import xmlschema
from hypothesis import given
from hypothesis import strategies as st
from junitparser import Error, Failure, JUnitXml, Skipped, TestSuite

from orchestrator.report.exports.exported import ExportedRun
from orchestrator.report.exports.junit import junit
from tests.harness import REPOSITORY
from tests.unit.report.exports.runs import NASTY, exported

ALL = {"a": "success", "b": "failure", "c": "timeout", "d": "error", "e": "cancellation", "f": "skip"}


@functools.cache
def schemas() -> tuple[xmlschema.XMLSchema, ...]:
    """Return the schemas of Ant and of Jenkins' xunit plugin, as their authors published them."""
    folder = REPOSITORY / "tests/samples/junit-schemas"
    return tuple(xmlschema.XMLSchema(str(folder / name)) for name in ("ant.xsd", "jenkins.xsd"))


def check(data: bytes) -> ET.Element:
    """Hold a document to both schemas, and to what they leave open, and return its root."""
    root = ET.fromstring(data)
    for schema in schemas():
        schema.validate(root)
    assert root.tag == "testsuites"
    assert not set(root.attrib) - {"name", "time", "tests", "failures", "errors"}
    for number, suite in enumerate(root):
        assert set(suite.attrib) == {
            *("name", "package", "id", "timestamp", "hostname", "tests", "failures", "errors", "skipped", "time"),
        }
        assert suite.attrib["id"] == str(number)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.attrib["timestamp"])
        assert suite.attrib["hostname"]
        tags = [child.tag for child in suite]
        assert tags[0] == "properties"
        assert tags[-2:] == ["system-out", "system-err"]
        assert set(tags[1:-2]) <= {"testcase"}
        cases = suite.findall("testcase")
        assert int(suite.attrib["tests"]) == len(cases)
        for count, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.attrib[count]) == len(suite.findall(f"testcase/{tag}"))
        for case in cases:
            assert set(case.attrib) == {"name", "classname", "time"}
            assert re.fullmatch(r"\d+\.\d{3}", case.attrib["time"])
            assert len(case) <= 1
            assert all(child.tag == "skipped" or child.attrib["type"] for child in case)
    return root


def test_each_schema_rejects_what_its_readers_do() -> None:
    """Ant takes no time zone in a timestamp, Jenkins no attribute that it does not know."""
    ant, jenkins = schemas()
    data = junit([exported({"a": "success"})])
    assert ant.is_valid(ET.fromstring(data))
    assert not ant.is_valid(ET.fromstring(re.sub(rb'(timestamp="[^"]+)"', rb'\1Z"', data)))
    assert jenkins.is_valid(ET.fromstring(data))
    assert not jenkins.is_valid(ET.fromstring(data.replace(b"<testcase ", b'<testcase color="red" ', 1)))


def parsed(*runs: ExportedRun) -> list[TestSuite]:
    """Return the suites as junitparser reads them."""
    data = junit(runs)
    check(data)
    return list(JUnitXml.fromstring(data))


def test_a_case_for_each_stage_by_its_outcome() -> None:
    """Failed and timed out are failures, error and cancelled are errors, a skipped stage is skipped."""
    (suite,) = parsed(exported(ALL))
    found = {case.name: [type(result) for result in case.result] for case in suite}
    assert found == {"a": [], "b": [Failure], "c": [Failure], "d": [Error], "e": [Error], "f": [Skipped]}
    assert suite.name == "hello.diagnostics"
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (6, 2, 2, 1)


def test_children_are_suites_of_their_own() -> None:
    """Each run is a suite, in the order that they are given in."""
    suites = parsed(exported({"a": "success"}), exported({"b": "failure"}, number=2, parent="x"))
    assert [[case.name for case in suite] for suite in suites] == [["a"], ["b"]]


def test_any_output_is_valid_xml() -> None:
    """What XML can't hold becomes U+FFFD, what is markup is text again when it is read."""
    (suite,) = parsed(exported({"a": "failure"}, last_lines={"a": [NASTY, "end"]}))
    (case,) = suite
    expected = NASTY.replace("\x1b", "\ufffd").replace("\x00", "\ufffd").replace("\ud800", "\ufffd")
    assert case.result[0].text == f"{expected}\nend"


def _as_read(text: str) -> str:
    """Return a text as a reader of XML may have it: U+FFFD for what XML 1.0 has no way to write."""
    odd = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
    return odd.sub("\ufffd", text)


@given(st.text(st.characters(codec=None), max_size=60), st.text(st.characters(codec=None), max_size=60))
def test_any_text_is_read_back(text: str, line: str) -> None:
    """Whatever a stage prints, and whatever a cause is, the document holds it but for what XML forbids."""
    run = exported({"a": "failure"}, last_lines={"a": ["x", text]})
    run.failed[0]["cause"] = {"line": line}  # type: ignore[index]  # the mapping is a dict here
    root = check(junit([run]))
    (failure,) = root.iter("failure")
    assert failure.text == _as_read(f"x\n{text}")
    assert failure.attrib["message"] == _as_read(line)


def test_control_characters_are_written_as_numbers() -> None:
    """Neither text nor attributes hold one as it is, but for the line ends and tabs of a text: a terminal is safe."""
    control = "".join(map(chr, (*range(32), *range(127, 160), 0x2028, 0x2029, 0xFFFE, 0xFFFF)))
    run = exported({"a": "failure"}, last_lines={"a": [control]}, status_detail=control)
    run.failed[0]["cause"] = {"line": control}  # type: ignore[index]  # as above
    text = junit([run]).decode()
    assert not [char for char in text if char in control and char not in "\t\n"]
    for attribute in re.findall(r'"([^"]*)"', text):
        assert not set(attribute) & set(control)
    assert "&#155;" in text


def test_it_loads_neither_sax_nor_urllib() -> None:
    """What writes XML is a few lines: xml.sax.saxutils brings urllib, 20 ms at the end of each run on a CI system."""
    program = "import orchestrator.report.exports.junit, sys; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {name.partition(".")[0] for name in done.stdout.split()}.isdisjoint({"xml", "urllib", "http", "email"})


def test_an_environment_that_could_not_be_made_is_a_case() -> None:
    """A run that broke before its stages has an errored case, environment."""
    run = exported({}, status="failed", outcome="error", commands=[])
    (suite,) = parsed(run._replace(failed=[{"stage": "environment", "outcome": "error", "last_lines": ["no python"]}]))
    assert [(case.name, type(case.result[0])) for case in suite] == [("environment", Error)]


def test_a_run_without_stages_is_an_empty_suite() -> None:
    """No stage, no case: the document is valid all the same."""
    (suite,) = parsed(exported({}, commands=[]))
    assert list(suite) == []
