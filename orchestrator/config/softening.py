"""What a config asks less than the base commit's did (contract, section 7, "Policy")."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.base.workspace import WORKSPACE_FILE
from orchestrator.config.builtin import merged
from orchestrator.config.values import PipelineConfig, ProjectConfig, StageConfig
from orchestrator.config.workspace_file import DocsPolicy
from orchestrator.model.base_policy import COMMAND_CHANGED, POLICY_SOFTENED, SKIP_ADDED
from orchestrator.model.builtin_guard import GUARD, option_in
from orchestrator.model.commands_that_cannot_fail import argv_reason, shell_reason
from orchestrator.model.manifest.manifest import Softening

_CHECKS = ("build", "lint", "test")


def softenings(
    base: ProjectConfig, now: ProjectConfig, pipeline: str, *, known_base: str | None = None
) -> tuple[Softening, ...]:
    """Return what ``now`` asks less than ``base`` of a run of ``pipeline``, and which of its commands changed.

    A guardrail or pipeline that is no longer required, a check that is newly skipped, may fail or can't, fewer
    reviews or signatures, a lower gate, less code or fewer specs, another base or task for the guard, a waiver
    that is new or longer, and runs that may leave the machine. ``known_base`` is what led to the base: that the guard
    compares with it is a rule already.
    """
    softer = [
        *_guardrails(base, now),
        *_stages(base, now, pipeline),
        *_reviews(base, now),
        *_gates(base, now),
        *_spec_guard(base, now),
        *_guard(base, now, pipeline, known_base),
        *_waivers(base, now),
        *_cloud(base, now),
    ]
    return (*(Softening(POLICY_SOFTENED, key, text) for key, text in softer), *_named(base, now, pipeline))


def softenings_reached(base: ProjectConfig, now: ProjectConfig, pipeline: str) -> tuple[Softening, ...]:
    """Return what another project's config asks less of a ``pipeline`` that a run of this one reaches.

    Each stage there is part of the work. Who must review that project's own runs, and its gates, are not.
    """
    softer = [
        *_guardrails(base, now),
        *_stages(base, now, pipeline, every=True),
        *_spec_guard(base, now),
        *_guard(base, now, pipeline, None),
        *_waivers(base, now),
    ]
    found = (*(Softening(POLICY_SOFTENED, key, text) for key, text in softer), *_named(base, now, pipeline, every=True))
    return tuple(entry._replace(key=f"{now.name}: {entry.key}") for entry in found)


def docs_softenings(base: DocsPolicy, now: DocsPolicy) -> tuple[Softening, ...]:
    """Return what ``[docs]`` of the workspace asks less than that of the base: ticks that need no proof any more."""
    found = []
    if now.since is not None and now.since != base.since:
        known = f"those of {base.since[:12]}" if base.since is not None else "none"
        text = f"ticks of {now.since[:12]} need no proof, not {known}"
        found.append(Softening(POLICY_SOFTENED, f"{WORKSPACE_FILE}: docs.since", text))
    wider = [pattern for pattern in now.ignore if pattern not in base.ignore]
    if wider:
        text = f"newly not read: {', '.join(wider)}"
        found.append(Softening(POLICY_SOFTENED, f"{WORKSPACE_FILE}: docs.ignore", text))
    return tuple(found)


def _named(base: ProjectConfig, now: ProjectConfig, pipeline: str, *, every: bool = False) -> list[Softening]:
    """Return what is said of a change, and keeps no run from being ready."""
    changed = [Softening(COMMAND_CHANGED, key, text) for key, text in _commands(base, now, pipeline, every=every)]
    return changed + [Softening(SKIP_ADDED, key, text) for key, text in _other_skips(base, now, pipeline, every=every)]


def _guardrails(base: ProjectConfig, now: ProjectConfig) -> Iterator[tuple[str, str]]:
    for guardrail in base.guardrails.required:
        if guardrail not in now.guardrails.required:
            yield "guardrails.required", f"guardrail '{guardrail}' is no longer required"
    for pipeline in base.guardrails.pipelines:
        if not now.guardrails.binds(pipeline):
            yield "guardrails.pipelines", f"required guardrails no longer bind pipeline '{pipeline}'"
    if now.guardrails.reuse and not base.guardrails.reuse:
        yield "guardrails.reuse", "an earlier verdict may newly stand for a guardrail"
    if base.guardrails.proof_required and not now.guardrails.proof_required:
        yield "guardrails.proof", "a guardrail newly counts without a proof that it can fail"


def _guard(base: ProjectConfig, now: ProjectConfig, pipeline: str, known_base: str | None) -> Iterator[tuple[str, str]]:
    """Yield another base of the built-in guard, or another task whose specs answer."""
    place = f"pipelines.{pipeline}.stages[{GUARD}].run"
    old, new = _guard_option(base, pipeline, "--base"), _guard_option(now, pipeline, "--base")
    known = known_base or old or base.spec_guard.base
    named, key = (new, place) if new is not None else (now.spec_guard.base, "spec_guard.base")
    if named is not None and named != known:
        yield key, f"changes are newly compared with '{named}'"
    task = _guard_option(now, pipeline, "--task")
    if task not in (None, now.task_id, _guard_option(base, pipeline, "--task")):
        yield place, f"specs of task '{task}' newly answer for the code"


def _guard_option(config: ProjectConfig, pipeline: str, name: str) -> str | None:
    stage = _find(merged(pipeline, config.pipelines, config.name), GUARD)
    return None if stage is None or stage.run is None else option_in(stage.run, name)


def _pairs(
    base: ProjectConfig, now: ProjectConfig, pipeline: str, *, every: bool = False
) -> Iterator[tuple[str, StageConfig | None, StageConfig | None]]:
    """Yield each check and required guardrail of the base (``every`` stage), by its place, as it was and as it is.

    So each stage of a sub-pipeline of the same project that is one of these, as far as it reaches.
    """
    required = base.guardrails.required if base.guardrails.binds(pipeline) else ()
    waiting: list[tuple[str, tuple[str, ...] | None]] = [(pipeline, None if every else (*_CHECKS, *required))]
    seen = {pipeline}
    for name, wanted in waiting:
        before, after = (merged(name, config.pipelines, config.name) for config in (base, now))
        there = tuple(stage.id for stage in before.stages) if before is not None else ()
        for stage in dict.fromkeys(there if wanted is None else wanted):
            old, new = _find(before, stage), _find(after, stage)
            if old is None:
                continue
            yield f"pipelines.{name}.stages[{stage}]", old, new
            is_own = old.pipeline is not None and old.project in (None, base.name)
            if is_own and old.pipeline not in seen:
                seen.add(str(old.pipeline))
                waiting.append((str(old.pipeline), None))


def _stages(
    base: ProjectConfig, now: ProjectConfig, pipeline: str, *, every: bool = False
) -> Iterator[tuple[str, str]]:
    for place, old, new in _pairs(base, now, pipeline, every=every):
        if old is None or not old.complete:
            continue
        if new is None:
            yield place, "the stage is gone"
            continue
        if new.skip is not None and old.skip is None:
            yield f"{place}.skip", f"it is newly skipped: {new.skip}"
        if new.allow_failure and not old.allow_failure:
            yield f"{place}.allow_failure", "it is newly allowed to fail"
        reason = _cannot_fail(new)
        if reason is not None and _cannot_fail(old) is None:
            yield place, f"it newly can't fail: {reason}"


def _commands(
    base: ProjectConfig, now: ProjectConfig, pipeline: str, *, every: bool = False
) -> Iterator[tuple[str, str]]:
    for place, old, new in _pairs(base, now, pipeline, every=every):
        if old is None or new is None:
            continue
        if _work(old) != _work(new):
            yield place, "its command is another one than at the base"
        if (new.retries or 0) > (old.retries or 0):
            yield f"{place}.retries", f"it may be tried {new.retries} times more, not {old.retries or 0}"
        if new.inputs and (not old.inputs or not set(old.inputs) <= set(new.inputs)):
            yield f"{place}.inputs", "an earlier success stands for it by other files than at the base"
    if base.session.set_env != now.session.set_env:
        yield "session.set_env", "what it sets for each stage is another than at the base"
    if base.path != now.path:
        yield "project.path", f"its folder is '{now.path}', and '{base.path}' at the base"


def _work(stage: StageConfig) -> tuple[object, ...]:
    return stage.run, stage.shell, stage.pipeline, stage.project, stage.cwd, stage.env


def _other_skips(
    base: ProjectConfig, now: ProjectConfig, pipeline: str, *, every: bool = False
) -> Iterator[tuple[str, str]]:
    """Yield each skip of a stage that is no check, and that the base does not skip: the whole is not shown so."""
    before, after = merged(pipeline, base.pipelines, base.name), merged(pipeline, now.pipelines, now.name)
    checks = {place for place, *_ in _pairs(base, now, pipeline, every=every)}
    for stage in after.stages if after is not None else ():
        place, old = f"pipelines.{pipeline}.stages[{stage.id}]", _find(before, stage.id)
        if stage.skip is not None and place not in checks and (old is None or old.skip is None):
            yield f"{place}.skip", f"it is skipped, and is not at the base: {stage.skip}"


def _reviews(base: ProjectConfig, now: ProjectConfig) -> Iterator[tuple[str, str]]:
    old, new = base.review, now.review
    if new.approvals < old.approvals:
        yield "review.approvals", f"{new.approvals} people must approve, not {old.approvals}"
    for role in old.roles:
        if role not in new.roles:
            yield "review.roles", f"nobody in role '{role}' must approve any more"
    if new.alone and not old.alone:
        yield "review.alone", "the account that ran it may newly approve it"
    if old.stale_when_tree_moves and not new.stale_when_tree_moves:
        yield "review.stale_when_tree_moves", "an approval newly outlives a change of the tree"
    if old.signed and not new.signed:
        yield "review.signed", "an approval newly counts without a signature"
    if old.signers is not None and new.signers != old.signers:
        yield "review.signers", f"signatures of other keys count: {new.signers or 'of none'} instead of {old.signers}"


def _gates(base: ProjectConfig, now: ProjectConfig) -> Iterator[tuple[str, str]]:
    if now.metrics.min_coverage < base.metrics.min_coverage:
        yield "metrics.min_coverage", f"{now.metrics.min_coverage:g} instead of {base.metrics.min_coverage:g}"
    if now.metrics.sla_budget > base.metrics.sla_budget:
        yield "metrics.sla_budget", f"{now.metrics.sla_budget:g} instead of {base.metrics.sla_budget:g}"


def _spec_guard(base: ProjectConfig, now: ProjectConfig) -> Iterator[tuple[str, str]]:
    old, new = base.spec_guard, now.spec_guard
    for key in ("code", "specs"):
        lost = [pattern for pattern in getattr(old, key) if pattern not in getattr(new, key)]
        if lost:
            yield f"spec_guard.{key}", f"no longer: {', '.join(lost)}"
    wider = [pattern for pattern in new.exclude if pattern not in old.exclude]
    if wider:
        yield "spec_guard.exclude", f"newly left out: {', '.join(wider)}"
    more = [pattern for pattern in new.specs if pattern not in old.specs]
    if more:
        yield "spec_guard.specs", f"newly answers for code: {', '.join(more)}"
    longest, allowed = (float("inf") if age is None else age for age in (new.max_review_age, old.max_review_age))
    if longest > allowed:
        said = "any age" if new.max_review_age is None else f"{longest:g} days"
        yield "spec_guard.max_review_age", f"{said} instead of {allowed:g} days"
    for key in ("checklists", "evidence"):
        if getattr(old, key) and not getattr(new, key):
            yield f"spec_guard.{key}", "no longer checked"
    if new.records < old.records:
        yield "spec_guard.records", f"{new.records} instead of {old.records}"


def _waivers(base: ProjectConfig, now: ProjectConfig) -> Iterator[tuple[str, str]]:
    known: dict[str, str] = {}
    for waiver in base.waivers:
        known[waiver.subject] = max(known.get(waiver.subject, ""), waiver.until)
    for waiver in now.waivers:
        if waiver.until > known.get(waiver.subject, ""):
            word = "longer" if waiver.subject in known else "new"
            yield "waivers", f"a {word} waiver of '{waiver.subject}' until {waiver.until}"


def _cloud(base: ProjectConfig, now: ProjectConfig) -> Iterator[tuple[str, str]]:
    if now.session.cloud and not base.session.cloud:
        yield "session.cloud", "runs may newly leave the machine"


def _find(pipeline: PipelineConfig | None, stage_id: str) -> StageConfig | None:
    stages = pipeline.stages if pipeline is not None else ()
    return next((stage for stage in stages if stage.id == stage_id), None)


def _cannot_fail(stage: StageConfig) -> str | None:
    if stage.run is not None:
        return argv_reason(list(stage.run))
    return shell_reason(stage.shell) if stage.shell is not None else None
