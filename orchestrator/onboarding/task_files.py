"""Files of task runners: makefiles, justfiles and Taskfiles, with the targets that can be called as stages are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from orchestrator.onboarding.codebase import Codebase
from orchestrator.onboarding.doubtful_commands import idle, publishing, repairing
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
_RULE = re.compile(r"(?![ \t#.])([^:=#\n]+?)[ \t]*::?(?!=)([^=#;]*)(?:;(.*)|#.*)?")
_INCLUDE = re.compile(r"^[-s]?include\s+(.+)", re.M)
_RECIPE = re.compile(r"^@?([A-Za-z_][\w-]*)((?:\s+[*+$]?\w+(?:=(?:'[^']*'|\"[^\"]*\"|\S+))?)*)\s*:(?!=)")
_DEFAULT = re.compile(r"[*+$]?(\w+)=(?:'([^']*)'|\"([^\"]*)\"|(\S+))")
_CALL = re.compile(r"(?:make|\$[({]MAKE[)}]|just|task)\s+([\w.:-]+)")
_MOST_INCLUDED = 20


@dataclass(slots=True)
class Target:
    """A target of a task runner: its command lines, and the names that stand beside it, other targets among them."""

    lines: list[str] = field(default_factory=list)
    needs: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Recipe:
    """A recipe of a justfile: its parameters' defaults and its lines."""

    name: str
    defaults: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    needs: list[str] = field(default_factory=list)
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
            beside = re.findall(r"[A-Za-z_][\w-]*", line[head.end() :].partition("#")[0])
            current = Recipe(head[1], defaults, needs=beside, needs_argument=bool(required))
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
    names = [name for name in _TARGETS[stage_id] if name in targets]
    doubts = {name: doubt for name in names if (doubt := _doubt(targets, name, stage_id)) is not None}
    name = next((name for name in names if name not in doubts), None)
    if name is not None:
        return run(stage_id, f"{tool} {name}", f"target of {file}", timeout="15m")
    return skip(stage_id, f"the target '{names[0]}' of {file} {doubts[names[0]]}") if names else None


def _doubt(targets: Mapping[str, Target], name: str, stage_id: str) -> str | None:
    """Return why a target is proposed for no stage, None where nothing speaks against it."""
    lines = [line for other in _reached(targets, name) for line in targets[other].lines]
    published = next(filter(None, map(publishing, lines)), None)
    if published is not None:
        return f"runs '{published}', which publishes"
    repaired = next(filter(None, map(repairing, lines)), None) if stage_id == "lint" else None
    if repaired is not None:
        return f"runs '{repaired}', which repairs what it should find"
    own = targets[name]
    reasons = [idle(line) for line in own.lines if line]
    if reasons and all(reasons) and not own.needs and stage_id != "build":
        return f"can't fail: {reasons[-1]}"
    return None


def _reached(targets: Mapping[str, Target], name: str) -> list[str]:
    """Return a target and those that it needs or calls, one by another."""
    found = [name]
    for other in found:
        calls = [call for line in targets[other].lines for call in _CALL.findall(line)]
        found += [word for word in (*targets[other].needs, *calls) if word in targets and word not in found]
    return found


def _make_targets(codebase: Codebase) -> tuple[str | None, dict[str, Target]]:
    """Return the makefile's targets, and those of the files that it includes by plain names."""
    file = codebase.first(*MAKEFILES)
    targets: dict[str, Target] = {}
    waiting = [file] if file is not None else []
    for place, name in enumerate(waiting):
        text = codebase.text(name) or ""
        _add_rules(targets, text.replace("\\\n", " "))
        plain = [word for line in _INCLUDE.findall(text) for word in line.split() if re.fullmatch(r"[\w./-]+", word)]
        if place < _MOST_INCLUDED:
            inside = (word for word in plain if not word.startswith("/") and ".." not in word.split("/"))
            waiting += [word for word in inside if word not in waiting]
    return file, targets


def _add_rules(targets: dict[str, Target], text: str) -> None:
    current: list[Target] = []
    for line in text.splitlines():
        if line.startswith("\t"):
            for target in current:
                target.lines.append(_shell_line(line))
            continue
        rule = _RULE.match(line)
        if rule is not None:
            current = [targets.setdefault(word, Target()) for word in rule[1].split()]
            for target in current:
                target.needs += rule[2].replace("|", " ").split()
                target.lines += [_shell_line(rule[3])] if rule[3] else []


def _shell_line(line: str) -> str:
    """Return a recipe's line as one of a shell: what stands behind ``-`` may fail."""
    command = line.strip().lstrip("@-+ ")
    is_forgiven = "-" in line.strip()[: -len(command) or None]
    return f"{command} || true" if is_forgiven and command else command


def _just_targets(codebase: Codebase) -> tuple[str | None, dict[str, Target]]:
    file = justfile(codebase)
    found = recipes(codebase.text(file) or "") if file is not None else ()
    return file, {
        recipe.name: Target([_shell_line(line) for line in recipe.lines], recipe.needs)
        for recipe in found
        if not recipe.needs_argument
    }


def _task_targets(codebase: Codebase) -> tuple[str | None, dict[str, Target]]:
    file = codebase.first(*TASKFILES)
    document = codebase.yaml(file) if file is not None else None
    tasks = document.get("tasks") if isinstance(document, dict) else None
    if not isinstance(tasks, dict):
        return file, {}
    return file, {name: _task(said) for name, said in tasks.items() if isinstance(name, str)}


def _task(said: object) -> Target:
    """Return a task: a command, a list of them, or a table with ``cmd``, ``cmds`` and ``deps``."""
    if not isinstance(said, dict):
        said = {"cmds": said if isinstance(said, list) else [said]}
    target = Target()
    for key in ("deps", "cmd", "cmds"):
        value = said.get(key)
        for item in value if isinstance(value, list) else [value]:
            called = item.get("task") if isinstance(item, dict) else item if key == "deps" else None
            command = item.get("cmd") if isinstance(item, dict) else item if key != "deps" else None
            target.needs += [called] if isinstance(called, str) else []
            target.lines += command.splitlines() if isinstance(command, str) else []
    return target
