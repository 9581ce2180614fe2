"""What a keeper is given: what to submit, and who asks for the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from orchestrator.base.errors import Refused
from orchestrator.base.record import Record
from orchestrator.cloud.snapshot import Snapshot
from orchestrator.store.cancel_request import CancelRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Left(Refused):
    """The keeper goes and the run stays: a second signal came, and the hub can't be reached."""

    def __init__(self, run_id: str) -> None:
        super().__init__(
            f"run '{run_id}' is left to the engine, which can't be reached: it may go on",
            hint=f"codex-orchestrator attach {run_id}",
            code="unattended",
        )


class Submission(Record):
    """What is sent: ``terms`` tell a worker what to run, ``pack`` makes the snapshot in a file, after the claim."""

    terms: Mapping[str, Any]
    pack: Callable[[str], Snapshot]


class Stop(Record):
    """Who asks for the end of a run, and why; ``detail`` is what the record says then.

    ``request`` is to be left with the run, of which the record tells then, where it was not left by who asked.
    """

    actor: str
    reason: str
    detail: str
    request: CancelRequest | None = None
