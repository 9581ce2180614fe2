"""The fallback where nox can't run a session in this process: a nox process whose environment says what to run."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from orchestrator.base.errors import Refusal, StorageError
from orchestrator.base.record import Record
from orchestrator.base.workspace import ROOT_VARIABLE
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.run.prepared_run import PreparedRun
from orchestrator.commands.run.requests import ResumeRequest, StartRequest
from orchestrator.runner.environment.nox import noxfile_for, scrubbed, session_command

_DELIVERY = "CODEX_ORCHESTRATOR_REQUEST"
_KINDS = {"start": StartRequest, "resume": ResumeRequest}


class RelayedRefusal(Refusal):
    """What another process refused, reported by the one that waited for it."""

    def __init__(self, exit_code: int, message: str, hint: str, code: str) -> None:
        super().__init__(message, hint=hint, code=code)
        self.exit_code = exit_code  # type: ignore[misc]


class Delivery(Record):
    """What a nox process was started for: the request, the file for its reply, the pipe at which it announces its run.

    ``announce`` is None where nobody waits for the run's id.
    """

    request: StartRequest | ResumeRequest
    reply: str
    announce: int | None


def run_in_nox_process(
    context: Context, prepared: PreparedRun, request: StartRequest | ResumeRequest, *, announce: int | None = None
) -> Answer:
    """Run ``request`` by ``python -m nox``, in the session of what was prepared for it, and return its answer.

    Stop signals that reach this process go on to nox's, whose session closes the record.
    """
    import signal
    import subprocess
    import tempfile

    root = prepared.store.workspace.root
    command = "start" if isinstance(request, StartRequest) else "resume"
    options = dict(zip(type(request)._fields, request, strict=True))
    with tempfile.TemporaryDirectory(prefix="codex-orchestrator-") as folder:
        reply = os.path.join(folder, "reply.json")
        delivery = {"command": command, "options": options, "reply": reply, "announce": announce}
        process = subprocess.Popen(
            session_command(root, noxfile_for(root), prepared.plan.session.name),
            cwd=root,
            env={**scrubbed(context.environ), ROOT_VARIABLE: root, _DELIVERY: json.dumps(delivery)},
            pass_fds=() if announce is None else (announce,),
        )
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, lambda got, _: process.send_signal(got)) for number in numbers}
        try:
            process.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return _answer(reply, process.returncode)


def delivered(environ: Mapping[str, str]) -> Delivery | None:
    """Return what this nox process was started for; None for a nox that somebody called."""
    text = environ.get(_DELIVERY)
    if not text:
        return None
    os.environ.pop(_DELIVERY, None)
    found = json.loads(text)
    options = {key: tuple(value) if isinstance(value, list) else value for key, value in found["options"].items()}
    return Delivery(_KINDS[found["command"]](**options), found["reply"], found["announce"])


def reply_with(reply: str, word: Answer | Refusal) -> None:
    """Write the answer, or the refusal, for the process that waits for it."""
    if isinstance(word, Answer):
        document: dict[str, object] = {"exit_code": word.exit_code, "document": word.document, "text": word.text}
    else:
        refused = {"message": word.message, "hint": word.hint, "code": word.code}
        document = {"exit_code": word.exit_code, "refused": refused}
    with open(reply, "w", encoding="utf-8") as file:
        json.dump(document, file)


def _answer(reply: str, returncode: int) -> Answer:
    try:
        with open(reply, encoding="utf-8") as file:
            word = json.load(file)
    except (OSError, ValueError) as error:
        raise StorageError(
            f"nox ended with exit code {returncode} before the run could be recorded",
            hint="look at nox's output above",
            code="nox-failed",
        ) from error
    if "refused" in word:
        refused = word["refused"]
        raise RelayedRefusal(word["exit_code"], refused["message"], refused["hint"], refused["code"])
    return Answer(word["exit_code"], word["document"], word["text"])
