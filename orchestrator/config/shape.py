"""The shape of a config: which tables and keys there are. Imports pydantic, so import it late."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from orchestrator.config.export_policy import value_fault as export_fault
from orchestrator.config.guardrail_policy import ALWAYS_BOUND, DEFAULT_REQUIRED
from orchestrator.config.prune_policy import prune_faults
from orchestrator.config.spec_guard_policy import (
    DEFAULT_AGE_DAYS,
    DEFAULT_CODE,
    DEFAULT_EXCLUDE,
    DEFAULT_RECORDS,
    DEFAULT_SPECS,
)
from orchestrator.config.value_kinds import (
    Bytes,
    Glob,
    Paths,
    PipelineId,
    PlantedPath,
    ProjectId,
    ReportPath,
    RoleId,
    Seconds,
    StageId,
    TaskId,
    Text,
    Variable,
    Variables,
    approvals_count,
    backend_name,
    command_words,
    commit_name,
    known_version,
    not_empty,
    planted_files,
    proof_word,
    records_count,
    retries_count,
    runs_count,
    share_of_one,
    until_date,
    whole_days,
)
from orchestrator.config.values import DEFAULT_BACKEND
from orchestrator.model.metrics_policy import DEFAULT_AGE_DAYS as DEFAULT_SLA_AGE_DAYS
from orchestrator.model.metrics_policy import DEFAULT_BUDGET, DEFAULT_COVERAGE
from orchestrator.model.queue import DEFAULT_WAITING
from orchestrator.model.review_policy import signers_fault


class Table(BaseModel):
    """What all tables have in common: unknown keys are refused, and no value is turned into another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Project(Table):
    """``[project]``."""

    name: ProjectId
    path: Text
    task_id: TaskId
    owners: list[Text] = []
    tags: list[Text] = []
    depends_on: list[ProjectId] = []
    also: list[Glob] = []
    default_pipeline: PipelineId | None = None


class Session(Table):
    """``[session]``."""

    backend: Annotated[str, AfterValidator(backend_name)] = DEFAULT_BACKEND
    python: Text | None = None
    install: list[Text] = []
    pass_env: list[Variables] = []
    set_env: dict[Variable, str] = {}
    secret_env: list[Variable] = []
    cloud: bool = True


class CanaryTable(Table):
    """``[[guardrails.canary]]``."""

    guardrail: StageId
    plant: Annotated[dict[PlantedPath, str], AfterValidator(planted_files)]


class Guardrails(Table):
    """``[guardrails]``."""

    required: list[StageId] = list(DEFAULT_REQUIRED)
    pipelines: list[PipelineId] = [ALWAYS_BOUND]
    reuse: bool = False
    proof: Annotated[str | None, BeforeValidator(proof_word)] = None
    canary: list[CanaryTable] = []


class WaiverTable(Table):
    """``[[waivers]]``."""

    guardrail: StageId | None = None
    stage: StageId | None = None
    reason: Text
    approved_by: Text
    until: Annotated[Any, BeforeValidator(until_date)]


def _signers(value: object) -> object:
    wrong = None if value is None else signers_fault(value)
    if wrong is not None:
        raise ValueError(wrong)
    return value


class Review(Table):
    """``[review]``."""

    approvals: Annotated[int, BeforeValidator(approvals_count)] = 0
    roles: list[RoleId] = []
    alone: bool = False
    stale_when_tree_moves: bool = False
    signers: Annotated[str | None, BeforeValidator(_signers)] = None
    signed: bool = False


class Metrics(Table):
    """``[metrics]``."""

    min_coverage: Annotated[float, BeforeValidator(share_of_one)] = DEFAULT_COVERAGE
    sla_budget: Annotated[float, BeforeValidator(share_of_one)] = DEFAULT_BUDGET
    max_sla_age: Annotated[Any, BeforeValidator(whole_days)] = DEFAULT_SLA_AGE_DAYS


class Queue(Table):
    """``[queue]``."""

    running: Annotated[int | None, runs_count(1)] = None
    waiting: Annotated[int, runs_count(0)] = DEFAULT_WAITING


def _exported(key: str) -> BeforeValidator:
    def check(value: object) -> object:
        wrong = export_fault(key, value)
        if wrong is not None:
            raise ValueError(wrong)
        return value

    return BeforeValidator(check)


class Export(Table):
    """``[export]``, whose keys win over those of ``workspace.toml``: so none has a default here."""

    github: Annotated[Any, _exported("github")] = None
    junit: Annotated[Any, _exported("junit")] = None
    on_close: Annotated[Any, _exported("on_close")] = None
    timeout: Annotated[Any, _exported("timeout")] = None
    url: Annotated[Any, _exported("url")] = None


class SpecGuard(Table):
    """``[spec_guard]``."""

    code: list[Glob] = list(DEFAULT_CODE)
    exclude: list[Glob] = list(DEFAULT_EXCLUDE)
    specs: Annotated[list[Glob], AfterValidator(not_empty)] = list(DEFAULT_SPECS)
    base: Annotated[str, AfterValidator(commit_name)] | None = None
    max_review_age: Annotated[Any, BeforeValidator(whole_days)] = DEFAULT_AGE_DAYS
    checklists: bool = True
    evidence: bool = True
    records: Annotated[int, BeforeValidator(records_count)] = DEFAULT_RECORDS


class Stage(Table):
    """``[[pipelines.X.stages]]``."""

    id: StageId
    title: Text | None = None
    run: Annotated[Any, BeforeValidator(command_words)] = None
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
    retries: Annotated[int | None, BeforeValidator(retries_count)] = None
    allow_failure: bool | None = None
    guardrail: bool | None = None
    log_limit: Bytes = None
    reports: list[ReportPath] | None = None


class Pipeline(Table):
    """``[pipelines.X]``."""

    title: Text | None = None
    sla: Seconds = None
    stages: list[Stage] = []


def _prune_table(table: dict[str, Any]) -> dict[str, Any]:
    faults = list(prune_faults(table))
    if faults:
        raise ValueError("; ".join(faults))
    return table


PruneTable = Annotated[dict[str, Any], AfterValidator(_prune_table)]
"""``[prune]``, which ``config.prune_policy`` reads: no run asks for it."""


class Config(Table):
    """A whole file."""

    schema_version: Annotated[int, AfterValidator(known_version)]
    project: Project
    session: Session = Field(default_factory=Session)
    guardrails: Guardrails = Field(default_factory=Guardrails)
    review: Review = Field(default_factory=Review)
    metrics: Metrics = Field(default_factory=Metrics)
    queue: Queue = Field(default_factory=Queue)
    spec_guard: SpecGuard = Field(default_factory=SpecGuard)
    export: Export = Field(default_factory=Export)
    prune: PruneTable = {}
    waivers: list[WaiverTable] = []
    stage_groups: dict[StageId, list[Stage]] = {}
    pipelines: dict[PipelineId, Pipeline] = {}


__all__ = ["Config", "Table", "ValidationError"]
