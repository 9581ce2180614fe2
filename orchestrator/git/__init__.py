"""Which commit, tree, host and tools an attempt of a run stands on."""

from orchestrator.git.capture import Capture, tree_state

__all__ = ["Capture", "tree_state"]
