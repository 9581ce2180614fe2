"""What a stage that is a sub-pipeline starts: a new run, or what brings the child of an earlier attempt on."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base.errors import DamagedRecord, NotFound, StorageError
from orchestrator.base.identifiers import is_run_id, name_fault
from orchestrator.base.record import Record
from orchestrator.model.fleet import is_fleet
from orchestrator.model.manifest.document import VERSION
from orchestrator.model.manifest.manifest import ChildRun, Manifest
from orchestrator.model.plan import PlannedStage
from orchestrator.store.find import is_alive, read_document
from orchestrator.store.layout import TOKEN, Location
from orchestrator.store.record_proof import is_altered, is_proved
from orchestrator.store.store import RunStore
from orchestrator.store.unattended import is_unattended

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def subpipeline_words(
    store: RunStore,
    manifest: Manifest,
    stage: PlannedStage,
    project: str,
    *,
    fresh: bool,
    anew: bool = False,
    options: tuple[str, ...] = (),
    is_begun: bool = False,
) -> tuple[str, ...]:
    """Return the words behind the program's name for a sub-pipeline of the run ``manifest``.

    In a resume, and where this attempt may have begun one (``is_begun``), the stage's last child is taken where it has
    succeeded meanwhile or still runs (``wait``), attached to where it goes on in the cloud and nobody attends it, and
    resumed where it can be; what was accepted of the plan's drift there counts for it too. Else, and where the child is
    gone, altered or of another pipeline, and with ``anew`` where it has not succeeded, a new run is started.
    ``fresh``: nothing is taken from the cache. ``options`` are of a new run alone.
    """
    target = (stage.project or project, stage.pipeline or "")
    cache = ("--no-cache",) if fresh else ()
    actor = f"--actor={manifest.mode.actor}"
    child = _last_child(manifest, stage, target) if is_begun or manifest.attempt > 1 else None
    record = None if child is None else _record(store, child)
    if child is not None and record is not None:
        where = Location(child.task_id, child.run_id)
        if is_alive(store, where):
            return ("wait", child.run_id)
        if is_unattended(store, where, record):
            return ("attach", child.run_id)
        has_succeeded = record["status"] == "succeeded"
        if has_succeeded and is_proved(store, where, record):
            return ("wait", child.run_id)
        if not (anew or has_succeeded) and _has_token(store, child) and not is_altered(store, where, record):
            accepted = manifest.resume_events and manifest.resume_events[-1].accepted_drift
            drift = ("--accept-drift",) if accepted else ()
            reason = ("--reason", f"resume of run {manifest.run_id}")
            return ("resume", child.run_id, actor, *reason, *drift, *cache)
    return (*_words(new_child(manifest, stage, project)), *options, *cache)


class NewChild(Record):
    """What the start of a sub-pipeline asks for, whoever carries it out; ``overrides`` are ``K=V`` texts."""

    pipeline: str
    project: str
    actor: str
    approval_policy: str | None
    overrides: tuple[str, ...]
    override_reason: str | None


def new_child(manifest: Manifest, stage: PlannedStage, project: str) -> NewChild:
    """Return what a new run of the sub-pipeline ``stage`` asks for; a fleet's overrides are those of each child."""
    mode = manifest.mode
    overrides = mode.overrides if is_fleet({"plan": manifest.plan}) else {}
    return NewChild(
        stage.pipeline or "",
        stage.project or project,
        mode.actor,
        manifest.approval_policy or None,
        tuple(f"{name}={value}" for name, value in overrides.items()),
        (mode.reason or "") if overrides else None,
    )


def _words(child: NewChild) -> tuple[str, ...]:
    # A value that somebody gave may look like an option: such a one is taken only in the word of its own.
    policy = () if child.approval_policy is None else (f"--approval-policy={child.approval_policy}",)
    overrides = (f"--override={text}" for text in child.overrides)
    reason = () if child.override_reason is None else (f"--override-reason={child.override_reason}",)
    start = ("start", "--pipeline", child.pipeline, "--project", child.project, f"--actor={child.actor}")
    return (*start, *policy, *overrides, *reason)


def _last_child(manifest: Manifest, stage: PlannedStage, target: tuple[str, str]) -> ChildRun | None:
    """Return the newest child that the stage started; None where it started none."""
    of_stage = [child for child in manifest.child_runs if child.stage_id == stage.id]
    last = max(of_stage, key=lambda child: child.run_id, default=None)
    is_same = last is not None and (last.project, last.pipeline_id) == target
    return last if is_same else None


def _record(store: RunStore, child: ChildRun) -> Mapping[str, Any] | None:
    if not is_run_id(child.run_id) or name_fault("task", child.task_id) is not None:
        return None
    try:
        record = read_document(store, Location(child.task_id, child.run_id))
    except (NotFound, DamagedRecord, StorageError):
        return None
    return record if record["version"] == VERSION else None


def _has_token(store: RunStore, child: ChildRun) -> bool:
    try:
        with store.run_folder(Location(child.task_id, child.run_id)) as folder:
            return folder.has(TOKEN)
    except (FileNotFoundError, StorageError):
        return False
