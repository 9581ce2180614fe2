"""``plan``: show what ``start`` would run, for one project or for a selection; runs nothing."""

from __future__ import annotations

from orchestrator.base.limits import UNNAMED_PIPELINE
from orchestrator.commands.context import Answer, Context


def plan(
    context: Context,
    *,
    project: str | None = None,
    pipeline: str = UNNAMED_PIPELINE,
    task: str | None = None,
    against: str | None = None,
    explain: bool = False,
    shards: int | None = None,
    format: str = "text",  # noqa: A002 -- the option's name
    everything: bool = False,
    projects: str | None = None,
    affected: bool = False,
    base: str | None = None,
    no_dependents: bool = False,
    owners: tuple[str, ...] = (),
    tags: tuple[str, ...] = (),
    exclude: str | None = None,
    failed: bool = False,
    shard: str | None = None,
) -> Answer:
    """Return the plan of a project (``project_plan``) or, with options of a selection, of a fleet (``fleet_plan``).

    Raises as those do.
    """
    selection = (everything, projects, affected, base, no_dependents, owners, tags, exclude, failed, shard)
    if shards is not None or format == "github-matrix" or any(each not in (False, None, ()) for each in selection):
        from orchestrator.commands.look.fleet_plan import plan_of_fleet

        alone = {"--project": project, "--task": task, "--against": against, "--explain": explain or None}
        return plan_of_fleet(context, pipeline, selection, alone, shards=shards, form=format)
    from orchestrator.commands.look.project_plan import plan_of_project

    return plan_of_project(
        context, project=project, pipeline=pipeline, task=task, against=against, explain=explain, form=format
    )
