"""Files of task runners: makefiles, justfiles and Taskfiles, with the targets that can be called as stages are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from orchestrator.onboarding.codebase import Codebase
from orchestrator.onboarding.proposal import STAGES, Proposal, Stage, diagnostics, run, skip

MAKE = "make"
JUST = "just"
TASK = "task"

MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
"""In the order in which GNU make looks for them."""

TASKFILES = (
    "Taskfile.yml",
    "taskfile.yml",
    "Taskfile.yaml",
    "taskfile.yaml",
    "Taskfile.dist.yml",
    "Taskfile.dist.yaml",
)
"""In the order in which Task looks for them."""

_TARGETS = {
    "build": ("build", "compile", "all"),
    "lint": ("lint", "check-style", "style", "format-check", "fmt-check"),
    "test": ("test", "tests", "unittest", "check"),
}
_RULE = re.compile(r"^(?![ \t#.])([^:=#\n]+?)[ \t]*::?(?!=)", re.M)
_INCLUDE = re.compile(r"^[-s]?include\s+(.+)", re.M)
_RECIPE = re.compile(r"^@?([A-Za-z_][\w-]*)((?:\s+[*+$]?\w+(?:=(?:'[^']*'|\"[^\"]*\"|\S+))?)*)\s*:(?!=)")
_DEFAULT = re.compile(r"[*+$]?(\w+)=(?:'([^']*)'|\"([^\"]*)\"|(\S+))")
_MOST_INCLUDED = 20


@dataclass(slots=True)
class Recipe:
    """A recipe of a justfile: its parameters' defaults and its lines."""

    name: str
    defaults: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    needs_argument: bool = False


def recipes(text: str) -> Iterator[Recipe]:
    """Yield the recipes of a justfile."""
    current: Recipe | None = None
    for line in text.splitlines():
        if line[:1] in (" ", "\t"):
            if current is not None and line.strip():
                current.lines.append(line.strip())
            continue
        head = _RECIPE.match(line)
        if head is not None:
            if current is not None:
                yield current
            defaults = {name: one or two or three for name, one, two, three in _DEFAULT.findall(head[2])}
            required = [word for word in _DEFAULT.sub("", head[2]).split() if not word.startswith("*")]
            current = Recipe(head[1], defaults, needs_argument=bool(required))
    if current is not None:
        yield current


def justfile(codebase: Codebase) -> str | None:
    """Return the name of the codebase's justfile, in whichever case it is written; None where there is none."""
    return next((name for name in sorted(codebase.names) if name.lower() in ("justfile", ".justfile")), None)


def has_makefile(codebase: Codebase) -> bool:
    """Tell whether the codebase has a makefile."""
    return codebase.first(*MAKEFILES) is not None


def has_justfile(codebase: Codebase) -> bool:
    """Tell whether the codebase has a justfile."""
    return justfile(codebase) is not None


def has_taskfile(codebase: Codebase) -> bool:
    """Tell whether the codebase has a Taskfile."""
    return codebase.first(*TASKFILES) is not None


def propose_make(codebase: Codebase) -> Proposal:
    """Return the targets of a makefile that build, lint and test."""
    return _proposed(codebase, MAKE, "the makefile")


def propose_just(codebase: Codebase) -> Proposal:
    """Return the recipes of a justfile that build, lint and test."""
    return _proposed(codebase, JUST, "the justfile")


def propose_task(codebase: Codebase) -> Proposal:
    """Return the tasks of a Taskfile that build, lint and test."""
    return _proposed(codebase, TASK, "the Taskfile")


def target_for(codebase: Codebase, stage_id: str) -> Stage | None:
    """Return the stage that calls a task runner's target for ``stage_id``: make's, just's or Task's; None without."""
    return next(filter(None, (_stage(codebase, tool, stage_id) for tool in (MAKE, JUST, TASK))), None)


def _proposed(codebase: Codebase, tool: str, file: str) -> Proposal:
    stages = [
        _stage(codebase, tool, stage) or skip(stage, f"{file} has no target {' or '.join(_TARGETS[stage])}")
        for stage in STAGES
    ]
    proposal = Proposal(tool, diagnostics(*stages))
    if stages[0].skipped is None and not codebase.has(".gitignore"):
        # Which files these are is known to the tools that the target calls, and not from here.
        return proposal.noted(
            "there is no .gitignore: what the build writes is code to spec-guard, which then fails; "
            "let git ignore it, or name it in exclude of [spec_guard]"
        )
    return proposal


def _stage(codebase: Codebase, tool: str, stage_id: str) -> Stage | None:
    file, targets = {MAKE: _make_targets, JUST: _just_targets, TASK: _task_targets}[tool](codebase)
    name = next((name for name in _TARGETS[stage_id] if name in targets), None)
    return None if name is None else run(stage_id, f"{tool} {name}", f"target of {file}", timeout="15m")


def _make_targets(codebase: Codebase) -> tuple[str | None, set[str]]:
    """Return the makefile's targets, and those of the files that it includes by plain names."""
    file = codebase.first(*MAKEFILES)
    targets: set[str] = set()
    waiting = [file] if file is not None else []
    for place, name in enumerate(waiting):
        text = codebase.text(name) or ""
        targets |= {word for rule in _RULE.findall(text) for word in rule.split()}
        plain = [word for line in _INCLUDE.findall(text) for word in line.split() if re.fullmatch(r"[\w./-]+", word)]
        if place < _MOST_INCLUDED:
            inside = (word for word in plain if not word.startswith("/") and ".." not in word.split("/"))
            waiting += [word for word in inside if word not in waiting]
    return file, targets


def _just_targets(codebase: Codebase) -> tuple[str | None, set[str]]:
    file = justfile(codebase)
    found = recipes(codebase.text(file) or "") if file is not None else ()
    return file, {recipe.name for recipe in found if not recipe.needs_argument}


def _task_targets(codebase: Codebase) -> tuple[str | None, set[str]]:
    file = codebase.first(*TASKFILES)
    document = codebase.yaml(file) if file is not None else None
    tasks = document.get("tasks") if isinstance(document, dict) else None
    return file, {name for name in tasks if isinstance(name, str)} if isinstance(tasks, dict) else set()
