"""``start --key``: a start that is repeated finds the run of the first."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping

from orchestrator.base.errors import Refused, UsageError
from orchestrator.base.identifiers import FLEET
from orchestrator.base.quoting import shown
from orchestrator.base.redaction import Redactor
from orchestrator.model.plan_diff import drift
from orchestrator.store.find import read_document
from orchestrator.store.keys import HeldKey, key_name, keyed_run
from orchestrator.store.layout import Location

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.commands.run.requests import StartRequest
    from orchestrator.model.plan import Plan
    from orchestrator.store.store import RunStore

LONGEST_KEY_BYTES = 256


def check_key(key: str) -> str:
    """Return the key of a start. Raises UsageError where it is not 1 to 256 bytes of text without control characters.

    Source: contract, section 9.
    """
    hint = "such as the id of a CI job and the commit, or a UUID that is kept for the next try"
    if not key:
        raise UsageError("the key is empty", hint=f"give {hint}", code="bad-key")
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise UsageError(f"the key {shown(key)} is no UTF-8 text", hint=f"give {hint}", code="bad-key") from None
    if size > LONGEST_KEY_BYTES:
        raise UsageError(
            f"the key has {size} bytes; it has at most {LONGEST_KEY_BYTES}",
            hint="give a digest of what it is made of",
            code="bad-key",
        )
    odd = next((char for char in key if unicodedata.category(char) == "Cc"), None)
    if odd is not None:
        raise UsageError(
            f"the key {shown(key)} has a control character (U+{ord(odd):04X})",
            hint=f"give printable text, {hint}",
            code="bad-key",
        )
    return key


def take_key(
    store: RunStore,
    plan: Plan,
    task_id: str,
    request: StartRequest,
    overrides: Mapping[str, str],
    redactor: Redactor,
    key: str,
) -> HeldKey | Location:
    """Return the run that the key stands for, or else the key, held for the run that is about to be claimed.

    Raises Refused (``key-conflict``) when that run was asked for in another way, DamagedRecord, StorageError.
    """

    def differences(record: Mapping[str, Any]) -> list[str]:
        found = list(drift(record["plan"], plan, redactor))
        if record["task_id"] != task_id:
            found.append(f"the task was '{record['task_id']}' and is '{task_id}'")
        return [*found, *_of_the_mode(record, request, overrides, redactor)]

    return _held_or_found(store, key_name(plan.project, plan.pipeline, key), differences)


def take_fleet_key(
    store: RunStore, by: Mapping[str, Any], request: StartRequest, overrides: Mapping[str, str], key: str
) -> HeldKey | Location:
    """Return as ``take_key`` does what the key of a fleet is; its request is its options (``by``) as given.

    What they selected then is no part of it.
    """
    redactor = Redactor(())

    def differences(record: Mapping[str, Any]) -> list[str]:
        selection = record["plan"].get("selection") or {}
        then = {**dict(selection.get("by") or {}), "fail_fast": bool(selection.get("fail_fast"))}
        now = {**by, "fail_fast": request.fail_fast}
        found = [
            f"the selection's '{name}' differs"
            for name in dict.fromkeys([*then, *now])
            if then.get(name) != now.get(name)
        ]
        return [*found, *_of_the_mode(record, request, overrides, redactor)]

    return _held_or_found(store, key_name(FLEET, request.pipeline, key), differences)


def _held_or_found(
    store: RunStore, name: str, differences: Callable[[Mapping[str, Any]], list[str]]
) -> HeldKey | Location:
    where = keyed_run(store, name)
    if where is None:
        held = HeldKey.take(store, name)
        try:
            where = held.run()
        except BaseException:
            held.release()
            raise
        if where is None:
            return held
        held.release()
    found = differences(read_document(store, where))
    if found:
        raise Refused(
            f"the key stands for run '{where.run_id}', which was asked for in another way: {'; '.join(found)}",
            hint="use another key for another request",
            code="key-conflict",
        )
    return where


def _of_the_mode(
    record: Mapping[str, Any], request: StartRequest, overrides: Mapping[str, str], redactor: Redactor
) -> list[str]:
    """Return how the mode and the overrides of a run differ from those of a request."""
    mode = record["mode"]
    found = [] if mode["name"] == request.mode else [f"the mode was {mode['name']} and is {request.mode}"]
    recorded = dict(mode["overrides"])
    now = {name: redactor.text(value) for name, value in overrides.items()}
    return found + [
        f"the override '{name}' differs"
        for name in dict.fromkeys([*recorded, *now])
        if recorded.get(name) != now.get(name)
    ]
