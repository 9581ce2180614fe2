"""Which commit, tree, host and tools an attempt of a run stands on."""

from orchestrator.git.capture import Capture
from orchestrator.git.scope import CodePatterns

__all__ = ["Capture", "CodePatterns"]
