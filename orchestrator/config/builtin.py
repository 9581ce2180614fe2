"""The built-in pipelines: versioned files inside the package, and what a project's words change in them."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from types import MappingProxyType

from orchestrator.base.record import Record
from orchestrator.config.values import PipelineConfig, StageConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pipelines")
NEWEST: Mapping[str, int] = MappingProxyType({"diagnostics": 2, "smoke": 1})
"""The newest version of each built-in pipeline, ``pipelines/<name>.<version>.toml``. Older ones are kept, since a
run that is resumed is compared with the version that its plan names; a change of a file is a new version."""

_PROJECT = "{project}"


class Builtin(Record):
    """A built-in pipeline. What a project says of a stage under ``like`` holds here too."""

    pipeline: PipelineConfig
    like: str | None


def builtin_names() -> tuple[str, ...]:
    """Return the names of the built-in pipelines."""
    return tuple(NEWEST)


@functools.cache
def builtin(name: str, version: int | None = None) -> Builtin | None:
    """Return the built-in pipeline of that name, or None; the newest one where there is no such ``version``."""
    newest = NEWEST.get(name)
    if newest is None:
        return None
    if version is None or not 1 <= version <= newest:
        version = newest
    import tomllib

    from orchestrator.config.quantities import duration

    with open(os.path.join(_FOLDER, f"{name}.{version}.toml"), "rb") as stream:
        table = tomllib.load(stream)
    stages = tuple(_stage(entry) for entry in table["stages"])
    pipeline = PipelineConfig(name, table["title"], duration(table["sla"]), stages, table["version"])
    return Builtin(pipeline, table.get("like"))


def merged(
    name: str, pipelines: Mapping[str, PipelineConfig], project: str, version: int | None = None
) -> PipelineConfig | None:
    """Return pipeline ``name`` of ``project``, the built-in one and the project's words together, or None.

    A project's stage with a built-in's id changes only the keys that it names; its other stages come
    after the built-in ones, in the order listed (contract, section 3). ``needs`` left out stays None.
    ``version`` asks for that one of the built-in pipeline.
    """
    own: PipelineConfig | None = pipelines.get(name)
    base = builtin(name, version)
    if base is None:
        return own
    cousin: PipelineConfig | None = pipelines.get(base.like) if base.like else None
    stages = []
    for stage in base.pipeline.stages:
        stage = _named(stage, project)
        if cousin is not None:
            stage = _changed(stage, _find(cousin, stage.id), keep=("needs",))
        stages.append(_changed(stage, _find(own, stage.id)))
    if own is None:
        return base.pipeline._replace(stages=tuple(stages))
    known = {stage.id for stage in stages}
    added = [stage for stage in own.stages if stage.id not in known]
    return PipelineConfig(
        id=name,
        title=own.title or base.pipeline.title,
        sla=own.sla or base.pipeline.sla,
        stages=(*stages, *added),
        version=base.pipeline.version,
    )


def _stage(entry: dict[str, Any]) -> StageConfig:
    lists = {key: tuple(value) for key, value in entry.items() if isinstance(value, list)}
    return StageConfig(**{**entry, **lists})


def _named(stage: StageConfig, project: str) -> StageConfig:
    if stage.run is None:
        return stage
    return stage._replace(run=tuple(word.replace(_PROJECT, project) for word in stage.run))


def _find(pipeline: PipelineConfig | None, stage_id: str) -> StageConfig | None:
    stages = pipeline.stages if pipeline is not None else ()
    return next((stage for stage in stages if stage.id == stage_id), None)


def _changed(stage: StageConfig, change: StageConfig | None, keep: tuple[str, ...] = ()) -> StageConfig:
    if change is None:
        return stage
    # What a stage does is one thing said in one of several keys: a new one takes the place of all.
    base = stage._replace(run=None, shell=None, pipeline=None, project=None, skip=None) if change.complete else stage
    named = change._asdict()
    given: dict[str, Any] = {key: value for key, value in named.items() if value is not None and key not in keep}
    return base._replace(**given)
