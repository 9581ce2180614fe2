"""The shape of a config: which keys there are and what each may hold. Imports pydantic, so import it late."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from orchestrator.base.globs import fault as glob_fault
from orchestrator.base.globs import path_fault
from orchestrator.base.identifiers import name_fault
from orchestrator.base.quoting import shown
from orchestrator.config.canaries import planted_path_fault
from orchestrator.config.quantities import duration, size
from orchestrator.config.spec_guard_policy import (
    ANY_AGE,
    DEFAULT_AGE_DAYS,
    DEFAULT_CODE,
    DEFAULT_EXCLUDE,
    DEFAULT_RECORDS,
    DEFAULT_SPECS,
    MOST_RECORDS,
)
from orchestrator.config.values import ALWAYS_BOUND, DEFAULT_BACKEND, DEFAULT_REQUIRED
from orchestrator.model.metrics_policy import DEFAULT_AGE_DAYS as DEFAULT_SLA_AGE_DAYS
from orchestrator.model.metrics_policy import DEFAULT_BUDGET, DEFAULT_COVERAGE, is_share
from orchestrator.model.review_policy import MOST_APPROVALS, signers_fault

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


def _version(value: int) -> int:
    if value != 1:
        raise ValueError("must be 1, the only version that this program knows")
    return value


def _whole(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and not 0 <= value <= MOST_RETRIES:
        raise ValueError(f"must lie between 0 and {MOST_RETRIES}")
    return value


def _approvals(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and not 0 <= value <= MOST_APPROVALS:
        raise ValueError(f"must lie between 0 and {MOST_APPROVALS}")
    return value


def _records(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and not 0 <= value <= MOST_RECORDS:
        raise ValueError(f"must lie between 0 and {MOST_RECORDS}")
    return value


def _some(value: list[str]) -> list[str]:
    if not value:
        raise ValueError("must name something: no change of code could be answered otherwise")
    return value


def _commit(value: str) -> str:
    if not value.strip() or value.startswith("-"):
        raise ValueError("must name a commit or a branch, such as 'origin/main'")
    return value


def _days(value: Any) -> int | None:
    if value == ANY_AGE:
        return None
    seconds = duration(_unit(value, f"a number of days such as '30d', or '{ANY_AGE}'"))
    if seconds % _DAY:
        raise ValueError("must be whole days, such as '30d'")
    return int(seconds // _DAY)


def _share(value: Any) -> Any:
    if not is_share(value):
        raise ValueError("must be a number from 0 to 1, such as 0.9")
    return float(value)


def _command(value: Any) -> Any:
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


def _backend(value: str) -> str:
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


def _proof(value: Any) -> Any:
    if value != "required":
        raise ValueError("must be 'required', or be left out")
    return value


def _planted(value: dict[str, str]) -> dict[str, str]:
    if not value:
        raise ValueError("must name a file that the guardrail rejects")
    for path in value:
        if any(other.startswith(f"{path}/") for other in value):
            raise ValueError(f"{shown(path)} is planted as a file, and as a folder of another one")
    return value


def _until(value: Any) -> Any:
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


Text = Annotated[str, AfterValidator(_filled)]
Glob = Annotated[str, _faultless(glob_fault)]
Paths = Annotated[str, _faultless(path_fault)]
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


class Table(BaseModel):
    """What all tables have in common: unknown keys are refused, and no value is turned into another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Project(Table):
    """``[project]``."""

    name: ProjectId
    path: Text
    task_id: TaskId
    owners: list[Text] = []


class Session(Table):
    """``[session]``."""

    backend: Annotated[str, AfterValidator(_backend)] = DEFAULT_BACKEND
    python: Text | None = None
    install: list[Text] = []
    pass_env: list[Variables] = []
    set_env: dict[Variable, str] = {}
    secret_env: list[Variable] = []


class CanaryTable(Table):
    """``[[guardrails.canary]]``."""

    guardrail: StageId
    plant: Annotated[dict[PlantedPath, str], AfterValidator(_planted)]


class Guardrails(Table):
    """``[guardrails]``."""

    required: list[StageId] = list(DEFAULT_REQUIRED)
    pipelines: list[PipelineId] = [ALWAYS_BOUND]
    reuse: bool = False
    proof: Annotated[str | None, BeforeValidator(_proof)] = None
    canary: list[CanaryTable] = []


class WaiverTable(Table):
    """``[[waivers]]``."""

    guardrail: StageId
    reason: Text
    approved_by: Text
    until: Annotated[Any, BeforeValidator(_until)]


def _signers(value: object) -> object:
    wrong = None if value is None else signers_fault(value)
    if wrong is not None:
        raise ValueError(wrong)
    return value


class Review(Table):
    """``[review]``."""

    approvals: Annotated[int, BeforeValidator(_approvals)] = 0
    roles: list[RoleId] = []
    alone: bool = False
    stale_when_tree_moves: bool = False
    signers: Annotated[str | None, BeforeValidator(_signers)] = None
    signed: bool = False


class Metrics(Table):
    """``[metrics]``."""

    min_coverage: Annotated[float, BeforeValidator(_share)] = DEFAULT_COVERAGE
    sla_budget: Annotated[float, BeforeValidator(_share)] = DEFAULT_BUDGET
    max_sla_age: Annotated[Any, BeforeValidator(_days)] = DEFAULT_SLA_AGE_DAYS


class SpecGuard(Table):
    """``[spec_guard]``."""

    code: list[Glob] = list(DEFAULT_CODE)
    exclude: list[Glob] = list(DEFAULT_EXCLUDE)
    specs: Annotated[list[Glob], AfterValidator(_some)] = list(DEFAULT_SPECS)
    base: Annotated[str, AfterValidator(_commit)] | None = None
    max_review_age: Annotated[Any, BeforeValidator(_days)] = DEFAULT_AGE_DAYS
    checklists: bool = True
    evidence: bool = True
    records: Annotated[int, BeforeValidator(_records)] = DEFAULT_RECORDS


class Stage(Table):
    """``[[pipelines.X.stages]]``."""

    id: StageId
    title: Text | None = None
    run: Annotated[Any, BeforeValidator(_command)] = None
    shell: Text | None = None
    pipeline: PipelineId | None = None
    project: ProjectId | None = None
    skip: Text | None = None
    cwd: Text | None = None
    env: dict[Variable, str] | None = None
    timeout: Seconds = None
    needs: list[StageId] | None = None
    inputs: list[Paths] | None = None
    outputs: list[Paths] | None = None
    retries: Annotated[int | None, BeforeValidator(_whole)] = None
    allow_failure: bool | None = None
    guardrail: bool | None = None
    log_limit: Bytes = None


class Pipeline(Table):
    """``[pipelines.X]``."""

    title: Text | None = None
    sla: Seconds = None
    stages: list[Stage] = []


class Config(Table):
    """A whole file."""

    schema_version: Annotated[int, AfterValidator(_version)]
    project: Project
    session: Session = Field(default_factory=Session)
    guardrails: Guardrails = Field(default_factory=Guardrails)
    review: Review = Field(default_factory=Review)
    metrics: Metrics = Field(default_factory=Metrics)
    spec_guard: SpecGuard = Field(default_factory=SpecGuard)
    waivers: list[WaiverTable] = []
    pipelines: dict[PipelineId, Pipeline] = {}


__all__ = ["Config", "Table", "ValidationError"]
