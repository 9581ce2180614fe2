"""JUnit XML: what readers take, and what both schemas ask of it."""

from __future__ import annotations

import functools
import re
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


@given(st.text(st.characters(codec=None), max_size=60))
def test_any_text_is_read_back(text: str) -> None:
    """Whatever a stage prints, the document can be parsed, and holds it but for what XML forbids."""
    check(junit([exported({"a": "failure"}, last_lines={"a": [text]}, status_detail=text)]))


def test_an_environment_that_could_not_be_made_is_a_case() -> None:
    """A run that broke before its stages has an errored case, environment."""
    run = exported({}, status="failed", outcome="error", commands=[])
    (suite,) = parsed(run._replace(failed=[{"stage": "environment", "outcome": "error", "last_lines": ["no python"]}]))
    assert [(case.name, type(case.result[0])) for case in suite] == [("environment", Error)]


def test_a_run_without_stages_is_an_empty_suite() -> None:
    """No stage, no case: the document is valid all the same."""
    (suite,) = parsed(exported({}, commands=[]))
    assert list(suite) == []
