"""Which kind of codebase it is, and what is proposed for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from orchestrator.onboarding import make_codebase, native_codebase, node_codebase, python_codebase
from orchestrator.onboarding.codebase import Codebase
from orchestrator.onboarding.proposal import STAGES, Proposal, diagnostics, skip

GENERIC = "generic"


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    holds: Callable[[Codebase], bool]
    propose: Callable[[Codebase], Proposal]


_KINDS = (
    _Kind(python_codebase.NAME, python_codebase.is_strong, python_codebase.propose),
    _Kind(node_codebase.NAME, node_codebase.is_strong, node_codebase.propose),
    _Kind(native_codebase.GO, native_codebase.is_go, native_codebase.propose_go),
    _Kind(native_codebase.RUST, native_codebase.is_rust, native_codebase.propose_rust),
    _Kind(python_codebase.NAME, python_codebase.is_weak, python_codebase.propose),
    _Kind(make_codebase.NAME, make_codebase.is_strong, make_codebase.propose),
)
"""The kinds of codebase, the surest first."""

TEMPLATES = (*dict.fromkeys(kind.name for kind in _KINDS), GENERIC)


def propose(codebase: Codebase, template: str | None = None) -> Proposal:
    """Return what is proposed for a codebase, as the kind ``template`` when it is given (one of TEMPLATES)."""
    found = list(dict.fromkeys(kind.name for kind in _KINDS if kind.holds(codebase)))
    name = template or (found[0] if found else GENERIC)
    proposal = _proposed(codebase, name)
    others = [other for other in found if other not in (name, make_codebase.NAME)]
    if template is None and others:
        proposal = proposal.noted(f"taken as {name}; it looks like {' and '.join(others)} too: see --template")
    if template is not None and template != GENERIC and template not in found:
        proposal = proposal.noted(f"nothing in the codebase looks like {template}")
    return proposal.noted(*codebase.faults)


def _proposed(codebase: Codebase, name: str) -> Proposal:
    kind = next((kind for kind in _KINDS if kind.name == name), None)
    if kind is None:
        reasons = (skip(stage, "nothing in the codebase tells: say what it runs") for stage in STAGES)
        return Proposal(GENERIC, diagnostics(*reasons))
    return _filled_by_make(codebase, kind.propose(codebase))


def _filled_by_make(codebase: Codebase, proposal: Proposal) -> Proposal:
    """Return the proposal with the makefile's target for each stage that would be skipped."""
    if proposal.template == make_codebase.NAME:
        return proposal
    stages = []
    for stage in proposal.diagnostics.stages:
        target = make_codebase.target_for(codebase, stage.id) if stage.skipped and stage.id in STAGES else None
        stages.append(target or stage)
    if tuple(stages) == proposal.diagnostics.stages:
        return proposal
    note = "make runs what the codebase's own files don't tell; the tools that it calls have to be there"
    return replace(proposal, pipelines=diagnostics(*stages)).noted(note)
