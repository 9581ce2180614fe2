"""Which kind of codebase it is, and what is proposed for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from orchestrator.onboarding import native_codebase, node_codebase, python_codebase, task_files
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
    _Kind(task_files.MAKE, task_files.has_makefile, task_files.propose_make),
    _Kind(task_files.JUST, task_files.has_justfile, task_files.propose_just),
    _Kind(task_files.TASK, task_files.has_taskfile, task_files.propose_task),
)
"""The kinds of codebase, the surest first."""

_RUNNERS = (task_files.MAKE, task_files.JUST, task_files.TASK)
TEMPLATES = (*dict.fromkeys(kind.name for kind in _KINDS), GENERIC)
HOLLOW = "nothing is checked: build, lint and test are all skipped, so a run of this proves nothing; say what they run"


def propose(codebase: Codebase, template: str | None = None) -> Proposal:
    """Return what is proposed for a codebase, as the kind ``template`` when it is given (one of TEMPLATES)."""
    found = list(dict.fromkeys(kind.name for kind in _KINDS if kind.holds(codebase)))
    name = template or (found[0] if found else GENERIC)
    proposal = _proposed(codebase, name)
    others = [other for other in found if other != name and other not in _RUNNERS]
    if template is None and others:
        proposal = proposal.noted(f"detected as {name}; it looks like {' and '.join(others)} too: see --template")
    if template is not None and template != GENERIC and template not in found:
        proposal = proposal.warned(f"nothing in the codebase looks like {template}")
    return with_gaps(proposal.warned(*codebase.faults))


def with_gaps(proposal: Proposal) -> Proposal:
    """Return the proposal with a warning, the first of all, when nothing of it checks anything, and without else."""
    others = tuple(text for text in proposal.warnings if text != HOLLOW)
    checks = any(stage.skipped is None and stage.id != "spec-guard" for stage in proposal.diagnostics.stages)
    return replace(proposal, warnings=others if checks else (HOLLOW, *others))


def _proposed(codebase: Codebase, name: str) -> Proposal:
    kind = next((kind for kind in _KINDS if kind.name == name), None)
    if kind is None:
        reasons = (skip(stage, "nothing in the codebase says what it runs") for stage in STAGES)
        return Proposal(GENERIC, diagnostics(*reasons))
    return _filled_by_runner(codebase, kind.propose(codebase))


def _filled_by_runner(codebase: Codebase, proposal: Proposal) -> Proposal:
    """Return the proposal with the task runner's target for each stage that would be skipped."""
    stages = []
    for stage in proposal.diagnostics.stages:
        target = task_files.target_for(codebase, stage.id) if stage.skipped and stage.id in STAGES else None
        stages.append(target or stage)
    if tuple(stages) == proposal.diagnostics.stages:
        return proposal
    if proposal.template in _RUNNERS:
        return replace(proposal, pipelines=diagnostics(*stages))
    note = (
        "a task runner runs what the codebase's own files don't tell; it and the tools that it calls have to be there"
    )
    return replace(proposal, pipelines=diagnostics(*stages)).noted(note)
