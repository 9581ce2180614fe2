"""In which points one recorded plan differs from another.

Recorded text is masked by what the environment of that time knew to be secret, so the same text may be recorded in
two ways. Where both plans come from the same bytes of the same config, such a difference is none. A digest of the
text before masking would tell more, also to who guesses a short secret: none is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from orchestrator.base.redaction import MASK, Redactor
from orchestrator.model.plan import Plan, redacted, stages_of

_MASKS = re.escape(MASK[0]) + f"{{{len(MASK)},}}"
"""One mask or more, and what is like it beside them, since ``****`` may be a star and a mask in either order."""

_NOT_COMPARED = frozenset({"digest", "compiler", "stages", "subpipelines", "config_digest", "approved", "spec_guard"})
_Node = tuple[str, str]
"""Project and pipeline of a reached sub-pipeline."""


def drift(recorded: Mapping[str, object], plan: Plan, redactor: Redactor) -> tuple[str, ...]:
    """Return a line for each point in which the current plan differs from the recorded one, as ``plan_drift`` does."""
    return plan_drift(recorded, redacted(plan, redactor.text).record())


def unchanged_stages(recorded: Mapping[str, object], plan: Plan, redactor: Redactor) -> frozenset[str]:
    """Return the ids of the stages that are the same work in the recorded plan and in the current one."""
    return unchanged(recorded, redacted(plan, redactor.text).record())


def shown_plan(recorded: Mapping[str, object], plan: Plan, redactor: Redactor) -> Plan:
    """Return the current plan as a new attempt's record shows it: what the recorded one masks stays masked."""
    return redacted(plan, as_recorded(recorded, plan.config_digest, redactor.text))


def plan_drift(before: Mapping[str, object], after: Mapping[str, object]) -> tuple[str, ...]:
    """Return a line for each point in which the plan ``after`` differs from ``before``, both in record form.

    Stages that are gone, new, changed (command, timeout, needs, …) or in another order, what stands beside the
    stages, and the same of each sub-pipeline that is reached. Empty when their digests are equal, or nothing
    differs but what is masked. Keys that an older compiler did not write are passed over.
    """
    if after["digest"] == before.get("digest"):
        return ()
    settled = _settled(before, after)
    same_compiler = before.get("compiler") == after.get("compiler")
    lines = _plan_lines("", before, settled, every_key=same_compiler)
    earlier, later = _subplans(before), _subplans(after)
    masks_only = settled != after
    if later and "subpipelines" not in before:
        lines.append("the earlier plan does not hold its sub-pipelines, so that a change in them can't be ruled out")
        return tuple(lines)
    for node in dict.fromkeys([*earlier, *later]):
        if node not in later:
            lines.append(f"{_named(node)} is not reached any more")
            continue
        masks_only = masks_only or (node in earlier and _settled(earlier[node], later[node]) != later[node])
        lines += _lines_below(node, earlier, later[node])
    return tuple(lines) or (() if masks_only or not same_compiler else ("the plan has another digest",))


def drift_below(before: Mapping[str, object], entries: Sequence[Mapping[str, object]]) -> tuple[str, ...]:
    """Return a line for each point in which plans of sub-pipelines differ from those that the plan ``before`` holds.

    All are in record form, the ``entries`` as a plan that reaches them keeps them (``plan.subplan_records``).
    """
    earlier = _subplans(before)
    found = _subplans({"subpipelines": entries})
    return tuple(line for node, entry in found.items() for line in _lines_below(node, earlier, entry))


def unchanged(before: Mapping[str, object], after: Mapping[str, object]) -> frozenset[str]:
    """Return the ids of the stages that are the same work in both recorded plans.

    A sub-pipeline is the same work when each pipeline that it reaches is.
    """
    settled = _settled(before, after)
    earlier = stages_of(before)
    above, below = _subplans(before), _subplans(after)
    return frozenset(
        name
        for name, stage in stages_of(settled).items()
        if earlier.get(name) == stage
        and all(
            node in above and node in below and _same_work(above[node], below[node])
            for node in _reached(stage, str(after.get("project")), below)
        )
    )


def as_recorded(before: Mapping[str, object], config_digest: str, mask: Callable[[str], str]) -> Callable[[str], str]:
    """Return ``mask`` that also masks what the plan ``before`` of the same config has masked.

    So a secret that this environment doesn't know, and the one of that time did, stays out of the record.
    """
    masked = [text for text in _texts(before) if MASK in text] if before.get("config_digest") == config_digest else []

    def text(clear: str) -> str:
        shown = mask(clear)
        return next((known for known in masked if _hides(known, shown)), shown)

    return text


def settle(before: object, after: object) -> object:
    """Return ``after`` with the text of ``before`` wherever the two differ by what is masked only."""
    if isinstance(after, str) and isinstance(before, str):
        return before if _hides(before, after) or _hides(after, before) else after
    if isinstance(after, Mapping) and isinstance(before, Mapping):
        return {key: settle(before.get(key), value) for key, value in after.items()}
    if isinstance(after, list) and isinstance(before, list) and len(before) == len(after):
        return [settle(*pair) for pair in zip(before, after, strict=True)]
    return after


def _settled(before: Mapping[str, object], after: Mapping[str, object]) -> Mapping[str, object]:
    """Return ``after`` with what differs by masks only as in ``before``; its sub-pipelines are left as they are."""
    digest = after.get("config_digest")
    if not digest or before.get("config_digest") != digest:
        return after
    return {key: value if key == "subpipelines" else settle(before.get(key), value) for key, value in after.items()}


def _subplans(record: Mapping[str, object]) -> dict[_Node, Mapping[str, object]]:
    entries = record.get("subpipelines")
    found: Sequence[Mapping[str, object]] = entries if isinstance(entries, list) else ()
    return {(str(entry.get("project")), str(entry.get("pipeline"))): entry for entry in found}


def _named(node: _Node) -> str:
    return f"sub-pipeline '{node[1]}' of '{node[0]}'"


def _lines_below(node: _Node, earlier: Mapping[_Node, Mapping[str, object]], entry: Mapping[str, object]) -> list[str]:
    if node not in earlier:
        return [f"{_named(node)} is new"]
    return _plan_lines(f"{_named(node)}: ", earlier[node], _settled(earlier[node], entry), every_key=True)


def _same_work(before: Mapping[str, object], after: Mapping[str, object]) -> bool:
    settled = _settled(before, after)
    return {**settled, "config_digest": None} == {**before, "config_digest": None}


def _reached(
    stage: Mapping[str, object], project: str, subplans: Mapping[_Node, Mapping[str, object]]
) -> Iterator[_Node]:
    """Yield each pipeline that a recorded stage of ``project`` reaches, once."""
    seen: set[_Node] = set()
    waiting = [(project, stage)]
    while waiting:
        owner, each = waiting.pop()
        node = (str(each.get("project") or owner), str(each.get("pipeline")))
        if each.get("pipeline") is None or node in seen:
            continue
        seen.add(node)
        yield node
        waiting += [(node[0], below) for below in stages_of(subplans.get(node)).values()]


def _plan_lines(what: str, before: Mapping[str, object], after: Mapping[str, object], *, every_key: bool) -> list[str]:
    """Return a line for each difference of two plans, but for those in their sub-pipelines, each after ``what``."""
    lines: list[str] = []
    earlier, later = stages_of(before), stages_of(after)
    for stage_id in dict.fromkeys([*earlier, *later]):
        if stage_id not in later:
            lines.append(f"{what}stage '{stage_id}' is gone")
        elif stage_id not in earlier:
            lines.append(f"{what}stage '{stage_id}' is new")
        else:
            lines += _differences(f"{what}stage '{stage_id}': ", earlier[stage_id], later[stage_id], every_key)
    if [name for name in earlier if name in later] != [name for name in later if name in earlier]:
        lines.append(f"{what}the stages stand in another order")
    compared = {key: value for key, value in after.items() if key not in _NOT_COMPARED}
    return [*lines, *_differences(what, before, compared, every_key)]


def _differences(what: str, before: Mapping[str, object], after: Mapping[str, object], every_key: bool) -> list[str]:
    lines = []
    keys = [key for key in after if every_key or key in before]
    if every_key and "id" in after:  # of a stage: a key may be left out where it has its default
        keys += [key for key in before if key not in after]
    for key in keys:
        old, value = before.get(key), after.get(key)
        if old == value:
            continue
        word = f"{what}'{key}' changed"
        if settle(old, value) == old:
            word += ", or it holds a secret that only one of the two environments knew: set the same variables as then"
        lines.append(word)
    return lines


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _hides(masked: str, clear: str) -> bool:
    """Tell whether ``masked`` is ``clear`` with a mask in the place of one or more pieces, none of them empty."""
    first, *rest = re.split(_MASKS, masked)
    if not rest or not clear.startswith(first):
        return False
    *middle, last = rest
    at = len(first)
    for piece in middle:
        at = clear.find(piece, at + 1)
        if at < 0:
            return False
        at += len(piece)
    return len(clear) - len(last) > at and clear.endswith(last)
