"""Logs of a run on a worker, as they come: masked once more, in local files under local names, and shown."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from orchestrator.base.errors import StorageError
from orchestrator.base.files import explained, write_all
from orchestrator.base.redaction import Redactor
from orchestrator.base.sha256 import RunningDigest
from orchestrator.model.plan import Plan
from orchestrator.store.layout import COMMANDS, ENVIRONMENT
from orchestrator.store.open_run import OpenRun
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orchestrator.base.redaction.masking import Stream

_PIECE = 1 << 20
_NAME = re.compile(r"(?P<index>\d+)-(?P<stage>.+?)(?:\.(?P<number>\d+))?\.log")


def stage_of(name: str) -> str | None:
    """Return the id of the stage that a log's name is of, None for what is no log's name."""
    found = _NAME.fullmatch(name)
    return None if found is None else found["stage"]


class _Log:
    """One log: what came of it, and what was written."""

    def __init__(self, name: str, fd: int, stream: Stream) -> None:
        self.name = name
        self.fd = fd
        self.stream = stream
        self.size = 0
        self.came = RunningDigest()
        self.wrote = RunningDigest()
        self.is_open = True


class LocalLogs:
    """The local files of one incarnation's logs. ``known`` are an earlier keeper's names, by those on the worker.

    ``show`` takes a stage's id and its masked output; ``note`` is called with all names before a file is made.
    """

    def __init__(
        self,
        store: RunStore,
        run: OpenRun,
        plan: Plan,
        redactor: Redactor,
        show: Callable[[str, bytes], None],
        note: Callable[[Mapping[str, str]], None],
        known: Mapping[str, str],
    ) -> None:
        self._store, self._run, self._redactor, self._show, self._note = store, run, redactor, show, note
        self._stages = {(index, stage.id) for index, stage in enumerate(plan.stages, start=1)} | {(0, ENVIRONMENT)}
        self._names = dict(known)
        self._logs: dict[str, _Log] = {}
        self.digests: dict[str, str] = {}
        """Of logs that are complete, by their local names."""

    def offsets(self) -> dict[str, int]:
        """Return how many bytes of each of the worker's logs have come, by its path in the record."""
        return {f"{COMMANDS}/{name}": log.size for name, log in self._logs.items()}

    def local_name(self, name: str) -> str:
        """Return the local name of a worker's log; its file is made when it is asked for first. Raises StorageError."""
        return self._log(name).name

    def feed(self, name: str, data: bytes) -> None:
        """Take the next bytes of a worker's log. Raises StorageError; of a name that is no stage's nothing is taken."""
        if self._stage_of(name) is None:
            return
        log = self._log(name)
        log.size += len(data)
        log.came.update(data)
        self._write(name, log, log.stream.feed(data))

    def complete(self, name: str, path: str) -> Iterator[None]:
        """Complete a log by the worker's own file at ``path``, whatever came of it before; yield after each piece."""
        if self._stage_of(name) is None:
            return
        log = self._log(name)
        with open(path, "rb") as source:
            before = RunningDigest()
            left = log.size
            while left > 0 and (data := source.read(min(left, _PIECE))):
                before.update(data)
                left -= len(data)
            if left or before.value() != log.came.value():
                # A log that outgrew its limit was put in order when it was closed.
                source.seek(0)
                self._store.seam.truncate(log.fd, 0)
                os.lseek(log.fd, 0, os.SEEK_SET)
                log.stream, log.wrote, log.size = self._redactor.stream(), RunningDigest(), 0
            while data := source.read(_PIECE):
                self._write(name, log, log.stream.feed(data))
                yield
        self._close(name, log)

    def close_all(self) -> None:
        """Close what is open as far as it came."""
        for name, log in self._logs.items():
            self._close(name, log)

    def _stage_of(self, name: str) -> str | None:
        found = _NAME.fullmatch(name)
        if found is None or (int(found["index"]), found["stage"]) not in self._stages:
            return None
        return found["stage"]

    def _log(self, name: str) -> _Log:
        if name in self._logs:
            return self._logs[name]
        if name in self._names:
            with self._run.folder.sub(COMMANDS, create=True, sync=False) as commands, suppress(StorageError):
                commands.remove(self._names[name])  # it comes again, from its beginning
        else:
            found = _NAME.fullmatch(name)
            assert found is not None  # noqa: S101 -- callers look
            self._names[name] = self._run.free_log_name(int(found["index"]), found["stage"], self._next(found["stage"]))
            self._note(self._names)
        log = _Log(self._names[name], self._run.open_log(self._names[name]), self._redactor.stream())
        self._logs[name] = log
        return log

    def _next(self, stage: str) -> int:
        known = (command for command in self._run.manifest.commands if command.id == stage)
        return sum(len(command.attempts) for command in known) + 1

    def _write(self, name: str, log: _Log, data: bytes) -> None:
        if not data:
            return
        with explained(os.path.join(self._run.folder.path, COMMANDS, log.name)):
            write_all(self._store.seam, log.fd, data)
        log.wrote.update(data)
        stage = self._stage_of(name)
        if stage is not None:
            self._show(stage, data)

    def _close(self, name: str, log: _Log) -> None:
        if not log.is_open:
            return
        log.is_open = False
        try:
            self._write(name, log, log.stream.flush())
        finally:
            os.close(log.fd)
        digest = log.wrote.value()
        self._run.note_log(log.name, digest)
        self.digests[log.name] = digest.sha256
