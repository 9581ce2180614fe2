"""The process of a run on a worker: it waits for a request, holds the lease, runs, and says how that ended.

``python -m orchestrator.commands.run.worker_run``: the agent's own program (``cloud.agent``), no command. What a run
needs is imported before the request comes as a line on stdin; what follows there are the bytes of the lease.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress

from orchestrator.base.errors import Refusal, Refused
from orchestrator.base.json_values import json_text
from orchestrator.base.workspace import ROOT_VARIABLE
from orchestrator.cloud.lease import hold_lease, silence_seconds
from orchestrator.commands.context import Context
from orchestrator.commands.run.carry_out import run_in_session
from orchestrator.commands.run.create_run import GivenRun
from orchestrator.commands.run.prepare_start import prepare
from orchestrator.commands.run.prepared_run import PreparedRun
from orchestrator.commands.run.requests import StartRequest
from orchestrator.model.manifest.manifest import Lineage, Manifest
from orchestrator.runner.progress.no_screen import Unseen
from orchestrator.store.verification.tasks import verify_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NEEDED = ("pydantic", "nox.sessions", "nox.command", "nox.virtualenv", "orchestrator.commands.run.session_run")
"""What a run loads late, and every run of this process needs."""


def main() -> int:
    """Wait for a request, run it, and write the reply that it asks for; 0 unless that fails, or nobody asks."""
    for name in _NEEDED:
        with suppress(Exception):  # whatever stops it stops the run too, and is reported there
            importlib.import_module(name)
    line = _first_line(0)
    if not line:
        return 0
    request: dict[str, Any] = json.loads(line)
    hold_lease(0, silence_seconds(float(request["lease"])))
    os.chdir(request["workspace"])
    os.environ.update({**request["environ"], ROOT_VARIABLE: request["workspace"]})
    try:
        reply = _run(Context.of_process(), request)
    except Refusal as error:
        reply = {"refused": error.message}
    _write(request["reply"], reply)
    return 0


def _first_line(fd: int) -> bytes:
    """Return the line that comes at ``fd``, without what follows it; empty when it is closed before."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(fd, 1)
        if not byte:
            return b""
        line += byte
    return line


def _run(context: Context, request: Mapping[str, Any]) -> dict[str, Any]:
    """Run the attempt and return its outcome and detail; raises Refusal when it could not begin."""
    options = StartRequest(
        request["pipeline"],
        project=request["project"],
        jobs=request["jobs"],
        actor=request["actor"],
        no_cache=True,  # nothing is taken from the cache in the cloud
    )
    given = GivenRun(request["run_id"], Lineage.from_json(request["lineage"]), request["task_id"])
    prepared = prepare(context, options, given=given)
    _check(prepared, request, context.environ)
    prepared = prepared._replace(done=frozenset(request["done"]), open_unseen=None, is_limited=False)
    manifest = run_in_session(context, prepared, Unseen()).manifest
    _check_tree(manifest, is_clean=request["is_clean"])
    _check_records(context)
    return {"outcome": manifest.outcome, "detail": manifest.status_detail}


def _check(prepared: PreparedRun, request: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """Raise Refused for a plan that is not the submitter's, and for secrets that this worker does not have."""
    if prepared.plan.digest != request["plan_digest"]:
        raise Refused(
            "the plan that is compiled here is not the submitter's: its config reads something that did not travel",
            code="other-plan",
        )
    plans = (prepared.plan, *prepared.plan.subplans)
    names = dict.fromkeys(name for plan in plans for name in plan.session.secret_env)
    missing = [name for name in names if not any(char in name for char in "*?[") and not environ.get(name)]
    if missing:
        raise Refused(
            f"the environment of the worker lacks {', '.join(missing)}, which [session] secret_env names",
            code="secret-missing",
        )


def _check_tree(manifest: Manifest, *, is_clean: bool) -> None:
    """Raise Refused when a commit travelled alone, and other files were there as the run began: not what was sent ran.

    Of a tree with changes the record's digest says which one ran; here nobody knows the one that was sent.
    """
    if is_clean and manifest.provenance and manifest.provenance[-1]["dirty"]:
        raise Refused(
            "files of the snapshot were changed there before the run began: it did not run the commit that was sent",
            code="other-tree",
        )


def _check_records(context: Context) -> None:
    """Raise Refused when a stage changed what was recorded here: the submitter's chain would vouch for it.

    The chains that could tell stay on the worker, so they are compared before anything leaves it.
    """
    findings = verify_all(context.store()).findings
    if findings:
        first = findings[0]
        raise Refused(
            f"what was recorded there was changed while it ran: {first.path}: {first.message} ({first.code})",
            code="record-altered",
        )


def _write(path: str, reply: Mapping[str, Any]) -> None:
    with open(f"{path}.part", "w", encoding="utf-8") as stream:
        stream.write(json_text(dict(reply)))
    os.rename(f"{path}.part", path)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # nothing is left to be done, and to take down what was imported takes as long as a stage
