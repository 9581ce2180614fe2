"""The edge: options and words in, printed answers and exit codes out. Nothing here decides about runs.

``namespace`` is the Invoke collection for a workspace's ``tasks.py``:
``from orchestrator.cli import namespace as ns``. It is built when it is asked for, so that the console
script can answer without loading Invoke.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from invoke.collection import Collection

    namespace: Collection

__all__ = ["namespace"]


def __getattr__(name: str) -> object:
    if name != "namespace":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from orchestrator.cli import invoke_tasks
    from orchestrator.cli.command_table import COMMANDS

    built = invoke_tasks.process_collection(COMMANDS)
    globals()["namespace"] = built
    return built
