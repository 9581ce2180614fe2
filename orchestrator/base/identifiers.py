"""Names: what a task, project, pipeline, stage or run may be called, and how near matches are found."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.base.clock import UTC, datetime
from orchestrator.base.errors import UsageError
from orchestrator.base.quoting import shown
from orchestrator.base.sha256 import sha256

NAME_PATTERN = r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?"
"""Task, project, pipeline and stage ids (contract, section 1); ``..`` is refused besides."""

RUN_ID_PATTERN = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}-[0-9]{2}-[0-9]{2}-[0-9]{3}Z-[0-9a-f]{8}"
FLEET = "fleet"
"""The project of every fleet run, and its task unless ``[fleet] task_id`` names another one."""

RESERVED_TASKS = frozenset({"local-mcp"})
"""``.runs/local-mcp/`` holds the older pointers, so that no task can have that name."""
RESERVED_PIPELINES = frozenset({"canary", "exec"})
"""Pipelines of no config (contract, section 1): their runs are never ``latest``, and prove what asks for them only."""

RESERVED_PROJECTS = RESERVED_TASKS | {FLEET}

_NAME_ENDS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_NAME_CHARS = _NAME_ENDS | frozenset("._-")
RUN_ID_LENGTH = 33
_DIGITS = str.maketrans("123456789", "0" * 9)
_HEX = "0123456789abcdef"
_HEX_DIGITS = str.maketrans("123456789abcdef", "0" * 15)
_MOMENT = "0000-00-00T00-00-00-000Z-"
_PREFIX_CHARS = frozenset(f"{_HEX}TZ-")


def name_fault(kind: str, value: object) -> str | None:
    """Say why ``value`` can't be the id of a ``kind`` (task, project, pipeline, stage), or None if it can."""
    if not isinstance(value, str):
        return f"a {kind} id is text, not {type(value).__name__}"
    if not value:
        return f"a {kind} id can't be empty"
    if len(value) > 64:
        return f"{kind} id {shown(value)} has {len(value)} characters; 64 are allowed"
    if not (_NAME_CHARS.issuperset(value) and value[0] in _NAME_ENDS and value[-1] in _NAME_ENDS):
        return (
            f"{kind} id {shown(value)} is not allowed: lower-case letters, digits, '.', '_' and '-' only, "
            "a letter or digit first and last"
        )
    if ".." in value:
        return f"{kind} id {shown(value)} is not allowed: it contains '..'"
    if kind == "task" and value in RESERVED_TASKS:
        return f"task id {shown(value)} is reserved for the older pointers"
    if kind == "project" and value in RESERVED_PROJECTS:
        return (
            f"project id {shown(value)} is reserved for the runs of fleets"
            if value == FLEET
            else (f"project id {shown(value)} is reserved for the older pointers")
        )
    return None


def is_task_folder(name: str) -> bool:
    """Tell whether a folder of runs may be a task's: by our rules, or by those of the early version.

    That one took any length, and '.', '_' and '-' at the end and, but for '.', at the beginning. New tasks never do.
    """
    if name_fault("task", name) is None:
        return True
    return bool(name) and _NAME_CHARS.issuperset(name) and name[0] != "." and name not in RESERVED_TASKS


def check_name(kind: str, value: object, known: Iterable[str] = ()) -> str:
    """Return ``value`` when it may be the id of a ``kind``.

    Raises UsageError with the reason, and with the nearest of the ``known`` ids as its hint.
    """
    fault = name_fault(kind, value)
    if fault is None:
        return str(value)
    raise UsageError(fault, hint=near_hint(str(value), known), code=f"bad-{kind}-id")


def is_run_id(value: str) -> bool:
    """Tell whether the whole of ``value`` is a run id."""
    if len(value) != RUN_ID_LENGTH or value[:25].translate(_DIGITS) != _MOMENT:
        return False
    return not value[25:].strip(_HEX)


def only_run_ids(names: Iterable[str]) -> list[str]:
    """Return the run ids among ``names``, sorted. Where all are, as in most folders of runs, none is tried alone."""
    found = sorted(names)
    lines = "".join([f"{name}\n" for name in found])
    if lines.translate(_HEX_DIGITS) == f"{_MOMENT}00000000\n" * len(found) and lines.translate(_DIGITS).count(
        _MOMENT
    ) == len(found):
        return found
    return list(filter(is_run_id, found))


def check_run_reference(value: str) -> str:
    """Return ``value`` when it may be a run id, a prefix of one or ``latest``; raise UsageError otherwise."""
    if value == "latest" or (0 < len(value) <= RUN_ID_LENGTH and _PREFIX_CHARS.issuperset(value)):
        return value
    raise UsageError(
        f"{shown(value)} is neither a run id nor a prefix of one",
        hint="a run id looks like 2026-11-22T08-43-05-720Z-5087869c; 'latest' is the newest that no other run started",
        code="bad-run-id",
    )


def make_run_id(now: datetime, entropy: bytes) -> str:
    """Return the run id for a start at ``now`` (UTC) with four bytes of ``entropy``."""
    stamp = now.strftime("%Y-%m-%dT%H-%M-%S")
    return f"{stamp}-{now.microsecond // 1000:03d}Z-{entropy[:4].hex()}"


def run_moment(run_id: str) -> datetime | None:
    """Return when the run of that id started (UTC), None when it is no run id or names no day there is."""
    if not is_run_id(run_id):
        return None
    try:
        # By ``strptime`` it would load ``re`` and ``locale``.
        return datetime.fromisoformat(f"{run_id[:13]}:{run_id[14:16]}:{run_id[17:19]}.{run_id[20:23]}").replace(
            tzinfo=UTC
        )
    except ValueError:
        return None


def migrated_run_id(name: str, started: datetime) -> str:
    """Return the run id for a record that came before run ids, known as ``name`` and begun at ``started`` (UTC).

    Its last eight digits follow from the name alone, so that it can be found by the name too.
    """
    return make_run_id(started, sha256(name.encode("utf-8", "surrogateescape")).digest())


def nearest(value: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the one of ``known`` that ``value`` was most likely meant to be, or None.

    Of two that are alike by less than ``cutoff``, from 0 to 1, neither is meant by the other.
    """
    import difflib

    folded = {candidate.casefold(): candidate for candidate in known}
    found = difflib.get_close_matches(value.casefold()[:100], folded, n=1, cutoff=cutoff)
    return folded[found[0]] if found else None


def near_hint(value: str, known: Iterable[str]) -> str:
    """Return a hint for a value that is not among ``known``: the nearest one, else the list, else nothing."""
    names = sorted(set(known))
    match = nearest(value, names)
    if match is not None:
        return f"did you mean '{match}'?"
    return f"known: {', '.join(names[:20])}" if names else ""
