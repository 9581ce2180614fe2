"""``logs``: what the stages of a run printed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from orchestrator.base.errors import EXIT_DONE, UsageError
from orchestrator.base.files import Folder
from orchestrator.base.identifiers import near_hint
from orchestrator.base.quoting import shown
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.look.log_lines import DEFAULT_LINES, last_lines, log_size, tail_offset
from orchestrator.commands.look.log_output import Output, chunks
from orchestrator.commands.look.run_view import Patience, Seen, observe
from orchestrator.report.failures import ENVIRONMENT
from orchestrator.report.layout import clean
from orchestrator.report.stage_logs import StageLogs, stage_logs
from orchestrator.store.find import find_run
from orchestrator.store.find_pruned import pruned_logs
from orchestrator.store.layout import COMMANDS, Location
from orchestrator.store.legacy.stage_log import decoded_events
from orchestrator.store.record_proof import logs_pruned_at
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

POLL_SECONDS = 0.2
"""Between two looks at a log that may grow."""

_ENVIRONMENT_LOG = re.compile(r"00-environment(?:\.([0-9]{1,6}))?\.log")
_ENVIRONMENT_LOGS_PER_ATTEMPT = 2
"""Making the environment and installing into it each have a log (``execution``)."""


def logs(
    context: Context,
    *,
    run: str,
    stage: str | None = None,
    attempt: int | None = None,
    tail: int | None = None,
    follow: bool = False,
    format: str = "text",  # noqa: A002 -- the option's name
) -> Answer:
    """Write what a stage printed in its last attempt to stdout; of every stage, in order, without ``stage``.

    ``environment`` names the making of the session's environment. ``attempt`` chooses a stage's attempt, the
    first is 1; ``tail`` shows the last lines only. ``follow`` goes on until the stage, or the run, has ended
    or died, or nobody reads any more. What is shown on a terminal can't move its cursor. The answer has nothing
    more to print, but with ``format`` json, when it is a document. Raises NotFound, UsageError, DamagedRecord,
    StorageError.
    """
    if follow and (format != "text" or attempt is not None):
        raise UsageError(
            "--follow shows text of the attempt that runs, so it goes with neither --format json nor --attempt",
            hint="leave --follow out",
            code="bad-options",
        )
    store = context.store()
    where = find_run(store, run)
    pruned = logs_pruned_at(store, where)
    if pruned is not None:
        raise pruned_logs(pruned)
    reader = _Reader(context, store, where, attempt, tail)
    seen = reader.look()
    known = [entry.stage for entry in reader.entries(seen)]
    if stage is not None and stage not in known and stage != ENVIRONMENT:
        raise UsageError(
            f"run '{reader.where.run_id}' has no stage {shown(stage)}",
            hint=near_hint(stage, known),
            code="unknown-stage",
        )
    chosen = known if stage is None else [stage]
    if attempt is not None:
        reader.check_attempt([entry for entry in reader.entries(seen) if entry.stage in chosen])
    if format == "json":
        return Answer(EXIT_DONE, reader.document(seen, chosen), "")
    if follow:
        from orchestrator.commands.look.waiting import refuse_own_run

        refuse_own_run(store, where, context.environ, stage)
    try:
        with store.run_folder(reader.where) as folder, folder.sub(COMMANDS) as commands:
            for each in chosen:
                if reader.output.is_open:
                    reader.show(commands, each, named=len(chosen) > 1, follow=follow)
    except FileNotFoundError:
        reader.say(f"run '{reader.where.run_id}' has no logs")
    if follow and reader.look().unattended:
        reader.say(f"nobody attends the run, so no more of it comes here: codex-orchestrator attach {where.run_id}")
    reader.output.close()
    return Answer(EXIT_DONE, None, "")


@dataclass(slots=True)
class _Place:
    """How far a stage's logs have been shown: ``first`` is the oldest of them that is shown."""

    first: int = 0
    name: str = ""
    offset: int = 0


class _Reader:
    """Reads the logs of one run."""

    def __init__(
        self, context: Context, store: RunStore, where: Location, attempt: int | None = None, tail: int | None = None
    ) -> None:
        self.where = where
        self._attempt = attempt
        self._tail = tail
        self.output = Output(context)
        self._context = context
        self._store = store
        self._patience = Patience(context.stdout)

    def look(self) -> Seen:
        return observe(self._store, self.where)

    def entries(self, seen: Seen) -> Sequence[StageLogs]:
        """Return the logs of the environment, where it has any, and of every stage."""
        listed = list(stage_logs(seen.record))
        if all(entry.stage != ENVIRONMENT for entry in listed):
            names = self._environment_logs()
            if names or any(not entry.ended for entry in listed):
                ended = any(entry.ended or entry.names for entry in listed)
                listed.insert(0, StageLogs(ENVIRONMENT, names, ended, "was not made anew"))
        return listed

    def _environment_logs(self) -> tuple[str, ...]:
        """Return the names of the last attempt that made or changed the environment."""
        with (
            suppress(FileNotFoundError),
            self._store.run_folder(self.where) as folder,
            folder.sub(COMMANDS) as commands,
        ):
            found = [match for name in commands.names() if (match := _ENVIRONMENT_LOG.fullmatch(name))]
            numbered = sorted((int(match[1] or 1), match[0]) for match in found)
            attempts = [(number - 1) // _ENVIRONMENT_LOGS_PER_ATTEMPT for number, _ in numbered]
            wanted = self._attempt - 1 if self._attempt is not None else max(attempts, default=0)
            return tuple(name for (_, name), at in zip(numbered, attempts, strict=True) if at == wanted)
        return ()

    def check_attempt(self, entries: Sequence[StageLogs]) -> None:
        """Raise UsageError when no stage of ``entries`` has a log of the attempt that is asked for."""
        if not any(self._chosen(entry) for entry in entries):
            most = max((len(entry.names) for entry in entries if entry.stage != ENVIRONMENT), default=0)
            raise UsageError(
                f"no stage has a log of attempt {self._attempt}; there is a log of {most}",
                hint=f"--attempt {most}" if most else "leave --attempt out",
                code="unknown-attempt",
            )

    def _chosen(self, entry: StageLogs) -> tuple[str, ...]:
        """Return the logs of a stage that are shown: those of one attempt."""
        if entry.stage == ENVIRONMENT:
            return entry.names
        if self._attempt is None:
            return entry.names[-1:]
        return entry.names[self._attempt - 1 : self._attempt]

    def document(self, seen: Seen, stages: Sequence[str]) -> dict[str, Any]:
        """Return the document of ``--format json``: an entry for each log, one without a path where there is none."""
        found = []
        with ExitStack() as stack:
            folder: Folder | None = None
            with suppress(FileNotFoundError):
                folder = stack.enter_context(stack.enter_context(self._store.run_folder(self.where)).sub(COMMANDS))
            for entry in self.entries(seen):
                if entry.stage in stages:
                    found += [self._log(folder, entry, name) for name in self._chosen(entry) or ("",)]
        return {"run_id": self.where.run_id, "stages": found}

    def _log(self, folder: Folder | None, entry: StageLogs, name: str) -> dict[str, Any]:
        size, lines = 0, []
        with suppress(FileNotFoundError):
            if folder is not None and name:
                size = log_size(folder, name)
                lines = last_lines(folder, name, DEFAULT_LINES if self._tail is None else self._tail)
        at = entry.names.index(name) if name else None
        made = _ENVIRONMENT_LOG.fullmatch(name)
        number = at + 1 if at is not None else None
        if made is not None:
            number = (int(made[1] or 1) - 1) // _ENVIRONMENT_LOGS_PER_ATTEMPT + 1
        root = os.path.dirname(self._store.paths(self.where).manifest)
        return {
            "stage": entry.stage,
            "attempt": number,
            "log_path": os.path.join(root, COMMANDS, name) if name else None,
            "bytes": size,
            "bytes_left_out": entry.dropped[at] if at is not None and entry.dropped else 0,
            "lines": lines,
            "note": None if name else entry.note,
        }

    def show(self, folder: Folder, stage: str, *, named: bool, follow: bool) -> None:
        """Show one stage, under a header when it is one of several."""
        place: _Place | None = None
        while self.output.is_open:
            seen = self.look()
            entry = next(
                (entry for entry in self.entries(seen) if entry.stage == stage),
                StageLogs(stage, (), True, "has no log"),
            )
            over = entry.ended or not seen.alive
            if place is None:
                place = self._beginning(folder, entry)
                if named and (entry.names or stage != ENVIRONMENT):
                    self.output.line(f"==> {clean(stage)} <==")
            self._advance(folder, entry, place)
            if over or not follow:
                self._conclude(entry, named=named, follow=follow)
                return
            if not self._patience(POLL_SECONDS):
                return

    def _beginning(self, folder: Folder, entry: StageLogs) -> _Place:
        """Return where showing a stage's logs begins: with the chosen attempt, at its last lines if those are asked."""
        chosen = self._chosen(entry)
        if not chosen:
            return _Place(first=len(entry.names) if self._attempt else 0)
        place = _Place(first=entry.names.index(chosen[0]))
        if self._tail is not None and not chosen[-1].endswith(".ndjson"):
            with suppress(FileNotFoundError):
                place = _Place(entry.names.index(chosen[-1]), chosen[-1], tail_offset(folder, chosen[-1], self._tail))
        return place

    def _advance(self, folder: Folder, entry: StageLogs, place: _Place) -> None:
        """Write what is new in the logs, the later ones after the earlier ones."""
        names = entry.names[place.first :] if self._attempt is None else self._chosen(entry)
        begin = names.index(place.name) if place.name in names else 0
        for name in names[begin:]:
            if name != place.name:
                place.name, place.offset = name, 0
            try:
                for data in self._content(folder, name, place.offset):
                    place.offset += len(data)
                    self.output.write(data)
                    if not self.output.is_open:
                        return
            except FileNotFoundError:
                self.say(f"the log of '{clean(entry.stage)}' is gone: {clean(name)}")

    @staticmethod
    def _content(folder: Folder, name: str, offset: int) -> Iterator[bytes]:
        if name.endswith(".ndjson"):
            return decoded_events(folder, name) if offset == 0 else iter(())
        return chunks(folder, name, offset)

    def _conclude(self, entry: StageLogs, *, named: bool, follow: bool) -> None:
        if not entry.names and named and entry.stage != ENVIRONMENT:
            self.output.line(f"({clean(entry.note)})")
        elif not entry.names and not named:
            self.say(f"stage '{clean(entry.stage)}' {clean(entry.note)}")
        if follow and entry.left_out:
            self.say(f"'{clean(entry.stage)}' printed more than its log_limit; its log keeps the head and the tail")

    def say(self, text: str) -> None:
        """Say something about the logs, beside them."""
        with suppress(OSError, ValueError):
            self._context.stderr.write(f"codex-orchestrator: {text}\n")
