"""What the manifest of a run of mode cloud holds of its engine, as frozen values (contract, section 12)."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base.kinds import Count, Moment
from orchestrator.base.record import Record
from orchestrator.model.manifest.account import AttemptAccount
from orchestrator.model.outcome import TERMINAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal


class Incarnation(Record):
    """One time that the engine had a worker run the attempt ``recorded_by.attempt``; ``n`` counts from 1.

    ``outcome`` is null while it may be running, ``reason`` says why it was lost. ``recorded_by`` is the worker's
    account; that of the run's attempt is the submitter's.
    """

    n: Count
    worker: str
    host: str
    began_at: Moment
    ended_at: Moment | None
    outcome: Literal["lost", "ended"] | None
    reason: str | None
    recorded_by: AttemptAccount | None = None


class EngineSnapshot(Record):
    """The code that travelled: ``commit`` is null without git, ``tree`` the digest of the project's tree."""

    commit: str | None
    tree: str | None
    pack_sha256: str
    bytes: Count


class EngineClock(Record):
    """How far the worker's clock is ahead of the keeper's, and how well that is known (seconds, whole milliseconds)."""

    offset_seconds: float
    uncertainty_seconds: float


class Engine(Record):
    """Where a run of mode cloud is, as its keeper last knew it.

    ``versions`` are those of the engine and of the worker's product and Python, by their names. ``attended`` is what
    the keeper last wrote; whether it lives is read off the run's lock (``attended`` of the status document).
    """

    name: str
    scheduler: str
    state: Literal["submitting", "queued", "running", "collecting", "ended", "lost"]
    incarnations: tuple[Incarnation, ...] = ()
    snapshot: EngineSnapshot | None = None
    clock: EngineClock | None = None
    versions: Mapping[str, str] = {}
    last_contact_at: Moment | None = None
    attended: bool = True


def is_open_in_cloud(document: Mapping[str, Any]) -> bool:
    """Tell whether the record (version 1 or 2) is of a run of mode cloud that has not ended.

    The death of its keeper is not the run's: nobody but ``attach`` closes it (contract, section 12). A record whose
    last attempt is local, resumed with ``--mode local``, is none, whatever engine ran an earlier one.
    """
    engine, mode = document.get("engine"), document.get("mode")
    return (
        isinstance(engine, Mapping)
        and isinstance(mode, Mapping)
        and mode.get("name") == "cloud"
        and document.get("status") not in TERMINAL
    )
