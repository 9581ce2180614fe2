"""Whether a run shows the success that a stage cites, which was not run because nothing had changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

from orchestrator.base.clock import parse_stamp
from orchestrator.base.errors import Refusal
from orchestrator.base.finding import Finding
from orchestrator.base.identifiers import is_run_id, name_fault
from orchestrator.base.record import Record
from orchestrator.model.manifest.command import Reused
from orchestrator.model.manifest.document import VERSION
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.store.chain import find_link
from orchestrator.store.event_log import OUTPUTS, read_events
from orchestrator.store.find import read_document
from orchestrator.store.layout import Location
from orchestrator.store.metrics_line import event_id
from orchestrator.store.record_proof import prove
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias


Records: TypeAlias = "dict[Location, Mapping[str, Any] | None]"
"""Records that were read already; None for one that can't be, or is not what its line in the chain proves."""


class CitedSuccess(Record):
    """What the proved record of a cited run says of a stage's success.

    ``began_ns`` is when the stage began, ``run_ended_ns`` when its run ended, by the wall clock in nanoseconds;
    ``record`` is the whole record.
    """

    began_ns: int
    run_ended_ns: int
    record: Mapping[str, Any]


def is_shown(store: RunStore, records: Records, stage_id: str, reused: Reused) -> bool:
    """Tell whether the cited run is there, succeeded, and shows the stage's success on what ``reused`` says."""
    return cited_success(store, records, stage_id, reused) is not None


def cited_success(store: RunStore, records: Records, stage_id: str, reused: Reused) -> CitedSuccess | None:
    """Return the success that ``reused`` cites; None where no proved record of a run that succeeded shows it.

    ``records`` keeps what was read, so that a run that several stages cite is read once.
    """
    record = _record(store, records, reused)
    if record is None or record["version"] != 2 or record["status"] != "succeeded":
        return None
    commands = record.get("commands")
    for command in commands if isinstance(commands, list) else ():
        if isinstance(command, dict) and command.get("id") == stage_id:
            shown = (record.get("attempt"), command.get("outcome"), command.get("cache_key"))
            if shown == (reused.attempt, "success", reused.cache_key):
                with suppress(ValueError):
                    began_ns, ended_ns = _moment_ns(command.get("started_at")), _moment_ns(record.get("completed_at"))
                    return CitedSuccess(began_ns, ended_ns, record)
    return None


def cited_outputs(store: RunStore, stage_id: str, reused: Reused) -> str | None:
    """Return the digest of what a stage made, by the events of the cited run, which ``cited_success`` proved."""
    found = None
    with suppress(FileNotFoundError, Refusal), store.run_folder(Location(reused.task_id, reused.run_id)) as folder:
        for event in read_events(folder):
            if (event.get("type"), event.get("stage"), event.get("attempt")) == (OUTPUTS, stage_id, reused.attempt):
                found = event.get("sha256")
    return found if isinstance(found, str) else None


def _moment_ns(stamp: object) -> int:
    return int(parse_stamp(str(stamp)).timestamp() * 1000) * 1_000_000


def reuse_findings(store: RunStore, manifest: Manifest, path: str) -> Iterator[Finding]:
    """Yield a finding for each stage of an ended run that cites a success which nothing shows any more."""
    records: Records = {}
    for command in manifest.commands:
        reused = command.reused
        if reused is not None and not is_shown(store, records, command.id, reused) and not _was_pruned(store, reused):
            cause = "is gone" if _record(store, records, reused) is None else "does not show that"
            message = f"stage '{command.id}' was not run, citing run {reused.run_id}, which {cause}"
            yield Finding("reuse-unproven", path, message)


def _was_pruned(store: RunStore, reused: Reused) -> bool:
    """Tell whether the cited run succeeded and was pruned since, by its task's chain: then the chain vouches for it."""
    from orchestrator.store.prune_lines import find_pruned  # a cited run is kept, but for one that was removed by hand

    if name_fault("task", reused.task_id) is not None or not is_run_id(reused.run_id):
        return False
    with suppress(Refusal, FileNotFoundError), store.task(reused.task_id) as task:
        found = find_pruned(task, reused.run_id)
        if found is not None and found.run.status == "succeeded" and found.last.attempt == reused.attempt:
            return find_link(task, event_id(reused.run_id, reused.attempt)) is not None
    return False


def _record(store: RunStore, records: Records, reused: Reused) -> Mapping[str, Any] | None:
    where = Location(reused.task_id, reused.run_id)
    if where not in records:
        records[where] = None
        # What stands in a record or a cache is no path until it has the form of an id.
        if name_fault("task", where.task_id) is None and is_run_id(where.run_id):
            with suppress(Refusal, FileNotFoundError):
                record = read_document(store, where)
                if record["version"] == VERSION and prove(store, where, record, "digests").holds:
                    records[where] = record
    return records[where]
