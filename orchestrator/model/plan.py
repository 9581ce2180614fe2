"""What will run: the compiled plan of one pipeline for one project, its record form and its digest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from orchestrator.base.canonical import digest_of
from orchestrator.base.clock import date
from orchestrator.base.identifiers import FLEET
from orchestrator.base.limits import DEFAULT_LOG_BYTES
from orchestrator.base.record import Record
from orchestrator.base.redaction import MASK, Redactor, looks_secret, secret_values
from orchestrator.model.queue import QueueLimits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, TypeAlias


_UNQUOTED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-")
"""What a shell takes as it is (``shlex.quote``, whose import takes longer than all else that a plan needs)."""

COMPILER = 3
"""Rises with each change of what the compiler makes of the same config (contract, section 7); 1 had no number."""

StageKind: TypeAlias = "Literal['command', 'shell', 'subpipeline', 'skip']"


class PlannedStage(Record):
    """One stage: a command (``argv`` or a ``shell`` line), a sub-pipeline, or a reason to skip it.

    Paths are relative to the project's folder; times are in seconds, sizes in bytes. ``needs`` names
    stages of the same plan that come before this one.
    """

    id: str
    title: str
    kind: StageKind
    argv: tuple[str, ...] = ()
    shell: str | None = None
    pipeline: str | None = None
    project: str | None = None
    skip: str | None = None
    cwd: str = "."
    env: Mapping[str, str] = MappingProxyType({})
    timeout_seconds: float | None = None
    needs: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    retries: int = 0
    allow_failure: bool = False
    guardrail: bool = False
    log_limit_bytes: int = DEFAULT_LOG_BYTES
    reports: tuple[str, ...] = ()

    @property
    def command(self) -> str | None:
        """The command as one line for people, or None when nothing is started."""
        if self.kind == "shell":
            return self.shell
        if self.kind == "command":
            if all(word and _UNQUOTED.issuperset(word) for word in self.argv):
                return " ".join(self.argv)
            import shlex

            return shlex.join(self.argv)
        return None


class SessionPlan(Record):
    """The nox session that the stages run in. ``backend`` may name alternatives, as ``uv|virtualenv``."""

    name: str
    backend: str
    python: str | None = None
    install: tuple[str, ...] = ()
    pass_env: tuple[str, ...] = ()
    set_env: Mapping[str, str] = MappingProxyType({})
    secret_env: tuple[str, ...] = ()


class Waiver(Record):
    """What need not hold before ``until`` (a date, inclusive, UTC): a ``guardrail``, or that a ``stage`` ran."""

    guardrail: str | None
    reason: str
    approved_by: str
    until: str
    stage: str | None = None

    @property
    def subject(self) -> str:
        """The guardrail or stage that it is about."""
        return self.guardrail or self.stage or ""

    def record(self) -> dict[str, str]:
        """Return it as a plan's record has it: with the key that it is about, and without the other."""
        return {key: value for key, value in self._asdict().items() if value is not None}

    def stands(self, today: date) -> bool:
        """Tell whether it still holds on ``today`` (UTC); its last day counts."""
        return today.isoformat() <= self.until


class Flag(Record):
    """Something in a plan that a reviewer must see; ``code`` is the word for machines.

    Codes: ``guardrail-cannot-fail``; ``guardrail-replaced`` (a stage of the built-in guard's id with another
    command); ``guardrail-not-required`` (a default one that the project leaves out); ``guardrail-softened``
    (``[spec_guard]`` asks less than the default); ``secret-too-short``;
    ``no-shell`` (an operator of the shell in a ``run``, which starts none).
    """

    stage: str | None
    code: str
    message: str


class Plan(Record):
    """A pipeline compiled for a project. ``stages`` stand in an order in which every need comes first.

    ``required_guardrails`` is empty when policy does not bind this pipeline. ``task_id`` is the
    project's default task, ``config_digest`` the sha256 of the config file that was read;
    ``code`` and ``not_code`` are the globs of ``[spec_guard] code`` and ``exclude``: which files are code.
    ``reuse_guardrails`` lets an earlier verdict stand for a guardrail whose inputs did not change;
    ``proof_required`` makes a required guardrail of the project's own ``advisory`` until a canary proves it.
    ``subplans`` are the plans of all sub-pipelines that are reached, at any depth and of other projects too,
    sorted by project and pipeline; each is flat, without any of its own. ``queue`` is how many runs may run at once,
    ``selection`` is of a fleet: which projects it runs, and why (``config/fleet``).
    """

    project: str
    project_path: str
    task_id: str
    pipeline: str
    title: str
    stages: tuple[PlannedStage, ...]
    session: SessionPlan
    sla_seconds: float
    required_guardrails: tuple[str, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    flags: tuple[Flag, ...] = ()
    owners: tuple[str, ...] = ()
    builtin_version: int | None = None
    config_digest: str = ""
    reuse_guardrails: bool = False
    code: tuple[str, ...] = ("*",)
    not_code: tuple[str, ...] = ()
    proof_required: bool = False
    subplans: tuple[Plan, ...] = ()
    selection: Mapping[str, Any] | None = None
    queue: QueueLimits = QueueLimits()

    def stage(self, stage_id: str) -> PlannedStage:
        """Return the stage with that id; KeyError when there is none."""
        for stage in self.stages:
            if stage.id == stage_id:
                return stage
        raise KeyError(stage_id)

    def record(self) -> dict[str, Any]:
        """Return the plan as the manifest keeps it, with its digest; values of secret names are masked."""
        body = _body(self)
        digest = digest_of(body)
        for below, entry in zip(self.subplans, body["subpipelines"], strict=True):
            entry["config_digest"] = below.config_digest
        code = {"code": list(self.code), "exclude": list(self.not_code)}
        return {"digest": digest, "compiler": COMPILER, **body, "config_digest": self.config_digest, "spec_guard": code}

    @property
    def digest(self) -> str:
        """The sha256 of the record form: equal for equal plans, whatever the order of keys in the config."""
        return digest_of(_body(self))


def redacted(plan: Plan, mask: Callable[[str], str]) -> Plan:
    """Return the plan with its free text masked: titles, command lines, environment values and reasons.

    Ids and paths stay as they are, so that what is recorded can be found again.
    """

    def stage(old: PlannedStage) -> PlannedStage:
        return old._replace(
            title=mask(old.title),
            argv=tuple(mask(word) for word in old.argv),
            shell=None if old.shell is None else mask(old.shell),
            skip=None if old.skip is None else mask(old.skip),
            env={name: mask(value) for name, value in old.env.items()},
        )

    return plan._replace(
        title=mask(plan.title),
        stages=tuple(stage(old) for old in plan.stages),
        session=plan.session._replace(
            install=tuple(mask(word) for word in plan.session.install),
            set_env={name: mask(value) for name, value in plan.session.set_env.items()},
        ),
        waivers=tuple(waiver._replace(reason=mask(waiver.reason)) for waiver in plan.waivers),
        flags=tuple(flag._replace(message=mask(flag.message)) for flag in plan.flags),
        subplans=tuple(redacted(below, mask) for below in plan.subplans),
    )


def stage_record(stage: PlannedStage) -> dict[str, Any]:
    """Return a stage as the manifest keeps it; two stages are the same work when these are equal."""
    record = stage._asdict()
    record["env"] = _masked(stage.env)
    if not stage.reports:
        del record["reports"]  # plans that name none keep the digest that they had before there were any
    return {key: list(value) if isinstance(value, tuple) else value for key, value in record.items()}


def builtin_versions(record: Mapping[str, Any]) -> dict[str, int]:
    """Return the versions of the built-in pipelines that a recorded plan, with its sub-pipelines, was made of."""
    below = record.get("subpipelines")
    entries = [record, *(below if isinstance(below, list) else ())]
    return {
        str(entry["pipeline"]): entry["builtin_version"]
        for entry in entries
        if type(entry.get("builtin_version")) is int and "pipeline" in entry
    }


def subplan_records(plan: Plan) -> list[dict[str, Any]]:
    """Return the plan, and each that it reaches, as a plan that reaches them keeps them in its record."""
    return [{**_subplan_record(each), "config_digest": each.config_digest} for each in (plan, *plan.subplans)]


def stages_of(record: object) -> dict[str, Mapping[str, object]]:
    """Return the stages of a recorded plan by their ids."""
    stages = record.get("stages") if isinstance(record, Mapping) else None
    found: Sequence[Mapping[str, object]] = stages if isinstance(stages, list) else ()
    return {str(stage.get("id")): stage for stage in found}


def _body(plan: Plan) -> dict[str, Any]:
    session = plan.session._asdict()
    session["set_env"] = _masked(plan.session.set_env)
    return {
        "project": plan.project,
        "project_path": plan.project_path,
        "pipeline": plan.pipeline,
        "title": plan.title,
        "builtin_version": plan.builtin_version,
        "sla_seconds": plan.sla_seconds,
        "required_guardrails": list(plan.required_guardrails),
        "reuse_guardrails": plan.reuse_guardrails,
        **({"proof_required": True} if plan.proof_required else {}),
        "waivers": [waiver.record() for waiver in plan.waivers],
        "flags": [flag._asdict() for flag in plan.flags],
        "session": {key: list(value) if isinstance(value, tuple) else value for key, value in session.items()},
        "stages": [stage_record(stage) for stage in plan.stages],
        "subpipelines": [_subplan_record(below) for below in plan.subplans],
        **({} if plan.selection is None else {"kind": FLEET, "selection": dict(plan.selection)}),
    }


def _subplan_record(plan: Plan) -> dict[str, Any]:
    """Return the record of a reached pipeline: of its stages, only the keys that differ from their defaults."""
    body = _body(plan._replace(subplans=()))
    del body["subpipelines"]
    usual = stage_record(PlannedStage("", "", "command"))
    stages = [
        {key: value for key, value in stage.items() if key not in usual or value != usual[key]}
        for stage in body["stages"]
    ]
    return {**body, "stages": stages}


def _masked(env: Mapping[str, str]) -> dict[str, str]:
    return {name: MASK if looks_secret(name) else env[name] for name in sorted(env)}


def redactor_for(plan: Plan, environ: Mapping[str, str]) -> Redactor:
    """Return what masks the secrets of a plan: of the environment, of ``set_env`` and of stages' ``env``."""
    named = plan.session.secret_env
    values = dict.fromkeys(secret_values(environ, named))
    for each in (plan, *plan.subplans):
        # What a sub-pipeline calls secret, of another project's config, stands in this plan's record too.
        named = (*plan.session.secret_env, *each.session.secret_env)
        if each is not plan:
            values.update(dict.fromkeys(secret_values(environ, each.session.secret_env)))
        values.update(dict.fromkeys(secret_values(each.session.set_env, named)))
        for stage in each.stages:
            values.update(dict.fromkeys(secret_values(stage.env, named)))
    return Redactor(tuple(values))
