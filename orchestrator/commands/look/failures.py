"""What is on disk about the failed stages of a run: their error files, and the causes below sub-pipelines."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from orchestrator.base.errors import StorageError
from orchestrator.base.identifiers import is_run_id, is_task_folder
from orchestrator.store.layout import ERRORS, Location
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ERROR_FILE_LIMIT = 1 << 20


def failures(store: RunStore, where: Location, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the failed stages of a run; ``body`` is its record or status document. Nothing is read of a success."""
    if body["outcome"] in (None, "success"):
        return []
    from orchestrator.model.failed_tests import failed_tests_of
    from orchestrator.report.failures import ENVIRONMENT, failed_stages  # few runs that are looked at failed

    errors = error_files(store, where)
    return failed_stages(
        body,
        last_lines={stage: [str(line) for line in error.get("last_lines", ())] for stage, error in errors.items()},
        environment_log=errors.get(ENVIRONMENT, {}).get("log_path"),
        causes=_causes(store, body),
        tests={stage: failed_tests_of(error) for stage, error in errors.items()},
    )


def error_files(store: RunStore, where: Location) -> dict[str, dict[str, Any]]:
    """Return what the error files of a run hold, by stage; what can't be read is left out."""
    import json

    found: dict[str, dict[str, Any]] = {}
    with suppress(FileNotFoundError, StorageError), store.run_folder(where) as folder, folder.sub(ERRORS) as errors:
        for name in errors.names():
            with suppress(FileNotFoundError, StorageError, ValueError, KeyError, TypeError):
                error = json.loads(errors.read(name, _ERROR_FILE_LIMIT))
                found[str(error["command_id"])] = error
    return found


def _causes(store: RunStore, body: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what each failed sub-pipeline failed by, by stage: the stage below, with its cause in one line."""
    tasks = {str(child["run_id"]): str(child["task_id"]) for child in body["child_runs"]}
    found = {}
    for command in body["commands"]:
        child = str(command["sub_run_id"])
        if command["status"] != "failed" or not is_run_id(child) or not is_task_folder(tasks.get(child, "")):
            continue
        from orchestrator.store.failed_stage import failed_stage

        cause = failed_stage(store, Location(tasks[child], child))
        if cause is not None:
            found[command["id"]] = cause.fields()
    return found
