"""``wait``: return when a run has ended, with the exit code that its start would have."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from orchestrator.base.errors import EXIT_DONE, EXIT_RUN_FAILED, EXIT_TIMED_OUT, DamagedRecord
from orchestrator.base.text.appearance import appearance
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.look.run_view import observe, record_fault
from orchestrator.commands.look.status import view
from orchestrator.commands.look.waiting import StopSignal, refuse_own_run, stop_signals
from orchestrator.model.outcome import TERMINAL
from orchestrator.report.run_summary import failure_digest, run_document
from orchestrator.report.time_window import span
from orchestrator.store.find import find_run
from orchestrator.store.layout import Location
from orchestrator.store.record_proof import ALTERED
from orchestrator.store.store import RunStore
from orchestrator.store.unattended import unattended

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_POLL_SECONDS = 0.1
"""Between two readings of a live run's record."""


def wait(
    context: Context,
    *,
    run: str,
    timeout: str | None = None,
    format: str = "text",  # noqa: A002 -- the option's name
    sleep: Callable[[float], None] = time.sleep,
) -> Answer:
    """Return the document of a run when it has ended or died, or as it is when ``timeout`` (a span) has passed.

    The exit code is that of its start (3 of one that died or was cancelled), 124 at the timeout, 128 and the
    signal's number when a signal ended the waiting: the run goes on then. Raises NotFound, UsageError,
    DamagedRecord, StorageError, and Refused inside a stage for a run that can't end before it, and (``unattended``)
    for one of mode cloud whose end nobody here would record.
    """
    limit = None if timeout is None else span("--timeout", timeout, "10m")
    store = context.store()
    where = find_run(store, run)
    refuse_own_run(store, where, context.environ)
    answer = waited(context, store, where, limit, sleep)
    return answer._replace(document={**(answer.document or {}), "timed_out": answer.exit_code == EXIT_TIMED_OUT})


def waited(
    context: Context, store: RunStore, where: Location, limit: float | None, sleep: Callable[[float], None]
) -> Answer:
    """Return a run's document when it has ended or died, a signal came, or ``limit`` seconds have passed.

    The exit code is as for ``wait``. Raises DamagedRecord (``record-altered``) for one that is not what its run left.
    """
    try:
        with stop_signals():
            ended = _ended_within(store, where, limit, context.clock.monotonic, sleep)
            document = view(store, where, context.environ)
    except StopSignal as stopped:
        return run_answer(context, view(store, where, context.environ), exit_code=stopped.exit_code)
    if not ended and document["status"] not in TERMINAL:
        return run_answer(context, document, exit_code=EXIT_TIMED_OUT)
    fault = record_fault(store, where, observe(store, where))
    if fault is not None and fault[0] == ALTERED:
        raise DamagedRecord(
            f"run '{where.run_id}': {fault[1]}", hint=f"codex-orchestrator verify {where.run_id}", code=ALTERED
        )
    code = EXIT_DONE if document["status"] == "succeeded" else EXIT_RUN_FAILED
    return run_answer(context, document, exit_code=code)


def _ended_within(
    store: RunStore, where: Location, limit: float | None, now: Callable[[], float], sleep: Callable[[float], None]
) -> bool:
    """Wait until the run has ended or died; False when ``limit`` seconds have passed before. Raises Refused."""
    began = now()
    while (seen := observe(store, where)).alive:
        left = _POLL_SECONDS if limit is None else limit - (now() - began)
        if left <= 0:
            return False
        sleep(min(left, _POLL_SECONDS))
    if seen.unattended:
        raise unattended(where.run_id)
    return True


def run_answer(context: Context, document: Mapping[str, Any], *, exit_code: int) -> Answer:
    """Return the run document of a status document, with its closing lines for people."""
    ended = document["status"] in TERMINAL
    answer = run_document(
        document,
        exit_code=exit_code if ended else None,
        failed=document["failed"],
        next_argv=document["next_argv"],
    )
    seen = appearance(context.stdout, context.environ)
    if "fleet" in document:
        from orchestrator.report.fleet_text import fleet_digest

        text = fleet_digest(answer, document, width=seen.width, color=seen.color)
        return Answer(exit_code, {**answer, "fleet": {"totals": document["fleet"]["totals"]}}, text)
    text = failure_digest(answer, document, width=seen.width, color=seen.color)
    return Answer(exit_code, answer, text)
