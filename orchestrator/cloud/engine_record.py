"""What the local record says of the engine, by what the hub says of the run: pure."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.model.manifest.account import AttemptAccount
from orchestrator.model.manifest.engine import Engine, Incarnation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ENGINE = "dask.distributed"


def engine_after(engine: Engine, fence: Mapping[str, Any], attempt: int, earlier: int) -> Engine:
    """Return the engine's entry with the incarnations of an attempt as the hub's ``fence`` has them.

    ``earlier`` incarnations are of earlier attempts and stay; those of this one are numbered on from there.
    """
    ours = tuple(_incarnation(held, attempt, earlier) for held in fence["incarnations"])
    pythons = [held["python"] for held in fence["incarnations"] if held.get("python")]
    versions = {**engine.versions, **({"python": pythons[-1]} if pythons else {})}
    return engine._replace(incarnations=(*engine.incarnations[:earlier], *ours), versions=versions)


def _incarnation(held: Mapping[str, Any], attempt: int, earlier: int) -> Incarnation:
    account = held.get("account")
    return Incarnation(
        n=earlier + int(held["n"]),
        worker=str(held["worker"]),
        host=str(held["host"]),
        began_at=held["began_at"],
        ended_at=held["ended_at"],
        outcome=held["outcome"],
        reason=held["reason"],
        recorded_by=None if account is None else AttemptAccount.from_json({"attempt": attempt, **account}),
    )
