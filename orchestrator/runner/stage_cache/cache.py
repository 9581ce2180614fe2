"""Whether a stage is cached, and what is stored of one that ran."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping

from orchestrator.base.globs import paths
from orchestrator.base.json_values import json_text
from orchestrator.base.record import Record
from orchestrator.base.sha256 import sha256
from orchestrator.base.workspace import Workspace
from orchestrator.model.manifest.command import Reused
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.model.plan import Plan, PlannedStage
from orchestrator.runner.stage_cache.cache_key import (
    Observation,
    changed_names,
    contents,
    differences,
    environment_digests,
    session_digest,
    stage_digest,
)
from orchestrator.runner.stage_cache.entries import Entries, Entry, NotStored
from orchestrator.runner.stage_cache.fingerprints import FileState, Survey, Unfit, Unmoved
from orchestrator.runner.stage_cache.ignored import Ignored
from orchestrator.runner.stage_cache.named_files import named_files
from orchestrator.runner.stage_cache.tools import tools_of, words_of
from orchestrator.store.cited_run import CitedSuccess

_OURSELVES = "codex-orchestrator"


class Lookup(Record):
    """What was seen of a stage: the success that may stand for it, else ``reasons`` why it has to run.

    ``cited`` is what the proved record of that success says.
    """

    reused: Reused | None
    reasons: tuple[str, ...] = ()
    observation: Observation | None = None
    cited: CitedSuccess | None = None

    @property
    def key(self) -> str | None:
        """The key of what was observed, None for a stage that always runs."""
        return None if self.observation is None else self.observation.key


class Place(Record):
    """Where a pipeline runs: ``env_dir`` is the session's environment, ``made_from`` its key."""

    workspace: Workspace
    task_id: str
    project_folder: str
    env_dir: str | None
    made_from: str


def may_reuse(plan: Plan, stage: PlannedStage) -> str | None:
    """Return why a stage always runs whatever its inputs are, or None when it may be cached."""
    if stage.kind not in ("command", "shell"):
        return "it starts other runs" if stage.kind == "subpipeline" else "it is skipped by the config"
    if _OURSELVES in stage.argv or (stage.inputs and _OURSELVES in words_of(stage)):
        return f"it calls {_OURSELVES}, which judges by more than files: by records, git's history and the day"
    if not stage.inputs:
        return "it declares no inputs"
    if (stage.guardrail or stage.id in plan.required_guardrails) and not plan.reuse_guardrails:
        return "it is a guardrail, and the config's guardrails.reuse is not true"
    return None


class _Seen(Record):
    salt: str
    observation: Observation
    found: Entry | NotStored | None
    """What was stored of the stage then: if something else is now, another run has had the last word."""


class _Success(Record):
    seen: _Seen
    after: Observation
    outputs: Mapping[str, FileState]


class StageCache:
    """The stored successes of one pipeline, as one attempt of a run sees them.

    ``env_of`` gives a stage's whole environment, ``cited`` returns the success that is cited, if the record of its
    run proves it, ``made`` the digest of the outputs by that run's events, ``now_ns`` is the wall clock in
    nanoseconds. With ``fresh`` every stage runs, and is stored all the same.
    """

    def __init__(
        self,
        *,
        plan: Plan,
        place: Place,
        env_of: Callable[[PlannedStage], Mapping[str, str]],
        cited: Callable[[str, Reused], CitedSuccess | None],
        made: Callable[[str, Reused], str | None],
        entries: Entries,
        ignored: Ignored,
        now_ns: Callable[[], int],
        fresh: bool = False,
    ) -> None:
        self.plan = plan
        self.place = place
        self.env_of = env_of
        self.cited = cited
        self.made = made
        self.entries = entries
        self.ignored = ignored
        self.now_ns = now_ns
        self.fresh = fresh
        self._seen: dict[str, _Seen] = {}
        self._succeeded: dict[str, _Success] = {}
        self._lookups: dict[str, Lookup] = {}

    def lookup(self, stage: PlannedStage) -> Lookup:
        """Return whether a success may stand for ``stage`` as things are now. Reads files, writes at most the cache.

        What was seen before any stage ran is not looked at again.
        """
        if stage.id in self._lookups:
            return self._lookups.pop(stage.id)
        reason = may_reuse(self.plan, stage)
        if reason is not None:
            return Lookup(None, (reason,))
        found = self.entries.get(stage.id)
        stored = found if isinstance(found, Entry) else None
        salt = stored.salt if stored is not None else os.urandom(16).hex()
        cited = None if stored is None else self.cited(stage.id, stored.shown_by)
        survey = self._survey(stage, {} if stored is None or cited is None else stored.observation.inputs, cited)
        try:
            observation = self._observe(stage, salt, survey)
        except Unfit as unfit:
            return Lookup(None, (f"its inputs can't be observed: {unfit}",))
        self._seen[stage.id] = _Seen(salt, observation, found)
        if stored is None:
            why = f": {found.reason}" if isinstance(found, NotStored) else ""
            return Lookup(None, (f"no success of it in a run that succeeded is stored{why}",), observation)
        reasons = self._against(stage, stored, observation, cited)
        if reasons:
            return Lookup(None, reasons, observation)
        if survey.reread and self.entries.get(stage.id) == found:
            self.entries.put(stage.id, Entry(salt, observation, stored.outputs, stored.shown_by))
        return Lookup(stored.shown_by, (), observation, cited)

    def all_cached(self, stages: Iterable[PlannedStage]) -> bool:
        """Tell whether a success may stand for each of ``stages`` as things are, if nothing runs before it."""
        for stage in stages:
            lookup = self.lookup(stage)
            if lookup.reused is None:
                self._lookups.clear()
                return False
            self._lookups[stage.id] = lookup
        return True

    def cited_successes(self) -> list[CitedSuccess]:
        """Return the successes that ``all_cached`` found to hold, as their runs' proved records show them."""
        return [lookup.cited for lookup in self._lookups.values() if lookup.cited is not None]

    def started(self) -> None:
        """Say that a stage runs: from now on files may change."""
        self._lookups.clear()

    def ended(self, stage: PlannedStage, *, succeeded: bool) -> str | None:
        """Say how a stage ended that ran. What it rested on must still be as it was, or nothing is stored of it.

        Returns the digest of the outputs of a success that is stored, for the run's events; None where it declares
        none. A success that is stored of the same work does not outlive a failure. Raises StorageError.
        """
        self.ignored.ask()
        seen = self._seen.pop(stage.id, None)
        if not succeeded:
            if may_reuse(self.plan, stage) is None:
                self.entries.refuse(stage.id, "it has failed since, or has not succeeded at the first try")
            return None
        if seen is None:
            return None
        try:
            after = self._observe(stage, seen.salt, self._survey(stage, seen.observation.inputs))
            changed = [*differences(seen.observation, after), *_written(seen.observation.inputs, after.inputs)]
            if changed:
                raise Unfit(f"while it ran, {'; '.join(changed)}")
            outputs = self._outputs(stage, {})
        except Unfit as unfit:
            self.entries.refuse(stage.id, str(unfit))
            return None
        self._succeeded[stage.id] = _Success(seen, after, outputs)
        return outputs_digest(outputs) if stage.outputs else None

    def store(self, manifest: Manifest) -> None:
        """Store the successes of a run that has ended, if it has succeeded itself."""
        if manifest.status != "succeeded":
            return
        for stage_id, success in self._succeeded.items():
            if self.entries.get(stage_id) != success.seen.found:
                continue  # another run has stored a success meanwhile, or has seen the same work fail
            command = manifest.command(stage_id)
            shown_by = Reused(
                run_id=manifest.run_id,
                task_id=manifest.task_id,
                attempt=manifest.attempt,
                cache_key=success.after.key,
                manifest=f"{manifest.artifact_root}/manifest.json",
                log_path=command.log_path,
                completed_at=command.completed_at,
            )
            self.entries.put(stage_id, Entry(success.seen.salt, success.after, success.outputs, shown_by))

    def _against(
        self, stage: PlannedStage, stored: Entry, now: Observation, cited: CitedSuccess | None
    ) -> tuple[str, ...]:
        reasons = [*differences(stored.observation, now)]
        if not reasons and stage.outputs:
            try:
                found = self._outputs(stage, stored.outputs if cited is not None else {}, cited)
                changed = changed_names(contents(stored.outputs), contents(found))
                reasons += [f"outputs changed: {changed}"] if changed else []
                if not reasons and cited is not None and outputs_digest(found) != self.made(stage.id, stored.shown_by):
                    reasons.append(f"run {stored.shown_by.run_id}, which it cites, did not leave these outputs")
            except Unfit as unfit:
                reasons.append(f"its outputs can't be observed: {unfit}")
        if not reasons and now.key != stored.shown_by.cache_key:
            # What the entry says of itself decides nothing: the key is what the cited run's record has of it.
            reasons.append(f"run {stored.shown_by.run_id}, which it cites, did not succeed on this")
        if not reasons and cited is None:
            reasons.append(f"run {stored.shown_by.run_id}, which showed it, is gone or is another record now")
        if not reasons and self.fresh:
            reasons.append("--no-cache was given")
        return tuple(reasons)

    def _observe(self, stage: PlannedStage, salt: str, survey: Survey) -> Observation:
        survey.add(paths(stage.inputs), self.ignored.names())
        if not survey.found:
            raise Unfit("they match no file")
        for need in _all_needs(self.plan, stage):
            survey.add(paths(need.outputs))
        env = self.env_of(stage)
        place = self.place
        for path in dict.fromkeys(named_files(stage, env, place.project_folder, self.ignored.names())):
            survey.add_file(path)
        return Observation(
            stage_digest(stage),
            session_digest(self.plan, place.made_from, place.project_folder),
            environment_digests(env, salt),
            tools_of(stage, env, project_folder=place.project_folder, env_dir=place.env_dir),
            survey.found,
        )

    def _survey(self, stage: PlannedStage, known: Mapping[str, FileState], cited: CitedSuccess | None = None) -> Survey:
        made = (*stage.outputs, *stage.reports)
        outputs = paths(made) if made else None
        unmoved = None if cited is None else Unmoved(cited.began_ns, cited.run_ended_ns)
        return Survey(self.place.project_folder, known, self.now_ns, _ours(self.place), outputs, unmoved)

    def _outputs(
        self, stage: PlannedStage, known: Mapping[str, FileState], cited: CitedSuccess | None = None
    ) -> dict[str, FileState]:
        if not stage.outputs:
            return {}
        # A stage's outputs are newer than its begin; they are as its run left them if nothing changed since its end.
        unmoved = None if cited is None else Unmoved(cited.run_ended_ns, cited.run_ended_ns)
        survey = Survey(self.place.project_folder, known, self.now_ns, _ours(self.place), unmoved=unmoved)
        survey.add(paths(stage.outputs))
        if not survey.found:
            raise Unfit("no declared output is there")
        return survey.found


def outputs_digest(outputs: Mapping[str, FileState]) -> str:
    """Return the digest of what a stage made: its files by path, each with what stands in it."""
    return sha256(json_text(contents(outputs), sort_keys=True).encode()).hexdigest()


def _ours(place: Place) -> frozenset[str]:
    """Return what lies in the project's folder and belongs to this program, from there."""
    workspace = place.workspace
    places = (workspace.runs_dir, workspace.out_dir, workspace.environments_dir)
    return frozenset(os.path.relpath(folder, place.project_folder) for folder in places)


def _all_needs(plan: Plan, stage: PlannedStage) -> list[PlannedStage]:
    """Return the stages that ``stage`` needs, directly or not."""
    found: dict[str, PlannedStage] = {}
    waiting = list(stage.needs)
    while waiting:
        need = plan.stage(waiting.pop())
        if need.id not in found:
            found[need.id] = need
            waiting += need.needs
    return list(found.values())


def _written(before: Mapping[str, FileState], after: Mapping[str, FileState]) -> list[str]:
    """Say of each file that it was written while the stage ran, though it holds the same again."""
    return [
        f"'{path}' was written"
        for path, state in before.items()
        if path in after and after[path].status != state.status
    ]
