"""What submitter, hub and agent have to agree on."""

from __future__ import annotations

import sys

from orchestrator import __version__

PREFIX = "codex_"
"""Of each operation's name among those of dask's own servers."""

PROTOCOL = 1

PIECE_BYTES = 1 << 20
"""Most that travels in one message: what scheduler and submitter hold in memory of a stream."""

STATES_OF_WORK = frozenset({"waiting", "no-worker", "queued", "processing"})
"""Dask's states of a task that will run, or runs (distributed, "Scheduling State")."""


def fitting_label() -> str:
    """Return the resource by which an agent says that it takes runs of this version and this Python."""
    return f"codex-{__version__}-py{sys.version_info[0]}.{sys.version_info[1]}"
