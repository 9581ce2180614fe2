"""``status``: the reviewer's view of one run. It reads, and writes nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress

from orchestrator.base.clock import stamp
from orchestrator.base.errors import EXIT_DONE, UsageError
from orchestrator.base.text.appearance import appearance, is_redrawable, screen_size
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.look.failures import failures
from orchestrator.commands.look.run_view import (
    Patience,
    child_reasons,
    child_standing,
    heartbeat_of,
    observe,
    record_fault,
    with_decisions,
)
from orchestrator.commands.review.review_context import review_context_of
from orchestrator.model.approvals import ReviewContext
from orchestrator.model.fleet import is_fleet
from orchestrator.model.outcome import TERMINAL
from orchestrator.report.status_document import status_document
from orchestrator.store.find import find_run
from orchestrator.store.layout import Location
from orchestrator.store.record_proof import imported_from, logs_pruned_at
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

Document: TypeAlias = "Mapping[str, Any]"


def status(
    context: Context,
    *,
    run: str = "latest",
    watch: bool = False,
    interval: float = 2.0,
    brief: bool = False,
    format: str = "text",  # noqa: A002 -- the option's name
) -> Answer:
    """Return the status document of a run (docs/status.md), exit code 0 whatever its state.

    ``run`` is an id, a unique prefix or ``latest``. With ``watch``, the run is looked at every
    ``interval`` seconds until it has ended or died, or nobody reads stdout any more; in text, what
    changes is written to stdout meanwhile. Raises NotFound, UsageError, DamagedRecord, StorageError.
    """
    if not (math.isfinite(interval) and interval > 0):
        raise UsageError(f"--interval is {interval}; it must be more than 0 seconds", code="bad-interval")
    store = context.store()
    where = find_run(store, run)

    def look() -> Document:
        return view(store, where, context.environ)

    if not watch:
        return _answer(context, look(), brief=brief, form=format)
    from orchestrator.commands.look.waiting import StopSignal, refuse_own_run, stop_signals

    refuse_own_run(store, where, context.environ)
    patience = Patience(context.stdout)
    screen = _screen(context) if format == "text" else _Silent()
    try:
        with stop_signals():
            document = watched(look, screen.show, lambda: patience(interval))
    except StopSignal as stopped:
        # The run goes on; what was asked for is answered as it stands.
        screen.leave()
        return _answer(context, look(), brief=brief)._replace(exit_code=stopped.exit_code)
    if document is None:
        return Answer(EXIT_DONE, None, "")
    screen.leave()
    return _answer(context, document, brief=brief, form=format)


def view(
    store: RunStore, where: Location, environ: Mapping[str, str], review_context: ReviewContext | None = None
) -> dict[str, Any]:
    """Return the status document of a run as it is now; ``environ`` is git's.

    A ``review_context`` that is known already is not collected again.
    """
    seen = observe(store, where)
    record, altered_decisions = with_decisions(store, where, seen.record)
    pruned = None if seen.alive else logs_pruned_at(store, where)
    document = status_document(
        record,
        alive=seen.alive,
        alive_by=seen.alive_by,
        record_fault=record_fault(store, where, seen) or altered_decisions,
        logs_pruned=None if pruned is None else pruned.shown(),
        imported_from=imported_from(store, where),
        now=store.clock.now(),
        manifest=store.paths(where).manifest,
        heartbeat=heartbeat_of(store, where),
        child=child_standing(store),
        child_reasons=child_reasons(store),
        review_context=review_context or review_context_of(store, record, environ),
    )
    document = {**document, "failed": failures(store, where, document)}
    if is_fleet(record):
        from orchestrator.commands.look.fleet_view import with_fleet

        return with_fleet(store, document, environ)
    return document


def watched(
    look: Callable[[], Document], show: Callable[[Document], bool], wait: Callable[[], bool]
) -> Document | None:
    """Show what ``look`` returns again and again, and return the document that the run ended with.

    None when ``show`` or ``wait`` say, by False, that nobody is there any more.
    """
    document = look()
    while document["status"] not in TERMINAL:
        if not show(document) or not wait():
            return None
        document = look()
    return document if show(document) else None


def _answer(context: Context, document: Document, *, brief: bool, form: str = "text") -> Answer:
    """Return the answer; its text is not made for a program that reads the document: 2 ms, with its four modules."""
    seen = appearance(context.stdout, context.environ)
    width, color = seen.width, seen.color
    if brief:
        from orchestrator.report.brief import brief_document, brief_text

        short = brief_document(document)
        return Answer(EXIT_DONE, short, brief_text(short, width=width, color=color))
    if form == "json":
        return Answer(EXIT_DONE, document, "")
    if "fleet" in document:
        from orchestrator.report.fleet_text import fleet_status_text

        return Answer(EXIT_DONE, document, fleet_status_text(document, width=width, color=color))
    from orchestrator.report.status_text import status_text

    return Answer(EXIT_DONE, document, status_text(document, width=width, color=color))


class _Silent:
    """Shows nothing: ``--format json`` prints once, at the end."""

    def show(self, document: Document) -> bool:
        return True

    def leave(self) -> None:
        """Nothing was drawn, so nothing is taken back."""


class _Lines(_Silent):
    """A line for each change, for pipes and files."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._before: Document | None = None

    def show(self, document: Document) -> bool:
        from orchestrator.report.changes import changes

        before, self._before = self._before, document
        if before is None and document["status"] in TERMINAL:
            return True
        at = stamp(self._context.clock.now())
        return _write(self._context, "".join(f"{at} {line}\n" for line in changes(before, document)))


class _Redrawn(_Silent):
    """The whole view, drawn over the one before."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._drawn = 0

    def show(self, document: Document) -> bool:
        from orchestrator.report.layout import rows_on_screen

        if document["status"] in TERMINAL:
            return True
        seen = appearance(self._context.stdout, self._context.environ)
        width, color = seen.width, seen.color
        if "fleet" in document:
            from orchestrator.report.fleet_text import fleet_status_text as status_text
        else:
            from orchestrator.report.status_text import status_text
        text = status_text(document, width=width, color=color)
        erase = self._erase()
        # Lines that are not cut, as paths, are folded by the terminal, whatever $COLUMNS says.
        self._drawn = rows_on_screen(text, screen_size(self._context.stdout, {})[0])
        return _write(self._context, erase + text)

    def leave(self) -> None:
        """Take the last drawing back: the final view comes in its place."""
        _write(self._context, self._erase())

    def _erase(self) -> str:
        return f"\x1b[{self._drawn}F\x1b[J" if self._drawn else ""


def _screen(context: Context) -> _Silent:
    if is_redrawable(context.stdout, context.environ):
        return _Redrawn(context)
    return _Lines(context)


def _write(context: Context, text: str) -> bool:
    with suppress(OSError, ValueError):
        context.stdout.write(text)
        context.stdout.flush()
        return True
    return False
