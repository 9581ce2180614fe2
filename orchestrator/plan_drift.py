"""In which points one recorded plan differs from another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_NOT_COMPARED = frozenset({"digest", "stages", "config_digest", "approved"})


def plan_drift(before: Mapping[str, object], after: Mapping[str, object]) -> tuple[str, ...]:
    """Return a line for each point in which the plan ``after`` differs from ``before``, both in record form.

    Stages that are gone, new, changed (command, timeout, needs, …) or in another order, then what stands
    beside the stages. Empty when their digests are equal.
    """
    if after["digest"] == before.get("digest"):
        return ()
    lines: list[str] = []
    earlier, later = stages_of(before), stages_of(after)
    for stage_id in [*earlier, *(name for name in later if name not in earlier)]:
        if stage_id not in later:
            lines.append(f"stage '{stage_id}' is gone")
        elif stage_id not in earlier:
            lines.append(f"stage '{stage_id}' is new")
        else:
            lines += _differences(f"stage '{stage_id}'", earlier[stage_id], later[stage_id])
    if [name for name in earlier if name in later] != [name for name in later if name in earlier]:
        lines.append("the stages stand in another order")
    lines += [f"'{key}' changed" for key in after if key not in _NOT_COMPARED and after[key] != before.get(key)]
    return tuple(lines) or ("the plan has another digest",)


def stages_of(record: Mapping[str, object]) -> dict[str, Mapping[str, object]]:
    """Return the stages of a recorded plan by their ids."""
    stages = record.get("stages")
    found: Sequence[Mapping[str, object]] = stages if isinstance(stages, list) else ()
    return {str(stage.get("id")): stage for stage in found}


def _differences(what: str, before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    return [f"{what}: '{key}' changed" for key in after if before.get(key) != after[key]]
