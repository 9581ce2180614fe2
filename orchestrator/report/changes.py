"""What a watcher is shown: the differences between two status documents, a line each."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.report.layout import clean, duration
from orchestrator.report.stage_words import STAGE_WORD, how_it_ended, run_detail

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def changes(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[str]:
    """Return one line for each thing that changed; with nothing before, the state that it starts from."""
    old = before or {"attempt": None, "commands": [], "child_runs": [], "sla": None, "status": None}
    lines = []
    if old["attempt"] != after["attempt"]:
        lines.append(f"run {after['run_id']}, attempt {after['attempt']}: {_words(after['status'])}")
    known = {command["id"]: _state(command) for command in old["commands"]}
    lines += [
        _stage(command) for command in after["commands"] if known.get(command["id"], ("pending", 0)) != _state(command)
    ]
    children = {child["run_id"]: child["status"] for child in old["child_runs"]}
    lines += [
        f"child {child['run_id']} {child['pipeline_id']}: {_words(child['status'])}"
        for child in after["child_runs"]
        if children.get(child["run_id"]) != child["status"]
    ]
    if (after["sla"] or {}).get("breached") and not (old["sla"] or {}).get("breached"):
        lines.append(f"longer than allowed: {duration(after['sla']['limit_seconds'])}")
    if old["attempt"] == after["attempt"] and old["status"] != after["status"]:
        detail = f" ({run_detail(after)})" if run_detail(after) else ""
        lines.append(f"run {after['run_id']}: {_words(after['status'])}{detail}")
    return [clean(line) for line in lines]


def _state(command: Mapping[str, Any]) -> tuple[str, int]:
    return command["status"], len(command["attempts"])


def _stage(command: Mapping[str, Any]) -> str:
    word = STAGE_WORD[command["status"]]
    if command["status"] in ("pending", "running"):
        tries = len(command["attempts"])
        return f"{command['id']}: {word}" + (f", attempt {tries}" if tries > 1 else "")
    took = f" after {duration(command['duration_seconds'])}" if command["duration_seconds"] is not None else ""
    how = f", {how_it_ended(command)}" if command["status"] == "failed" and how_it_ended(command) else ""
    return f"{command['id']}: {word}{took}{how}"


def _words(status: str) -> str:
    return status.replace("_", " ")
