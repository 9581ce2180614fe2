"""The lines of a chain that are about decisions: ``{"kind": "review", "run_id", "attempt", "decision": {…}}``."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.store.chain import lines_in, parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orchestrator.store.chain import Line

KIND = "review"
MARK = b'"kind": "review"'
"""What each of them holds, those among the lines of another machine's chain too."""


def decisions_in(data: bytes) -> Iterator[Line]:
    """Yield the decisions in a line: itself, or those that it holds of another machine's chain."""
    return (line for line in lines_in(parsed(data) or {}) if line.get("kind") == KIND)


def runs_decided(data: bytes) -> Iterator[str]:
    """Yield the runs that the decisions in a line are about, each once."""
    yield from dict.fromkeys(run for line in decisions_in(data) if isinstance(run := line.get("run_id"), str))
