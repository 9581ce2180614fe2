"""The kinds of values that keys of a config hold, each with its check. Imports pydantic, so import it late."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from orchestrator.base.globs import fault as glob_fault
from orchestrator.base.globs import path_fault
from orchestrator.base.identifiers import name_fault
from orchestrator.base.quoting import shown
from orchestrator.config.canaries import planted_path_fault
from orchestrator.config.quantities import duration, size
from orchestrator.config.queue_policy import MOST_RUNS
from orchestrator.config.spec_guard_policy import ANY_AGE, MOST_RECORDS
from orchestrator.model.metrics_policy import is_share
from orchestrator.model.review_policy import MOST_APPROVALS

OPTIONAL_BACKENDS = ("conda", "mamba", "micromamba", "rattler", "uv")
BACKENDS = (*OPTIONAL_BACKENDS, "none", "venv", "virtualenv")
"""nox's names (``nox.virtualenv.ALL_VENVS``); only an optional one may have an alternative after it."""

MOST_RETRIES = 100
_DAY = 86400
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VARIABLES = re.compile(r"[A-Za-z0-9_*]+")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*", re.S)
_OWN_PREFIX = "CODEX_ORCHESTRATOR_"
_OWN = frozenset({"MCP_RUNNER_TASK_ID", "TRACEPARENT"})


def _filled(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    return value


def _faultless(fault_of: Callable[[str], str | None]) -> AfterValidator:
    def check(value: str) -> str:
        fault = fault_of(value)
        if fault is not None:
            raise ValueError(fault)
        return value

    return AfterValidator(check)


def _named(kind: str) -> AfterValidator:
    return _faultless(lambda value: name_fault(kind, value))


def known_version(value: int) -> int:
    """Return the version of the config's shape, the one that is known; ValueError says what is wrong."""
    if value != 1:
        raise ValueError("must be 1, the only version that this program knows")
    return value


def retries_count(value: Any) -> Any:
    """Return a number of retries; ValueError says what is wrong."""
    if isinstance(value, int) and not isinstance(value, bool) and not 0 <= value <= MOST_RETRIES:
        raise ValueError(f"must lie between 0 and {MOST_RETRIES}")
    return value


def approvals_count(value: Any) -> Any:
    """Return a number of approvals; ValueError says what is wrong."""
    if isinstance(value, int) and not isinstance(value, bool) and not 0 <= value <= MOST_APPROVALS:
        raise ValueError(f"must lie between 0 and {MOST_APPROVALS}")
    return value


def records_count(value: Any) -> Any:
    """Return a number of records; ValueError says what is wrong."""
    if isinstance(value, int) and not isinstance(value, bool) and not 0 <= value <= MOST_RECORDS:
        raise ValueError(f"must lie between 0 and {MOST_RECORDS}")
    return value


def runs_count(least: int) -> BeforeValidator:
    """Return the check of a number of runs, ``least`` at least."""

    def check(value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool) and not least <= value <= MOST_RUNS:
            raise ValueError(f"must lie between {least} and {MOST_RUNS}")
        return value

    return BeforeValidator(check)


def not_empty(value: list[str]) -> list[str]:
    """Return a list that names something; ValueError says what is wrong."""
    if not value:
        raise ValueError("must name something: no change of code could be answered otherwise")
    return value


def commit_name(value: str) -> str:
    """Return the name of a commit or branch; ValueError says what is wrong."""
    if not value.strip() or value.startswith("-"):
        raise ValueError("must name a commit or a branch, such as 'origin/main'")
    return value


def whole_days(value: Any) -> int | None:
    """Return the days that a text such as ``30d`` says, None for any age; ValueError says what is wrong."""
    if value == ANY_AGE:
        return None
    seconds = duration(_unit(value, f"a number of days such as '30d', or '{ANY_AGE}'"))
    if seconds % _DAY:
        raise ValueError("must be whole days, such as '30d'")
    return int(seconds // _DAY)


def share_of_one(value: Any) -> Any:
    """Return a share from 0 to 1; ValueError says what is wrong."""
    if not is_share(value):
        raise ValueError("must be a number from 0 to 1, such as 0.9")
    return float(value)


def command_words(value: Any) -> Any:
    """Return the words of a command; ValueError says what is wrong."""
    if isinstance(value, list):
        if not all(isinstance(word, str) for word in value):
            raise ValueError("must be a list of text")
        words = value
    elif isinstance(value, str):
        try:
            words = shlex.split(value)
        except ValueError as error:
            raise ValueError(f"can't be split as a shell would split it: {str(error).lower()}") from None
    else:
        raise ValueError("must be text or a list of text")  # noqa: TRY004 - pydantic collects ValueErrors only
    if not words or not words[0]:
        raise ValueError("must name a command; it is empty")
    if isinstance(value, str) and _ASSIGNMENT.fullmatch(words[0]):
        variable = words[0].partition("=")[0]  # its value may be a secret
        raise ValueError(f"begins with an assignment to {shown(variable)}: put it under 'env', or use 'shell'")
    return words


def backend_name(value: str) -> str:
    """Return the name of one of nox's backends, or alternatives; ValueError says what is wrong."""
    names = value.split("|")
    for name in names:
        if name not in BACKENDS:
            raise ValueError(f"{shown(name)} is not one of nox's backends: {', '.join(BACKENDS)}")
    for name in names[:-1]:
        if name not in OPTIONAL_BACKENDS:
            raise ValueError(f"'{name}' is always there, so that no alternative may follow it")
    if len(names) > 1 and names[-1] == "none":
        raise ValueError("'none' is no alternative to a virtual environment")
    return value


def proof_word(value: Any) -> Any:
    """Return the one word that ``proof`` may be; ValueError says what is wrong."""
    if value != "required":
        raise ValueError("must be 'required', or be left out")
    return value


def planted_files(value: dict[str, str]) -> dict[str, str]:
    """Return the files that a canary plants; ValueError says what is wrong."""
    if not value:
        raise ValueError("must name a file that the guardrail rejects")
    for path in value:
        if any(other.startswith(f"{path}/") for other in value):
            raise ValueError(f"{shown(path)} is planted as a file, and as a folder of another one")
    return value


def until_date(value: Any) -> Any:
    """Return a date as text; ValueError says what is wrong."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        value = date.fromisoformat(value) if _is_date(value) else value
    if not isinstance(value, date) or isinstance(value, datetime):
        raise ValueError("must be a date such as 2026-12-31")  # noqa: TRY004 - as above
    return value.isoformat()


def _is_date(value: str) -> bool:
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _own(name: str) -> bool:
    return name.startswith(_OWN_PREFIX) or name in _OWN


def _variable(value: str) -> str:
    if _VARIABLE.fullmatch(value) is None:
        raise ValueError(f"{shown(value)} can't be the name of an environment variable")
    if _own(value):
        raise ValueError(f"'{value}' belongs to the orchestrator")
    return value


def _variables(value: str) -> str:
    if _VARIABLES.fullmatch(value) is None:
        raise ValueError(f"{shown(value)} can't be the name of an environment variable, nor a pattern of names")
    if _own(value):
        raise ValueError(f"'{value}' belongs to the orchestrator")
    return value


def _report_fault(pattern: str) -> str | None:
    inner = pattern.removeprefix("!")
    if inner.startswith("/") or posixpath.normpath(inner).split("/")[0] == "..":
        return f"{shown(pattern)} leads out of the project's folder: a report is a file inside it"
    return path_fault(pattern)


Text = Annotated[str, AfterValidator(_filled)]
Glob = Annotated[str, _faultless(glob_fault)]
Paths = Annotated[str, _faultless(path_fault)]
ReportPath = Annotated[str, _faultless(_report_fault)]
StageId = Annotated[str, _named("stage")]
PipelineId = Annotated[str, _named("pipeline")]
ProjectId = Annotated[str, _named("project")]
PlantedPath = Annotated[str, _faultless(planted_path_fault)]
RoleId = Annotated[str, _named("role")]
TaskId = Annotated[str, _named("task")]
Seconds = Annotated[Any, BeforeValidator(lambda value: duration(_unit(value, "a duration such as '10m'")))]
Bytes = Annotated[Any, BeforeValidator(lambda value: size(_unit(value, "a size such as '256MiB'")))]
Variable = Annotated[str, AfterValidator(_variable)]
Variables = Annotated[str, AfterValidator(_variables)]


def _unit(value: Any, example: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be {example}, as text with its unit")  # noqa: TRY004 - as above
    return value
