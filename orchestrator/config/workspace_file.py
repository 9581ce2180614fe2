"""``workspace.toml`` beside ``project_configs/``: what holds for the whole workspace. Optional."""

from __future__ import annotations

import os
import re

from orchestrator.base.errors import ConfigError
from orchestrator.base.globs import fault
from orchestrator.base.record import Record
from orchestrator.base.workspace import WORKSPACE_FILE
from orchestrator.config.faults import did_you_mean
from orchestrator.config.source import read_toml, toml_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TABLES = ("fleet", "queue", "export", "prune", "cloud", "docs")
_COMMIT = re.compile(r"[0-9a-f]{7,64}")


class DocsPolicy(Record):
    """``[docs]``: items ticked at the commit ``since`` are known as such; paths that match ``ignore`` are not read."""

    since: str | None = None
    ignore: tuple[str, ...] = ()


def read_docs_policy(root: str) -> DocsPolicy:
    """Return ``[docs]`` of the workspace at ``root``; defaults without the file or the table. Raises ConfigError."""
    if not os.path.lexists(os.path.join(root, WORKSPACE_FILE)):
        return DocsPolicy()
    return _docs_policy(read_toml(root, WORKSPACE_FILE))


def docs_policy_of(data: bytes) -> DocsPolicy:
    """Return ``[docs]`` of a workspace file's bytes. Raises ConfigError."""
    return _docs_policy(toml_of(WORKSPACE_FILE, data))


def _docs_policy(table: dict[str, Any]) -> DocsPolicy:
    faults = [*top_faults(table), *docs_faults(table.get("docs", {}))]
    if faults:
        raise ConfigError([f"{WORKSPACE_FILE}: {text}" for text in faults])
    docs = table.get("docs", {})
    return DocsPolicy(docs.get("since"), tuple(docs.get("ignore", ())))


def top_faults(table: dict[str, Any]) -> list[str]:
    """Return what is wrong with the file's version and the names of its tables, without the file's own name."""
    faults = []
    if table.get("schema_version") != 1 or isinstance(table.get("schema_version"), bool):
        faults.append("schema_version: is not 1")
    unknown = sorted(set(table) - {"schema_version", *TABLES})
    return faults + [f"{key}: is no table of this file{did_you_mean(key, TABLES)}" for key in unknown]


def docs_faults(docs: object) -> list[str]:
    """Return what is wrong with a ``[docs]``, each with its key."""
    if not isinstance(docs, dict):
        return ["docs: is no table"]
    faults = [f"docs.{key}: is no key of this table (known: since, ignore)" for key in set(docs) - {"since", "ignore"}]
    since, ignore = docs.get("since"), docs.get("ignore", [])
    if since is not None and (not isinstance(since, str) or _COMMIT.fullmatch(since) is None):
        faults.append("docs.since: is no commit: at least 7 of its hexadecimal digits (a branch would move)")
    if not isinstance(ignore, list) or not all(isinstance(pattern, str) for pattern in ignore):
        return [*faults, "docs.ignore: is no list of patterns"]
    return faults + [f"docs.ignore: {pattern!r} {text}" for pattern in ignore if (text := fault(pattern)) is not None]
