"""Runs that were started inside a run on a worker: their records come back with its own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from orchestrator.base.errors import DamagedRecord, StorageError
from orchestrator.base.redaction import Redactor
from orchestrator.cloud.shipment import RunFolder
from orchestrator.model.manifest.document import MANIFEST_LIMIT, parse
from orchestrator.store.layout import MANIFEST, Location
from orchestrator.store.returned_runs import take_in
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RUNS = ".runs"
"""The runs folder of a workspace on a worker, as its records show it."""

_MASKED = ("summary", "status_detail", "pipeline_title")


def take_nested_in(store: RunStore, folders: Sequence[RunFolder], above: Location, redactor: Redactor) -> None:
    """Take in every run below ``above`` that came back, parents first.

    One that is damaged, or that no run of these started, is warned of and left out: who runs below ``above`` speaks for
    no other run.

    Raises StorageError.
    """
    found = []
    for one in folders:
        where = Location(one.task_id, one.run_id)
        if where == above:
            continue
        try:
            with open(os.path.join(one.path, MANIFEST), "rb") as stream:
                document = parse(stream.read(MANIFEST_LIMIT), MANIFEST)
            depth, parent = document["lineage"]["depth"], document["lineage"]["parentRunId"]
        except (OSError, DamagedRecord, KeyError, TypeError) as error:
            store.warn(f"run '{one.run_id}', started on a worker, came back without a record: {error}")
            continue
        found.append((depth, where, one.path, document, parent))
    below = {above.run_id}
    for _, where, path, document, parent in sorted(found, key=lambda entry: (entry[0], entry[1])):
        if parent not in below:
            store.warn(f"run '{where.run_id}' came back with '{above.run_id}', which did not start it: it is left out")
            continue
        below.add(where.run_id)
        try:
            take_in(store, where, path, _moved(document, store.workspace.shown(store.workspace.runs_dir), redactor))
        except DamagedRecord as error:
            store.warn(f"run '{where.run_id}', started on a worker, could not be taken in: {error.message}")
        except StorageError as error:
            store.warn(f"run '{where.run_id}', started on a worker, could not be taken in: {error.message}")
            raise


def _moved(document: Mapping[str, Any], runs: str, redactor: Redactor) -> dict[str, Any]:
    """Return a record with its paths as they are here, and with the submitter's secrets masked in its texts."""

    def moved(value: Any) -> Any:
        if isinstance(value, str):
            return f"{runs}{value[len(RUNS) :]}" if value.startswith(f"{RUNS}/") and runs != RUNS else value
        if isinstance(value, dict):
            return {key: moved(item) for key, item in value.items()}
        return [moved(item) for item in value] if isinstance(value, list) else value

    found: dict[str, Any] = moved(dict(document))
    for key in _MASKED:
        if isinstance(found.get(key), str):
            found[key] = redactor.text(found[key])
    return found
