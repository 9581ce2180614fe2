"""``start``: run a pipeline and record it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from orchestrator.base.errors import NoxUnavailable, UsageError
from orchestrator.base.identifiers import name_fault
from orchestrator.base.limits import DEFAULT_PIPELINE
from orchestrator.base.record import Record
from orchestrator.base.workspace import project_folder
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.run.ancestry import find_parent
from orchestrator.commands.run.launch import (
    Attempt,
    answer_for,
    check_format,
    check_jobs,
    observer_for,
    run_in_session,
)
from orchestrator.config.outlines import Outline
from orchestrator.config.plan_cache import PlanCache
from orchestrator.model.plan import redactor_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.store.open_run import OpenRun

ACTOR_VARIABLES = ("GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILDKITE_BUILD_CREATOR_EMAIL", "LOGNAME", "USER")
"""Who started it, from CI systems' documented variables to the login name."""


class Request(Record):
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


def start(context: Context, **options: Any) -> Answer:
    """Run a pipeline and return its record. Options are the fields of ``Request``.

    Raises Refusal when nothing was run: then nothing was written.
    """
    request = Request(**options)
    attempt = prepare(context, request)
    if request.detach:
        from orchestrator.commands.run.detaching import detached

        return detached(context, attempt, request.format)
    try:
        result = run_in_session(context, attempt, observer_for(context, request.format))
    except NoxUnavailable:
        from orchestrator.commands.run.nox_process import run_in_nox_process

        return run_in_nox_process(context, attempt.store, attempt.plan, request)
    return answer_for(context, attempt.store, result)


def prepare(context: Context, request: Request) -> Attempt:
    """Return the attempt that ``request`` asks for, ready to run; nothing is written yet.

    Raises UsageError, ConfigError, NotFound or Refused.
    """
    from orchestrator.config.routing import route

    check_format(request.format)
    check_jobs(request.jobs)
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
    redactor = redactor_for(plan, context.environ)
    actor = actor_of(context.environ, request.actor)

    def open_run(*, held_back: bool = False) -> OpenRun:
        from orchestrator.commands.run.create_run import begin_run
        from orchestrator.runner.first_record import Asked

        asked = Asked(target.task_id, actor, request.approval_policy, overrides, request.override_reason)
        run = begin_run(store, plan, asked, ancestry, redactor, context.clock, held_back=held_back)
        plans.keep()
        return run

    return Attempt(
        store,
        plan,
        redactor,
        open_run,
        request.jobs,
        task_id=target.task_id,
        fresh=request.no_cache,
        hold_back=None if request.detach else lambda: open_run(held_back=True),
    )


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
