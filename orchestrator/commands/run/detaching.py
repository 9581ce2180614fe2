"""``start --detach``: the run goes on in a process of its own, its id is printed once it is on disk."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress

from orchestrator.base.errors import EXIT_DONE, Refusal, StorageError
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.run.launch import Attempt, answer_for, run_in_session
from orchestrator.report.next_step import watching
from orchestrator.report.run_summary import run_document
from orchestrator.store.open_run import OpenRun


class DetachedRefusal(Refusal):
    """A refusal of the detached process, reported by the one that waited for it."""

    def __init__(self, exit_code: int, message: str, hint: str, code: str) -> None:
        super().__init__(message, hint=hint, code=code)
        self.exit_code = exit_code  # type: ignore[misc]


def detached(context: Context, attempt: Attempt, form: str) -> Answer:
    """Return the document, or for ndjson the first event, of a claimed run that goes on by itself.

    In the run's own process: the document of its end.

    Raises what the other process refused before its run was on disk.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    read, write = os.pipe()
    if os.fork():
        os.close(write)
        with open(read, "rb") as pipe:
            return _answer(pipe.read())
    os.close(read)
    os.setsid()
    _leave_terminal()
    word = _FirstWord(write)

    def open_and_report() -> OpenRun:
        run = attempt.open_run()
        if form != "ndjson":
            word.give({"document": _document(run)})
        return run

    try:
        result = run_in_session(context, attempt._replace(open_run=open_and_report), word)
    except BaseException as error:
        word.give(_refusal(error))
        raise
    return answer_for(context, attempt.store, result)


def _leave_terminal() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    if nothing > 2:
        os.close(nothing)


def _document(run: OpenRun) -> dict[str, object]:
    return run_document(run.manifest, exit_code=None, next_argv=watching(run.manifest.run_id))


class _FirstWord:
    """The one answer to the process that waits; as an observer it gives the event of the run's start.

    The run goes on also when nobody waits any more.
    """

    refresh_seconds: float | None = None

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._given = False

    def give(self, word: dict[str, object]) -> None:
        """Write the answer, once."""
        if self._given:
            return
        self._given = True
        with suppress(BrokenPipeError), open(self._pipe, "wb") as file:
            file.write(json.dumps(word).encode())

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
        return Answer(EXIT_DONE, None, json.dumps(word["event"]) + "\n")
    if "document" not in word:
        raise DetachedRefusal(word["exit_code"], word["message"], word["hint"], word["code"])
    return Answer(EXIT_DONE, word["document"], f"{word['document']['run_id']}\n")
