"""The fallback where nox can't run a session in this process: a nox process, told what to run by its environment."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from orchestrator.base.errors import Refusal, StorageError
from orchestrator.base.workspace import ROOT_VARIABLE
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.run.detaching import DetachedRefusal
from orchestrator.commands.run.start import Request
from orchestrator.model.plan import Plan
from orchestrator.runner.environment.nox import noxfile_for, scrubbed, session_command
from orchestrator.store.store import RunStore

_REQUEST = "CODEX_ORCHESTRATOR_REQUEST"
_REPLY = "CODEX_ORCHESTRATOR_REPLY"


def run_in_nox_process(context: Context, store: RunStore, plan: Plan, request: Request) -> Answer:
    """Run ``request`` by ``python -m nox`` and return its answer.

    Stop signals that reach this process go on to nox's, whose session closes the record.
    """
    import signal
    import subprocess
    import tempfile

    root = store.workspace.root
    with tempfile.TemporaryDirectory(prefix="codex-orchestrator-") as folder:
        reply = os.path.join(folder, "reply.json")
        environ = {
            **scrubbed(context.environ),
            ROOT_VARIABLE: root,
            _REQUEST: json.dumps(request._asdict()),
            _REPLY: reply,
        }
        process = subprocess.Popen(session_command(root, noxfile_for(root), plan.session.name), cwd=root, env=environ)
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, lambda got, _: process.send_signal(got)) for number in numbers}
        try:
            process.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return _answer(reply, process.returncode)


def delivered_request(environ: Mapping[str, str]) -> tuple[Request | None, str | None]:
    """Return the request that this nox process was started for, and where its reply goes; None twice for a bare nox."""
    text, reply = environ.get(_REQUEST), environ.get(_REPLY)
    if not text or not reply:
        return None, None
    os.environ.pop(_REQUEST, None)
    os.environ.pop(_REPLY, None)
    fields = json.loads(text)
    return Request(**{**fields, "overrides": tuple(fields["overrides"])}), reply


def deliver(reply: str, word: Answer | Refusal) -> None:
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
        raise DetachedRefusal(word["exit_code"], refused["message"], refused["hint"], refused["code"])
    return Answer(word["exit_code"], word["document"], word["text"])
