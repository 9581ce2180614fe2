"""``logs``: what the stages of a run printed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from orchestrator.base.errors import EXIT_DONE, UsageError
from orchestrator.base.files import Folder
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.look.log_output import Output, chunks, decoded_events
from orchestrator.commands.look.run_view import Patience, Seen, observe
from orchestrator.report.failures import ENVIRONMENT
from orchestrator.report.layout import clean
from orchestrator.report.stage_logs import StageLogs, stage_logs
from orchestrator.store.find import find_run
from orchestrator.store.layout import COMMANDS, Location
from orchestrator.store.store import RunStore

POLL_SECONDS = 0.2
"""Between two looks at a log that may grow."""

_ENVIRONMENT_LOG = re.compile(r"00-environment(?:\.([0-9]{1,6}))?\.log")
_ENVIRONMENT_LOGS_PER_ATTEMPT = 2
"""Making the environment and installing into it each have a log (``execution``)."""


def logs(context: Context, *, run: str, stage: str | None = None, follow: bool = False) -> Answer:
    """Write what a stage printed in its last attempt to stdout; of every stage, in order, without ``stage``.

    ``environment`` names the making of the session's environment. ``follow`` goes on until the stage, or
    the run, has ended or died, or nobody reads any more. What is shown on a terminal can't move its
    cursor. The answer has nothing more to print. Raises NotFound, UsageError, DamagedRecord, StorageError.
    """
    store = context.store()
    reader = _Reader(context, store, find_run(store, run))
    known = [entry.stage for entry in reader.entries(reader.look())]
    if stage is not None and stage not in known and stage != ENVIRONMENT:
        from orchestrator.base.identifiers import near_hint, shown

        raise UsageError(
            f"run '{reader.where.run_id}' has no stage {shown(stage)}",
            hint=near_hint(stage, known),
            code="unknown-stage",
        )
    chosen = known if stage is None else [stage]
    try:
        with store.run_folder(reader.where) as folder, folder.sub(COMMANDS) as commands:
            for each in chosen:
                if reader.output.is_open:
                    reader.show(commands, each, named=len(chosen) > 1, follow=follow)
    except FileNotFoundError:
        reader.say(f"run '{reader.where.run_id}' has no logs")
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

    def __init__(self, context: Context, store: RunStore, where: Location) -> None:
        self.where = where
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
            return tuple(name for (_, name), at in zip(numbered, attempts, strict=True) if at == attempts[-1])
        return ()

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
                place = _Place(first=0 if stage == ENVIRONMENT else max(0, len(entry.names) - 1))
                if named and (entry.names or stage != ENVIRONMENT):
                    self.output.line(f"==> {clean(stage)} <==")
            self._advance(folder, entry, place)
            if over or not follow:
                self._conclude(entry, named=named, follow=follow)
                return
            if not self._patience(POLL_SECONDS):
                return

    def _advance(self, folder: Folder, entry: StageLogs, place: _Place) -> None:
        """Write what is new in the logs, the later ones after the earlier ones."""
        names = entry.names[place.first :]
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
