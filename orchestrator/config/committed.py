"""A project's config as a commit has it."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base.workspace import CONFIG_FOLDER
from orchestrator.git.process import GitProcess

_GIT_SECONDS = 30.0


def config_at(root: str, commit: str, project: str, environ: Mapping[str, str]) -> bytes | None:
    """Return a project's config as the ``commit`` has it, None where it has none or git can't tell."""
    name = f"{commit}:./{CONFIG_FOLDER}/{project}.toml"
    try:
        answer = GitProcess.start(root, ("cat-file", "blob", name), environ, paths=None).answer(_GIT_SECONDS)
    except (OSError, TimeoutError):
        return None
    return answer.output if answer.code == 0 else None


def configured_base(config: bytes) -> str | None:
    """Return what ``[spec_guard] base`` of a config names, None where it names nothing or can't be read."""
    if b"spec_guard" not in config or b"base" not in config:
        return None
    import tomllib

    try:
        table = tomllib.loads(config.decode()).get("spec_guard")
    except ValueError:
        return None
    base = table.get("base") if isinstance(table, dict) else None
    return base if isinstance(base, str) and base.strip() else None
