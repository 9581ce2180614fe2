"""The projects of a workspace as a selection sees them: read leniently, so that a config's error leaves none out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from orchestrator.base.errors import ConfigError, UsageError
from orchestrator.base.globs import fault
from orchestrator.base.identifiers import name_fault
from orchestrator.base.quoting import shown
from orchestrator.base.record import Record
from orchestrator.base.sha256 import sha256
from orchestrator.base.workspace import CONFIG_FOLDER
from orchestrator.config.builtin import builtin, builtin_names
from orchestrator.config.dependencies import names_in
from orchestrator.config.project_names import config_stems
from orchestrator.config.source import parsed_source, raw_source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ACTIONS = frozenset({"run", "shell", "pipeline", "skip"})


class Member(Record):
    """What a selection asks of a project; ``path`` is from the workspace, None where the config doesn't say it.

    ``pipelines`` are those that it has or means to have. Of a config that can't be parsed nothing is known but
    ``fault``, its error in one line. ``digest`` is the sha256 of its bytes.
    """

    name: str
    path: str | None = None
    task_id: str | None = None
    owners: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    pipelines: tuple[str, ...] = ()
    fault: str = ""
    digest: str = ""


class Members(Record):
    """The projects by name, and the config files whose names can be no project's, each with why."""

    projects: dict[str, Member]
    misnamed: tuple[str, ...] = ()


Known = Callable[[str, str, Callable[[], Member]], Member]


def _unknown(name: str, digest: str, read: Callable[[], Member]) -> Member:
    return read()


def _parsed(name: str, raw: bytes) -> Member:
    source = parsed_source(name, raw)
    return member_of(name, source.table)._replace(digest=source.digest)


def read_members(root: str, known: Known = _unknown) -> Members:
    """Return the projects of the workspace at ``root``; each config is read once, none is validated.

    ``known`` returns the project of a config, given its name, its sha256, and what parses it.
    """
    projects: dict[str, Member] = {}
    misnamed = []
    for stem in config_stems(root):
        wrong = name_fault("project", stem)
        if wrong is not None:
            misnamed.append(f"{CONFIG_FOLDER}/: the file {shown(stem + '.toml')} is no project's: {wrong}")
            continue
        try:
            raw = raw_source(root, stem)
            projects[stem] = known(stem, sha256(raw).hexdigest(), partial(_parsed, stem, raw))
        except FileNotFoundError:
            continue  # removed since the folder was listed
        except ConfigError as error:
            projects[stem] = Member(stem, fault=in_one_line(error))
    return Members(projects, tuple(misnamed))


def member_of(name: str, table: dict[str, Any]) -> Member:
    """Return what the parsed config of project ``name`` says; values of a wrong type are passed over."""
    project = table.get("project")
    said = project if isinstance(project, dict) else {}
    path, task_id = said.get("path"), said.get("task_id")
    return Member(
        name=name,
        path=path if isinstance(path, str) and path and "\0" not in path else None,
        task_id=task_id if name_fault("task", task_id) is None else None,
        owners=names_in(table, "owners"),
        tags=names_in(table, "tags"),
        depends_on=names_in(table, "depends_on"),
        also=tuple(pattern for pattern in names_in(table, "also") if fault(pattern) is None),
        pipelines=_pipelines(table),
    )


def in_one_line(error: UsageError) -> str:
    """Return what a refusal says on one line: the faults of a config without their headline."""
    text = "; ".join(error.faults) if isinstance(error, ConfigError) else error.message
    return " ".join(text.split())


def _pipelines(table: dict[str, Any]) -> tuple[str, ...]:
    own = table.get("pipelines")
    named = own if isinstance(own, dict) else {}
    found = dict.fromkeys(name for name in builtin_names() if name in named or _is_complete(name, named))
    return tuple(found | dict.fromkeys(name for name in named if isinstance(name, str)))


def _is_complete(name: str, named: dict[str, Any]) -> bool:
    """Tell whether a built-in pipeline that the config does not mention has nothing left unsaid."""
    base = builtin(name)
    if base is None:
        return False
    acting = _acting(named.get(base.like)) if base.like else frozenset()
    return all(stage.complete or stage.id in acting for stage in base.pipeline.stages)


def _acting(pipeline: object) -> frozenset[object]:
    """Return the ids of the stages of a pipeline's table that say what to do."""
    stages = pipeline.get("stages") if isinstance(pipeline, dict) else None
    entries = [entry for entry in stages if isinstance(entry, dict)] if isinstance(stages, list) else []
    return frozenset(entry.get("id") for entry in entries if not _ACTIONS.isdisjoint(entry))
