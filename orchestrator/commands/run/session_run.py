"""A nox session around an attempt: in this process, or the one that a bare nox started."""

from __future__ import annotations

import errno
import os
import sys
from functools import partial

from orchestrator.base.errors import StorageError
from orchestrator.commands.context import Context
from orchestrator.commands.run.prepared_run import PreparedRun, capture, with_base_policy
from orchestrator.process import GuardClient, ProcessHost
from orchestrator.process.late_guard import LateGuard
from orchestrator.runner.attempt import Setting, perform
from orchestrator.runner.environment import environment_folder
from orchestrator.runner.environment.nox import run_session
from orchestrator.runner.progress import Observer
from orchestrator.runner.run_end import Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nox.sessions import Session

    from orchestrator.git import Capture
    from orchestrator.model.plan import Plan
    from orchestrator.runner.children_lookup import Answer
    from orchestrator.runner.stage_cache import StageCache


def run_here(
    context: Context, prepared: PreparedRun, observer: Observer, cache: StageCache | None, provenance: Capture
) -> Result:
    """Run ``prepared`` inside its nox session, in this process, and return its end.

    Raises Refusal when the run could not be opened or recorded, and NoxUnavailable, with nothing
    opened, when the installed nox can't run a session in this process.
    """
    plan, workspace = prepared.plan, prepared.store.workspace
    root, env_dir = workspace.root, environment_folder(workspace.environments_dir, plan.session)
    results: list[Result] = []
    with running_setting(context, prepared, observer, cache, provenance) as setting:

        def body(session: Session) -> None:
            results.append(_perform(setting, prepared, env_dir))

        ended = run_session(plan.session.name, body, root=root, tags=(plan.pipeline, plan.project))
    if ended.error is not None:
        raise ended.error
    return results[0]


_LOADED_PROGRAM = "orchestrator.cli.loaded_program"


def _guard(plan: Plan) -> GuardClient:
    """Start the run's guard; that of a fleet holds the program loaded, of which each child is a copy.

    Raises StorageError where no process can be made.
    """
    try:
        if plan.selection is None or sys.platform != "linux":  # elsewhere a copy can't use all of a system
            return GuardClient.start()
        from orchestrator.process.copied_guard import copy_guard, may_copy  # of fleets alone

        return GuardClient.start(program=_LOADED_PROGRAM, make=copy_guard if may_copy() else None)
    except OSError as error:
        is_limit = error.errno in (errno.EAGAIN, errno.ENOMEM)
        raise StorageError(
            f"no process can be started for the run's guard: {os.strerror(error.errno or 0).lower()}"
            + ("; this user or machine has no more processes" if is_limit else f" ({sys.executable})"),
            hint="see 'ulimit -u' and the container's limit of processes" if is_limit else "",
            code="no-process",
        ) from error


def _answer(context: Context, prepared: PreparedRun) -> Answer | None:
    """Return what answers for the up-to-date children of a fleet; None where each child is to be started.

    With a key, a child may be another's run; with options, it may have to wait for its place.
    """
    plan = prepared.plan
    if plan.selection is None or prepared.fresh or prepared.key is not None or prepared.child_options:
        return None
    from orchestrator.process.copies import may_be_copied  # of fleets alone

    if not may_be_copied():
        return None
    from orchestrator.commands.run.up_to_date_child import UpToDateChildren

    return UpToDateChildren(context, prepared.store, prepared.folders)


class running_setting:  # noqa: N801 -- used as a with statement, as contextlib's are
    """The world of an attempt: the guard starts at once, beside what is imported meanwhile."""

    def __init__(
        self,
        context: Context,
        prepared: PreparedRun,
        observer: Observer,
        cache: StageCache | None,
        provenance: Capture,
    ) -> None:
        answer = _answer(context, prepared)
        self._host: ProcessHost = LateGuard(partial(_guard, prepared.plan)) if answer else _guard(prepared.plan)
        self._setting = Setting(
            store=prepared.store,
            clock=context.clock,
            environ=context.environ,
            host=self._host,
            observer=observer,
            provenance=provenance,
            at_once=prepared.at_once,
            cache=cache,
            fresh=prepared.fresh,
            copies=prepared.copies,
            key=prepared.key,
            new_children=prepared.new_children,
            child_options=prepared.child_options,
            answer=answer,
            policy=prepared.policy,
            default_commit=prepared.default_commit,
        )

    def __enter__(self) -> Setting:
        return self._setting

    def __exit__(self, *_: object) -> None:
        if self._setting.cache is not None:
            self._setting.cache.ignored.abandon()
        self._host.close(timeout_seconds=30.0)
        self._setting.observer.close()


def perform_in(context: Context, prepared: PreparedRun, observer: Observer) -> Result:
    """Run ``prepared`` inside a session that nox itself started, or a fleet, which needs none, and return its end."""
    if not prepared.is_limited:
        return _perform_in(context, prepared, observer)
    from orchestrator.commands.run.queued_run import in_turn

    with in_turn(context, prepared, observer) as (turn, ended):
        if ended is None:
            return _perform_in(context, turn, observer)
        observer.close()
        return ended


def _perform_in(context: Context, prepared: PreparedRun, observer: Observer) -> Result:
    env_dir = environment_folder(prepared.store.workspace.environments_dir, prepared.plan.session)
    provenance = capture(context, prepared)
    prepared = with_base_policy(context, prepared)
    try:
        cache = prepared.cache(context, env_dir, provenance.ignored_names)
        with running_setting(context, prepared, observer, cache, provenance) as setting:
            return _perform(setting, prepared, env_dir)
    finally:
        provenance.abandon()


def _perform(setting: Setting, prepared: PreparedRun, env_dir: str | None) -> Result:
    return perform(
        setting,
        prepared.plan,
        env_dir,
        prepared.redactor,
        prepared.open_run,
        done=prepared.done,
        active_before=prepared.active_before,
    )
