"""A selection → the plan of a fleet: a stage for each project, a sub-pipeline, for the one engine of all plans."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from orchestrator.base.errors import UsageError
from orchestrator.base.identifiers import FLEET
from orchestrator.base.limits import DEFAULT_SLA_SECONDS
from orchestrator.base.record import Record
from orchestrator.config.fleet.members import Member, in_one_line
from orchestrator.config.fleet.selection import Selection
from orchestrator.config.graph import Vertex, cycles, in_order
from orchestrator.model.plan import Plan, PlannedStage, SessionPlan


class Foreseen(Record):
    """What is known of a selected project before it starts: its plan's digest and time limit, or what is wrong."""

    digest: str | None = None
    sla_seconds: float = DEFAULT_SLA_SECONDS
    fault: str | None = None


def foreseen(compile_one: Callable[[str], Plan], name: str) -> Foreseen:
    """Return what ``compile_one``, which raises UsageError, finds of a project: a fault fails its entry alone."""
    try:
        plan = compile_one(name)
    except UsageError as error:
        return Foreseen(fault=in_one_line(error))
    return Foreseen(plan.digest, plan.sla_seconds)


def fleet_plan(
    selection: Selection,
    members: Mapping[str, Member],
    known: Mapping[str, Foreseen],
    pipeline: str,
    task_id: str,
    *,
    fail_fast: bool,
) -> Plan:
    """Return the plan of a fleet of ``selection``; ``known`` has each of its projects.

    A project needs those that it depends on, where they are selected too; of projects that depend on each other in a
    circle, which is their configs' fault, each stands for itself. The time allowed is that of all, one after the other.
    """
    needs = _needs(selection.names, members)
    entries = [
        {**entry, "plan_digest": known[entry["project"]].digest, "fault": known[entry["project"]].fault}
        for entry in selection.as_json()["projects"]
    ]
    return Plan(
        project=FLEET,
        project_path=".",
        task_id=task_id,
        pipeline=pipeline,
        title=f"{pipeline} of {len(entries)} project{'' if len(entries) == 1 else 's'}",
        stages=tuple(
            PlannedStage(name, name, "subpipeline", pipeline=pipeline, project=name, needs=needs[name])
            for name in in_order([Vertex(name, needed) for name, needed in needs.items()])
        ),
        session=SessionPlan(FLEET, "none"),
        sla_seconds=sum(each.sla_seconds for each in known.values()) or DEFAULT_SLA_SECONDS,
        selection={**selection.as_json(), "projects": entries, "fail_fast": fail_fast},
    )


def _needs(names: tuple[str, ...], members: Mapping[str, Member]) -> dict[str, tuple[str, ...]]:
    chosen = frozenset(names)
    graph = [
        Vertex(name, tuple(each for each in members[name].depends_on if each in chosen and each != name))
        for name in names
    ]
    circling = {vertex.id for circle in cycles(graph) for vertex in circle}
    return {vertex.id: () if vertex.id in circling else vertex.needs for vertex in graph}
