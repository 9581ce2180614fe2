"""Sessions that would stand in each other's place: the same name, or the same folder for their environment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from orchestrator.config.builtin import builtin_names, merged
from orchestrator.config.source import config_file
from orchestrator.config.values import ProjectConfig


def session_name(pipeline: str, project: str) -> str:
    """Return the name of the nox session of a project's pipeline."""
    return f"{pipeline}-{project}"


def environment_folder(name: str) -> str:
    """Return the folder that nox gives the session ``name`` (``nox.sessions._normalize_path``, ids are ASCII)."""
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "-", name)).strip("-")


def session_names(config: ProjectConfig) -> tuple[str, ...]:
    """Return the sessions of a project: one for each pipeline of its own and each built-in that is complete."""
    return tuple(session_name(pipeline, config.name) for pipeline in pipeline_names(config))


def pipeline_names(config: ProjectConfig) -> tuple[str, ...]:
    """Return the pipelines that a project can run: its own, and the built-in ones of which nothing is left unsaid."""
    names = dict.fromkeys([*builtin_names(), *config.pipelines])
    found = {name: merged(name, config.pipelines, config.name) for name in names}
    return tuple(name for name, item in found.items() if item and all(stage.complete for stage in item.stages))


def collision_faults(configs: Mapping[str, ProjectConfig]) -> list[str]:
    """Return a fault for each two projects' sessions that share a name or an environment's folder."""
    owners: dict[str, tuple[str, str]] = {}
    faults = []
    for config in configs.values():
        for pipeline in pipeline_names(config):
            folder = environment_folder(session_name(pipeline, config.name))
            other = owners.setdefault(folder, (pipeline, config.name))
            if other != (pipeline, config.name):
                faults.append(collision_fault((pipeline, config.name), other))
    return faults


def collision_fault(one: tuple[str, str], other: tuple[str, str]) -> str:
    """Return the fault of two sessions (pipeline, project) that share a name or a folder."""
    names = session_name(*one), session_name(*other)
    what = f"would both be called '{names[0]}'" if names[0] == names[1] else "would share one environment folder"
    return (
        f"{config_file(one[1])}: pipelines.{one[0]}: its session '{names[0]}' and '{names[1]}', "
        f"which is '{other[0]}' of {config_file(other[1])}, {what}; rename one"
    )


def rivals(pipeline: str, project: str, names: Iterable[str]) -> list[tuple[str, str]]:
    """Return (folder of the rival's pipeline, project) for each project among ``names`` that could collide.

    Known by names alone, so that a start needs to look into no other config but one that may matter:
    a rival's pipeline whose environment's folder is the returned one shares the session's place.
    """
    folder = environment_folder(session_name(pipeline, project))
    found = []
    for name in names:
        tail = "-" + environment_folder(name)
        if name != project and folder.endswith(tail) and len(folder) > len(tail):
            found.append((folder[: -len(tail)], name))
    return found
