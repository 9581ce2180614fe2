"""``start``: run a pipeline and record it."""

from __future__ import annotations

from orchestrator.base.errors import UsageError
from orchestrator.base.identifiers import RESERVED_PIPELINES
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.run.carry_out import carry_out
from orchestrator.commands.run.prepare_start import prepare
from orchestrator.commands.run.requests import StartRequest
from orchestrator.model.canary import CANARY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def start(context: Context, **options: Any) -> Answer:
    """Run a pipeline and return its record. Options are the fields of ``StartRequest``.

    Raises Refusal when nothing was run: then nothing was written.
    """
    request = StartRequest(**options)
    if request.pipeline in RESERVED_PIPELINES:
        command = "prove" if request.pipeline == CANARY else "exec"
        raise UsageError(
            f"pipeline '{request.pipeline}' is of the command '{command}'",
            hint=f"codex-orchestrator {command} --help",
            code="reserved-pipeline",
        )
    if request.selects:
        from orchestrator.commands.run.fleet_start import fleet_or_nothing

        fleet = fleet_or_nothing(context, request)
        if isinstance(fleet, Answer):
            return fleet
        prepared = fleet
    else:
        prepared = prepare(context, request)
    if prepared.found is not None:
        from orchestrator.commands.run.keyed_answer import found_answer

        return found_answer(context, prepared, prepared.found, request)
    if request.detach:
        from orchestrator.commands.run.detaching import detached

        return detached(context, prepared, request)
    return carry_out(context, prepared, request)
