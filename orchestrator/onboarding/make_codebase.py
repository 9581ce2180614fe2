"""Make: targets that are called as stages are."""

from __future__ import annotations

import re

from orchestrator.onboarding.codebase import Codebase
from orchestrator.onboarding.proposal import STAGES, Proposal, Stage, diagnostics, run, skip

NAME = "make"

FILES = ("GNUmakefile", "makefile", "Makefile")
"""In the order in which GNU make looks for them."""

_TARGETS = {
    "build": ("build", "compile", "all"),
    "lint": ("lint", "check-style", "style", "format-check", "fmt-check"),
    "test": ("test", "tests", "unittest", "check"),
}
_RULE = re.compile(r"^(?![ \t#.])([^:=#\n]+?)[ \t]*::?(?!=)", re.M)


def is_strong(codebase: Codebase) -> bool:
    """Tell whether the codebase has a makefile."""
    return codebase.first(*FILES) is not None


def propose(codebase: Codebase) -> Proposal:
    """Return the targets of a makefile that build, lint and test."""
    stages = [
        target_for(codebase, stage) or skip(stage, f"the makefile has no target {' or '.join(_TARGETS[stage])}")
        for stage in STAGES
    ]
    return Proposal(NAME, diagnostics(*stages))


def target_for(codebase: Codebase, stage_id: str) -> Stage | None:
    """Return the stage that calls the makefile's target for ``stage_id``, None where it has none."""
    file = codebase.first(*FILES)
    if file is None:
        return None
    targets = {word for rule in _RULE.findall(codebase.text(file) or "") for word in rule.split()}
    name = next((name for name in _TARGETS[stage_id] if name in targets), None)
    return None if name is None else run(stage_id, f"make {name}", f"target of {file}", timeout="15m")
