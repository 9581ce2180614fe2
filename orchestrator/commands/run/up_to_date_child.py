"""The run of a fleet's project that is up to date, recorded in a copy of the fleet's process, as in one of its own."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Collection, Mapping
from contextlib import suppress
from importlib import import_module

from orchestrator.base.clock import stamp
from orchestrator.base.errors import EXIT_DONE, Refusal
from orchestrator.base.kinds import kinds_of
from orchestrator.base.record import Record
from orchestrator.commands.context import Context
from orchestrator.commands.run.ancestry import Ancestry, Parent
from orchestrator.commands.run.cached_run import answered_by_cache
from orchestrator.commands.run.ended_run import answer_seen, ended_document
from orchestrator.commands.run.prepare_start import prepare
from orchestrator.commands.run.prepared_run import PreparedRun, capture, check_path_entries, observer_for
from orchestrator.commands.run.requests import StartRequest
from orchestrator.config.plan_cache import program_mark
from orchestrator.git.shared_look import SharedLook
from orchestrator.model.fleet import entries_of
from orchestrator.model.lineage import root_lineage, trace_of
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.model.plan import PlannedStage, stages_of
from orchestrator.report.fleet_document import CHILD_KEYS
from orchestrator.runner.children_lookup import UpToDate
from orchestrator.runner.progress import Observer
from orchestrator.runner.subpipeline_command import new_child
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

    from orchestrator.runner.run_end import Result

_RSS_UNIT = 1024
"""Bytes in a unit of ``ru_maxrss`` (getrusage(2) of Linux)."""


_MODULES = (
    "orchestrator.commands.run.create_run",
    "orchestrator.runner.stage_cache.for_run",
    "orchestrator.report.run_summary",
    "orchestrator.report.status_document",
    "orchestrator.store.publish",
    "orchestrator.commands.review.project_policy",
    "orchestrator.git.digest_cache",
    "orchestrator.git.host",
    "orchestrator.git.identity",
    "pwd",
)
"""What is imported late where a run may need none of it, and an up-to-date child needs."""


def load() -> None:
    """Import what an up-to-date child needs, and make what its first use makes: copies of this process find it."""
    for name in _MODULES:
        import_module(name)
    with suppress(OSError):  # the child that needs it reports it
        program_mark()
    trace_of("none", root_lineage(""))
    for cls in Record.__subclasses__():
        with suppress(KeyError, TypeError):  # a record that JSON does not hold
            kinds_of(cls)


class UpToDateChildren:
    """Answers for the up-to-date children of the fleet that ``context`` started; called in copies of its process.

    Only a success is an answer: what is refused or goes wrong is met again by the child that is started then.
    """

    def __init__(self, context: Context, store: RunStore, folders: Collection[str]) -> None:
        self._context = context
        self._root = store.workspace.root
        paths = [os.path.normpath(os.path.join(self._root, folder)) for folder in folders]
        self._look = SharedLook(paths, context.clock.monotonic)
        self._fleet: Mapping[str, Any] | None = None
        self._stages: Mapping[str, Mapping[str, Any]] = {}
        self._entries: Mapping[str, Mapping[str, Any]] = {}
        self._printed: TextIO | None = None
        load()

    def __call__(
        self, manifest: Manifest, stage: PlannedStage, environ: Mapping[str, str], since: float
    ) -> UpToDate | None:
        """Record the run of the fleet's project ``stage`` if it is up to date; None where something has to run.

        ``manifest`` is the fleet's record, ``environ`` the environment that a process of the child's would have. What
        git said before ``since`` (the clock's monotonic seconds) does not count.
        """
        clock = self._context.clock
        began, used, at = clock.monotonic(), _cpu_seconds(), stamp(clock.now())
        out = self._emptied()
        self._look.not_before = since
        context = Context(self._root, environ, out, out, clock, shared_look=self._look)
        request = StartRequest(**new_child(manifest, stage, stage.project or "")._asdict())
        try:
            ancestry = Ancestry(Parent(self._parent(manifest, stage), stage.id))
            prepared = prepare(context, request, ancestry=ancestry)
            if prepared.cloud is not None or prepared.is_limited or not prepared.may_reuse():
                return None
            check_path_entries(prepared)
            observer = observer_for(context, request.format, prepared.plan.project, around=prepared.around)
            result = _recorded(context, prepared, observer)
            if result is None:
                return None
            ended = ended_document(context, prepared.store, result)
            answer = answer_seen(context, prepared.store, result, observer, request.format, ended=ended)
        except (Refusal, OSError):
            return None
        if answer.exit_code != EXIT_DONE:
            return None
        out.write(answer.text)
        out.flush()
        rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT
        printed = os.pread(out.fileno(), out.tell(), 0)
        document = {key: ended[key] for key in CHILD_KEYS}
        return UpToDate(printed, at, clock.monotonic() - began, _cpu_seconds() - used, rss, document)

    def _parent(self, manifest: Manifest, stage: PlannedStage) -> Mapping[str, Any]:
        """Return the fleet's record, whose plan has this stage alone: hundreds would be looked through for each."""
        if self._fleet is None:
            self._fleet = manifest.as_json()
            self._stages = stages_of(self._fleet["plan"])
            self._entries = entries_of(self._fleet["plan"])
        plan = self._fleet["plan"]
        selection = {**plan["selection"], "projects": [self._entries[stage.id]]}
        return {**self._fleet, "plan": {**plan, "stages": [self._stages[stage.id]], "selection": selection}}

    def _emptied(self) -> TextIO:
        """Return the stream that this copy's children print to, empty. Raises OSError."""
        if self._printed is None:
            encoding = getattr(sys.__stdout__, "encoding", "utf-8")  # as a child's own stream has it
            self._printed = open(os.memfd_create("printed"), "w+", encoding=encoding, errors="backslashreplace")  # noqa: SIM115
        self._printed.seek(0)
        self._printed.truncate()
        return self._printed


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _recorded(context: Context, prepared: PreparedRun, observer: Observer) -> Result | None:
    """Record the run if each of its stages is cached; None where something has to run, and nothing was written."""
    provenance = capture(context, prepared)
    try:
        return answered_by_cache(context, prepared, observer, provenance)[1]
    finally:
        provenance.abandon()
