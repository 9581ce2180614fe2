"""One stage's process tree: started, watched, ended, and gone when the stage is.

A run has one guard, a small process of its own; for each stage the guard forks a reaper, which starts the
command and collects its orphans (a child subreaper on Linux). Whatever ends first, the owner, the guard or
the command, the rest of the tree is killed; the run's lock stays held by guard and reapers until then.
"""

from orchestrator.process.client import GuardClient
from orchestrator.process.messages import Exited, GuardLost, Heard, ProcessHost, Spawned, SpawnFailed, SpawnFault

__all__ = [
    "Exited",
    "GuardClient",
    "GuardLost",
    "Heard",
    "ProcessHost",
    "SpawnFailed",
    "SpawnFault",
    "Spawned",
]
