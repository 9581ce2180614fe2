"""What a project's config says, as frozen values. None stands for a key that was left out."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from orchestrator.base.record import Record
from orchestrator.config.guardrail_policy import GuardrailPolicy
from orchestrator.config.spec_guard_policy import SpecGuardPolicy
from orchestrator.model.metrics_policy import MetricsPolicy
from orchestrator.model.plan import Waiver
from orchestrator.model.queue import Limit
from orchestrator.model.review_policy import ReviewPolicy

DEFAULT_BACKEND = "uv|virtualenv"


class StageConfig(Record):
    """One stage of a config or of a built-in pipeline; times in seconds, sizes in bytes."""

    id: str
    title: str | None = None
    run: tuple[str, ...] | None = None
    shell: str | None = None
    pipeline: str | None = None
    project: str | None = None
    skip: str | None = None
    cwd: str | None = None
    env: Mapping[str, str] | None = None
    timeout: float | None = None
    needs: tuple[str, ...] | None = None
    inputs: tuple[str, ...] | None = None
    outputs: tuple[str, ...] | None = None
    retries: int | None = None
    allow_failure: bool | None = None
    guardrail: bool | None = None
    log_limit: int | None = None
    reports: tuple[str, ...] | None = None

    @property
    def complete(self) -> bool:
        """Whether it says what to do: a command, a shell line, a sub-pipeline or a reason to skip."""
        return any(item is not None for item in (self.run, self.shell, self.pipeline, self.skip))


class PipelineConfig(Record):
    """One pipeline: of a built-in file, of a project's file, or of both together; ``sla`` in seconds.

    ``version`` is the built-in file's, None for a pipeline that is the project's own.
    """

    id: str
    title: str | None = None
    sla: float | None = None
    stages: tuple[StageConfig, ...] = ()
    version: int | None = None


class SessionConfig(Record):
    """``[session]``: the nox session of the project's pipelines. ``cloud``: whether runs may leave the machine."""

    backend: str = DEFAULT_BACKEND
    python: str | None = None
    install: tuple[str, ...] = ()
    pass_env: tuple[str, ...] = ()
    set_env: Mapping[str, str] = MappingProxyType({})
    secret_env: tuple[str, ...] = ()
    cloud: bool = True


class ProjectConfig(Record):
    """One ``project_configs/<name>.toml``. ``file`` is its path from the workspace, ``digest`` its sha256 (hex).

    ``depends_on`` names the projects that a fleet runs first, ``also`` are globs of files outside the project's folder
    that concern it; both, and ``tags``, are of fleets alone.
    """

    name: str
    path: str
    task_id: str
    file: str
    digest: str
    owners: tuple[str, ...] = ()
    session: SessionConfig = SessionConfig()
    guardrails: GuardrailPolicy = GuardrailPolicy()
    review: ReviewPolicy = ReviewPolicy()
    metrics: MetricsPolicy = MetricsPolicy()
    queue: Limit = Limit()
    spec_guard: SpecGuardPolicy = SpecGuardPolicy()
    waivers: tuple[Waiver, ...] = ()
    pipelines: Mapping[str, PipelineConfig] = MappingProxyType({})
    tags: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
