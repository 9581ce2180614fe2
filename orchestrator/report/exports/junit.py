"""JUnit XML: a suite for each run, a case for each stage.

It holds what both the schema of Apache Ant's JUnit task and that of Jenkins' xunit plugin take: a timestamp without
zone and fraction, ``properties`` first, ``system-out`` and ``system-err`` last, at most one result in a case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from orchestrator.report.exports.exported import ExportedRun, how_ended, tail_text
from orchestrator.report.failures import ENVIRONMENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ESCAPED = re.compile('[&<>"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]')
"""What is markup, steers a terminal, is a line's end to some reader (XML 1.1), or has no place in XML at all."""

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""What XML 1.0 (section 2.2) has no way to write, not even as a number."""

_RESULT_OF = {"failure": "failure", "timeout": "failure", "error": "error", "cancellation": "error"}


def junit(runs: Sequence[ExportedRun]) -> bytes:
    """Return the document of ended runs, as UTF-8."""
    suites = "".join(_suite(number, run) for number, run in enumerate(runs))
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n{suites}</testsuites>\n'.encode()


def _suite(number: int, run: ExportedRun) -> str:
    body = run.body
    cases = list(_cases(run))
    results = [result for result, _ in cases]
    last = body["provenance"][-1] if body["provenance"] else {}
    properties = {
        "run_id": body["run_id"],
        "task_id": body["task_id"],
        "attempt": body["attempt"],
        "status": body["status"],
        "outcome": body["outcome"],
        "commit": last.get("commit"),
        "url": run.link,
    }
    attributes = {
        "name": run.suite,
        "package": run.suite,
        "id": number,
        "timestamp": body["started_at"][:19],
        "hostname": last.get("host") or "unknown",
        "tests": len(results),
        "failures": results.count("failure"),
        "errors": results.count("error"),
        "skipped": results.count("skipped"),
        "time": _seconds((body["sla"] or {}).get("active_seconds")),
    }
    listed = "".join(
        f"      <property {_attributes({'name': key, 'value': value})}/>\n"
        for key, value in properties.items()
        if value is not None
    )
    return (
        f"  <testsuite {_attributes(attributes)}>\n    <properties>\n{listed}    </properties>\n"
        + "".join(text for _, text in cases)
        + "    <system-out></system-out>\n    <system-err></system-err>\n  </testsuite>\n"
    )


def _cases(run: ExportedRun) -> list[tuple[str, str]]:
    """Return each case's result (empty: passed) and XML."""
    failed = {entry["stage"]: entry for entry in run.failed}
    found = []
    if ENVIRONMENT in failed and all(command["id"] != ENVIRONMENT for command in run.body["commands"]):
        found.append(_case(run.suite, ENVIRONMENT, None, failed[ENVIRONMENT]))
    return found + [_of_command(run.suite, command, failed.get(command["id"])) for command in run.body["commands"]]


def _of_command(suite: str, command: Mapping[str, Any], entry: Mapping[str, Any] | None) -> tuple[str, str]:
    if command["status"] == "skipped":
        message = command["summary"] or "skipped"
        if command["outcome"] not in ("skip", None):
            message = f"ended by {command['outcome']}, which is allowed: {message}"
        return "skipped", _xml_case(
            suite, command["id"], command["duration_seconds"], f"<skipped {_attributes({'message': message})}/>"
        )
    if command["status"] == "failed":
        return _case(suite, command["id"], command["duration_seconds"], entry or {**command, "last_lines": []})
    return "", _xml_case(suite, command["id"], command["duration_seconds"], "")


def _case(suite: str, stage: str, took: float | None, entry: Mapping[str, Any]) -> tuple[str, str]:
    result = _RESULT_OF.get(str(entry["outcome"]), "error")
    cause = entry.get("cause")
    message = cause["line"] if isinstance(cause, dict) else f"{stage}: {how_ended(entry)}"
    attributes = _attributes({"message": message, "type": entry["outcome"] or "error"})
    return result, _xml_case(suite, stage, took, f"<{result} {attributes}>{_text(tail_text(entry))}</{result}>")


def _xml_case(suite: str, stage: str, took: float | None, inside: str) -> str:
    attributes = _attributes({"name": stage, "classname": suite, "time": _seconds(took)})
    return f"    <testcase {attributes}>{inside}</testcase>\n"


def _seconds(value: float | None) -> str:
    return f"{max(0.0, value or 0.0):.3f}"


def _attributes(values: Mapping[str, object]) -> str:
    return " ".join(f'{key}="{_ESCAPED.sub(_escape, str(value))}"' for key, value in values.items())


def _text(value: str) -> str:
    return _ESCAPED.sub(lambda match: match[0] if match[0] in "\t\n" else _escape(match), value)


def _escape(match: re.Match[str]) -> str:
    """Return how a character is written so that it is read back: as it stands, readers make spaces of some."""
    char = match[0]
    if _FORBIDDEN.match(char):
        return "\ufffd"
    return _ENTITIES.get(char) or f"&#{ord(char)};"
