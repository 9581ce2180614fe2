"""A project's config as a commit has it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from orchestrator.base.workspace import CONFIG_FOLDER
from orchestrator.git.process import GitProcess
from orchestrator.model.builtin_guard import GUARD, option_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_GIT_SECONDS = 30.0


def config_at(root: str, commit: str, project: str, environ: Mapping[str, str]) -> bytes | None:
    """Return a project's config as the ``commit`` has it, None where it has none or git can't tell."""
    name = f"{commit}:./{CONFIG_FOLDER}/{project}.toml"
    try:
        answer = GitProcess.start(root, ("cat-file", "blob", name), environ, paths=None).answer(_GIT_SECONDS)
    except (OSError, TimeoutError):
        return None
    return answer.output if answer.code == 0 else None


def configured_base(config: bytes, pipeline: str) -> str | None:
    """Return the base that a config names for the guard of a pipeline, None where it names none or can't be read.

    That is ``--base`` of the guard's stage, else ``[spec_guard] base``.
    """
    if b"base" not in config:
        return None
    import tomllib

    try:
        table = tomllib.loads(config.decode())
    except ValueError:
        return None
    own = _table(table, "spec_guard").get("base")
    found = _base_of_stage(_table(_table(table, "pipelines"), pipeline).get("stages")) or own
    return found if isinstance(found, str) and found.strip() else None


def _table(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = table.get(key)
    return value if isinstance(value, dict) else {}


def _base_of_stage(stages: object) -> str | None:
    """Return what ``--base`` of the guard's stage names; a command that is no guard names nothing that counts."""
    for stage in stages if isinstance(stages, list) else ():
        words = stage.get("run") if isinstance(stage, dict) and stage.get("id") == GUARD else None
        if isinstance(words, str):
            import shlex

            with suppress(ValueError):
                words = shlex.split(words)
        if isinstance(words, list):
            return option_in([str(word) for word in words], "--base")
    return None
