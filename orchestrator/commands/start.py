"""``start``: run a pipeline and record it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from orchestrator.commands.ancestry import Ancestry, find_parent
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.running import (
    Attempt,
    answer_for,
    check_format,
    jobs_at_once,
    observer_for,
    run_in_session,
)
from orchestrator.config.outlines import Outline
from orchestrator.digests import sha256
from orchestrator.errors import NoxUnavailable, UsageError
from orchestrator.identifiers import make_run_id, name_fault
from orchestrator.light_typing import Any, NamedTuple
from orchestrator.manifest.shape import Manifest
from orchestrator.manifest.transitions import interrupted
from orchestrator.opening import Asked, announce_to_parent, first_manifest, redactor_for
from orchestrator.plan import Plan
from orchestrator.plan_cache import PlanCache
from orchestrator.redaction import Redactor
from orchestrator.run_store.approved import noted_run
from orchestrator.run_store.claim import claim
from orchestrator.run_store.exposure import exposed_folders
from orchestrator.run_store.layout import Location
from orchestrator.run_store.open_run import OpenRun
from orchestrator.run_store.recovery import recover_task
from orchestrator.run_store.store import RunStore
from orchestrator.workspace import project_folder

DEFAULT_PIPELINE = "diagnostics"

ACTOR_VARIABLES = ("GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILDKITE_BUILD_CREATOR_EMAIL", "LOGNAME", "USER")
"""Who started it, from CI systems' documented variables to the login name."""


class Request(NamedTuple):
    """The options of ``start``. ``overrides`` are ``K=V`` texts."""

    pipeline: str = DEFAULT_PIPELINE
    project: str | None = None
    task: str | None = None
    parent_run: str | None = None
    jobs: int | None = None
    actor: str | None = None
    approval_policy: str | None = None
    mode: str = "local"
    overrides: tuple[str, ...] = ()
    override_reason: str | None = None
    format: str = "text"
    detach: bool = False
    no_cache: bool = False


class _Prepared(NamedTuple):
    store: RunStore
    plan: Plan
    asked: Asked
    ancestry: Ancestry
    redactor: Redactor
    context: Context
    plans: PlanCache

    def open_run(self) -> OpenRun:
        """Close what died before on this task, claim a new run, and leave word with its parent."""
        clock = self.context.clock
        for folder in exposed_folders(self.store.workspace):
            self.store.warn(f"everybody may write to '{folder}', and so change what runs and what is recorded")
        recover_task(self.store, self.asked.task_id, interrupted)
        run_id = make_run_id(clock.now(), os.urandom(4))
        token = os.urandom(32).hex()
        manifest = first_manifest(
            self.plan,
            self.asked,
            run_id,
            self.ancestry.lineage(run_id),
            self.store.paths(Location(self.asked.task_id, run_id)),
            sha256(token.encode()).hexdigest(),
            self.redactor,
            clock,
        )
        run = claim(self.store, with_drift(self.store, manifest), token)
        announce_to_parent(self.store, run)
        self.plans.keep()
        return run


def with_drift(store: RunStore, manifest: Manifest) -> Manifest:
    """Return the record with ``plan.approved``: how its plan differs from the one that was approved last, if any."""
    root, project = store.workspace.root, manifest.project
    if noted_run(store, project, manifest.pipeline_id) is None:
        return manifest
    from orchestrator.commands.approved import drift_from_approved
    from orchestrator.commands.surroundings import review_policy

    run_id, changes = drift_from_approved(store, manifest.plan, lambda: review_policy(root, project)[0])
    if run_id is None:
        return manifest
    return manifest._replace(plan={**manifest.plan, "approved": {"run_id": run_id, "changes": list(changes)}})


def start(context: Context, **options: Any) -> Answer:
    """Run a pipeline and return its record. Options are the fields of ``Request``.

    Raises Refusal when nothing was run: then nothing was written.
    """
    request = Request(**options)
    attempt = prepare(context, request)
    if request.detach:
        from orchestrator.commands.detaching import detached

        return detached(context, attempt)
    try:
        result = run_in_session(context, attempt, observer_for(context, request.format))
    except NoxUnavailable:
        from orchestrator.commands.nox_process import run_in_nox_process

        return run_in_nox_process(context, attempt.store, attempt.plan, request)
    return answer_for(context, attempt.store, result)


def prepare(context: Context, request: Request) -> Attempt:
    """Return the attempt that ``request`` asks for, ready to run; nothing is written yet.

    Raises UsageError, ConfigError, NotFound or Refused.
    """
    from orchestrator.routing import route

    check_format(request.format)
    at_once = jobs_at_once(request.jobs)
    overrides = _overrides(request)
    store = context.store()
    workspace = store.workspace
    ancestry = find_parent(store, context.environ, request.parent_run)
    plans, today = PlanCache(workspace), context.clock.now().date()

    def known(name: str) -> Outline | None:
        plan = plans.kept(name, request.pipeline, today=today) if name_fault("project", name) is None else None
        return None if plan is None else Outline(name, plan.project_path, plan.task_id)

    parent = ancestry.parent
    target = route(
        workspace,
        context.cwd,
        context.environ,
        project=request.project,
        task=request.task,
        parent_project=parent.project if parent else None,
        parent_task=parent.task_id if parent else None,
        known=known,
    )
    plan = plans.plan(target.project, request.pipeline, today=today)
    project_folder(workspace.root, plan.project, plan.project_path)
    ancestry.lineage("")
    asked = Asked(
        task_id=target.task_id,
        actor=actor_of(context.environ, request.actor),
        approval_policy=request.approval_policy,
        overrides=overrides,
        override_reason=request.override_reason,
    )
    redactor = redactor_for(plan, context.environ)
    prepared = _Prepared(store, plan, asked, ancestry, redactor, context, plans)
    return Attempt(store, plan, redactor, prepared.open_run, at_once, task_id=target.task_id, fresh=request.no_cache)


def actor_of(environ: Mapping[str, str], named: str | None) -> str:
    """Return who acts: the name given, else what the environment says, else the user id."""
    if named is not None:
        if not named.strip():
            raise UsageError("--actor is empty", hint="say who acts, or leave the option out", code="bad-actor")
        return named.strip()
    for variable in ACTOR_VARIABLES:
        if environ.get(variable):
            return environ[variable]
    return f"uid-{os.getuid()}"


def _overrides(request: Request) -> dict[str, str]:
    """Return the overrides as a mapping. Mode and overrides are recorded, never enforced."""
    if request.mode not in ("local", "cloud"):
        raise UsageError(f"--mode is '{request.mode}'; it is local or cloud", code="bad-mode")
    if request.mode == "cloud":
        raise UsageError(
            "--mode cloud: no cloud engine is configured in this workspace", hint="use --mode local", code="no-engine"
        )
    found: dict[str, str] = {}
    for text in request.overrides:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--override '{text}' is not of the form KEY=VALUE", code="bad-override")
        if key in found:
            raise UsageError(f"--override names '{key}' twice", code="bad-override")
        found[key] = value
    if found and not (request.override_reason or "").strip():
        raise UsageError("--override needs --override-reason", hint="say why, for the record", code="no-reason")
    if request.override_reason is not None and not found:
        raise UsageError("--override-reason needs --override", code="no-override")
    return found
