"""Records that came before version 1, as values: what they say, and the version-1 record that says the same.

Two kinds exist. A *run* has ``commands`` (a list, each with ``command`` and ``status``), a *session* has
``mode, started_at, repo, command`` and perhaps a ``result.json`` with ``finished_at, exit_code``. Their
moments may be written as names of folders are, ``2025-10-18T18-26-01-631Z``. Pure: nothing is read or written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from orchestrator.base.clock import parse_stamp, stamp
from orchestrator.base.identifiers import is_run_id, migrated_run_id
from orchestrator.model.manifest.document import RUN_STATUSES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

Document: TypeAlias = "Mapping[str, Any]"

SESSION_PIPELINE = "local-mcp"
"""The pipeline of what was started before pipelines had names, and was not the usual diagnostics."""

_MOMENT = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)T(\d\d)[-:]?(\d\d)[-:]?(\d\d)(?:[-.](\d{3})\d*)?Z(?:-[0-9A-Za-z]+)?", re.ASCII
)
_STAGE_STATUSES = frozenset({"pending", "running", "succeeded", "failed", "skipped"})
_GUARDRAIL = "spec-guard"
_MOMENTS = ("started_at", "updated_at", "completed_at", "heartbeat_at")
_OPEN = frozenset({"queued", "in_progress"})
_UNSEEN = "a session of the early version's server; when it ended was not written down"
_SERVER = "mcp-server"
"""A word of the command of the early version's server, which ran until somebody stopped it."""

_STALE_SECONDS = 30.0
"""After this long without a heartbeat the early version took a run for dead."""


def moment(text: object) -> datetime | None:
    """Return the moment that a timestamp, or a name that begins with one, stands for; None when it is none."""
    if not isinstance(text, str):
        return None
    found = _MOMENT.fullmatch(text)
    try:
        if found is None:
            return parse_stamp(text)
        year, month, day, hour, minute, second, thousandths = (int(part or 0) for part in found.groups())
        return datetime(year, month, day, hour, minute, second, thousandths * 1000, UTC)
    except (ValueError, OverflowError):
        return None


def index_id(name: str, document: Document) -> str | None:
    """Return the run id for the record in a folder ``name``: the name itself, or one made from it and its start.

    The same name always gives the same id. None where nobody knows when the run started.
    """
    if is_run_id(name):
        return name
    started = moment(document.get("started_at")) or moment(name)
    return migrated_run_id(name, started) if started is not None else None


def may_be_running(document: Document, now: datetime) -> bool:
    """Tell whether a record is open and had a sign of life within the early version's patience."""
    if document.get("status") not in _OPEN:
        return False
    limit = document.get("heartbeat_stale_after_seconds")
    patience = float(limit) if isinstance(limit, int | float) and 0 < limit < 1e6 else _STALE_SECONDS
    signs = [moment(document.get(key)) for key in ("heartbeat_at", "updated_at", "started_at")]
    return any(sign is not None and (now - sign).total_seconds() < patience for sign in signs)


def is_whole(document: Document, run_id: str) -> bool:
    """Tell whether a record has all that a version-1 record needs, so that it can be taken over byte by byte."""
    texts = ("task_id", "pipeline_id", "pipeline_title", "artifact_root", "log_path")
    return (
        document.get("version") == 1
        and document.get("run_id") == run_id
        and document.get("status") in RUN_STATUSES
        and all(isinstance(document.get(key), str) for key in texts)
        and all(_is_iso(document.get(key)) for key in ("started_at", "updated_at", "heartbeat_at"))
        and isinstance(document.get("commands"), list)
    )


def as_version_1(
    document: Document,
    result: Document | None,
    *,
    run_id: str,
    task_id: str,
    folder: str,
    source: str,
    digest: str,
) -> dict[str, Any]:
    """Return the version-1 record that says what ``document`` says, all of its own keys included.

    ``result`` is what a session's ``result.json`` holds, ``folder`` where the record will be, ``source`` where
    it was found, ``digest`` the sha256 of what was found there. What was never written stays unknown: without
    an end the run is in progress, which is shown as a run whose process died, and its end as unknown unless it left
    heartbeats. A session of the server was ended by whoever had started it.
    """
    started = moment(document.get("started_at")) or moment(run_id) or datetime.fromtimestamp(0, UTC)
    ended = moment(document.get("completed_at")) or moment((result or {}).get("finished_at"))
    status = _status(document, result)
    is_server = not isinstance(document.get("commands"), list) and _SERVER in (_text(document, "command") or _SERVER)
    ended_unseen = ended is None and moment(document.get("heartbeat_at")) is None
    if is_server and ended_unseen and status in _OPEN:
        status = "cancelled"
    moments = {key: moment(document.get(key)) or ended or started for key in _MOMENTS}
    commands = _commands(document, status, stamp(started), stamp(ended) if ended else None, result)
    diagnostics = any(_GUARDRAIL in (command["command"] or "") for command in commands)
    pipeline = _text(document, "pipeline_id") or ("diagnostics" if diagnostics else SESSION_PIPELINE)
    log = _text(document, "log_path") or _text(document, "runner_log") or "mcp-server.log"
    return {
        **document,
        "version": 1,
        "task_id": task_id,
        "task_slug": _text(document, "task_slug"),
        "run_id": run_id,
        "parent_run_id": _text(document, "parent_run_id"),
        "pipeline_id": pipeline,
        "pipeline_title": _text(document, "pipeline_title") or pipeline,
        "runner": _text(document, "runner") or _text(document, "mode") or SESSION_PIPELINE,
        "approval_policy": _text(document, "approval_policy"),
        "status": status,
        "status_detail": _text(document, "status_detail") or (_UNSEEN if status == "cancelled" and is_server else None),
        **{key: stamp(value) for key, value in moments.items()},
        "completed_at": stamp(ended) if ended is not None and status not in _OPEN else None,
        "artifact_root": folder,
        "compat_path": source,
        "log_path": f"{folder}/{log.rsplit('/', 1)[-1]}",
        "summary": _text(document, "summary"),
        "metrics_recorded": document.get("metrics_recorded") is True,
        "resume_token": None,
        "resume_events": _resume_events(document),
        "approvals": [],
        "commands": commands,
        "child_runs": [],
        "run_summary_path": None,
        "migrated_from": {
            "path": source,
            "sha256": digest,
            "run_id": _text(document, "run_id"),
            "end_known": not ended_unseen,
        },
    }


def _status(document: Document, result: Document | None) -> str:
    status = document.get("status")
    if isinstance(status, str) and status in RUN_STATUSES:
        return status
    code = (result or {}).get("exit_code")
    if isinstance(code, int):
        return "succeeded" if code == 0 else "failed"
    return "in_progress"


def _commands(
    document: Document, status: str, started: str, ended: str | None, result: Document | None
) -> list[dict[str, Any]]:
    listed = document.get("commands")
    if isinstance(listed, list):
        return [_command(number, entry) for number, entry in enumerate(listed, 1) if isinstance(entry, dict)]
    if not isinstance(document.get("command"), str):
        return []
    entry = {
        "id": "session",
        "command": document["command"],
        "status": "running" if status in _OPEN else status,
        "started_at": started,
        "completed_at": ended,
        "exit_code": (result or {}).get("exit_code"),
    }
    return [_command(1, entry)]


def _command(number: int, entry: Mapping[str, Any]) -> dict[str, Any]:
    line, code, status = _text(entry, "command"), entry.get("exit_code"), entry.get("status")
    began, ended = moment(entry.get("started_at")), moment(entry.get("completed_at"))
    return {
        **entry,
        "index": number,
        "id": _text(entry, "id") or _slug(line or f"command-{number}"),
        "title": _text(entry, "title") or line or f"command {number}",
        "command": line,
        "kind": _text(entry, "kind") or "command",
        "status": status if isinstance(status, str) and status in _STAGE_STATUSES else "pending",
        "started_at": stamp(began) if began else None,
        "completed_at": stamp(ended) if ended else None,
        "exit_code": code if isinstance(code, int) and not isinstance(code, bool) else None,
        "summary": _text(entry, "summary"),
        "log_path": _text(entry, "log_path"),
        "error_file": _text(entry, "error_file"),
        "sub_run_id": _text(entry, "sub_run_id"),
    }


def _resume_events(document: Document) -> list[dict[str, Any]]:
    listed = document.get("resume_events")
    events = [event for event in listed if isinstance(event, dict)] if isinstance(listed, list) else []
    texts = ("actor", "reason", "outcome")
    return [
        event
        for event in events
        if all(isinstance(event.get(key), str) for key in texts) and _is_iso(event.get("timestamp"))
    ]


def _slug(line: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", line.lower()).strip("-")[:60].rstrip("-") or "command"


def _text(document: Mapping[str, Any], key: str) -> str | None:
    value = document.get(key)
    return value if isinstance(value, str) else None


def _is_iso(text: object) -> bool:
    try:
        return isinstance(text, str) and parse_stamp(text) is not None
    except (ValueError, OverflowError):
        return False
