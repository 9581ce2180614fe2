"""A run that a limit binds (``[queue]``): it is claimed in its turn, and begins when it has a place."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from orchestrator.base.errors import UsageError
from orchestrator.commands.context import Context
from orchestrator.commands.run.prepared_run import PreparedRun
from orchestrator.commands.run.requests import StartRequest
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.model.manifest.transitions import queued
from orchestrator.model.plan import Plan
from orchestrator.model.queue import HIGHEST_PRIORITY, LOWEST_PRIORITY, Standing
from orchestrator.report.time_window import span
from orchestrator.runner.progress import Observer
from orchestrator.runner.queue_wait import QueueWait
from orchestrator.runner.run_end import Result
from orchestrator.runner.signals import SignalInbox
from orchestrator.store.claim import claim
from orchestrator.store.open_run import OpenRun
from orchestrator.store.queue import Wish, enter
from orchestrator.store.store import RunStore


def check_waiting(request: StartRequest) -> float | None:
    """Return the longest time in the queue in seconds, None without a limit.

    Raises UsageError for a priority or span that can't be, and for options that contradict each other.
    """
    if not LOWEST_PRIORITY <= request.priority <= HIGHEST_PRIORITY:
        raise UsageError(
            f"--priority is {request.priority}; it lies between {LOWEST_PRIORITY} and {HIGHEST_PRIORITY}",
            hint="a higher one is served first; left out: 0",
            code="bad-priority",
        )
    if request.wait is None:
        return None
    if request.no_wait:
        raise UsageError(
            "--wait and --no-wait contradict each other", hint="leave one of them out", code="option-conflict"
        )
    return span("--wait", request.wait, "10m")


def claims_in_turn(plan: Plan, request: StartRequest) -> Callable[[RunStore, Manifest, str], OpenRun]:
    """Return what claims a new run and gives it a place, or puts it in line; it raises as ``store.queue.enter``."""
    wish = Wish(plan.project, plan.queue, request.priority, not request.no_wait)

    def claiming(store: RunStore, manifest: Manifest, token: str) -> OpenRun:
        def claimed(waits: Standing | None) -> OpenRun:
            return claim(store, manifest if waits is None else queued(manifest, waits.detail), token)

        return enter(store, wish, claimed)

    return claiming


def continues_in_turn(
    store: RunStore, plan: Plan, run_id: str, continued: Callable[[Standing | None], OpenRun]
) -> OpenRun:
    """Return a run that is resumed, with its place or in line; ``continued`` begins its attempt. Raises Refused."""
    return enter(store, Wish(plan.project, plan.queue), continued, again=run_id)


@contextmanager
def in_turn(context: Context, prepared: PreparedRun, observer: Observer) -> Iterator[tuple[PreparedRun, Result | None]]:
    """Open the run, wait for its place, and yield it ready to begin, or with the record of its end in the queue.

    Stop signals that come before the attempt listens are given to it. Raises what ``open_run`` raises; a run that
    is not begun for another reason is closed as an error.
    """
    with SignalInbox() as inbox:
        run = prepared.open_run()
        wait = QueueWait(
            prepared.store,
            run,
            prepared.plan,
            context.clock,
            observer,
            inbox,
            mask=prepared.redactor.text,
            active_before=prepared.active_before,
            limit_seconds=prepared.wait_seconds,
        )
        is_handed_over = False

        def hand_over() -> OpenRun:
            nonlocal is_handed_over
            is_handed_over = True
            for number in inbox.take():
                os.kill(os.getpid(), number)
            return run

        try:
            place = run.place
            result = None if place is None or place.standing is None else wait.end(place)
            yield prepared._replace(open_run=hand_over), result
        except BaseException as error:
            if not is_handed_over:
                wait.recorder().give_up(error)
            raise


def has_limits(plan: Plan, parent: Mapping[str, object] | None) -> bool:
    """Tell whether a run of ``plan`` takes a place: any but those inside a run, which have the place of that one.

    ``parent`` is the record of the run around it. So nothing waits for itself. A fleet takes no place itself;
    its projects' runs do.
    """
    if not plan.queue.are_set:
        return False
    around = None if parent is None else parent.get("plan")
    return parent is None or (isinstance(around, dict) and around.get("kind") == "fleet")
