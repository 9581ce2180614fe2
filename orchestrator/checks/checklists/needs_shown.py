"""What a run shows of an item's ``needs``: a pipeline, a stage of one, or what ``canary`` tried."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from orchestrator.model.base_policy import POLICY_NOT_COMPARED
from orchestrator.model.canary import CANARY, canaries_of, results
from orchestrator.model.plan_flags import NOTHING_CHECKED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_RECOMPUTABLE = 2
"""``digest_form`` of records that are judged by the rules of trust (contract, section 7); older ones as when made."""

_STAGE_KEY = re.compile(r"pipelines\.[^\[\]]+\.stages\[(?P<stage>[^\[\]]+)\]")


def is_recomputable(manifest: Mapping[str, Any]) -> bool:
    """Tell whether a record is judged by the rules of trust; older ones are judged as when they were made."""
    form = manifest.get("digest_form")
    return isinstance(form, int) and form >= _RECOMPUTABLE


def gaps(manifest: Mapping[str, Any], need: str) -> Iterator[str]:
    """Yield what keeps a run from showing a need: a pipeline, or ``pipeline/stage`` (contract, section 7, "Whole").

    A pipeline needs all its stages, but for those that the config ``skip``s, as the base's does, or that are waived.
    Of ``canary`` it is what the run shows of each guardrail, or of that one.
    """
    pipeline, _, stage = need.partition("/")
    if manifest["pipeline_id"] != pipeline:
        yield f"it is a run of '{manifest['pipeline_id']}'"
        return
    if pipeline == CANARY:
        yield from _canary_gaps(manifest, stage)
        return
    commands = {command["id"]: command for command in manifest["commands"]}
    if stage:
        if stage not in commands:
            yield f"it has no stage '{stage}'"
        elif not _is_success(commands[stage]):
            yield f"its stage '{stage}' ended with outcome {commands[stage].get('outcome')}"
        return
    if not is_recomputable(manifest):
        return
    allowed, waived = _may_be_skipped(manifest) | _waived_stages(manifest), waived_in(manifest)
    for stage, command in commands.items():
        is_skipped = command.get("outcome") == "skip" and stage in allowed
        if not (_is_success(command) or is_skipped or stage in waived):
            why = _new_skip(manifest) if command.get("outcome") == "skip" else ""
            yield f"its stage '{stage}' ended with outcome {command.get('outcome')}{why}"
    if not any(_is_success(command) for command in commands.values()):
        yield "nothing ran in it"
    if any(flag.get("code") == NOTHING_CHECKED for flag in manifest["plan"].get("flags") or ()):
        yield "nothing is checked in it: every stage but guardrails is skipped or may fail"


def _canary_gaps(manifest: Mapping[str, Any], guardrail: str) -> Iterator[str]:
    """Yield what keeps a run of ``canary`` from showing that a guardrail can fail, or each of its guardrails."""
    shown = {one.guardrail: one for one in results(manifest, canaries_of(manifest["plan"]))}
    if not shown or (guardrail and guardrail not in shown):
        yield f"it tried no guardrail '{guardrail}'" if guardrail else "it tried no guardrail"
    for name, result in shown.items():
        if result.fault is not None and name == (guardrail or name):
            yield f"guardrail '{name}': {result.fault}"


def _is_success(command: Mapping[str, Any]) -> bool:
    return command["status"] == "succeeded" or bool(command.get("reused"))


def _may_be_skipped(manifest: Mapping[str, Any]) -> frozenset[str]:
    """Return the stages that the config skips, but for those that the base's config did not (``policy``).

    None where the config was not compared with the base's: nothing shows then that the skip is not new.
    """
    entries = [entry for entry in manifest.get("policy") or () if isinstance(entry, Mapping)]
    if any(entry.get("code") == POLICY_NOT_COMPARED for entry in entries):
        return frozenset()
    # The places of policy: ``pipelines.<pipeline>.stages[<stage>]`` and what follows.
    newly = {match["stage"] for entry in entries if (match := _STAGE_KEY.match(str(entry.get("key"))))}
    skipped = frozenset(str(stage["id"]) for stage in manifest["plan"].get("stages") or () if stage.get("skip"))
    return skipped - newly


def _waived_stages(manifest: Mapping[str, Any]) -> frozenset[str]:
    """Return the stages that a waiver lets the run skip: one that stood when the run's last attempt ended."""
    day = str(manifest.get("completed_at"))[:10]
    waivers = manifest["plan"].get("waivers") or ()
    return frozenset(str(each["stage"]) for each in waivers if each.get("stage") and day <= str(each.get("until")))


def _new_skip(manifest: Mapping[str, Any]) -> str:
    compared = all(entry.get("code") != POLICY_NOT_COMPARED for entry in manifest.get("policy") or ())
    return "" if compared else ", and no config of a base commit shows that it was skipped before"


def waived_in(manifest: Mapping[str, Any]) -> frozenset[str]:
    """Return the guardrails of a run that were waived."""
    return frozenset(str(entry["id"]) for entry in manifest["guardrails"] if entry["outcome"] == "waived")
