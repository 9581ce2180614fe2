"""An open run of mode cloud that no process here attends: its keeper is gone, and the run is not.

Source: contract, section 12, promise 2. Nobody but ``attach`` (``store.cloud_runs``) writes its record.
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base.errors import Refused
from orchestrator.model.manifest.engine import is_open_in_cloud
from orchestrator.store.find import is_alive
from orchestrator.store.layout import Location
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def is_unattended(store: RunStore, where: Location, record: Mapping[str, Any]) -> bool:
    """Tell whether the run at ``where`` is open in the cloud by its ``record``, and nothing tells of its keeper."""
    return is_open_in_cloud(record) and not is_alive(store, where)


def unattended(run_id: str) -> Refused:
    """Return the refusal of a command that would write the record of such a run, or wait for its end (exit code 5)."""
    return Refused(
        f"run '{run_id}' goes on in the cloud as far as is known here, and nobody attends it",
        hint=f"codex-orchestrator attach {run_id}, or cancel it",
        code="unattended",
    )
