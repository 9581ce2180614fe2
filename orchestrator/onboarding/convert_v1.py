"""The early version's ``codex.orchestrator.json`` as pipelines of ours, with a note for what has no counterpart.

Its shape: ``defaultPipeline`` and ``pipelines[]`` with ``id, title, stages[]``; a stage is of the kind ``command``
(``command, cwd, env, allowFailure``), ``subpipeline`` (``pipeline, optional``) or ``stage-set`` (``ref``, the name of
a list in ``stageSets``). Commands ran in a shell, one after the other, from the repository's root.
"""

from __future__ import annotations

import os
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from orchestrator.base.identifiers import name_fault
from orchestrator.base.limits import DEFAULT_PIPELINE
from orchestrator.base.quoting import shown
from orchestrator.config.builtin import builtin, builtin_names
from orchestrator.onboarding.codebase import Codebase, table
from orchestrator.onboarding.detect import with_gaps
from orchestrator.onboarding.pipeline_circles import without_circles
from orchestrator.onboarding.proposal import Pipeline, Proposal, Stage, Value, skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FILE = "codex.orchestrator.json"
GUARD = "spec-guard"

_GUARD_SCRIPTS = frozenset(
    {"spec-guard.sh", "spec-guard.mjs", "spec-guard.js", "specGuardRunner.js", "specGuardRunner.ts"}
)
"""The guardrail's script: the first until November 2025, then the others, which node runs."""

_STARTERS = frozenset({"sh", "bash", "dash", "zsh", "node", "tsx"})
_STAGE_SET = "stage-set"
_MOST_STAGES = 500
"""Stages of one pipeline after its sets were put in; the largest real one has 60."""

_SHELL_CHARACTERS = re.compile(r"[|&;<>()$`\\*?\[\]#~!{}\n]|^\w+=")
_STRANGER = re.compile(r"\bnpx\s+(?:-\S+\s+)*codex-orchestrator\b(?!/)")
"""Without a ``node_modules`` that has it, npx downloads and runs the npm package of that name: another author's."""

_ABSENT = "the early version's pipeline had no such stage"
_KNOWN_OF_FILE = frozenset({"defaultPipeline", "pipelines", "stageSets"})
_KNOWN_OF_PIPELINE = frozenset({"id", "title", "stages"})
_KNOWN_OF_STAGE = {
    "command": frozenset({"kind", "id", "title", "command", "cwd", "env", "allowFailure"}),
    "subpipeline": frozenset({"kind", "id", "title", "pipeline", "optional"}),
}


@dataclass(slots=True)
class _Conversion:
    """One file's conversion.

    ``up`` leads from the project's folder to where its commands ran, ``proposed`` is what the codebase's own files
    tell, ``sets`` are the file's named lists of stages, ``incomplete`` pipelines of which a stage was left out.
    """

    project: str
    up: str
    proposed: Pipeline
    sets: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    pipelines: dict[str, str] = field(default_factory=dict)
    guarded: list[str] = field(default_factory=list)
    incomplete: set[str] = field(default_factory=set)
    expanded: int = 0
    keys: Counter[str] = field(default_factory=Counter)

    def note(self, text: str) -> None:
        self.notes.append(f"{FILE}: {text}")

    def lost(self, pipeline: str, text: str) -> None:
        """Warn that something of a pipeline is not there any more."""
        self.incomplete.add(pipeline)
        self.warnings.append(f"{FILE}: {text}")

    def unknown(self, entry: dict[str, Any], known: Iterable[str]) -> None:
        self.keys.update(entry.keys() - set(known))


def converted(codebase: Codebase, root: str, project: str, proposal: Proposal) -> Proposal:
    """Return ``proposal`` with the pipelines of the early version's config, of the codebase or else of the workspace.

    Without such a file, or with one that can't be read, the proposal stays as it is, but for a note.
    """
    folder = next((place for place in (codebase.path, root) if os.path.lexists(os.path.join(place, FILE))), None)
    if folder is None:
        return proposal
    source = codebase if folder == codebase.path else Codebase(folder)
    document = source.json(FILE)
    listed = document.get("pipelines")
    if not isinstance(listed, list):
        reason = next((fault for fault in source.faults if fault.startswith(FILE)), f"{FILE} has no list 'pipelines'")
        return proposal.warned(f"{reason}; nothing of it was converted")
    up = os.path.relpath(os.path.realpath(folder), os.path.realpath(codebase.path))
    conversion = _Conversion(project, up, proposal.diagnostics, sets=table(document, "stageSets"))
    pipelines = _pipelines(conversion, [item for item in listed if isinstance(item, dict)])
    if len(listed) != sum(isinstance(item, dict) for item in listed):
        conversion.note("entries of 'pipelines' that are no objects were left out")
    pipelines, circles = without_circles(pipelines)
    for pipeline, stage, below in circles:
        text = f"pipeline '{pipeline}', stage '{stage}': its pipeline '{below}' leads back to it"
        conversion.lost(pipeline, f"{text}; it is skipped")
    _file_notes(conversion, document, folder == codebase.path)
    default = _default_pipeline(conversion, document, {pipeline.id for pipeline in pipelines})
    if all(pipeline.id != "diagnostics" for pipeline in pipelines):
        pipelines = [*proposal.pipelines, *pipelines]
    found = replace(proposal, pipelines=tuple(pipelines), guarded=tuple(conversion.guarded), default_pipeline=default)
    return with_gaps(found.warned(*conversion.warnings).noted(*conversion.notes))


def _default_pipeline(conversion: _Conversion, document: dict[str, Any], known: set[str]) -> str | None:
    """Return the default pipeline of the file as it is called here; None where it is ours, or is not there."""
    default = document.get("defaultPipeline")
    if not isinstance(default, str) or default == DEFAULT_PIPELINE:
        return None
    name = conversion.pipelines.get(default)
    if name not in known:
        conversion.note(f"'defaultPipeline' names {shown(default)}, which is no pipeline here: left out")
        return None
    return None if name == DEFAULT_PIPELINE else name


def _file_notes(conversion: _Conversion, document: dict[str, Any], own: bool) -> None:
    conversion.unknown(document, _KNOWN_OF_FILE)
    if conversion.keys:
        counted = (f"{shown(key)} ({count}x)" for key, count in sorted(conversion.keys.items()))
        conversion.note(f"keys without a counterpart were left out: {', '.join(counted)}")
    if not own:
        conversion.note(
            "it is the workspace's, so that other projects get the same pipelines; take out what is not theirs"
        )


def _pipelines(conversion: _Conversion, listed: list[dict[str, Any]]) -> list[Pipeline]:
    for place, item in enumerate(listed):
        said = str(item.get("id", f"pipeline-{place + 1}"))
        if said in conversion.pipelines:
            conversion.note(f"the pipeline {shown(said)} is listed twice; the second was left out")
            continue
        conversion.pipelines[said] = _name(conversion, "pipeline", said, conversion.pipelines.values())
    found, seen = [], set()
    for place, item in enumerate(listed):
        said = str(item.get("id", f"pipeline-{place + 1}"))
        if said not in seen:
            seen.add(said)
            found.append(_pipeline(conversion, conversion.pipelines[said], item))
    return [pipeline for pipeline in found if pipeline is not None]


def _pipeline(conversion: _Conversion, name: str, item: dict[str, Any]) -> Pipeline | None:
    where = f"pipeline '{name}'"
    conversion.unknown(item, _KNOWN_OF_PIPELINE)
    stages: list[Stage] = []
    for place, entry in enumerate(_entries(conversion, name, item.get("stages"), ())):
        if place >= _MOST_STAGES:
            conversion.lost(name, f"{where} has more than {_MOST_STAGES} stages; those after were left out")
            break
        stage = _stage(conversion, where, name, place, entry, [stage.id for stage in stages])
        if stage is not None:
            stages.append(stage)
    if name not in builtin_names() and not stages:
        conversion.note(f"{where} has no stages and was left out")
        return None
    title = item.get("title")
    return Pipeline(name, tuple(_as_built_in(conversion, name, stages)), title if isinstance(title, str) else "")


def _entries(
    conversion: _Conversion, pipeline: str, listed: object, inside: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    """Yield the stages of a list, those of the sets that it names in their places; ``inside`` are the sets around."""
    where = f"pipeline '{pipeline}'"
    for place, entry in enumerate(listed if isinstance(listed, list) else []):
        if not isinstance(entry, dict):
            conversion.lost(pipeline, f"{where}: the stage at place {place + 1} is no object and was left out")
        elif entry.get("kind") == _STAGE_SET:
            name = str(entry.get("ref", ""))
            conversion.expanded += 1
            if name in inside or conversion.expanded > _MOST_STAGES:
                conversion.lost(
                    pipeline, f"{where}: the stage set {shown(name)} holds itself, or too many, and was left out there"
                )
            elif not isinstance(_of_set(conversion.sets.get(name)), list):
                conversion.lost(pipeline, f"{where}: the stage set {shown(name)} is not in the file and was left out")
            else:
                yield from _entries(conversion, pipeline, _of_set(conversion.sets[name]), (*inside, name))
        else:
            yield entry


def _of_set(said: object) -> object:
    return said.get("stages") if isinstance(said, dict) else said


def _stage(
    conversion: _Conversion, where: str, pipeline: str, place: int, entry: dict[str, Any], taken: list[str]
) -> Stage | None:
    said = str(entry.get("id", f"stage-{place + 1}"))
    kind = entry.get("kind", "command")
    words = _words(entry.get("command")) if kind == "command" else []
    if _is_guard(words):
        return _guard_stage(conversion, where, pipeline, said, entry, words, taken)
    name = _name(conversion, "stage", said, taken)
    keys: dict[str, Value] = {}
    title = entry.get("title")
    if isinstance(title, str) and title.strip():
        keys["title"] = title
    at = f"{where}, stage '{name}'"
    conversion.unknown(entry, _KNOWN_OF_STAGE.get(str(kind), entry.keys()))
    if kind == "command" and isinstance(entry.get("command"), str) and entry["command"].strip():
        keys |= _command_keys(conversion, at, entry, words)
    elif kind == "subpipeline":
        keys |= _subpipeline_keys(conversion, at, entry)
    else:
        conversion.lost(pipeline, f"{at} is of the kind {shown(str(kind))} and was left out")
        return None
    return Stage(name, keys)


def _command_keys(conversion: _Conversion, at: str, entry: dict[str, Any], words: list[str]) -> dict[str, Value]:
    line = entry["command"].strip()
    keys: dict[str, Value] = {"shell" if not words or _SHELL_CHARACTERS.search(line) else "run": line}
    script = next((name for name in sorted(_GUARD_SCRIPTS) if name in line), None)
    if script is not None:
        conversion.note(f"{at} calls {script} among other things: it is no guardrail; split the line to make it one")
    if _STRANGER.search(line):
        conversion.warnings.append(
            f"{FILE}: {at} calls 'npx codex-orchestrator': on npm that is a program of another author; "
            "write codex-orchestrator alone, which is this one"
        )
    said = entry.get("cwd")
    cwd = os.path.normpath(os.path.join(conversion.up, said if isinstance(said, str) else "."))
    if cwd != ".":
        keys["cwd"] = cwd
    env = entry.get("env")
    if isinstance(env, dict) and env:
        kept = {name: str(text) for name, text in env.items() if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)}
        own = [name for name in kept if name.startswith("CODEX_ORCHESTRATOR_") or name == "MCP_RUNNER_TASK_ID"]
        for name in [*own, *(env.keys() - kept.keys())]:
            kept.pop(name, None)
            conversion.note(f"{at}: the variable {shown(name)} can't be set here and was left out")
        keys |= {"env": kept} if kept else {}
    if entry.get("allowFailure") is True:
        keys["allow_failure"] = True
    return keys


def _subpipeline_keys(conversion: _Conversion, at: str, entry: dict[str, Any]) -> dict[str, Value]:
    said = str(entry.get("pipeline", ""))
    name = conversion.pipelines.get(said, said if said in builtin_names() else None)
    if name is None:
        conversion.note(f"{at} names the pipeline {shown(said)}, which is not in the file: it is skipped")
        return {"skip": f"the early version's config had no pipeline {shown(said)}"}
    keys: dict[str, Value] = {"pipeline": name}
    if entry.get("optional") is True:
        keys["allow_failure"] = True
    return keys


def _guard_stage(
    conversion: _Conversion,
    where: str,
    pipeline: str,
    said: str,
    entry: dict[str, Any],
    words: list[str],
    taken: list[str],
) -> Stage | None:
    """Return the guardrail as the built-in command; its script took no arguments but ``--dry-run``."""
    if GUARD in taken:
        conversion.note(f"{where}, stage {shown(said)} runs the spec guard a second time and was left out")
        return None
    conversion.note(f"{where}, stage {shown(said)}: '{' '.join(words)}' became the built-in guardrail '{GUARD}'")
    if "--dry-run" in words:
        conversion.note(f"{where}, stage {shown(said)} ran with --dry-run, a guardrail that can't fail; now it can")
    if entry.get("allowFailure") is True:
        conversion.note(f"{where}, stage {shown(said)}: 'allowFailure' was left out, a required guardrail has to hold")
    conversion.unknown(entry, _KNOWN_OF_STAGE["command"])
    if pipeline == "diagnostics":
        return Stage(GUARD, {})
    conversion.guarded.append(pipeline)
    return Stage(GUARD, {"run": f"codex-orchestrator spec-guard --project {conversion.project}", "guardrail": True})


def _as_built_in(conversion: _Conversion, pipeline: str, stages: list[Stage]) -> list[Stage]:
    """Return the stages with what a built-in pipeline of that name asks for besides.

    The early version ran one stage after the other. Where all stages are built in their own order stands
    (lint, test and spec-guard need only build); where others are among them, each needs the one before.
    """
    base = builtin(pipeline)
    if base is None:
        return stages
    known = [stage.id for stage in base.pipeline.stages]
    if any(stage.id not in known for stage in stages):
        before: list[str] = []
        for place, stage in enumerate(stages):
            stages[place] = Stage(stage.id, {**stage.keys, "needs": before}, stage.why)
            before = [stage.id]
    elif len(stages) > 2:
        conversion.note(f"pipeline '{pipeline}': what needs only the build may now run side by side")
    missing = [name for name in known if name != GUARD and name not in {stage.id for stage in stages}]
    if missing and pipeline in conversion.incomplete:
        # What was left out may have been these: they are not called absent, the codebase's own files tell them.
        proposed = {stage.id: stage for stage in conversion.proposed.stages}
        absent = [proposed.get(name) or skip(name, "nothing in the codebase says what it runs") for name in missing]
        conversion.note(f"pipeline '{pipeline}': {', '.join(missing)} are proposed from the codebase's own files")
    else:
        absent = [skip(name, _ABSENT) for name in missing]
    return [stage for stage in stages if stage.keys or stage.id != GUARD] + absent


def _is_guard(words: list[str]) -> bool:
    """Tell whether a command is the spec guard's script: by its exact command word, never by a part of the text."""
    rest = words[1:] if words and os.path.basename(words[0]) in _STARTERS else words
    return bool(rest) and os.path.basename(rest[0]) in _GUARD_SCRIPTS and set(rest[1:]) <= {"--dry-run"}


def _words(command: object) -> list[str]:
    try:
        return shlex.split(command) if isinstance(command, str) else []
    except ValueError:
        return []


def _name(conversion: _Conversion, kind: str, said: str, taken: Iterable[str]) -> str:
    """Return an id that we allow for one that the early version allowed, and once only."""
    name = said
    if name_fault(kind, name) is not None:
        name = re.sub(r"[^a-z0-9._-]+|\.{2,}", "-", said.lower())[:60].strip("._-") or kind
    used, count, base = set(taken), 1, name
    while name in used:
        count += 1
        name = f"{base}-{count}"
    if name != said:
        conversion.note(f"the {kind} {shown(said)} is called '{name}' now")
    return name
