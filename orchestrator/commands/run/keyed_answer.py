"""The answer of a start whose key stands for a run already: that run's, once it has ended."""

from __future__ import annotations

import time
from collections.abc import Mapping

from orchestrator.base.errors import EXIT_DONE
from orchestrator.base.json_values import json_text
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.look.status import view
from orchestrator.commands.look.wait import run_answer, waited
from orchestrator.commands.look.waiting import refuse_own_run
from orchestrator.commands.run.prepared_run import PreparedRun, capture
from orchestrator.runner.ci_job import is_in_ci
from orchestrator.store.find import read_document
from orchestrator.store.layout import Location

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.commands.run.requests import StartRequest


def found_answer(context: Context, prepared: PreparedRun, where: Location, request: StartRequest) -> Answer:
    """Return the answer of a start whose key stands for the run ``where``: of its end, or at once with ``--detach``.

    The exit code is the run's, or that of a signal, which ends the waiting alone. Raises Refused inside a stage
    of a run that encloses this call.
    """
    store = prepared.store
    here = capture(context, prepared).finish_tree()
    if request.detach:
        document = view(store, where, context.environ)
        answer = run_answer(context, document, exit_code=EXIT_DONE)._replace(text=f"{where.run_id}\n")
    else:
        refuse_own_run(store, where, context.environ)
        answer = waited(context, store, where, None, time.sleep)
        if is_in_ci(context.environ) and (answer.document or {}).get("exit_code") is not None:
            from orchestrator.commands.run.ci_outputs import reported_to_ci

            answer = reported_to_ci(context, store, prepared.plan.project, where, answer)
    last = (read_document(store, where).get("provenance") or [{}])[-1]
    document = {
        **(answer.document or {}),
        "deduplicated": True,
        "commit": last.get("commit"),
        "same_tree": _same_tree(last, here),
    }
    if request.format == "ndjson":
        event = json_text({"type": "run:deduplicated", **document}, separators=(",", ":"))
        return Answer(answer.exit_code, None, event + "\n")
    return answer._replace(document=document)


def _same_tree(then: Mapping[str, Any], here: Mapping[str, Any]) -> bool | None:
    """Tell whether a run's last attempt was of the commit and tree that are here; None where that can't be known."""
    if not then.get("tree_digest") or not here.get("tree_digest"):
        return None
    return all(then.get(key) == here.get(key) for key in ("commit", "tree_digest"))
