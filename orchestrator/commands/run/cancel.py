"""``cancel``: stop a live run from another terminal, with who and why in its record."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from orchestrator.base.clock import stamp
from orchestrator.base.errors import EXIT_DONE, Refused
from orchestrator.base.redaction import Redactor, secret_values
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.look.run_view import observe
from orchestrator.commands.run.ended_run import answer_for, with_delivery
from orchestrator.commands.run.prepared_run import check_format
from orchestrator.commands.run.requests import actor_of
from orchestrator.commands.run.unattended_run import cancel_unattended
from orchestrator.model.manifest.json_schema import load
from orchestrator.model.manifest.transitions import interrupted
from orchestrator.model.outcome import TERMINAL
from orchestrator.runner.run_end import Result
from orchestrator.store.cancel_request import CancelRequest, leave_request, withdraw_request
from orchestrator.store.find import find_run, is_alive, read_document
from orchestrator.store.layout import Location
from orchestrator.store.owner import Owner, holds, is_here, read_owner
from orchestrator.store.record_proof import refuse_altered
from orchestrator.store.recovery import recover_run, recover_task
from orchestrator.store.store import RunStore
from orchestrator.store.unattended import is_unattended

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_HOLDER_PATIENCE_SECONDS = 5.0
"""A guard that outlives its run's process ends the tree without a grace period, a recovery takes milliseconds."""

_LOOK_SECONDS = 0.02
_TELL_AFTER_SECONDS = 3.0
_TELL_EVERY_SECONDS = 10.0
_AGAIN_SECONDS = 20.0
"""A run whose processes ignore SIGTERM ends within some 12 s; one that takes longer is asked again, which kills."""

_LIMIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Target:
    """A live run's process; ``handle`` is its pidfd where the system has such, else None."""

    owner: Owner
    handle: int | None

    def send(self, number: int) -> None:
        """Send a signal; ProcessLookupError when the process has ended. Number 0 only asks for permission."""
        if self.handle is not None:
            signal.pidfd_send_signal(self.handle, number)
        else:
            os.kill(self.owner.pid, number)

    def close(self) -> None:
        """Forget the process."""
        if self.handle is not None:
            os.close(self.handle)


def cancel(
    context: Context,
    *,
    run: str,
    reason: str | None = None,
    actor: str | None = None,
    format: str = "text",  # noqa: A002 -- the option's name
    sleep: Callable[[float], None] = time.sleep,
) -> Answer:
    """Stop a live run, wait until nothing of it is left running, and return its document; exit code 0.

    Raises NotFound; Refused when the run has ended already, died (its record is then closed), is of
    version 1, runs on another machine or belongs to somebody whose processes this user may not stop; and what
    ``cancel_unattended`` raises.
    """
    check_format(format, ("text", "json"))
    store = context.store()
    where = find_run(store, run)
    redactor = Redactor(tuple(dict.fromkeys(secret_values(context.environ, ()))))
    who, why = redactor.text(actor_of(context.environ, actor)), redactor.text((reason or "").strip())
    target = _find_target(context, store, where, sleep)
    if target is None:
        return cancel_unattended(context, store, where, who, why)
    try:
        _ask(store, where, target, who, why, stamp(context.clock.now()))
        _wait_for_end(context, store, where, target, sleep)
    finally:
        target.close()
    manifest = load(read_document(store, where), store.paths(where).manifest)
    if is_unattended(store, where, manifest.as_json()):
        return cancel_unattended(context, store, where, who, why)
    if not manifest.is_terminal:
        _close_died(store, where)
    if manifest.status != "cancelled":
        raise _ended(where, manifest.status, "before it could be stopped")
    return with_delivery(context, store, answer_for(context, store, Result(manifest, None), exit_code=EXIT_DONE))


def _find_target(context: Context, store: RunStore, where: Location, sleep: Callable[[float], None]) -> _Target | None:
    """Return the process that runs a live run, once it is certain that it is that process.

    None for a run that is open in the cloud and that no process here attends.
    """
    until = context.clock.monotonic() + _HOLDER_PATIENCE_SECONDS
    while True:
        seen = observe(store, where)
        if seen.record["version"] == 1:
            raise Refused(
                f"run '{where.run_id}' was written by version 1, whose runs can't be stopped from here",
                code="version-1",
            )
        if seen.record["status"] in TERMINAL:
            refuse_altered(store, where, seen.record)
            raise _ended(where, str(seen.record["status"]), "already")
        if seen.unattended:
            return None
        if not seen.alive:
            _close_died(store, where)
        target = _holder(store, where)
        if target is not None:
            return target
        if context.clock.monotonic() > until:
            raise Refused(
                f"run '{where.run_id}' is held by a process that can't be made out, so nothing was signalled",
                hint="codex-orchestrator doctor",
                code="holder-unknown",
            )
        sleep(_LOOK_SECONDS)


def _holder(store: RunStore, where: Location) -> _Target | None:
    with store.run_folder(where) as folder:
        owner = read_owner(folder)
        if owner is None or owner.purpose != "run":
            return None
        if not is_here(owner):
            raise Refused(
                f"run '{where.run_id}' runs on the host '{owner.host}', or on this one before its last start",
                hint=f"call cancel on '{owner.host}'",
                code="other-host",
            )
        # The handle is taken first: what is verified then is the process that the handle stands for.
        target = _Target(owner, _pidfd(owner.pid))
        if holds(owner, folder):
            return target
    target.close()
    return None


def _pidfd(pid: int) -> int | None:
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def _ask(store: RunStore, where: Location, target: _Target, who: str, why: str, at: str) -> None:
    """Leave word of who stops the run, then stop it. Nothing is written when this user may not."""
    try:
        target.send(0)
        with store.run_folder(where) as folder:
            attempt = int(read_document(store, where)["attempt"])
            leave_request(folder, CancelRequest(who, why, at, attempt))
            target.send(signal.SIGTERM)
        # A process that was stopped (SIGSTOP, Ctrl-Z) could not act on it.
        target.send(signal.SIGCONT)
    except PermissionError:
        raise Refused(
            f"run '{where.run_id}' belongs to another user (process {target.owner.pid}), who alone may stop it",
            hint="ask its owner, or call cancel as that user",
            code="not-permitted",
        ) from None
    except ProcessLookupError:
        return


def _wait_for_end(
    context: Context, store: RunStore, where: Location, target: _Target, sleep: Callable[[float], None]
) -> None:
    """Wait until nothing of the run is left; what is left after a while is killed, and after a minute it is refused."""

    def report(waited: float) -> None:
        context.warn(f"waiting for run '{where.run_id}' to end ({waited:.0f} s)")

    def ask_again() -> None:
        with suppress(ProcessLookupError):
            target.send(signal.SIGTERM)
            target.send(signal.SIGCONT)

    if not ends_in_time(lambda: is_alive(store, where), ask_again, report, context.clock.monotonic, sleep):
        raise Refused(
            f"run '{where.run_id}' has not ended within {_LIMIT_SECONDS:.0f} s (process {target.owner.pid})",
            hint=f"see codex-orchestrator status {where.run_id}, and cancel it again",
            code="not-ended",
        )
    with store.run_folder(where) as folder:
        withdraw_request(folder)


def ends_in_time(
    is_left: Callable[[], bool],
    ask_again: Callable[[], None],
    report: Callable[[float], None],
    now: Callable[[], float],
    sleep: Callable[[float], None],
) -> bool:
    """Wait until ``is_left`` is false; False when it is not within a minute by ``now``, in seconds.

    ``report`` gets the seconds that were waited: after three of them, then each ten. ``ask_again`` is called each
    twenty: a second signal kills what did not heed the first one.
    """
    began = now()
    again_at = began + _AGAIN_SECONDS
    tell_at = began + _TELL_AFTER_SECONDS
    while is_left():
        at = now()
        if at >= began + _LIMIT_SECONDS:
            return False
        if at >= tell_at:
            tell_at += _TELL_EVERY_SECONDS
            report(at - began)
        if at >= again_at:
            again_at += _AGAIN_SECONDS
            ask_again()
        sleep(_LOOK_SECONDS)
    return True


def _close_died(store: RunStore, where: Location) -> NoReturn:
    recover_task(store, where.task_id, interrupted)
    recover_run(store, where, interrupted)
    raise Refused(
        f"run '{where.run_id}' has no process any more: it died, and its record is now closed as interrupted",
        hint=f"codex-orchestrator resume {where.run_id}",
        code="died",
    )


def _ended(where: Location, status: str, when: str) -> Refused:
    return Refused(f"run '{where.run_id}' has ended {when}: it is {status}", code="ended")
