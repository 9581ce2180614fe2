"""``[cloud]`` of ``workspace.toml``: the engine that runs of mode cloud go to (contract, section 12)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping

from orchestrator.base.errors import ConfigError, UsageError
from orchestrator.base.globs import path_fault
from orchestrator.base.quoting import shown
from orchestrator.base.record import Record
from orchestrator.base.workspace import WORKSPACE_FILE
from orchestrator.config.quantities import duration
from orchestrator.config.source import config_file, read_toml
from orchestrator.model.plan import Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SCHEDULER_VARIABLE = "CODEX_ORCHESTRATOR_CLOUD_SCHEDULER"
DEFAULT_RETRIES = 2
MOST_RETRIES = 100
DEFAULT_LEASE = "10s"
DEFAULT_QUEUE_TIMEOUT = "1h"
SHORTEST_LEASE_SECONDS = 1.0
"""The agent renews a lease four times a second: a shorter one would end runs of a busy machine."""

_FILES = ("ca", "cert", "key")
_KEYS = ("scheduler", *_FILES, "retries", "lease", "queue_timeout", "include", "insecure")
_EXAMPLE = "tls://scheduler.example:8786"
_LOOPBACK_NAMES = ("localhost", "::1")


class CloudPolicy(Record):
    """Where the engine is, and what holds for runs there.

    ``scheduler`` is ``tls://HOST:PORT``, or ``tcp://`` of this machine; ``ca, cert, key`` are absolute paths of files
    in PEM form, None without TLS. ``lease`` and ``queue_timeout`` are seconds; ``include`` are patterns of ignored
    files, from the workspace, that travel all the same.
    """

    scheduler: str
    ca: str | None
    cert: str | None
    key: str | None
    retries: int
    lease: float
    queue_timeout: float
    include: tuple[str, ...]

    @property
    def is_encrypted(self) -> bool:
        """Whether the engine is talked to by mutual TLS."""
        return self.scheduler.startswith("tls://")

    @property
    def place(self) -> tuple[str, int]:
        """The scheduler's host and port."""
        return place_of(self.scheduler)


def read_cloud_policy(root: str, environ: Mapping[str, str]) -> CloudPolicy:
    """Return ``[cloud]`` of the workspace at ``root``; ``$CODEX_ORCHESTRATOR_CLOUD_SCHEDULER`` names another scheduler.

    Raises UsageError ``no-engine`` without the table, ConfigError for what is wrong in it, UsageError
    ``bad-scheduler``, ``key-unreadable`` and ``key-readable``.
    """
    file = os.path.join(root, WORKSPACE_FILE)
    table = read_toml(root, WORKSPACE_FILE).get("cloud") if os.path.lexists(file) else None
    if table is None:
        raise UsageError(
            "no cloud engine is configured in this workspace",
            hint=f"add [cloud] with scheduler, ca, cert, key to {WORKSPACE_FILE} (docs/cloud.md), or run in mode local",
            code="no-engine",
        )
    faults = list(cloud_faults(table))
    if faults:
        raise ConfigError([f"{WORKSPACE_FILE}: {fault}" for fault in faults])
    named = environ.get(SCHEDULER_VARIABLE)
    source = f"${SCHEDULER_VARIABLE}" if named else f"{WORKSPACE_FILE}: cloud.scheduler"
    scheduler = named or table.get("scheduler", "")
    _check_scheduler(scheduler, source, is_insecure=table.get("insecure", False))
    files = _files(root, table) if scheduler.startswith("tls://") else dict.fromkeys(_FILES)
    return CloudPolicy(
        scheduler,
        **files,
        retries=table.get("retries", DEFAULT_RETRIES),
        lease=duration(table.get("lease", DEFAULT_LEASE)),
        queue_timeout=duration(table.get("queue_timeout", DEFAULT_QUEUE_TIMEOUT)),
        include=tuple(table.get("include", ())),
    )


def refuse_if_project_forbids(root: str, plan: Plan) -> None:
    """Raise UsageError ``cloud-refused`` where a project that ``plan`` runs, here or below, has ``cloud = false``.

    A fleet runs nothing itself: each of its projects answers for itself. The configs are those that ``plan`` was made
    of, which were checked then. Raises ConfigError where one can't be read any more.
    """
    if plan.selection is not None:
        return
    for project in dict.fromkeys((plan.project, *(below.project for below in plan.subplans))):
        session = read_toml(root, config_file(project)).get("session", {})
        if isinstance(session, dict) and session.get("cloud") is False:
            whose = "" if project == plan.project else f", of which '{plan.pipeline}' runs a pipeline"
            raise UsageError(
                f"project '{project}'{whose} keeps its runs here: {config_file(project)} has [session] cloud = false",
                hint="use --mode local",
                code="cloud-refused",
            )


def place_of(scheduler: str) -> tuple[str, int]:
    """Return host and port of an address such as ``tls://host:8786`` or ``tcp://[::1]:8786``. Raises ValueError."""
    scheme, separator, rest = scheduler.partition("://")
    host, colon, port = rest.rpartition(":")
    if scheme not in ("tls", "tcp") or not (separator and colon and port.isascii() and port.isdigit()):
        raise ValueError(f"must be an address such as {_EXAMPLE}")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("writes an IPv6 address without brackets: tls://[::1]:8786")
    if not host or not all(letter.isalnum() or letter in ".-_:%" for letter in host):
        raise ValueError(f"names no host: {_EXAMPLE}")
    if len(port) > 5 or not 0 < int(port) < 1 << 16:
        raise ValueError("names no port from 1 to 65535")
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine by its name or address alone; nothing is looked up."""
    parts = host.split(".")
    is_v4 = len(parts) == 4 and all(part.isascii() and part.isdigit() and int(part) < 256 for part in parts)
    return host in _LOOPBACK_NAMES or (is_v4 and parts[0] == "127")


def _check_scheduler(scheduler: str, source: str, *, is_insecure: bool) -> None:
    hint = f'scheduler = "{_EXAMPLE}"'
    if not scheduler:
        raise UsageError(f"{source}: is missing", hint=hint, code="bad-scheduler")
    try:
        host, _ = place_of(scheduler)
    except ValueError as error:
        raise UsageError(f"{source}: {shown(scheduler)} {error}", hint=hint, code="bad-scheduler") from error
    if scheduler.startswith("tls://"):
        return
    if not is_loopback(host):
        raise UsageError(
            f"{source}: {shown(scheduler)} is another machine without TLS: anybody on the way could run code there",
            hint=hint,
            code="bad-scheduler",
        )
    if not is_insecure:
        raise UsageError(
            f"{source}: {shown(scheduler)} is without TLS: everybody on this machine could run code there",
            hint=f"{hint}, or insecure = true to try it",
            code="bad-scheduler",
        )


def _files(root: str, table: Mapping[str, Any]) -> dict[str, str]:
    """Return the absolute paths of the files for TLS. Raises ConfigError for a missing key, UsageError for a file."""
    missing = [key for key in _FILES if key not in table]
    if missing:
        raise ConfigError(
            [f"{WORKSPACE_FILE}: cloud.{key}: is missing: tls:// needs ca, cert and key" for key in missing]
        )
    found = {key: os.path.join(root, os.path.expanduser(table[key])) for key in _FILES}
    for key, path in found.items():
        mode = _mode(key, path)
        if key == "key" and mode & 0o077:
            raise UsageError(
                f"{WORKSPACE_FILE}: cloud.key: {shown(path)} can be read by others (mode {mode & 0o777:04o}): "
                "whoever has it can run code on every worker",
                hint=f"chmod 600 {path}",
                code="key-readable",
            )
    return found


def _mode(key: str, path: str) -> int:
    """Return the mode of a file that can be read. Raises UsageError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"{WORKSPACE_FILE}: cloud.{key}: {shown(path)} can't be read: {why}",
            hint="ca, cert and key are files in PEM form, readable by you; docs/cloud.md",
            code="key-unreadable",
        ) from error
    try:
        mode = os.fstat(fd).st_mode
    finally:
        os.close(fd)
    if not stat.S_ISREG(mode):
        raise UsageError(f"{WORKSPACE_FILE}: cloud.{key}: {shown(path)} is no regular file", code="key-unreadable")
    return mode


def cloud_faults(table: object) -> Iterator[str]:
    """Yield what is wrong with the keys of a ``[cloud]``; whether its files are there is no part of it."""
    if not isinstance(table, dict):
        yield "cloud: is no table"
        return
    for key in sorted(set(table) - set(_KEYS)):
        yield f"cloud.{key}: is no key of this table (known: {', '.join(_KEYS)})"
    for key in ("scheduler", *_FILES):
        if key in table and (not isinstance(table[key], str) or not table[key] or not table[key].isprintable()):
            yield f"cloud.{key}: must be {'an address' if key == 'scheduler' else 'the path of a file'}, as text"
    retries = table.get("retries", 0)
    if not isinstance(retries, int) or isinstance(retries, bool) or not 0 <= retries <= MOST_RETRIES:
        yield f"cloud.retries: must be a whole number from 0 to {MOST_RETRIES}"
    for key, least in (("lease", SHORTEST_LEASE_SECONDS), ("queue_timeout", 0.0)):
        fault = _duration_fault(table[key], least) if key in table else None
        if fault is not None:
            yield f"cloud.{key}: {fault}"
    if not isinstance(table.get("insecure", False), bool):
        yield "cloud.insecure: is neither true nor false"
    include = table.get("include", [])
    if not isinstance(include, list) or not all(isinstance(pattern, str) for pattern in include):
        yield "cloud.include: is no list of patterns"
        return
    yield from (f"cloud.include: {shown(pattern)} {fault}" for pattern in include if (fault := _include_fault(pattern)))


def _duration_fault(value: object, least: float) -> str | None:
    if not isinstance(value, str):
        return "must be a duration such as '10s', as text with its unit"
    try:
        seconds = duration(value)
    except ValueError as error:
        return str(error)
    return None if seconds >= least else f"must be at least {least:g}s"


def _include_fault(pattern: str) -> str | None:
    inner = pattern.removeprefix("!")
    if inner.startswith("/") or ".." in inner.split("/"):
        return "leads out of the workspace"
    return path_fault(pattern)
