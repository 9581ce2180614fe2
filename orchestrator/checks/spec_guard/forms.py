"""A report in words, as SARIF 2.1.0, and as annotations of GitHub Actions."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping

from orchestrator.base.finding import Finding
from orchestrator.base.quoting import printable
from orchestrator.checks.spec_guard.rules import RULES
from orchestrator.checks.spec_guard.values import Compared, Report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_ROOT = "%SRCROOT%"
_TOOL = "spec-guard"
NOTHING_COMPARED = "nothing-compared"
"""The code of a verdict that is none, since there was nothing to compare."""


def render_text(report: Report) -> str:
    """Return the report for people: a line for each finding and note, and the verdict last."""
    lines = []
    for finding in report.findings:
        lines.append(f"{_place(finding)}: {printable(finding.message)} [{finding.code}]")
        if finding.hint:
            lines.append(f"  hint: {printable(finding.hint)}")
    lines += [f"note: {printable(note)}" for note in report.notes]
    return "\n".join([*lines, f"{_TOOL}: {_verdict(report)}"]) + "\n"


def _verdict(report: Report) -> str:
    count = len(report.findings)
    if count:
        text = f"{count} finding{'s' if count > 1 else ''}"
    elif report.nothing_compared:
        return f"nothing was compared: {printable(report.nothing_compared)} [{NOTHING_COMPARED}]"
    else:
        text = "passed"
    return text + (f" (compared with {report.base[:12]})" if report.base else "")


def verdict(report: Report) -> dict[str, Any]:
    """Return the verdict as a run keeps it: ``outcome`` as of a guardrail, ``reason``, and what was compared."""
    compared = report.compared
    if report.findings:
        outcome, reason = "failed", printable(f"{report.findings[0].message} [{report.findings[0].code}]")
    elif report.nothing_compared:
        outcome, reason = "advisory", f"{NOTHING_COMPARED}: {printable(report.nothing_compared)}"
    else:
        outcome, reason = "passed", ""
    return {
        "outcome": outcome,
        "reason": reason,
        "compared": None if compared is None else _compared(compared),
    }


def _compared(compared: Compared) -> dict[str, Any]:
    return {"base": compared.base, "head": compared.head, "files": compared.files}


def _place(finding: Finding) -> str:
    path = printable(finding.path)
    return f"{path}:{finding.line}" if finding.line else path


def render_github(report: Report, *, prefix: str, dry_run: bool) -> str:
    """Return workflow commands of GitHub Actions, one a line, and the verdict last.

    ``prefix`` leads from the repository's top to the workspace. Findings are errors, or warnings in a dry
    run; notes are warnings. Source: "Workflow commands for GitHub Actions", and ``@actions/core``'s escapes.
    """
    level = "warning" if dry_run else "error"
    lines = []
    for finding in report.findings:
        path = (finding.files or (finding.path,))[0]
        properties = {"file": _from_top(path, prefix), "line": finding.line or 1, "title": f"{_TOOL}: {finding.code}"}
        written = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
        hint = f"\n{finding.hint}" if finding.hint else ""
        lines.append(f"::{level} {written}::{_data(finding.message + hint)}")
    lines += [f"::warning title={_property(_TOOL)}::{_data(note)}" for note in report.notes]
    if report.nothing_compared:
        title = _property(f"{_TOOL}: {NOTHING_COMPARED}")
        lines.append(f"::{level} title={title}::{_data(report.nothing_compared)}")
    return "\n".join([*lines, f"{_TOOL}: {_verdict(report)}"]) + "\n"


def _data(text: str) -> str:
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return printable(escaped)


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _from_top(path: str, prefix: str) -> str:
    return os.path.normpath(os.path.join(prefix, path)) if prefix else path


def sarif(report: Report, *, version: str, prefix: str, exit_code: int, dry_run: bool) -> dict[str, Any]:
    """Return the report as a SARIF 2.1.0 log with one run; paths are relative to the repository's top.

    ``version`` is this program's, ``prefix`` leads from the repository's top to the workspace, ``exit_code``
    is the command's. In a dry run findings are warnings. Source: OASIS, SARIF 2.1.0 with errata 01.
    """
    rules = sorted({finding.code for finding in report.findings})
    level = "warning" if dry_run else "error"
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": _TOOL,
                        "fullName": f"codex-orchestrator {_TOOL}",
                        "version": version,
                        "rules": [_rule(rule) for rule in rules],
                    }
                },
                "invocations": [
                    {
                        "executionSuccessful": True,
                        "exitCode": exit_code,
                        "toolExecutionNotifications": [
                            {"level": "warning", "message": {"text": printable(note)}}
                            for note in filter(None, (*report.notes, report.nothing_compared))
                        ],
                    }
                ],
                "originalUriBaseIds": {_ROOT: {"description": {"text": "The top of the repository."}}},
                "results": [_result(finding, rules, level, prefix) for finding in report.findings],
                "columnKind": "utf16CodeUnits",
            }
        ],
    }


def _rule(rule_id: str) -> dict[str, Any]:
    rule = RULES[rule_id]
    return {
        "id": rule_id,
        "shortDescription": {"text": f"{rule.short}."},
        "help": {"text": rule.help},
        "defaultConfiguration": {"level": "error"},
    }


def _result(finding: Finding, rules: list[str], level: str, prefix: str) -> dict[str, Any]:
    places = [_location(path, None, prefix) for path in finding.files] or [
        _location(finding.path, finding.line, prefix)
    ]
    hint = f" {printable(finding.hint)}" if finding.hint else ""
    identity = f"{finding.code}\0{finding.path}\0{finding.message}".encode("utf-8", "surrogateescape")
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": rules.index(finding.code),
        "level": level,
        "message": {"text": f"{printable(finding.message)}.{hint}"},
        "locations": places[:1],
        "partialFingerprints": {"specGuard/v1": hashlib.sha256(identity).hexdigest()},
    }
    if len(places) > 1:
        result["relatedLocations"] = [{"id": number, **place} for number, place in enumerate(places[1:], start=1)]
    return result


def _location(path: str, line: int | None, prefix: str) -> dict[str, Any]:
    from urllib.parse import quote

    uri = quote(os.fsencode(_from_top(path, prefix)))
    place: dict[str, Any] = {"artifactLocation": {"uri": uri, "uriBaseId": _ROOT}}
    if line:
        place["region"] = {"startLine": line}
    return {"physicalLocation": place}


def document(report: Report, *, project: str, task_id: str, dry_run: bool) -> dict[str, Any]:
    """Return the report as JSON."""
    return {
        "project": project,
        "task_id": task_id,
        "base": report.base,
        "passed": report.passed,
        "nothing_compared": printable(report.nothing_compared) or None,
        "compared": None if report.compared is None else _compared(report.compared),
        "dry_run": dry_run,
        "findings": [_finding(finding) for finding in report.findings],
        "notes": list(report.notes),
    }


def _finding(finding: Finding) -> Mapping[str, Any]:
    return {
        "rule": finding.code,
        "path": finding.path,
        "line": finding.line or 0,
        "message": finding.message,
        "hint": finding.hint,
        "files": list(finding.files),
    }
