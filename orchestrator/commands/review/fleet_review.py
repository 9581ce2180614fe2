"""A decision about a fleet: one about each of its projects' runs, since the fleet itself holds none."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.base.errors import EXIT_DONE, EXIT_GATE, Refusal, StorageError
from orchestrator.base.text.appearance import appearance
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.look.fleet_view import children_of
from orchestrator.commands.look.status import view
from orchestrator.commands.review.decision import DecisionRequest, check_words, decided
from orchestrator.report.fleet_text import fleet_decided_text
from orchestrator.store.layout import Location
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def decided_fleet(context: Context, store: RunStore, where: Location, asked: DecisionRequest) -> Answer:
    """Record the decision about each project's run that allows it, and name those left out (exit code 4 if any).

    An approval needs a run that is ready but for approvals, any other decision one that has ended. Raises UsageError
    for words that no run could take, StorageError.
    """
    check_words(asked)
    document = view(store, where, context.environ)
    children = children_of(store, document, context.environ)
    recorded: list[dict[str, Any]] = []
    left_out: list[dict[str, Any]] = []
    for command in document["commands"]:
        child = children.get(command["id"])
        if child is None:
            left_out.append({"project": command["id"], "run_id": None, "reason": "it has no run"})
            continue
        entry = {"project": command["id"], "run_id": str(child.document["run_id"])}
        try:
            of_child = Location(str(child.document["task_id"]), entry["run_id"])
            answer = decided(context, store, of_child, replace(asked, shown=None))
            recorded.append({**entry, "recorded": (answer.document or {}).get("recorded")})
        except StorageError:
            raise
        except Refusal as refusal:
            left_out.append({**entry, "reason": " ".join(refusal.message.split())})
    found = {**view(store, where, context.environ), "recorded": recorded, "left_out": left_out}
    seen = appearance(context.stdout, context.environ)
    text = fleet_decided_text(found, width=seen.width, color=seen.color)
    return Answer(EXIT_GATE if left_out else EXIT_DONE, found, text)
