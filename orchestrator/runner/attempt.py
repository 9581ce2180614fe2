"""One attempt of a run, from its claim to its close, inside the nox session of its pipeline."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

from orchestrator.base.clock import Clock
from orchestrator.base.files import usual_patience
from orchestrator.base.record import Record
from orchestrator.base.redaction import Redactor
from orchestrator.git import Capture
from orchestrator.model.builtin_guard import is_builtin_guard
from orchestrator.model.manifest.command import Command
from orchestrator.model.manifest.manifest import Manifest, SessionInfo, Softening
from orchestrator.model.outcome import Outcome
from orchestrator.model.plan import Plan, PlannedStage
from orchestrator.process import ProcessHost
from orchestrator.runner.ci_job import is_in_github
from orchestrator.runner.environment import KeptTools, bin_paths, describe, stage_environ, tools_home
from orchestrator.runner.prepare_environment import EnvironmentMaker
from orchestrator.runner.process_loop import ProcessLoop
from orchestrator.runner.progress import Observer
from orchestrator.runner.recorder import Recorder
from orchestrator.runner.run_end import Result
from orchestrator.runner.scheduler import Scheduler
from orchestrator.runner.signals import SignalInbox
from orchestrator.runner.slots import Slots
from orchestrator.runner.stage_command import StageJobs, guard_path
from orchestrator.runner.starter import is_there, leader_of_starter
from orchestrator.runner.subpipeline_command import subpipeline_words
from orchestrator.store.lent_slots import SlotOffers
from orchestrator.store.open_run import OpenRun
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orchestrator.runner.children_lookup import Answer, ChildrenLookup
    from orchestrator.runner.stage_cache import StageCache
    from orchestrator.runner.stage_reports import StageReports

HEARTBEAT_SECONDS = 5.0
"""How often ``.heartbeat`` is touched (contract, section 4)."""

ADOPT_SECONDS = 0.05
"""How often, at most, a run looks for children that were started meanwhile: each time is a write of its record."""

STOPPED_PATIENCE_SECONDS = 5.0
"""How long a run that was stopped waits for its task's lock: what it can't publish then, the next command does."""

_GUARD_PATIENCE_SECONDS = 30.0


class Setting(Record):
    """What an attempt runs with: the world as arguments.

    ``at_once`` is how many stages were asked to run at once, None where nobody said; ``cache`` is None where no
    stage declares inputs; ``fresh`` says that nothing may be taken from the cache, in sub-pipelines neither;
    ``policy`` returns what the config asks less than the base commit's, ``default_commit`` what the default branch
    was when the attempt began, each once git has answered; ``copies`` and ``key``: as ``StageJobs`` has them. With
    ``new_children`` no child of an earlier attempt is resumed; ``child_options`` are those of each child's start.
    ``answer`` is called in a copy of this process: it records the child of a stage, which gets that environment, where
    it is up to date, and returns None where it has to run; it is None where no copy is to be made.
    """

    store: RunStore
    clock: Clock
    environ: Mapping[str, str]
    host: ProcessHost
    observer: Observer
    provenance: Capture
    at_once: int | None
    cache: StageCache | None = None
    fresh: bool = False
    policy: Callable[[], tuple[Softening, ...]] = tuple
    default_commit: Callable[[], str] = str
    copies: Mapping[str, str] = MappingProxyType({})
    key: str | None = None
    new_children: bool = False
    child_options: tuple[str, ...] = ()
    answer: Answer | None = None


def perform(
    setting: Setting,
    plan: Plan,
    env_dir: str | None,
    redactor: Redactor,
    open_run: Callable[[], OpenRun],
    *,
    done: Collection[str] = (),
    active_before: float = 0.0,
) -> Result:
    """Run one attempt and record it: ``open_run`` claims the run, or takes it over for a resume.

    ``done`` names the stages that succeeded earlier; ``active_before`` is the time, in seconds, of
    earlier attempts. Returns when nothing of the run is left running and its record is published.
    Raises Refusal when the run could not be opened, StorageError when it could not be recorded; its
    record is then closed as far as the disk allows.
    """
    with SignalInbox() as inbox:
        try:
            run = open_run()
            setting.host.adopt_keep_fd(run.lock.kept_fd)
        except BaseException:
            setting.host.close(timeout_seconds=_GUARD_PATIENCE_SECONDS)
            raise
        recorder = Recorder(
            setting.store,
            run,
            plan,
            setting.clock,
            setting.observer.event,
            active_before=active_before,
            mask=redactor.text,
        )
        attempt = _AttemptRun(setting, plan, env_dir, redactor, recorder, inbox)
        setting.store.patience = lambda: STOPPED_PATIENCE_SECONDS if inbox.has_heard else usual_patience()
        try:
            return attempt.carry_out(run, done)
        except BaseException as error:
            attempt.give_up(error)
            raise


def _learning(setting: Setting, redactor: Redactor, manifest: Manifest) -> Redactor:
    """Return what masks stages' output: on GitHub it learns the values that stages mask by a workflow command."""
    if not is_in_github(manifest):
        return redactor
    from orchestrator.runner.mask_commands import LearningRedactor

    return LearningRedactor(redactor, getattr(setting.observer, "mask_value", None))


class _AttemptRun:
    """The state of one attempt while it runs."""

    def __init__(
        self,
        setting: Setting,
        plan: Plan,
        env_dir: str | None,
        redactor: Redactor,
        recorder: Recorder,
        inbox: SignalInbox,
    ) -> None:
        self._setting = setting
        self._plan = plan
        self._env_dir = env_dir
        self._redactor = redactor
        self._recorder = recorder
        self._stage_pid = leader_of_starter()
        self._children_lookup: ChildrenLookup | None = None
        self._adopt_at = 0.0
        self._beat_at = setting.clock.monotonic() + HEARTBEAT_SECONDS
        learning = _learning(setting, redactor, recorder.manifest)
        self._loop = ProcessLoop(setting.host, inbox, setting.clock, learning, self._wake, setting.observer.sink)

    def carry_out(self, run: OpenRun, done: Collection[str]) -> Result:
        plan, recorder = self._plan, self._recorder
        recorder.announce()
        env_dir = self._env_dir
        path_of_guard = guard_path(self._setting.environ)
        workspace = self._setting.store.workspace
        project_folder = os.path.normpath(os.path.join(workspace.root, plan.project_path))
        tools = KeptTools(tools_home(workspace), self._setting.environ)
        stage_env = stage_environ(
            self._setting.environ, plan.session, bin_paths=bin_paths(env_dir), tools_dir=tools.folder
        )
        broken = None
        if env_dir is not None:
            maker = EnvironmentMaker(recorder, self._loop, self._setting.clock, self._setting.observer.output)
            broken = maker.make(plan.session, env_dir, project_folder, self._setting.environ, stage_env)
        recorder.add_provenance(self._setting.provenance.finish())
        recorder.set_policy(self._setting.policy())
        made = describe(env_dir)
        recorder.set_session(SessionInfo(plan.session.name, made["backend"], made["python"]))
        runnable = plan if broken is None else _guard_alone(plan)
        if runnable.stages and self._loop.cancelled_by is None:
            run_folder = self._setting.store.paths(run.where).absolute_folder
            jobs = StageJobs(
                workspace=workspace,
                project_folder=project_folder,
                manifest=recorder.manifest,
                run_folder=run_folder,
                stage_env=stage_env,
                own_environ=dict(self._setting.environ),
                open_log=recorder.open_log,
                show=self._setting.observer.output,
                subpipeline=self._subpipeline(recorder.manifest),
                guard_path=path_of_guard,
                default_commit=self._setting.default_commit(),
                copies=self._setting.copies,
                key=self._setting.key,
            )
            children = self._children_lookup = self._lookup(jobs)
            slots = Slots.open(run_folder, self._setting.environ, self._setting.at_once, lent=run.keeps_slot)
            try:
                Scheduler(
                    runnable,
                    done,
                    self._loop,
                    recorder,
                    lambda stage, log: jobs.job(plan, stage, log, tools),
                    slots=slots,
                    reports=self._reports(run, project_folder),
                    cache=self._setting.cache if broken is None else None,
                    fail_fast=plan.selection is not None and bool(plan.selection["fail_fast"]),
                    offers=None if plan.selection is None else SlotOffers(run.folder),
                    children=children,
                ).run()
            finally:
                slots.close()
                if children is not None:
                    children.close()
            # Each project of a fleet looks at its own tree.
            if plan.selection is None and any(
                _ran_now(command, recorder.manifest.attempt) for command in recorder.manifest.commands
            ):
                self._setting.provenance.look_again()
        return self._close(broken)

    def _lookup(self, jobs: StageJobs) -> ChildrenLookup | None:
        """Return what looks up which children of a fleet are up to date, None where each is to be started."""
        if self._setting.answer is None:
            return None
        from orchestrator.runner.children_lookup import lookup_of  # of fleets alone

        return lookup_of(self._setting.answer, self._plan, jobs, self._loop, self._setting.observer.output)

    def _reports(self, run: OpenRun, project_folder: str) -> StageReports | None:
        """Return what copies the stages' reports into the record, None where no stage declares any."""
        if not any(stage.reports for stage in self._plan.stages):
            return None
        from orchestrator.runner.stage_reports import StageReports  # with an XML parser, which few runs need

        workspace = self._setting.store.workspace
        clock = self._setting.clock
        return StageReports(
            run,
            workspace,
            project_folder,
            self._redactor,
            self._setting.copies,
            lambda: int(clock.now().timestamp() * 1e9),
        )

    def _subpipeline(self, manifest: Manifest) -> Callable[[PlannedStage], tuple[str, ...]]:
        """Return what says what a sub-pipeline is to do in this attempt, which ``manifest`` began."""

        def words(stage: PlannedStage) -> tuple[str, ...]:
            setting = self._setting
            is_begun = self._children_lookup is not None and stage.id in self._children_lookup.interrupted
            if is_begun:
                self._recorder.recover_children()
            return subpipeline_words(
                setting.store,
                self._recorder.manifest if is_begun else manifest,
                stage,
                self._plan.project,
                fresh=setting.fresh,
                anew=setting.new_children,
                options=setting.child_options,
                is_begun=is_begun,
            )

        return words

    def give_up(self, error: BaseException) -> None:
        """End what runs and close the record as an error, as far as the disk allows."""
        self._loop.close()
        self._setting.host.close(timeout_seconds=_GUARD_PATIENCE_SECONDS)
        self._recorder.give_up(error)

    def _wake(self, now: float) -> float | None:
        """Do what is due and return the seconds until the next thing is."""
        recorder = self._recorder
        if now >= self._beat_at:
            recorder.heartbeat()
            self._beat_at = now + HEARTBEAT_SECONDS
        waits = [self._beat_at - now]
        sla = recorder.manifest.sla
        if not sla.breached:
            left = sla.limit_seconds - recorder.active_seconds()
            if left <= 0:
                recorder.sla_breached()
            else:
                waits.append(left)
        lookup = self._children_lookup
        # What the copies record is reported by them.
        is_reported = lookup is not None and lookup.is_at_work and not len(self._loop)
        if not is_reported and now >= self._adopt_at:
            recorder.adopt_new_children()
            self._adopt_at = now + ADOPT_SECONDS
        elif not is_reported:
            waits.append(self._adopt_at - now)
        recorder.flush()
        if self._setting.observer.refresh_seconds is not None:
            self._setting.observer.tick()
            waits.append(self._setting.observer.refresh_seconds)
        return min(waits)

    def _close(self, broken: str | None) -> Result:
        self._setting.host.close(timeout_seconds=_GUARD_PATIENCE_SECONDS)
        stopped_by = self._loop.cancelled_by
        lost = self._loop.lost
        self._loop.close()
        outcome: Outcome | None = None
        detail = None
        affected = any(
            command.outcome == "cancellation" or command.status == "pending"
            for command in self._recorder.manifest.commands
        )
        if stopped_by is not None and (affected or self._recorder.has_abandoned):
            import signal

            asked_by = self._recorder.cancelled_by()
            outcome, detail = "cancellation", asked_by or f"stopped by {signal.Signals(stopped_by).name}{self._why()}"
            if asked_by is not None:
                # Who stopped it by `cancel` sent no signal that a shell would tell of (contract, section 2, code 3).
                stopped_by = None
        elif lost is not None or broken is not None:
            outcome, detail = "error", lost or broken
        self._recorder.add_moves(self._setting.provenance.moves())
        lookup = self._children_lookup
        children = lookup.documents if lookup is not None and lookup.has_found_all else {}
        manifest = self._recorder.close(outcome=outcome, detail=detail, settled=bool(children))
        if self._setting.cache is not None:
            self._setting.cache.store(manifest)
        return Result(manifest, stopped_by if manifest.status == "cancelled" else None, children)

    def _why(self) -> str:
        """Return why a signal came to a run that a stage of another run left behind: that stage has ended."""
        lineage = self._recorder.manifest.lineage
        if lineage.parentRunId is None or lineage.parent_stage_id is None or is_there(self._stage_pid):
            return ""
        return f": stage '{lineage.parent_stage_id}' of its parent run '{lineage.parentRunId}' had ended"


def _ran_now(command: Command, attempt: int) -> bool:
    return any(entry.run_attempt == attempt for entry in command.attempts)


def _guard_alone(plan: Plan) -> Plan:
    """Return the plan with nothing but the built-in guard, which needs no environment of the codebase's."""
    stages = (stage for stage in plan.stages if is_builtin_guard(stage, plan.project))
    return plan._replace(stages=tuple(stage._replace(needs=()) for stage in stages))
