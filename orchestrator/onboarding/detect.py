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
_UNKNOWN = {
    "pom.xml": "Maven",
    "build.gradle": "Gradle",
    "build.gradle.kts": "Gradle",
    "settings.gradle": "Gradle",
    "settings.gradle.kts": "Gradle",
    "Gemfile": "Bundler",
    "Rakefile": "Rake",
    "deno.json": "Deno",
    "deno.jsonc": "Deno",
    "CMakeLists.txt": "CMake",
    "meson.build": "Meson",
    "MODULE.bazel": "Bazel",
    "composer.json": "Composer",
    "mix.exs": "Mix",
    "Package.swift": "SwiftPM",
    "build.sbt": "sbt",
    "pubspec.yaml": "Dart",
    "stack.yaml": "Stack",
    "build.zig": "Zig",
}
"""Files of build tools of which onboarding knows the name alone."""

HOLLOW = "nothing is checked: build, lint and test are all skipped, so a run of this proves nothing; say what they run"


def propose(codebase: Codebase, template: str | None = None) -> Proposal:
    """Return what is proposed for a codebase, as the kind ``template`` when it is given (one of TEMPLATES)."""
    found = list(dict.fromkeys(kind.name for kind in _KINDS if kind.holds(codebase)))
    name = template or (found[0] if found else GENERIC)
    proposal = _proposed(codebase, name)
    others = [other for other in found if other != name and other not in _RUNNERS]
    if template is None and others:
        proposal = proposal.noted(f"detected as {name}; it looks like {' and '.join(others)} too: see --template")
    unknown = _unknown(codebase)
    if unknown and name != GENERIC:
        proposal = proposal.noted(f"onboard does not know how to call {unknown}: what it builds and tests is left out")
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
        unknown = _unknown(codebase)
        known = f"onboard does not know how to call {unknown}: say what it runs"
        reason = known if unknown else "nothing in the codebase says what it runs"
        return Proposal(GENERIC, diagnostics(*(skip(stage, reason) for stage in STAGES)))
    return _filled_by_runner(codebase, kind.propose(codebase))


def _unknown(codebase: Codebase) -> str:
    """Return the build tools that the codebase has files of and no kind stands for, with these files."""
    there = {tool: name for name, tool in reversed(_UNKNOWN.items()) if codebase.has(name)}
    return ", ".join(f"{there[tool]} ({tool})" for tool in dict.fromkeys(_UNKNOWN.values()) if tool in there)


def _filled_by_runner(codebase: Codebase, proposal: Proposal) -> Proposal:
    """Return the proposal with the task runner's target for each stage that would be skipped."""
    stages = []
    for stage in proposal.diagnostics.stages:
        target = task_files.target_for(codebase, stage.id) if stage.skipped and stage.id in STAGES else None
        stages.append(target or stage)
    if tuple(stages) == proposal.diagnostics.stages:
        return proposal
    new = [stage for stage in stages if stage not in proposal.diagnostics.stages]
    if proposal.template in _RUNNERS or all(stage.skipped for stage in new):
        return replace(proposal, pipelines=diagnostics(*stages))
    note = (
        "a task runner runs what the codebase's own files don't tell; it and the tools that it calls have to be there"
    )
    return replace(proposal, pipelines=diagnostics(*stages)).noted(note)
