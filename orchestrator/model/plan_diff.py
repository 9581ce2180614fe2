"""In which points one recorded plan differs from another.

Recorded text is masked by what the environment of that time knew to be secret, so the same text may be recorded in
two ways. Where both plans come from the same bytes of the same config, such a difference is none. A digest of the
text before masking would tell more, also to who guesses a short secret: none is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from orchestrator.base.redaction import MASK

_MASKS = re.compile(re.escape(MASK[0]) + f"{{{len(MASK)},}}")
"""One mask or more, and what is like it beside them, since ``****`` may be a star and a mask in either order."""

_NOT_COMPARED = frozenset({"digest", "stages", "config_digest", "approved"})


def plan_drift(before: Mapping[str, object], after: Mapping[str, object]) -> tuple[str, ...]:
    """Return a line for each point in which the plan ``after`` differs from ``before``, both in record form.

    Stages that are gone, new, changed (command, timeout, needs, …) or in another order, then what stands
    beside the stages. Empty when their digests are equal, or nothing differs but what is masked.
    """
    if after["digest"] == before.get("digest"):
        return ()
    settled = _settled(before, after)
    lines: list[str] = []
    earlier, later = stages_of(before), stages_of(settled)
    for stage_id in [*earlier, *(name for name in later if name not in earlier)]:
        if stage_id not in later:
            lines.append(f"stage '{stage_id}' is gone")
        elif stage_id not in earlier:
            lines.append(f"stage '{stage_id}' is new")
        else:
            lines += _differences(f"stage '{stage_id}': ", earlier[stage_id], later[stage_id])
    if [name for name in earlier if name in later] != [name for name in later if name in earlier]:
        lines.append("the stages stand in another order")
    compared = {key: value for key, value in settled.items() if key not in _NOT_COMPARED}
    lines += _differences("", before, compared)
    return tuple(lines) or (() if settled != after else ("the plan has another digest",))


def unchanged(before: Mapping[str, object], after: Mapping[str, object]) -> frozenset[str]:
    """Return the ids of the stages that are the same work in both recorded plans."""
    settled = _settled(before, after)
    earlier = stages_of(before)
    return frozenset(name for name, stage in stages_of(settled).items() if earlier.get(name) == stage)


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


def stages_of(record: object) -> dict[str, Mapping[str, object]]:
    """Return the stages of a recorded plan by their ids."""
    stages = record.get("stages") if isinstance(record, Mapping) else None
    found: Sequence[Mapping[str, object]] = stages if isinstance(stages, list) else ()
    return {str(stage.get("id")): stage for stage in found}


def _settled(before: Mapping[str, object], after: Mapping[str, object]) -> Mapping[str, object]:
    digest = after.get("config_digest")
    if not digest or before.get("config_digest") != digest:
        return after
    return {key: settle(before.get(key), value) for key, value in after.items()}


def _differences(what: str, before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    lines = []
    for key, value in after.items():
        old = before.get(key)
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
    first, *rest = _MASKS.split(masked)
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
