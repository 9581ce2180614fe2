"""``start --detach``: the run goes on in a process of its own, its id is told once it is on disk."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress

from orchestrator.base.errors import EXIT_DONE, Refusal, StorageError
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.run.launch import Attempt, answer_for, run_in_session, silent_observer
from orchestrator.report.run_summary import run_document
from orchestrator.store.open_run import OpenRun


class DetachedRefusal(Refusal):
    """What the detached process refused, told by the one that waited for it."""

    def __init__(self, exit_code: int, message: str, hint: str, code: str) -> None:
        super().__init__(message, hint=hint, code=code)
        self.exit_code = exit_code  # type: ignore[misc]


def detached(context: Context, attempt: Attempt) -> Answer:
    """Return the document of a run that has been claimed and goes on by itself; in its own process, of its end.

    Raises what the other process refused before its run was on disk.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    read, write = os.pipe()
    if os.fork():
        os.close(write)
        with open(read, "rb") as pipe:
            return _told(pipe.read())
    os.close(read)
    os.setsid()
    _leave_terminal()
    told = False

    def open_and_tell() -> OpenRun:
        nonlocal told
        run = attempt.open_run()
        _tell(write, {"document": run_document(run.manifest, exit_code=None, last_lines={})})
        told = True
        return run

    quiet = silent_observer(context)
    try:
        result = run_in_session(context, attempt._replace(open_run=open_and_tell), quiet)
    except BaseException as error:
        if not told:
            _tell(write, _as_told(error))
        raise
    return answer_for(context, attempt.store, result)


def _leave_terminal() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    if nothing > 2:
        os.close(nothing)


def _tell(pipe: int, word: dict[str, object]) -> None:
    """Tell the process that waits; the run goes on also when nobody waits any more."""
    with suppress(BrokenPipeError), open(pipe, "wb") as file:
        file.write(json.dumps(word).encode())


def _as_told(error: BaseException) -> dict[str, object]:
    if isinstance(error, Refusal):
        return {"exit_code": error.exit_code, "message": error.message, "hint": error.hint, "code": error.code}
    return {"exit_code": 1, "message": f"{type(error).__name__}: {error}", "hint": "", "code": "bug"}


def _told(data: bytes) -> Answer:
    if not data:
        raise StorageError("the detached process ended before its run was on disk")
    word = json.loads(data)
    if "document" not in word:
        raise DetachedRefusal(word["exit_code"], word["message"], word["hint"], word["code"])
    return Answer(EXIT_DONE, word["document"], f"{word['document']['run_id']}\n")
