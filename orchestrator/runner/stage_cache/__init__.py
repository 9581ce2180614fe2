"""Reuse: a stage whose declared inputs, command, environment and tools are as they were when it last succeeded.

``StageCache.lookup`` says whether a stage would only do again what a run that succeeded shows, and if not,
why. A success is stored when the run has ended with success, and what it rests on did not change meanwhile.
"""

from orchestrator.runner.stage_cache.cache import Lookup, Place, StageCache, may_reuse

__all__ = ["Lookup", "Place", "StageCache", "may_reuse"]
