"""What a reviewer must see of a plan, computed from the plan itself, wherever that was found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from orchestrator.base.limits import DEEPEST_NESTING
from orchestrator.base.redaction import looks_secret
from orchestrator.model.builtin_guard import GUARD, REPLACED, is_builtin_guard
from orchestrator.model.plan import Flag, Plan, PlannedStage

CANNOT_FAIL = "guardrail-cannot-fail"
NOTHING_CHECKED = "nothing-checked"
SHORTEST_SECRET = 6
"""Bytes; the value of a shorter secret is not masked (contract, section 5, promise 10)."""

_CHECKS = frozenset({"build", "lint", "test"})
_COMPUTED = frozenset({CANNOT_FAIL, REPLACED, NOTHING_CHECKED, "no-shell", "secret-too-short"})


def with_flags(plan: Plan) -> Plan:
    """Return the plan with the flags that follow from it, after those that the config's policy gave it.

    The plan of a sub-pipeline is flat: its flags are computed among all that are reached.
    """
    below = tuple(_flagged(each._replace(subplans=plan.subplans))._replace(subplans=()) for each in plan.subplans)
    return _flagged(plan._replace(subplans=below))


def policy_only(flags: Iterable[Flag]) -> tuple[Flag, ...]:
    """Return the flags that the config's policy gave, without those that follow from the plan."""
    return tuple(flag for flag in flags if flag.code not in _COMPUTED)


def _flagged(plan: Plan) -> Plan:
    computed = (*_guardrail_flags(plan), *_nothing_checked(plan), *_operator_flags(plan), *_secret_flags(plan))
    return plan._replace(flags=(*policy_only(plan.flags), *computed))


def _guardrail_flags(plan: Plan) -> Iterator[Flag]:
    reached = {(below.project, below.pipeline): below for below in plan.subplans}
    for stage in plan.stages:
        is_guardrail = stage.guardrail or stage.id in plan.required_guardrails
        if not is_guardrail or is_builtin_guard(stage, plan.project):
            continue
        if stage.id == GUARD:
            text = f"the command of '{stage.id}' is not the built-in guard, which nothing replaces"
            yield Flag(stage.id, REPLACED, text)
        elif (reason := _reason(stage, reached, 0)) is not None:
            yield Flag(stage.id, CANNOT_FAIL, f"guardrail '{stage.id}' can't fail: {reason}")


def _reason(stage: PlannedStage, reached: Mapping[tuple[str, str], Plan], level: int) -> str | None:
    if stage.kind == "command":
        from orchestrator.model.commands_that_cannot_fail import argv_reason

        return argv_reason(list(stage.argv))
    if stage.kind == "shell":
        from orchestrator.model.commands_that_cannot_fail import shell_reason

        return shell_reason(stage.shell or "")
    below = reached.get((stage.project or "", stage.pipeline or "")) if stage.kind == "subpipeline" else None
    if below is None or level >= DEEPEST_NESTING:
        return None
    for each in below.stages:
        blunt = each.kind == "skip" or each.allow_failure
        if not blunt and _reason(each, reached, level + 1) is None:
            return None
    return f"no stage of its sub-pipeline '{stage.pipeline}' can fail"


def _nothing_checked(plan: Plan) -> Iterator[Flag]:
    """Yield the flag of a pipeline with build, lint or test in which nothing but guardrails decides."""
    checks = [stage for stage in plan.stages if not (stage.guardrail or stage.id in plan.required_guardrails)]
    named = [stage.id for stage in checks if stage.id in _CHECKS]
    if named and all(stage.kind == "skip" or stage.allow_failure for stage in checks):
        text = "nothing is checked: every stage but guardrails is skipped or may fail"
        yield Flag(None, NOTHING_CHECKED, text)


def _operator_flags(plan: Plan) -> Iterator[Flag]:
    for stage in plan.stages:
        operator = next((word for word in stage.argv if word in ("&&", "||")), None)
        if operator is not None:
            text = (
                f"'run' starts no shell: '{operator}' is passed to the command as an argument; 'shell' would start one"
            )
            yield Flag(stage.id, "no-shell", text)


def _secret_flags(plan: Plan) -> Iterator[Flag]:
    names = plan.session.secret_env
    yield from _short_secrets(None, plan.session.set_env, names)
    for stage in plan.stages:
        yield from _short_secrets(stage.id, stage.env, names)


def _short_secrets(stage: str | None, env: Mapping[str, str], names: tuple[str, ...]) -> Iterator[Flag]:
    for name, value in env.items():
        if 0 < len(value.encode()) < SHORTEST_SECRET and (name in names or looks_secret(name)):
            text = f"the value of '{name}' is shorter than {SHORTEST_SECRET} bytes, so that it is not masked"
            yield Flag(stage, "secret-too-short", text)
