"""Making the session's environment in a run: below its guard, into its logs, at most one process at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from orchestrator.base.clock import Clock
from orchestrator.model.plan import SessionPlan
from orchestrator.runner.environment import mark_made, needs_making
from orchestrator.runner.environment.fingerprint import environment_key
from orchestrator.runner.environment.steps import EnvironmentLock, Step, prepare
from orchestrator.runner.job import Job
from orchestrator.runner.process_loop import ProcessLoop
from orchestrator.runner.recorder import Recorder
from orchestrator.store.layout import ENVIRONMENT

_LOG_LIMIT = 64 * 1024 * 1024
_STEP_SECONDS = 3600.0
"""A package index that never answers must not hold a run for ever."""

_LOCK_POLL_SECONDS = 0.05


class EnvironmentMaker:
    """Makes, or installs into, a session's environment, and records how that went.

    ``show`` takes masked output under the name ``environment``.
    """

    def __init__(
        self,
        recorder: Recorder,
        loop: ProcessLoop,
        clock: Clock,
        show: Callable[[str, bytes], None],
    ) -> None:
        self._recorder = recorder
        self._loop = loop
        self._clock = clock
        self._show = show

    def make(
        self,
        session: SessionPlan,
        env_dir: str,
        project_folder: str,
        environ: Mapping[str, str],
        stage_env: Mapping[str, str],
    ) -> str | None:
        """Make the environment in ``env_dir`` where it is missing or stale; return why that failed, or None.

        ``environ`` is the user's, ``stage_env`` what stages get. Raises StorageError.
        """
        key = environment_key(session, env_dir=env_dir, project_folder=project_folder, environ=stage_env)
        if not needs_making(env_dir, key):
            return None
        began = self._clock.monotonic()
        self._recorder.event("environment:start", folder=env_dir)
        lock = EnvironmentLock(env_dir)
        try:
            if not self._locked(lock):
                return self._loop.lost or "cancelled while waiting for the environment"
            cause = None
            if needs_making(env_dir, key):
                steps = prepare(
                    session,
                    env_dir=env_dir,
                    project_folder=project_folder,
                    key=key,
                    environ=environ,
                    stage_environ=stage_env,
                )
                cause = self._run(steps)
                if cause is None:
                    mark_made(env_dir, key)
        finally:
            lock.release()
        took = round(self._clock.monotonic() - began, 3)
        outcome = "success" if cause is None else "error"
        self._recorder.event("environment:end", outcome=outcome, detail=cause, duration_seconds=took)
        return None if cause is None else f"the environment could not be made: {cause}"

    def _locked(self, lock: EnvironmentLock) -> bool:
        """Wait for the lock with the loop turning; False when the run is stopped, or its guard lost, meanwhile."""
        while not lock.try_acquire():
            self._loop.turn(_LOCK_POLL_SECONDS)
            if self._loop.is_stopping:
                return False
        return True

    def _run(self, steps: Sequence[Step]) -> str | None:
        """Run the steps one after the other, each with a log of its own; return why one failed."""
        for number, step in enumerate(steps, start=1):
            name = self._recorder.environment_log_name(number)
            self._loop.start(
                Job(
                    argv=step.argv,
                    cwd=step.cwd,
                    env=step.env,
                    timeout_seconds=_STEP_SECONDS,
                    log=self._recorder.open_log(name, _LOG_LIMIT),
                    show=lambda data: self._show(ENVIRONMENT, data),
                )
            )
            finished = None
            while finished is None:
                finished = next(iter(self._loop.turn()), None)
                self._loop.raise_refusal()
            self._recorder.log_closed(finished.log)
            ended = finished.ended
            if ended.outcome != "success":
                from orchestrator.model.failure_lines import cause_in

                lines = self._recorder.last_lines(finished.tail)
                cause = ended.detail or cause_in(lines) or f"exit code {ended.exit_code}"
                text = f"{step.title}: {cause}"
                self._recorder.environment_failed(text, ended, lines, name)
                return text
        return None
