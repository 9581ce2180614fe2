"""``plan`` with a selection: which projects a fleet would run, and why; also as the matrix of a GitHub workflow."""

from __future__ import annotations

import json
from collections.abc import Mapping

from orchestrator.base.errors import EXIT_DONE, UsageError
from orchestrator.base.identifiers import check_name
from orchestrator.base.text.appearance import appearance
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.run.fleet_selection import Choice, chosen, planned
from orchestrator.config.collisions import session_name
from orchestrator.config.fleet.options import SelectionOptions, check_options
from orchestrator.config.fleet.selection import shards as parts_of
from orchestrator.report.fleet_text import fleet_plan_text, selection_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST_JOBS = 256
"""GitHub makes no more jobs of one matrix (GitHub Docs, "Running variations of jobs in a workflow")."""

MATRIX = "github-matrix"


def plan_of_fleet(
    context: Context,
    pipeline: str,
    selection: tuple[Any, ...],
    alone: Mapping[str, object],
    *,
    shards: int | None,
    form: str,
) -> Answer:
    """Return the plan of the fleet that ``selection``, the fields of ``SelectionOptions``, makes.

    It runs nothing and writes nothing but caches. ``alone`` are options that are of one project. Raises UsageError
    and ConfigError as ``start`` would.
    """
    for flag, value in alone.items():
        if value is not None:
            raise UsageError(
                f"{flag} can't be given with a selection of projects", hint="leave it out", code="option-conflict"
            )
    if shards is not None and form != MATRIX:
        raise UsageError(f"--shards is for --format {MATRIX}", hint="--shard I/N is one part", code="option-conflict")
    options = SelectionOptions(*selection)
    if not options.is_given:
        raise UsageError(
            f"--format {MATRIX} is for a selection of projects", hint="--all, --affected, …", code="option-conflict"
        )
    check_options(options)
    check_name("pipeline", pipeline)
    store = context.store()
    choice = chosen(context, store, options, pipeline)
    if form == MATRIX:
        return matrix(choice, pipeline, shards)
    seen = appearance(context.stdout, context.environ)
    if not choice.selection.projects:
        answer = choice.selection.as_empty_answer()
        return Answer(EXIT_DONE, answer, selection_text(answer["selection"], width=seen.width, color=seen.color))
    made = planned(context, store, choice, pipeline)
    made.store()
    plan = made.plan
    document = {**plan.record(), "task_id": plan.task_id, "owners": [], "subplans": {}, "guardrails": []}
    return Answer(EXIT_DONE, document, fleet_plan_text(document, width=seen.width, color=seen.color))


def matrix(choice: Choice, pipeline: str, shards: int | None) -> Answer:
    """Return the selection as ``{"include": […]}``, a job a project or, with ``shards``, a part.

    Raises UsageError for more jobs than GitHub takes.
    """
    members = choice.members.projects
    include: list[dict[str, str]] = [
        {
            "project": name,
            "task": members[name].task_id or "",
            "pipeline": pipeline,
            "session": session_name(pipeline, name),
        }
        for name in choice.selection.names
    ]
    if shards is not None:
        parts = parts_of(choice.selection.names, shards)
        include = [{"shard": f"{part}/{shards}", "projects": ",".join(names)} for part, names in parts]
    if len(include) > MOST_JOBS:
        raise UsageError(
            f"a matrix has at most {MOST_JOBS} jobs, and these are {len(include)}",
            hint="--shards 20 puts several projects into one job",
            code="matrix-too-large",
        )
    return Answer(EXIT_DONE, None, json.dumps({"include": include}, separators=(",", ":")) + "\n")
