"""The failed stages of a run, as the documents of ``start``, ``resume``, ``status`` and ``review`` list them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from orchestrator.model.failed_tests import NO_TESTS
from orchestrator.report.next_step import PROGRAM, is_refused_to_resume, resuming, starting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.model.failed_tests import FailedTests

ENVIRONMENT = "environment"
"""The name that a failure of the session's environment has among the failed stages, and its log."""


def failed_stages(
    body: Mapping[str, Any],
    *,
    last_lines: Mapping[str, Sequence[str]],
    environment_log: str | None = None,
    causes: Mapping[str, Mapping[str, Any]],
    tests: Mapping[str, FailedTests] = MappingProxyType({}),
) -> list[dict[str, Any]]:
    """Return an entry for each failed stage, in the order of the plan; ``body`` is a record or status document.

    ``last_lines`` are those of each error file, by stage, with ``environment`` for an environment that could not
    be made, whose log is ``environment_log`` where it is not the first one. ``causes`` are those of failed
    sub-pipelines, by stage: the stage below that failed; ``tests`` the failed tests of stages, by stage.
    """
    commands = [command for command in body["commands"] if command["status"] == "failed"]
    if not commands and body["outcome"] == "error":
        return [_environment(body, last_lines, environment_log)]
    return [
        {
            "stage": command["id"],
            "outcome": command["outcome"],
            "exit_code": command["exit_code"],
            "signal": command["signal"],
            "last_lines": list(last_lines.get(command["id"]) or filter(None, [command["summary"]])),
            "log_path": command["log_path"],
            "cause": causes.get(command["id"]),
            "next_command": _again(body),
            **tests.get(command["id"], NO_TESTS).fields(),
        }
        for command in commands
    ]


def _again(body: Mapping[str, Any]) -> str:
    argv = starting(body) if is_refused_to_resume(body) else resuming(body["run_id"])
    return " ".join(argv or (PROGRAM, "logs", body["run_id"]))


def _environment(body: Mapping[str, Any], last_lines: Mapping[str, Sequence[str]], log: str | None) -> dict[str, Any]:
    detail = body["status_detail"]
    if log is None and ENVIRONMENT in last_lines:
        log = os.path.join(body["artifact_root"], "commands", "00-environment.log")
    return {
        "stage": ENVIRONMENT,
        "outcome": "error",
        "exit_code": None,
        "signal": None,
        "last_lines": list(last_lines.get(ENVIRONMENT) or (detail.splitlines() if detail else [])),
        "log_path": log,
        "cause": None,
        "next_command": _again(body),
        **NO_TESTS.fields(),
    }
