"""Where records live: claim, find, read, save, publish and recover them. The one room that knows paths."""

from orchestrator.run_store.claim import claim, take_over
from orchestrator.run_store.layout import Location, RunPaths
from orchestrator.run_store.open_run import OpenRun
from orchestrator.run_store.publish import publish
from orchestrator.run_store.reading import find_run, is_alive, iterate_runs, read_document
from orchestrator.run_store.recovery import recover_task
from orchestrator.run_store.store import RunStore

__all__ = [
    "Location",
    "OpenRun",
    "RunPaths",
    "RunStore",
    "claim",
    "find_run",
    "is_alive",
    "iterate_runs",
    "publish",
    "read_document",
    "recover_task",
    "take_over",
]
