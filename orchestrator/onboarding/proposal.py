"""What is proposed for a codebase: values, before they are words of a config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

STAGES = ("build", "lint", "test")
"""What a project has to say of the built-in pipelines (contract, section 3)."""

REPORT = "junit.xml"
"""What a stage's report in JUnit form is called where the codebase has no name for it: no change of its tree."""

Value = str | bool | int | list[str] | dict[str, str]


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage: its keys as the config has them, ``id`` aside, and ``why`` as a comment above it."""

    id: str
    keys: Mapping[str, Value]
    why: str = ""

    @property
    def skipped(self) -> str | None:
        """The reason why it is skipped, None when it does something."""
        reason = self.keys.get("skip")
        return reason if isinstance(reason, str) else None

    @property
    def does(self) -> str:
        """What it does, for people."""
        for key in ("run", "shell"):
            value = self.keys.get(key)
            if value is not None:
                return value if isinstance(value, str) else " ".join(map(str, value)) if isinstance(value, list) else ""
        if "pipeline" in self.keys:
            return f"the pipeline {self.keys['pipeline']}"
        return f"skipped: {self.skipped}" if self.skipped is not None else "as built in"


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline of the config and its stages."""

    id: str
    stages: tuple[Stage, ...]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A whole config, but for the project's own table.

    ``guarded`` are pipelines besides ``diagnostics`` that the guardrail binds, ``not_code`` what it is to leave out
    (globs); ``warnings`` say what will fail or is
    not checked, ``notes`` what else a person should know.
    """

    template: str
    pipelines: tuple[Pipeline, ...]
    backend: str = "none"
    install: tuple[str, ...] = ()
    python: str | None = None
    pass_env: tuple[str, ...] = ()
    guarded: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())
    default_pipeline: str | None = None
    not_code: tuple[str, ...] = ()

    @property
    def diagnostics(self) -> Pipeline:
        """The pipeline that every project has."""
        return next(pipeline for pipeline in self.pipelines if pipeline.id == "diagnostics")

    @property
    def remarks(self) -> tuple[str, ...]:
        """Warnings, then notes: the weightiest first, each once."""
        return tuple(dict.fromkeys((*self.warnings, *self.notes)))

    def noted(self, *notes: str) -> Proposal:
        """Return the proposal with more notes."""
        return replace(self, notes=(*self.notes, *notes))

    def warned(self, *warnings: str) -> Proposal:
        """Return the proposal with more warnings."""
        return replace(self, warnings=(*self.warnings, *warnings))


def is_inside(path: str) -> bool:
    """Tell whether a path, as a codebase has it, is a file in its own folder, whatever variables it may hold."""
    parts = path.split("/")
    return bool(path) and not path.startswith(("/", "~")) and ".." not in parts and not set(path) & set("$%{}*?[]!\\")


def run(stage_id: str, command: str, why: str, **keys: Value) -> Stage:
    """Return a stage that runs a command; a line that needs a shell becomes one."""
    key = "shell" if any(char in command for char in "|&;<>$`*?(){}\n~") else "run"
    return Stage(stage_id, {key: command, **keys}, why)


def skip(stage_id: str, reason: str) -> Stage:
    """Return a stage that is skipped, with its reason."""
    return Stage(stage_id, {"skip": reason}, "")


def diagnostics(*stages: Stage) -> tuple[Pipeline, ...]:
    """Return the pipelines of a config that says only what the built-in ``diagnostics`` runs."""
    return (Pipeline("diagnostics", stages),)
