"""What a reviewer must see of a run before deciding: its status document, and what is beside the record."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress

from orchestrator.base.errors import Refusal, StorageError
from orchestrator.commands.context import Context
from orchestrator.commands.look.status import view
from orchestrator.commands.review.plan_of_config import plan_proof, with_proof
from orchestrator.config.plan_cache import PlanCache
from orchestrator.git.changed_since_commit import changed_since
from orchestrator.git.scope import scope_of
from orchestrator.model.exec_command import recorded_command
from orchestrator.model.failed_tests import NO_TESTS, FailedTests, failed_tests_of
from orchestrator.model.fleet import is_fleet
from orchestrator.model.outcome import TERMINAL
from orchestrator.model.plan import redactor_for
from orchestrator.model.plan_diff import drift
from orchestrator.store.find import read_document
from orchestrator.store.layout import ENVIRONMENT, ERRORS, Location
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ERROR_LIMIT = 1 << 20
_OF_STAGE = ("outcome", "exit_code", "signal", "log_path")
_OF_FAILURE = ("stage", *_OF_STAGE, "last_lines", "tests", "tests_failed")


def packet_of(context: Context, store: RunStore, where: Location) -> dict[str, Any]:
    """Return the packet (docs/review.md) of a run, whatever its state. Raises what ``status`` raises."""
    document = view(store, where, context.environ)
    if document["version"] == 2 and document["status"] in TERMINAL:
        proof = plan_proof(store.workspace.root, read_document(store, where), context.environ)
        document = with_proof(document, proof)
    changes, note = _plan_changes(context, store, where)
    return {
        **document,
        "failures": list(_failures(store, where, document)),
        "tree_changes": _tree_changes(context, store, where, document),
        "plan_changes": changes,
        "plan_note": note,
    }


def _failures(store: RunStore, where: Location, document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what failed, allowed to or not, with its last lines: stages, and an environment that could not be made."""
    yield from (
        {key: entry[key] for key in _OF_FAILURE} for entry in document["failed"] if entry["stage"] == ENVIRONMENT
    )
    lines, tests = _error_notes(store, where)
    for command in document["commands"]:
        if command["outcome"] in (None, "success", "skip"):
            continue
        said = lines.get(command["id"]) or ([command["summary"]] if command["summary"] else [])
        failed = tests.get(command["id"], NO_TESTS).fields()
        yield {"stage": command["id"], **{key: command[key] for key in _OF_STAGE}, "last_lines": said, **failed}


def _error_notes(store: RunStore, where: Location) -> tuple[dict[str, list[str]], dict[str, FailedTests]]:
    """Return the last lines and the failed tests that the error files name, by stage."""
    found: dict[str, list[str]] = {}
    tests: dict[str, FailedTests] = {}
    with suppress(FileNotFoundError, StorageError), store.run_folder(where) as folder, folder.sub(ERRORS) as errors:
        for name in sorted(errors.names()):
            with suppress(FileNotFoundError, StorageError, ValueError, KeyError, TypeError, AttributeError):
                error = json.loads(errors.read(name, _ERROR_LIMIT))
                found[str(error["command_id"])] = [str(line) for line in error.get("last_lines", ())]
                tests[str(error["command_id"])] = failed_tests_of(error)
    return found, tests


def _tree_changes(context: Context, store: RunStore, where: Location, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the files that differ from the commit that the last attempt ran on: none while the tree is the same."""
    fresh = document["freshness"]
    then = fresh["then"]
    if fresh["now"] is None or fresh["tree"] == "same":
        return {"files": [], "note": None}
    if then["commit"] is None:
        return {"files": [], "note": "the run's commit is not known, so that no files can be named"}
    root = store.workspace.root
    folder = os.path.normpath(os.path.join(root, read_document(store, where)["plan"]["project_path"]))
    files = changed_since(folder, then["commit"], scope_of(folder, root, context.environ), context.environ)
    if files is None:
        return {"files": [], "note": f"git knows nothing of commit {then['commit'][:12]} here"}
    dirty = "the run had changes that were not committed: they are listed too" if then["dirty"] else None
    return {"files": files, "note": dirty}


def _plan_changes(context: Context, store: RunStore, where: Location) -> tuple[list[str], str | None]:
    """Return how the current plan differs from the recorded one, and why that can't be known."""
    record = read_document(store, where)
    if record["version"] != 2 or is_fleet(record):
        return [], None
    try:
        today = context.clock.now().date()
        command = recorded_command(record["plan"])
        plan = PlanCache(store.workspace).plan(record["project"], record["pipeline_id"], today=today, command=command)
    except Refusal as refusal:
        return [], " ".join(refusal.message.split())
    return list(drift(record["plan"], plan, redactor_for(plan, context.environ))), None
