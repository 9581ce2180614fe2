"""``start --detach``: the run goes on in a process of its own, its id is printed once it is on disk."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress

from orchestrator.base.errors import EXIT_DONE, Refusal, StorageError
from orchestrator.base.json_values import json_text
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.run.carry_out import carry_out
from orchestrator.commands.run.nox_process import RelayedRefusal
from orchestrator.commands.run.prepared_run import PreparedRun
from orchestrator.commands.run.requests import StartRequest
from orchestrator.report.next_step import watching
from orchestrator.report.run_summary import run_document
from orchestrator.runner.progress.stream import Sink
from orchestrator.store.open_run import OpenRun


def detached(context: Context, prepared: PreparedRun, request: StartRequest) -> Answer:
    """Return the document, or for ndjson the first event, of a claimed run that goes on by itself.

    In the run's own process: the document of its end.

    Raises what the other process refused before its run was on disk.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    read, write = os.pipe()
    if os.fork():
        os.close(write)
        prepared.abandon()  # the other process holds what is held
        with open(read, "rb") as pipe:
            return _answer(pipe.readline())
    os.close(read)
    os.setsid()
    _leave_terminal()
    word = FirstWord(write, request.format)
    try:
        return carry_out(context, word.of(prepared), request, observer=word, announce=write)
    except BaseException as error:
        word.give(_refusal(error))
        raise


def _leave_terminal() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    if nothing > 2:
        os.close(nothing)


class FirstWord:
    """The one answer, a line, to the process that waits; as an observer it gives the event of the run's start.

    The run goes on also when nobody waits any more.
    """

    refresh_seconds: float | None = None

    def __init__(self, pipe: int, form: str) -> None:
        self.sink = Sink(None, {})
        self._pipe = pipe
        self._form = form
        self._given = False

    def of(self, prepared: PreparedRun) -> PreparedRun:
        """Return ``prepared`` as a run that is reported as soon as it is on disk."""

        def open_and_report() -> OpenRun:
            run = prepared.open_run()
            if self._form != "ndjson":
                next_argv = watching(run.manifest.run_id)
                self.give({"document": run_document(run.manifest.as_json(), exit_code=None, next_argv=next_argv)})
            return run

        return prepared._replace(open_run=open_and_report)

    def give(self, word: dict[str, object]) -> None:
        """Write the answer and close the pipe, once."""
        if not self._given:
            self._given = True
            with suppress(OSError), open(self._pipe, "wb") as file:
                file.write(json_text(word).encode() + b"\n")

    def event(self, event: Mapping[str, object]) -> None:
        """Give the first event of the run, which is on disk then."""
        self.give({"event": dict(event)})

    def output(self, stage_id: str, data: bytes) -> None:
        """Leave output to the stage's log."""

    def tick(self) -> None:
        """Nothing changes with time alone."""

    def close(self) -> None:
        """Nothing is delayed."""


def _refusal(error: BaseException) -> dict[str, object]:
    if isinstance(error, Refusal):
        return {"exit_code": error.exit_code, "message": error.message, "hint": error.hint, "code": error.code}
    return {"exit_code": 1, "message": f"{type(error).__name__}: {error}", "hint": "", "code": "bug"}


def _answer(data: bytes) -> Answer:
    if not data:
        raise StorageError("the detached process ended before its run was on disk")
    word = json.loads(data)
    if "event" in word:
        return Answer(EXIT_DONE, None, json_text(word["event"]) + "\n")
    if "document" not in word:
        raise RelayedRefusal(word["exit_code"], word["message"], word["hint"], word["code"])
    return Answer(EXIT_DONE, word["document"], f"{word['document']['run_id']}\n")
