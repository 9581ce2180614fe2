"""What a plan takes of its config's policy, from the validated config or from the bytes of the file.

The compiler does the one. A plan that was found in a cache is held against the other, which validates nothing and
parses only a file that says something of policy, so that a cache decides nothing of it (contract, section 7).
"""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.base.record import Record
from orchestrator.config.guardrail_policy import ALWAYS_BOUND, DEFAULT_REQUIRED, GuardrailPolicy
from orchestrator.config.spec_guard_policy import ANY_AGE, DEFAULT_CODE, DEFAULT_EXCLUDE, SpecGuardPolicy
from orchestrator.model.plan import Flag, Plan, Waiver
from orchestrator.model.plan_flags import policy_only

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ASKS = (b"required", b"proof", b"waivers", b"spec_guard", b"\\")
"""One of these stands in every file that asks something else than the default, or ``pipelines`` is given a value; a
quoted key may be written with escapes."""

_DAY = 86400


class PlanPolicy(Record):
    """The keys of a ``Plan`` that policy decides; ``flags`` are those that follow from the config alone."""

    required_guardrails: tuple[str, ...]
    waivers: tuple[Waiver, ...]
    flags: tuple[Flag, ...]
    proof_required: bool
    code: tuple[str, ...]
    not_code: tuple[str, ...]


def plan_policy(
    pipeline: str, guardrails: GuardrailPolicy, spec_guard: SpecGuardPolicy, waivers: tuple[Waiver, ...]
) -> PlanPolicy:
    """Return the policy of a plan of ``pipeline``; where the config does not bind it, no guardrail is required."""
    code, not_code = spec_guard.code, spec_guard.exclude
    if not guardrails.binds(pipeline):
        of_stages = tuple(waiver for waiver in waivers if waiver.stage is not None)
        return PlanPolicy((), of_stages, (), False, code, not_code)
    flags = tuple(_flags(guardrails, spec_guard))
    return PlanPolicy(guardrails.required, waivers, flags, guardrails.proof_required, code, not_code)


def policy_of(plan: Plan) -> PlanPolicy:
    """Return the policy that stands in a plan."""
    return PlanPolicy(
        plan.required_guardrails, plan.waivers, policy_only(plan.flags), plan.proof_required, plan.code, plan.not_code
    )


def policy_in(project: str, raw: bytes, pipeline: str) -> PlanPolicy:
    """Return the policy that a valid config gives; another raises ConfigError, ValueError, TypeError or KeyError."""
    if not _may_ask(raw):
        required = DEFAULT_REQUIRED if pipeline == ALWAYS_BOUND else ()
        return PlanPolicy(required, (), (), False, DEFAULT_CODE, DEFAULT_EXCLUDE)
    from orchestrator.config.source import parsed_source

    table = parsed_source(project, raw).table
    asked = table.get("guardrails", {})
    guardrails = GuardrailPolicy(
        required=tuple(dict.fromkeys(asked.get("required", DEFAULT_REQUIRED))),
        pipelines=tuple(asked.get("pipelines", (ALWAYS_BOUND,))),
        proof_required="proof" in asked,
    )
    waivers = tuple(
        Waiver(entry.get("guardrail"), entry["reason"], entry["approved_by"], _day(entry["until"]), entry.get("stage"))
        for entry in table.get("waivers", ())
    )
    return plan_policy(pipeline, guardrails, _spec_guard(table.get("spec_guard", {})), waivers)


def _may_ask(raw: bytes) -> bool:
    """Tell whether a config may ask something else than the default."""
    return any(word in raw for word in _ASKS) or any(map(_is_assigned, raw.split(b"pipelines")[1:]))


def _is_assigned(rest: bytes) -> bool:
    """Tell whether a value is given to the key that ``rest`` follows."""
    rest = rest[1:] if rest[:1] in (b"'", b'"') else rest
    return rest.lstrip(b" \t").startswith(b"=")


def _spec_guard(asked: dict[str, Any]) -> SpecGuardPolicy:
    usual = SpecGuardPolicy()
    age = asked.get("max_review_age")
    return usual._replace(
        code=tuple(asked.get("code", usual.code)),
        exclude=tuple(asked.get("exclude", usual.exclude)),
        specs=tuple(asked.get("specs", usual.specs)),
        max_review_age=usual.max_review_age if age is None else None if age == ANY_AGE else _days(age),
        checklists=asked.get("checklists", usual.checklists),
        evidence=asked.get("evidence", usual.evidence),
        records=asked.get("records", usual.records),
    )


def _days(text: str) -> int:
    from orchestrator.config.quantities import duration

    return int(duration(text) // _DAY)


def _day(value: Any) -> str:
    return value if isinstance(value, str) else str(value.isoformat())


def _flags(guardrails: GuardrailPolicy, spec_guard: SpecGuardPolicy) -> Iterator[Flag]:
    for guardrail in DEFAULT_REQUIRED:
        if guardrail not in guardrails.required:
            text = f"this project does not require '{guardrail}', which is required by default"
            yield Flag(None, "guardrail-not-required", text)
    softer = spec_guard.softer()
    if softer:
        yield Flag(None, "guardrail-softened", f"[spec_guard] asks less than the default: {', '.join(softer)}")
