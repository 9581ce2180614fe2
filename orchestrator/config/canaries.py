"""Rules of ``[[guardrails.canary]]``: which guardrails can have one, and where its files may stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orchestrator.base.quoting import shown
from orchestrator.config.builtin import builtin, builtin_names
from orchestrator.config.faults import Fault, did_you_mean
from orchestrator.model.builtin_guard import GUARD
from orchestrator.model.canary import CANARY, planted_stage
from orchestrator.model.exec_command import EXEC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST_CANARIES = 50
_LONGEST_ID = 64


def planted_path_fault(path: str) -> str | None:
    """Return why a canary can't plant a file at ``path``, None when it can: it stays in the project."""
    if not path or path.startswith("/") or path.endswith("/"):
        return f"{shown(path)} must be a file's path from the project's folder"
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return f"{shown(path)} leads out of the project, or is not the shortest path: leave out '.', '..' and '//'"
    if any(part.lower() == ".git" for part in parts):
        return f"{shown(path)} lies in a git folder"
    if "\0" in path or any(len(part.encode("utf-8", "replace")) > 255 for part in parts):
        return f"{shown(path)} can be no file's name"
    return None


def canary_faults(table: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield the faults between canaries and stages of a parsed config; values of a wrong type are passed over."""
    pipelines = table.get("pipelines")
    pipelines = pipelines if isinstance(pipelines, dict) else {}
    for name, command in ((CANARY, "prove"), (EXEC, "exec")):
        if name in pipelines:
            yield Fault(("pipelines", name), f"is the name of the runs of '{command}': choose another one")
    policy = table.get("guardrails")
    entries = policy.get("canary") if isinstance(policy, dict) else None
    if not isinstance(entries, list):
        return
    if len(entries) > MOST_CANARIES:
        yield Fault(("guardrails", "canary"), f"{len(entries)} canaries; {MOST_CANARIES} are allowed")
    stages = _stages(pipelines)
    for index, entry in enumerate(entries):
        guardrail = entry.get("guardrail") if isinstance(entry, dict) else None
        if isinstance(guardrail, str):
            fault = _fault(guardrail, stages)
            if fault is not None:
                yield Fault(("guardrails", "canary", index, "guardrail"), fault)


def _fault(guardrail: str, stages: Mapping[str, list[dict[str, Any]]]) -> str | None:
    if guardrail == GUARD:
        return "the built-in guard needs no canary: the program's own tests prove that it fails"
    if guardrail not in stages:
        return f"no pipeline has a stage {shown(guardrail)}{did_you_mean(guardrail, stages)}, so that it is never run"
    said = [stage for stage in stages[guardrail] if any(key in stage for key in ("run", "shell", "pipeline", "skip"))]
    if said and not any("run" in stage or "shell" in stage for stage in said):
        return f"{shown(guardrail)} is skipped or a sub-pipeline: only a command can have a canary"
    if len(planted_stage(guardrail, MOST_CANARIES)) > _LONGEST_ID:
        return f"{shown(guardrail)} is too long for the stages of its canary: {_LONGEST_ID - 10} characters are allowed"
    return None


def _stages(pipelines: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for name in builtin_names():
        base = builtin(name)
        for stage in base.pipeline.stages if base is not None else ():
            found.setdefault(stage.id, [])
    for pipeline in pipelines.values():
        entries = pipeline.get("stages") if isinstance(pipeline, dict) else None
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and isinstance(entry.get("id"), str):
                found.setdefault(entry["id"], []).append(entry)
    return found
