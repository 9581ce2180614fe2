"""What a project's config says, as frozen values. None stands for a key that was left out."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from orchestrator.base.record import Record
from orchestrator.config.spec_guard_policy import SpecGuardPolicy
from orchestrator.model.metrics_policy import MetricsPolicy
from orchestrator.model.plan import Waiver
from orchestrator.model.review_policy import ReviewPolicy

DEFAULT_BACKEND = "uv|virtualenv"
DEFAULT_REQUIRED = ("spec-guard",)
ALWAYS_BOUND = "diagnostics"
"""The pipeline that required guardrails bind whatever ``guardrails.pipelines`` says (contract, section 3)."""


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
    """``[session]``: the nox session of the project's pipelines."""

    backend: str = DEFAULT_BACKEND
    python: str | None = None
    install: tuple[str, ...] = ()
    pass_env: tuple[str, ...] = ()
    set_env: Mapping[str, str] = MappingProxyType({})
    secret_env: tuple[str, ...] = ()


class Canary(Record):
    """``[[guardrails.canary]]``: files (path from the project → text) that ``guardrail`` must reject."""

    guardrail: str
    plant: Mapping[str, str]


class GuardrailPolicy(Record):
    """``[guardrails]``: stages that must hold, and the pipelines that they bind besides ``diagnostics``.

    With ``reuse``, a guardrail that declares inputs is not run again while they are unchanged. With
    ``proof_required``, one of the project's own without a proof that it can fail is ``advisory``.
    """

    required: tuple[str, ...] = DEFAULT_REQUIRED
    pipelines: tuple[str, ...] = (ALWAYS_BOUND,)
    reuse: bool = False
    proof_required: bool = False
    canaries: tuple[Canary, ...] = ()

    def binds(self, pipeline: str) -> bool:
        """Tell whether the required guardrails bind ``pipeline``."""
        return pipeline == ALWAYS_BOUND or pipeline in self.pipelines


class ProjectConfig(Record):
    """One ``project_configs/<name>.toml``. ``file`` is its path from the workspace, ``digest`` its sha256 (hex)."""

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
    spec_guard: SpecGuardPolicy = SpecGuardPolicy()
    waivers: tuple[Waiver, ...] = ()
    pipelines: Mapping[str, PipelineConfig] = MappingProxyType({})
