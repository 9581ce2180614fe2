"""``[export]`` of ``workspace.toml`` and of a project's config: where people find a run, and what gets it when it ends.

A key of the project's config wins over the workspace's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

from orchestrator.base.errors import ConfigError
from orchestrator.base.identifiers import near_hint
from orchestrator.base.limits import FORMS_ON_CLOSE
from orchestrator.base.quoting import shown
from orchestrator.base.record import Record
from orchestrator.base.workspace import CONFIG_FOLDER, WORKSPACE_FILE
from orchestrator.config.quantities import duration
from orchestrator.config.source import read_source, read_toml

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEFAULT_JUNIT = "out/{task}/junit/{run}.xml"
DEFAULT_TIMEOUT_SECONDS = 5.0
LONGEST_TIMEOUT_SECONDS = 300.0

_KEYS = ("github", "junit", "on_close", "timeout", "url")
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_KNOWN = ("{project}", "{task}", "{run}")
_NOT_FOR_EXPORTS = frozenset({".runs", ".git", ".nox", CONFIG_FOLDER})
"""Folders of the workspace whose files mean something: no export may stand in their place."""


class ExportPolicy(Record):
    """What is done with runs that end.

    ``url`` is a run's address with ``{project}``, ``{task}`` and ``{run}``, None: the CI job's. ``github`` is off where
    a run on GitHub or GitLab is to print plain lines and nothing else. ``on_close`` are the forms of each run that
    ends, ``junit`` the file of one, from the workspace. ``timeout`` is in seconds, for one delivery.
    """

    url: str | None = None
    github: bool = True
    on_close: tuple[str, ...] = ()
    junit: str = DEFAULT_JUNIT
    timeout: float = DEFAULT_TIMEOUT_SECONDS


def read_export_policy(root: str, project: str | None = None) -> ExportPolicy:
    """Return ``[export]`` of the workspace at ``root``, with the keys of ``project``'s config over its own.

    Defaults without files or tables. Raises ConfigError.
    """
    table = {**_workspace_table(root), **(_project_table(root, project) if project else {})}
    return ExportPolicy(
        table.get("url"),
        table.get("github", True),
        tuple(dict.fromkeys(table.get("on_close", ()))),
        table.get("junit", DEFAULT_JUNIT),
        duration(table["timeout"]) if "timeout" in table else DEFAULT_TIMEOUT_SECONDS,
    )


def value_fault(key: str, value: object) -> str | None:
    """Return what is wrong with the value of a key of ``[export]``; None when nothing is."""
    return _FAULT_OF[key](value)


def _workspace_table(root: str) -> Mapping[str, Any]:
    if not os.path.lexists(os.path.join(root, WORKSPACE_FILE)):
        return {}
    return _checked(WORKSPACE_FILE, read_toml(root, WORKSPACE_FILE).get("export", {}))


def _project_table(root: str, project: str) -> Mapping[str, Any]:
    try:
        source = read_source(root, project)
    except FileNotFoundError:
        return {}
    return _checked(source.file, source.table.get("export", {}))


def _checked(file: str, table: object) -> Mapping[str, Any]:
    faults = list(export_faults(table))
    if faults or not isinstance(table, dict):
        raise ConfigError([f"{file}: {fault}" for fault in faults])
    return table


def export_faults(table: object) -> Iterator[str]:
    """Yield what is wrong with an ``[export]``, each with its key."""
    if not isinstance(table, dict):
        yield "export: is no table"
        return
    for key in sorted(set(table) - set(_KEYS)):
        yield f"export.{key}: is no key of this table (known: {', '.join(_KEYS)})"
    for key in _KEYS:
        fault = value_fault(key, table[key]) if key in table else None
        if fault is not None:
            yield f"export.{key}: {fault}"


def _url_fault(value: object) -> str | None:
    if isinstance(value, str) and value.startswith(("https://", "http://")):
        return None
    return "is no address that begins with https:// or http://"


def _switch_fault(value: object) -> str | None:
    return None if isinstance(value, bool) else "is neither true nor false"


def _forms_fault(value: object) -> str | None:
    known = ", ".join(FORMS_ON_CLOSE)
    if not isinstance(value, list) or not all(isinstance(form, str) for form in value):
        return f"is no list of forms (known: {known})"
    odd = next((form for form in value if form not in FORMS_ON_CLOSE), None)
    if odd is None:
        return None
    return f"{shown(odd)} is no form of a run's end ({near_hint(odd, FORMS_ON_CLOSE)})"


def _timeout_fault(value: object) -> str | None:
    if not isinstance(value, str):
        return "must be a duration such as '5s', as text with its unit"
    try:
        seconds = duration(value)
    except ValueError as error:
        return str(error)
    limit = LONGEST_TIMEOUT_SECONDS
    return None if seconds <= limit else f"must not be longer than {limit:.0f}s: a command waits for it"


def _file_fault(value: object) -> str | None:
    """Return what is wrong with the pattern of a file: it leads to one file for each run, inside the workspace."""
    if not isinstance(value, str) or not value:
        return f"must be a file from the workspace such as '{DEFAULT_JUNIT}'"
    odd = next((name for name in _PLACEHOLDER.findall(value) if name not in _KNOWN), None)
    if odd is not None:
        return f"{shown(odd)} is no placeholder (known: {', '.join(_KNOWN)})"
    if "{run}" not in value:
        return "lacks {run}: the file of one run would take the place of another's"
    parts = value.split("/")
    if value.startswith("/") or ".." in parts:
        return "leads out of the workspace: name a file below it, without '..'"
    if not all(parts) or "." in parts or not value.isprintable():
        return f"{shown(value)} is no path of a file: no empty parts, no '.', no control characters"
    if parts[0] in _NOT_FOR_EXPORTS:
        return f"lies below {parts[0]}/, which is not for exports"
    return None


_FAULT_OF = {
    "github": _switch_fault,
    "junit": _file_fault,
    "on_close": _forms_fault,
    "timeout": _timeout_fault,
    "url": _url_fault,
}
