"""``[prune]`` of ``workspace.toml`` and of a project's config, whose keys win: what ``prune`` keeps, and how long."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from orchestrator.base.errors import ConfigError
from orchestrator.base.workspace import WORKSPACE_FILE
from orchestrator.config.quantities import retention, size
from orchestrator.config.source import read_toml
from orchestrator.model.retention import LEAST_KEPT, RetentionRules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SPANS = ("keep_within", "keep_failed", "logs_within")
KEYS = ("keep_last", *SPANS, "warn_size")


def workspace_rules(root: str) -> RetentionRules:
    """Return the rules of the workspace at ``root``; defaults without file or table. Raises ConfigError."""
    if not os.path.lexists(os.path.join(root, WORKSPACE_FILE)):
        return RetentionRules()
    table = read_toml(root, WORKSPACE_FILE).get("prune", {})
    faults = list(prune_faults(table))
    if faults:
        raise ConfigError([f"{WORKSPACE_FILE}: {fault}" for fault in faults])
    return with_table(RetentionRules(), table)


def project_rules(rules: RetentionRules, table: Mapping[str, Any], file: str) -> RetentionRules:
    """Return the rules of a project, by its parsed config, over those of the workspace. Raises ConfigError."""
    own = table.get("prune", {})
    faults = list(prune_faults(own))
    if faults:
        raise ConfigError([f"{file}: {fault}" for fault in faults])
    return with_table(rules, own)


def with_table(rules: RetentionRules, table: Mapping[str, Any]) -> RetentionRules:
    """Return ``rules`` with what a sound ``[prune]`` says."""
    changes: dict[str, Any] = {key: retention(table[key]) for key in SPANS if key in table}
    if "keep_last" in table:
        changes["keep_last"] = table["keep_last"]
    if "warn_size" in table:
        changes["warn_bytes"] = size(table["warn_size"])
    return rules._replace(**changes)


def prune_faults(table: object) -> Iterator[str]:
    """Yield what is wrong with a ``[prune]``, each with its key."""
    if not isinstance(table, Mapping):
        yield "prune: is no table"
        return
    for key in sorted(set(table) - set(KEYS)):
        yield f"prune.{key}: is no key of this table (known: {', '.join(KEYS)})"
    last = table.get("keep_last", LEAST_KEPT)
    if not isinstance(last, int) or isinstance(last, bool) or last < LEAST_KEPT:
        yield f"prune.keep_last: is no whole number from {LEAST_KEPT} up: state.json lists that many"
    for key in SPANS:
        yield from _fault(key, table.get(key), retention)
    yield from _fault("warn_size", table.get("warn_size"), size)


def _fault(key: str, value: object, read: Any) -> Iterator[str]:
    if value is None:
        return
    if not isinstance(value, str):
        yield f"prune.{key}: is no text with a unit, such as '{'2GiB' if read is size else '90d'}'"
        return
    try:
        read(value)
    except ValueError as error:
        yield f"prune.{key}: {error}"
