"""``[export]`` of ``workspace.toml``: where people find a run, and what a run shows to its CI system."""

from __future__ import annotations

import os

from orchestrator.base.errors import ConfigError
from orchestrator.base.record import Record
from orchestrator.base.workspace import WORKSPACE_FILE
from orchestrator.config.source import read_toml

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_KEYS = ("github", "url")


class ExportPolicy(Record):
    """``url`` is a run's address with ``{project}``, ``{task}`` and ``{run}``, None: the CI job's.

    ``github`` is off where a run on GitHub or GitLab is to print plain lines and nothing else.
    """

    url: str | None = None
    github: bool = True


def read_export_policy(root: str) -> ExportPolicy:
    """Return ``[export]`` of the workspace at ``root``; defaults without file or table. Raises ConfigError."""
    if not os.path.lexists(os.path.join(root, WORKSPACE_FILE)):
        return ExportPolicy()
    table = read_toml(root, WORKSPACE_FILE).get("export", {})
    faults = list(_faults(table))
    if faults:
        raise ConfigError([f"{WORKSPACE_FILE}: {fault}" for fault in faults])
    return ExportPolicy(table.get("url"), table.get("github", True))


def _faults(table: object) -> Iterator[str]:
    if not isinstance(table, dict):
        yield "export: is no table"
        return
    for key in sorted(set(table) - set(_KEYS)):
        yield f"export.{key}: is no key of this table (known: {', '.join(_KEYS)})"
    url = table.get("url")
    if url is not None and (not isinstance(url, str) or not url.startswith(("https://", "http://"))):
        yield "export.url: is no address that begins with https:// or http://"
    if not isinstance(table.get("github", True), bool):
        yield "export.github: is neither true nor false"
