"""Recording: every transition of a run, from its claim to its close, in one place.

The recorder holds the current manifest. Transitions that happen in the same turn of the loop share one
write (``flush``); what is read on disk is never older than the last turn.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from orchestrator.base.clock import Clock, stamp
from orchestrator.base.errors import StorageError
from orchestrator.model.builtin_guard import is_builtin_guard
from orchestrator.model.guardrails import judged, with_report
from orchestrator.model.manifest.command import Reused
from orchestrator.model.manifest.manifest import ChildRun, Manifest, SessionInfo, Softening
from orchestrator.model.manifest.transitions import (
    closed,
    error_file_added,
    moves_added,
    provenance_added,
    run_outcome,
    stage_ended,
    stage_skipped,
    stage_started,
)
from orchestrator.model.outcome import Ended, Outcome
from orchestrator.model.plan import Plan, PlannedStage
from orchestrator.runner.enclosing_job import with_actor
from orchestrator.runner.error_files import UNSUCCESSFUL, error_note, last_lines, stage_summary, summary_of
from orchestrator.runner.event_fields import run_start, stage_end
from orchestrator.runner.run_end import breakdown_detail, close_children, end_event, publish_end
from orchestrator.store.child_links import linked, settle_with_parent, settled_children, with_children
from orchestrator.store.claim import commit
from orchestrator.store.event_log import LINKED
from orchestrator.store.layout import CHILDREN, COMMANDS, ENVIRONMENT, ERRORS, error_name
from orchestrator.store.open_run import OpenRun
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.runner.stage_log import FinishedLog, StageLog
    from orchestrator.runner.stage_reports import Collected


class Recorder:
    """Writes one attempt of a run.

    ``notify`` gets each event as it is written; ``mask`` hides secrets in words that come from outside.
    """

    def __init__(
        self,
        store: RunStore,
        run: OpenRun,
        plan: Plan,
        clock: Clock,
        notify: Callable[[Mapping[str, Any]], None],
        *,
        active_before: float = 0.0,
        mask: Callable[[str], str] = str,
    ) -> None:
        self.manifest: Manifest = run.manifest
        self._mask = mask
        self.plan = plan
        self._store = store
        self._run = run
        self._clock = clock
        self._notify = notify
        self._active_before = active_before
        self._began = clock.monotonic()
        self._changed = False
        self._children_at: int | None = None
        self.has_abandoned = False
        """Whether a stage was not started because the run was stopped."""
        self.is_closed = False
        """Whether the lock is given back; what is not published then is recovery's."""

    @property
    def run_id(self) -> str:
        """The id of the run that is recorded."""
        return self.manifest.run_id

    def active_seconds(self) -> float:
        """Return the time that the run has been active, over all its attempts."""
        return self._active_before + self._clock.monotonic() - self._began

    def event(self, kind: str, **fields: Any) -> None:
        """Append an event and pass it on."""
        self._notify(self._run.event(kind, fields))

    def replace(self, manifest: Manifest) -> None:
        """Take another record for this one, of which another machine wrote a part; it is written with the next turn."""
        if manifest != self.manifest:
            self._change(manifest)

    def announce(self) -> None:
        """Say that an attempt of the run begins, and what its stages are."""
        self.event("run:start", **run_start(self.manifest))

    def set_session(self, session: SessionInfo) -> None:
        """Record what the session's environment turned out to be."""
        self._change(self.manifest._replace(session=session))

    def set_policy(self, policy: tuple[Softening, ...]) -> None:
        """Record what the config asks less than the base's."""
        if policy != self.manifest.policy:
            masked = tuple(entry._replace(message=self._mask(entry.message)) for entry in policy)
            self._change(self.manifest._replace(policy=masked))

    def add_provenance(self, captured: Mapping[str, Any]) -> None:
        """Record which commit, tree, host, tools and config this attempt runs on, and the ``account`` that runs it."""
        account = with_actor(self._store, self.manifest, captured.get("account"))
        masked = {key: self._mask(text) if isinstance(text, str) else text for key, text in (account or {}).items()}
        entry = {**captured, "account": None if account is None else masked}
        self._change(provenance_added(self.manifest, entry, self.plan.config_digest))

    def add_moves(self, moves: Mapping[str, Any] | None) -> None:
        """Record what of the tree changed while this attempt ran, where somebody looked."""
        if moves is not None and self.manifest.provenance:
            self._change(moves_added(self.manifest, moves))

    def log_name(self, stage: PlannedStage) -> str:
        """Return the name of the log of the stage's next attempt."""
        command = self.manifest.command(stage.id)
        return self._run.free_log_name(command.index, stage.id, len(command.attempts) + 1)

    def environment_log_name(self, step: int) -> str:
        """Return the name of the log of a step, the first or second, of making the environment."""
        return self._run.free_log_name(0, ENVIRONMENT, (self.manifest.attempt - 1) * 2 + step)

    def open_log(self, name: str, limit: int) -> StageLog:
        """Create a log below ``commands/``; of more than ``limit`` bytes it keeps head and tail."""
        from orchestrator.runner.stage_log import StageLog  # an attempt that the cache answers has no log

        path = os.path.join(self._run.folder.path, COMMANDS, name)
        return StageLog(self._run.open_log(name), limit, self._store.seam, path)

    def log_closed(self, log: FinishedLog) -> None:
        """Take the digest of a log that is closed, for the line of this attempt in the task's chain."""
        self._run.note_log(log.name, log.digest)

    def stage_started(self, stage: PlannedStage, log: str, cache_key: str | None = None, at: str | None = None) -> None:
        """Record that an attempt of a stage begins, or began ``at`` a moment: its log's name, its inputs' key."""
        path = f"{self.manifest.artifact_root}/{COMMANDS}/{log}"
        self._change(stage_started(self.manifest, stage.id, at or self._now(), path, cache_key))
        command = self.manifest.command(stage.id)
        self.event("stage:start", stage=stage.id, stage_attempt=len(command.attempts), command=command.command)

    def last_lines(self, tail: str) -> list[str]:
        """Return the last lines of some output, as error files and summaries show them."""
        return last_lines(tail, self._mask)

    def stage_ended(
        self,
        stage: PlannedStage,
        ended: Ended,
        tail: str,
        log: FinishedLog,
        *,
        will_retry: bool,
        left: Collected | None = None,
    ) -> None:
        """Record how an attempt of a stage ended; ``tail`` is the last of its masked output, ``left`` its reports.

        The children that it started are in the record.
        """
        self.log_closed(log)
        # The event comes first: a success that no event holds is none for whoever reads the record later.
        self.event("stage:end", stage=stage.id, **stage_end(ended), will_retry=will_retry)
        lines = self.last_lines(tail)
        forgiven = stage.allow_failure and ended.outcome in ("failure", "timeout") and not will_retry
        self._change(
            stage_ended(
                self.manifest,
                stage.id,
                self._now(),
                ended,
                summary=stage_summary(self._store, self.manifest, stage, ended, lines),
                left_out=log.left_out,
                forgiven=forgiven,
                log_sha256=log.digest.sha256,
                reports=left.reports if left else (),
            )
        )
        if is_builtin_guard(stage, self.plan.project):
            self._take_verdict(stage, ended)
        if ended.outcome in UNSUCCESSFUL:
            self._write_error(stage.id, ended, lines, left)

    def _take_verdict(self, stage: PlannedStage, ended: Ended) -> None:
        """Record the verdict that the built-in guard left."""
        from orchestrator.runner.stage_command import taken_verdict  # 0.6 ms, with what starts a stage

        verdict = taken_verdict(self._run.folder, stage.id, ended)
        self._change(with_report(self.manifest, stage.id, verdict._replace(reason=self._mask(verdict.reason))))

    def stage_skipped(self, stage: PlannedStage, reason: str) -> None:
        """Record that a stage is not started, and why."""
        self._change(stage_skipped(self.manifest, stage.id, reason))
        self.event("stage:skip", stage=stage.id, reason=reason)

    def stage_reused(self, stage: PlannedStage, reused: Reused) -> None:
        """Record that a stage is not started because nothing that it rests on changed since it succeeded."""
        reason = f"unchanged since run {reused.run_id}"
        self.event("stage:skip", stage=stage.id, reason=reason, reused_from=reused.run_id)
        self._change(stage_skipped(self.manifest, stage.id, reason, reused))

    def stage_abandoned(self, stage: PlannedStage, reason: str) -> None:
        """Record that a stage is not started because the run stops, and why."""
        self.has_abandoned = True
        self.stage_skipped(stage, reason)

    def stage_broken(self, stage_id: str, detail: str) -> None:
        """Record that a running stage was ended because the run itself broke; writes nothing yet."""
        self._change(stage_ended(self.manifest, stage_id, self._now(), Ended("error", detail=detail), summary=detail))

    def environment_failed(self, cause: str, ended: Ended, lines: list[str], log: str) -> None:
        """Write the error file of an environment that could not be made."""
        path = f"{self.manifest.artifact_root}/{COMMANDS}/{log}"
        note = error_note(self.manifest, None, ended, lines, path, self._now())
        self._run.write_error(
            error_name(0, ENVIRONMENT), {**note, "details": {"exit_code": ended.exit_code, "detail": cause}}
        )

    def sla_breached(self) -> None:
        """Record, once, that the run takes longer than it may."""
        sla = self.manifest.sla
        if not sla.breached:
            self._change(self.manifest._replace(sla=sla._replace(breached=True, breached_at=self._now())))
            self.event("sla:breach", limit_seconds=sla.limit_seconds)

    def cancelled_by(self) -> str | None:
        """Return who asked by ``cancel`` for the end of this attempt, and why, for the record; None if nobody did."""
        from orchestrator.store.cancel_request import read_request, withdraw_request

        request = read_request(self._run.folder, self.manifest.attempt)
        if request is None:
            return None
        masked = request._replace(actor=self._mask(request.actor), reason=self._mask(request.reason))
        self.event("run:cancel", actor=masked.actor, reason=masked.reason, requested_at=masked.at)
        withdraw_request(self._run.folder)
        return masked.detail

    def heartbeat(self) -> None:
        """Say that the run is alive, and take in children that were started meanwhile."""
        self._run.heartbeat()
        with suppress(StorageError):
            self.adopt_children()

    def adopt_new_children(self) -> None:
        """Take the links of children in where one was left since the last lookup, which costs one system call."""
        with suppress(OSError, StorageError):
            changed_at = os.stat(CHILDREN, dir_fd=self._run.folder.fd, follow_symlinks=False).st_mtime_ns
            if changed_at != self._children_at:
                self._children_at = changed_at
                self.adopt_children()

    def add_children(self, children: Iterable[ChildRun]) -> None:
        """Take in children that a copy of this process has recorded."""
        self._link(linked(self.manifest, children))

    def adopt_children(self, *, settled: bool = False) -> None:
        """Take the notes that child runs left into the record; ``settled`` ones too, which hundreds may be."""
        known = frozenset[str]() if settled else settled_children(self.manifest)
        self._link(with_children(self._store, self._run.folder, self.manifest, known))

    def _link(self, manifest: Manifest) -> None:
        if manifest is not self.manifest:
            before = {child.run_id for child in self.manifest.child_runs}
            self._change(manifest)
            for child in (one for one in manifest.child_runs if one.run_id not in before):
                self.event(LINKED, child_run_id=child.run_id, stage=child.stage_id)

    def recover_children(self, *, settled: bool = False) -> None:
        """Close and publish the children whose processes were killed, and take all in, as far as the disk allows."""
        with suppress(StorageError):
            close_children(self._store, self._run)
            self.adopt_children(settled=settled)

    def flush(self) -> None:
        """Write the record if it changed. Raises StorageError; the record on disk is then the one before."""
        if self._changed:
            self.manifest = self._run.save(self._timed(judged(self.manifest, self.plan, self._clock)))
            self._changed = False

    def close(self, *, outcome: Outcome | None = None, detail: str | None = None, settled: bool = False) -> Manifest:
        """End the run: write its terminal record, publish it and give the lock back.

        ``outcome`` is given when the run itself was stopped or broke; else it follows from the stages. ``settled``:
        nothing ran that could have changed the children which have ended.
        Raises StorageError when the record, or what follows from it, could not be written.
        """
        self.recover_children(settled=not settled)
        for command in self.manifest.commands:
            if command.status == "pending":
                self.manifest = stage_skipped(self.manifest, command.id, "the run ended before this stage")
        verdict = outcome or run_outcome(self.manifest, self.plan)
        self.manifest = judged(self.manifest, self.plan, self._clock)
        ended = closed(self.manifest, self._now(), verdict, detail, summary_of(self.manifest, detail))
        self._run.heartbeat()
        try:
            ended = self._timed(ended)
            announced = end_event(self._run, ended)
            self.manifest = self._run.save(ended)
            if not self._run.is_shown:
                commit(self._store, self._run)
            if announced is not None:
                self._notify(announced)
            settle_with_parent(self._store, self.manifest)
            publish_end(self._store, self._run)
            self.manifest = self._run.manifest
        finally:
            self.is_closed = True
            self._run.close()
        return self.manifest

    def give_up(self, error: BaseException) -> None:
        """Close the record as an error, as far as the disk allows; harmless when it is closed."""
        if self.is_closed:
            return
        detail = breakdown_detail(error)
        for command in self.manifest.commands:
            if command.status == "running":
                self.stage_broken(command.id, detail)
        with suppress(StorageError):
            self.close(outcome="error", detail=self._mask(detail))

    def _write_error(self, stage_id: str, ended: Ended, lines: list[str], left: Collected | None) -> None:
        command = self.manifest.command(stage_id)
        name = error_name(command.index, stage_id)
        note = error_note(self.manifest, command, ended, lines, command.log_path, self._now())
        self._run.write_error(name, note if left is None else {**note, **left.tests.fields()})
        self._change(error_file_added(self.manifest, stage_id, f"{self.manifest.artifact_root}/{ERRORS}/{name}"))

    def _timed(self, manifest: Manifest) -> Manifest:
        return manifest._replace(sla=manifest.sla._replace(active_seconds=round(self.active_seconds(), 3)))

    def _change(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self._changed = True

    def _now(self) -> str:
        return stamp(self._clock.now())
