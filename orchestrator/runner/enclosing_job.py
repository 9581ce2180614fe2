"""The CI job of a run that a stage starts: a stage sees none of its system's variables, the run around has its job."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base.errors import DamagedRecord, NotFound
from orchestrator.base.identifiers import is_run_id
from orchestrator.model.lineage import RUN_VARIABLE
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.runner.ci_job import ci_job
from orchestrator.store.find import find_run, read_document
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def job_of(
    store: RunStore, environ: Mapping[str, str], around: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """Return the CI job that the environment describes, else that of the run around; None outside of CI.

    ``around`` is a record that was read already: when it is that run's, it is not read once more.
    """
    said = ci_job(environ)
    inherited = environ.get(RUN_VARIABLE, "")
    if said is not None or not is_run_id(inherited):
        return said
    if around is None or around.get("run_id") != inherited:
        around = _record(store, inherited)
    last = _last(around, "ci")
    return {key: value for key, value in last.items() if key != "attempt"} or None


def with_actor(store: RunStore, manifest: Manifest, account: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the account of an attempt, with the actor whom the CI system named to the run around in the same job."""
    parent, job = manifest.lineage.parentRunId, manifest.ci[-1] if manifest.ci else None
    if account is None or account["ci_actor"] is not None or parent is None or job is None:
        return account
    record = _record(store, parent)
    around = _last(record, "ci")
    is_same_job = all(around.get(key) == value for key, value in job._asdict().items() if key != "attempt")
    return {**account, "ci_actor": _last(record, "recorded_by").get("ci_actor")} if is_same_job else account


def _record(store: RunStore, run_id: str) -> Mapping[str, Any]:
    try:
        return read_document(store, find_run(store, run_id))
    except (NotFound, DamagedRecord):
        return {}


def _last(record: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    entries = record.get(key)
    last = entries[-1] if isinstance(entries, list) and entries else None
    return last if isinstance(last, Mapping) else {}
