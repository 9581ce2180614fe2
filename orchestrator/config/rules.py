"""Rules that hold between keys. They work on the parsed file, so that a fault of shape elsewhere hides none."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence

from orchestrator.base.globs import path_fault, paths
from orchestrator.base.identifiers import FLEET
from orchestrator.base.quoting import shown
from orchestrator.config.builtin import builtin, builtin_names
from orchestrator.config.canaries import canary_faults
from orchestrator.config.faults import Fault, did_you_mean
from orchestrator.config.graph import Vertex, cycles, vertices
from orchestrator.config.guardrail_policy import DEFAULT_REQUIRED
from orchestrator.model.builtin_guard import GUARD, STAGE_KEYS, guard_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ACTIONS = ("run", "shell", "pipeline", "skip")
_ANY_FILES = (("a", "Zz.9", "_q-r.py"), ("a/b", "Zz/9.py", "_q/r/s-t.c"))
"""Names that have nothing in common: a pattern that takes all of a group takes all files of a folder, or all below."""
_NOT_FOR_PIPELINES = ("cwd", "env", "inputs", "outputs", "log_limit", "reports")
Keys = tuple[str | int, ...]


def rule_faults(name: str, table: dict[str, Any]) -> list[Fault]:
    """Return the faults between keys of the config of project ``name``; values of a wrong type are passed over."""
    return [
        *_nul_faults((), table),
        *_name_faults(name, _table(table, "project")),
        *_default_faults(_table(table, "project"), _table(table, "pipelines")),
        *_session_faults(_table(table, "session")),
        *_guardrail_faults(table),
        *canary_faults(table),
        *_pipeline_faults(name, _table(table, "pipelines")),
    ]


def _table(table: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = table.get(key)
    return value if isinstance(value, dict) else {}


def _entries(table: Mapping[str, Any], key: str) -> list[tuple[int, dict[str, Any]]]:
    value = table.get(key)
    entries = value if isinstance(value, list) else []
    return [(index, entry) for index, entry in enumerate(entries) if isinstance(entry, dict)]


def _texts(value: object) -> list[str] | None:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else None


def _nul_faults(keys: Keys, value: object) -> Iterator[Fault]:
    # No file name, argument or variable of a process can hold one.
    if isinstance(value, str):
        if "\0" in value:
            yield Fault(keys, "contains a NUL character")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _nul_faults((*keys, key), item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _nul_faults((*keys, index), item)


def _name_faults(name: str, project: Mapping[str, Any]) -> Iterator[Fault]:
    said = project.get("name")
    if isinstance(said, str) and said != name:
        yield Fault(("project", "name"), f"must be '{name}', as the file is called")
    if project.get("task_id") == FLEET:
        yield Fault(("project", "task_id"), f"'{FLEET}' is reserved for the runs of fleets: choose another task")
    for place, needed in enumerate(_texts(project.get("depends_on")) or []):
        if needed == name:
            yield Fault(("project", "depends_on", place), "is the project itself")


def _default_faults(project: Mapping[str, Any], pipelines: Mapping[str, Any]) -> Iterator[Fault]:
    said, known = project.get("default_pipeline"), {*builtin_names(), *pipelines}
    if isinstance(said, str) and said not in known:
        yield Fault(("project", "default_pipeline"), f"there is no pipeline {shown(said)}{did_you_mean(said, known)}")


def _session_faults(session: Mapping[str, Any]) -> Iterator[Fault]:
    if session.get("backend") != "none":
        return
    for key in ("python", "install"):
        if session.get(key):
            yield Fault(("session", key), "has no effect with backend 'none', which makes no virtual environment")


def _guardrail_faults(table: Mapping[str, Any]) -> Iterator[Fault]:
    policy = _table(table, "guardrails")
    known = {*builtin_names(), *_table(table, "pipelines")}
    for index, pipeline in enumerate(_texts(policy.get("pipelines")) or []):
        if pipeline not in known:
            yield Fault(
                ("guardrails", "pipelines", index),
                f"there is no pipeline {shown(pipeline)}{did_you_mean(pipeline, known)}",
            )
    required = _texts(policy.get("required", list(DEFAULT_REQUIRED)))
    for index, waiver in _entries(table, "waivers"):
        guardrail = waiver.get("guardrail")
        if isinstance(guardrail, str) and required is not None and guardrail not in required:
            text = f"no guardrail {shown(guardrail)} is required{did_you_mean(guardrail, required)}"
            yield Fault(("waivers", index, "guardrail"), text)
        yield from _waived_stage_faults(("waivers", index), table, waiver)


def _waived_stage_faults(keys: Keys, table: Mapping[str, Any], waiver: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield what is wrong with what a waiver is about: one guardrail, or one stage that some pipeline has."""
    if ("guardrail" in waiver) == ("stage" in waiver):
        yield Fault(keys, "needs one of 'guardrail' and 'stage', and not both")
        return
    stage = waiver.get("stage")
    if not isinstance(stage, str):
        return
    pipelines = _table(table, "pipelines").values()
    own = {entry.get("id") for each in pipelines if isinstance(each, dict) for _, entry in _entries(each, "stages")}
    built_in = {one.id for name in builtin_names() if (found := builtin(name)) for one in found.pipeline.stages}
    known = sorted({name for name in own if isinstance(name, str)} | built_in)
    if stage not in known:
        yield Fault((*keys, "stage"), f"no pipeline has a stage {shown(stage)}{did_you_mean(stage, known)}")


def _pipeline_faults(project: str, pipelines: Mapping[str, Any]) -> Iterator[Fault]:
    for name, pipeline in pipelines.items():
        if not isinstance(pipeline, dict):
            continue
        keys: Keys = ("pipelines", name)
        base = builtin(name)
        known = {stage.id for stage in base.pipeline.stages} if base is not None else set()
        if not known and pipeline.get("stages", []) == []:
            yield Fault(keys, "has no stages")
        seen: dict[str, tuple[int, dict[str, Any]]] = {}
        for index, stage in _entries(pipeline, "stages"):
            stage_id = stage.get("id")
            may_lack = isinstance(stage_id, str) and stage_id in known
            yield from _action_faults((*keys, "stages", index), stage, may_lack=may_lack)
            yield from _guard_faults((*keys, "stages", index), stage, project, may_lack=may_lack)
            yield from _output_faults((*keys, "stages", index), stage)
            if isinstance(stage_id, str) and stage_id in seen:
                yield Fault((*keys, "stages", index, "id"), f"a stage {shown(stage_id)} is listed already")
            elif isinstance(stage_id, str):
                seen[stage_id] = (index, stage)
        yield from _graph_faults(name, seen)


def _action_faults(keys: Keys, stage: Mapping[str, Any], *, may_lack: bool) -> Iterator[Fault]:
    actions = [key for key in _ACTIONS if key in stage]
    if len(actions) > 1:
        yield Fault(keys, f"has {' and '.join(actions)}; one of them is allowed")
    if not actions and not may_lack:
        yield Fault(keys, "says nothing to do: give it run, shell, pipeline or skip")
    if "project" in stage and "pipeline" not in stage:
        yield Fault((*keys, "project"), "is for a sub-pipeline: name its 'pipeline' too")
    if actions == ["pipeline"]:
        for key in _NOT_FOR_PIPELINES:
            if key in stage:
                yield Fault((*keys, key), "has no effect on a sub-pipeline")
    if actions == ["skip"] and stage.get("reports"):
        yield Fault((*keys, "reports"), "has no effect on a stage that is skipped")


def _output_faults(keys: Keys, stage: Mapping[str, Any]) -> Iterator[Fault]:
    for key in ("outputs", "reports"):
        for place, pattern in enumerate(_texts(stage.get(key)) or []):
            if _takes_all(posixpath.normpath(pattern.lstrip("/") or ".")):
                yield Fault((*keys, key, place), f"{shown(pattern)} takes the whole project: name what the stage makes")


def _takes_all(pattern: str) -> bool:
    if path_fault(pattern) is not None:
        return False
    taken = paths((pattern,))
    return any(all(map(taken.match, names)) for names in _ANY_FILES)


def _guard_faults(keys: Keys, stage: Mapping[str, Any], project: str, *, may_lack: bool) -> Iterator[Fault]:
    """Faults of a stage that is the built-in guard: what would soften or redirect it is refused."""
    if stage.get("id") != GUARD:
        return
    run = stage.get("run")
    words: Sequence[str] | None = _texts(run)
    if isinstance(run, str):
        import shlex

        try:
            words = shlex.split(run)
        except ValueError:
            return
    is_left_out = may_lack and not any(key in stage for key in _ACTIONS)
    if is_left_out or (words is not None and guard_options(words, project) is not None):
        for key in sorted(stage.keys() - STAGE_KEYS):
            yield Fault((*keys, key), f"is not for the built-in guard; a stage may say {', '.join(sorted(STAGE_KEYS))}")


def _graph_faults(name: str, seen: Mapping[str, tuple[int, dict[str, Any]]]) -> Iterator[Fault]:
    """Faults of the graph that the built-in stages, if any, and the project's make together."""
    base = builtin(name)
    needs: dict[str, list[str] | tuple[str, ...] | None] = {}
    for builtin_stage in base.pipeline.stages if base is not None else ():
        needs[builtin_stage.id] = builtin_stage.needs
    for stage_id, (index, stage) in seen.items():
        needs[stage_id] = _texts(stage["needs"]) if "needs" in stage else needs.get(stage_id)
        for place, need in enumerate(_texts(stage.get("needs")) or []):
            if need not in seen and need not in needs:
                keys = ("pipelines", name, "stages", index, "needs", place)
                yield Fault(keys, f"there is no stage {shown(need)}{did_you_mean(need, {*needs, *seen} - {stage_id})}")
    for circle in cycles(vertices(needs.items())):
        yield Fault(("pipelines", name), _circle_text(circle))


def _circle_text(circle: list[Vertex]) -> str:
    if len(circle) == 1:
        return f"stage {shown(circle[0].id)} needs itself"
    path = " → ".join(shown(vertex.id) for vertex in [*circle, circle[0]])
    implied = [vertex for vertex in circle if vertex.implied]
    hint = f" ({shown(implied[0].id)} has no 'needs', so that it needs the stage listed before it)" if implied else ""
    return f"stages need each other in a circle: {path}{hint}"
