"""Where a run of mode cloud goes: what is refused before anything is written, and what was surveyed to travel."""

from __future__ import annotations

import asyncio
import os

from orchestrator import __version__
from orchestrator.base.errors import UsageError
from orchestrator.base.record import Record
from orchestrator.base.workspace import CONFIG_FOLDER
from orchestrator.cloud.connect import require_distributed, require_engine
from orchestrator.cloud.engine_record import ENGINE
from orchestrator.cloud.hub_client import hub_state
from orchestrator.cloud.snapshot_survey import Survey, SurveyQuery
from orchestrator.commands.context import Context
from orchestrator.config.cloud_policy import CloudPolicy, read_cloud_policy, refuse_if_project_forbids
from orchestrator.model.manifest.engine import Engine
from orchestrator.model.plan import Plan
from orchestrator.runner.environment.nox import noxfile_for


class CloudPlace(Record):
    """Where a run is to go, and what was surveyed to travel there."""

    policy: CloudPolicy
    found: Survey

    def engine(self) -> Engine:
        """Return what the first record of an attempt says of the engine."""
        from importlib.metadata import version

        versions = {"codex-orchestrator": __version__, ENGINE: version("distributed")}
        return Engine(ENGINE, self.policy.scheduler, "submitting", versions=versions)


def cloud_place(context: Context, root: str, plan: Plan) -> CloudPlace:
    """Return where ``plan`` is to run. Nothing is written.

    Raises UsageError: ``cloud-refused``, ``no-engine``, ``no-extra``, ``engine-unreachable``, ``bad-lease``, and what
    ``SurveyQuery`` refuses.
    """
    refuse_if_project_forbids(root, plan)
    policy = read_cloud_policy(root, context.environ)
    query = SurveyQuery.begin(root, context.environ, policy.include)
    try:
        require_distributed()  # a quarter of a second, in which git looks
        require_engine(policy)
        found = query.answer(_needed(root, plan))
    finally:
        query.end()
    check_lease(policy)
    return CloudPlace(policy, found)


def check_lease(policy: CloudPolicy) -> None:
    """Ask the hub, and raise UsageError (``bad-lease``) where a run would go on beside its own repetition."""
    state = asyncio.run(hub_state(policy))
    if state["worker_ttl"] is not None and policy.lease >= state["worker_ttl"]:
        raise UsageError(
            f"[cloud] lease is {policy.lease:g} s, and the scheduler gives workers up after {state['worker_ttl']:g} s: "
            "a run would go on beside its own repetition",
            hint="make the lease shorter than the scheduler's worker-ttl",
            code="bad-lease",
        )


def _needed(root: str, plan: Plan) -> list[str]:
    """Return the files and folders without which the run can't be."""
    found = [noxfile_for(root)] if noxfile_for(root).startswith(root + os.sep) else []
    for each in (plan, *plan.subplans):
        found.append(os.path.normpath(os.path.join(root, each.project_path)))
        found.append(os.path.join(root, CONFIG_FOLDER, f"{each.project}.toml"))
    return list(dict.fromkeys(found))
