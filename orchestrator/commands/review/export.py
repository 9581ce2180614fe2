"""``export``: a run in a form that other tools verify."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from orchestrator.base.errors import EXIT_DONE, GateNotMet, Refused, UsageError
from orchestrator.base.identifiers import near_hint
from orchestrator.base.json_values import json_text
from orchestrator.base.quoting import shown
from orchestrator.commands.context import Answer, Context
from orchestrator.model.outcome import TERMINAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.report.exports.exported import ExportedRun
    from orchestrator.store.layout import Location
    from orchestrator.store.store import RunStore

IN_TOTO = "in-toto"
OTLP = "otlp"
KINDS = ("junit", OTLP, "otlp-json", "chrome-trace", "github-summary", "github-annotations", IN_TOTO)
TIMEOUT_SECONDS = 10.0
"""For one attempt to deliver; a person waits for it."""

_RECEIVER = "see whether the receiver runs, and its address; nothing was recorded, so the command can be repeated"
_KEY_LIMIT = 64 * 1024


def export(
    context: Context,
    *,
    run: str = "latest",
    kind: str = IN_TOTO,
    sign: str | None = None,
    output: str | None = None,
    to: str | None = None,
    no_children: bool = False,
) -> Answer:
    """Return a run in a form that other programs read: on stdout, in the file ``output``, or sent to ``to`` by HTTP.

    ``kind`` is a form (``report.exports.forms``), ``otlp``, or ``in-toto``: a Statement about an ended run, in a
    DSSE envelope when a key is given to ``sign`` with. Raises GateNotMet when ``verify`` finds something in the
    run that is attested, it is of no clean commit or is not ready, Refused for a run that goes on where the form
    needs its end or that is of version 1, UsageError, NotFound, DamagedRecord, StorageError.
    """
    _check(kind, sign, output, to)
    if kind == IN_TOTO:
        return _delivered(context, _attested(context, run, sign), output)
    from orchestrator.commands.review.exported_runs import exported_runs
    from orchestrator.config.export_policy import read_export_policy
    from orchestrator.store.find import find_run

    store = context.store()
    where = find_run(store, run)
    policy = read_export_policy(store.workspace.root)
    runs = exported_runs(store, where, link=policy.url, children=not no_children)
    if kind == OTLP:
        return _otlp(context, runs, output, to)
    from orchestrator.report.exports.forms import FORMS

    form = FORMS[kind]
    if form.needs_end:
        _check_ended(runs)
    data = form.render(runs)
    if to is not None:
        from orchestrator.commands.review.post import post

        post(to, data, form.media_type, TIMEOUT_SECONDS)
        return Answer(EXIT_DONE, None, f"sent to {to}\n")
    return _delivered(context, data, output)


def _check(kind: str, sign: str | None, output: str | None, to: str | None) -> None:
    if kind not in KINDS:
        raise UsageError(f"--as is {shown(kind)}, which is no form", hint=near_hint(kind, KINDS), code="bad-form")
    if sign is not None and kind != IN_TOTO:
        raise UsageError(f"--sign is for --as {IN_TOTO} only", hint="leave --sign out", code="option-conflict")
    if to is None:
        return
    if output is not None:
        raise UsageError("--output and --to don't go together", hint="leave one of them out", code="option-conflict")
    if kind == IN_TOTO:
        raise UsageError(f"--to is not for --as {IN_TOTO}", hint="--output FILE", code="option-conflict")
    from orchestrator.commands.review.post import check_url

    check_url(to)


def _check_ended(runs: Sequence[ExportedRun]) -> None:
    for each in runs:
        if each.body["status"] not in TERMINAL:
            raise Refused(
                f"run '{each.body['run_id']}' has not ended",
                hint=f"codex-orchestrator wait {each.body['run_id']}",
                code="not-ended",
            )


def _otlp(context: Context, runs: Sequence[ExportedRun], output: str | None, to: str | None) -> Answer:
    from orchestrator.report.exports.otlp_http import ENDPOINTS, protobuf, send

    _check_ended(runs)
    if output is not None:
        return _delivered(context, protobuf(runs), output)
    if to is None and not any(context.environ.get(name) for name in ENDPOINTS):
        raise UsageError(
            "--as otlp is sent or written to a file, and neither is named",
            hint=f"--to URL, --output FILE, or set {ENDPOINTS[-1]}; --as otlp-json is text",
            code="no-address",
        )
    if not send(runs, to, TIMEOUT_SECONDS):
        raise UsageError(f"'{to or ENDPOINTS[-1]}' did not take the run", hint=_RECEIVER, code="not-delivered")
    return Answer(EXIT_DONE, None, f"sent to {to or 'the address of ' + ENDPOINTS[-1]}\n")


def _delivered(context: Context, data: bytes, output: str | None) -> Answer:
    if output is None:
        return Answer(EXIT_DONE, None, data.decode())
    write_file(os.path.join(context.cwd, output), data, "--output")
    return Answer(EXIT_DONE, None, f"wrote {output}\n")


def _attested(context: Context, run: str, sign: str | None) -> bytes:
    from orchestrator.checks.attestation import render_statement, signed, signing_key, statement_of
    from orchestrator.commands.review.evidence_sources import link_of
    from orchestrator.store.find import find_run, read_document
    from orchestrator.store.verification.tasks import verify_run

    key = None if sign is None else signing_key(_key_bytes(os.path.join(context.cwd, sign)), sign)
    store = context.store()
    where = find_run(store, run)
    document = read_document(store, where)
    if document["version"] != 2:
        raise Refused(f"run '{where.run_id}' is of version 1, which can't be verified", code="version-1")
    if document["status"] not in TERMINAL:
        raise Refused(f"run '{where.run_id}' has not ended", code="not-ended")
    findings = verify_run(store, where).findings
    if findings:
        raise GateNotMet(
            f"run '{where.run_id}' does not verify: {findings[0].place}: {findings[0].message}",
            hint=f"codex-orchestrator verify {where.run_id}",
            code=findings[0].code,
        )
    statement = statement_of(document, link_of(store, where, document["attempt"]))
    _check_ready(context, store, where, document)
    payload = render_statement(statement)
    return payload if key is None else json_text(signed(payload, key), indent=2).encode() + b"\n"


def _check_ready(context: Context, store: RunStore, where: Location, document: Mapping[str, Any]) -> None:
    """Raise GateNotMet, with every reason, when an ended run is not ready: it is not attested (contract, section 2)."""
    from orchestrator.commands.look.status import view
    from orchestrator.commands.review.plan_of_config import plan_proof, with_proof

    proof = plan_proof(store.workspace.root, document, context.environ)
    ready = with_proof(view(store, where, context.environ), proof)["ready"]
    if not ready["ready"]:
        reasons = "; ".join(f"{reason['code']}: {reason['message']}" for reason in ready["reasons"])
        raise GateNotMet(
            f"run '{where.run_id}' is not ready: {reasons}",
            hint=f"codex-orchestrator status {where.run_id}",
            code="not-ready",
        )


def _key_bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_KEY_LIMIT)
    except OSError as error:
        raise UsageError(f"the key '{path}' can't be read: {error.strerror or error}", code="no-key") from error


def write_file(path: str, data: bytes, flag: str) -> None:
    """Write a file that somebody named by a flag, whole or not at all; UsageError when it can't be one."""
    from orchestrator.base.files import Folder, Seam

    above, name = os.path.split(path)
    try:
        folder = Folder.at(os.path.realpath(above), Seam())
    except FileNotFoundError:
        raise UsageError(f"there is no folder '{above}'", hint="make it, then run the command again") from None
    with folder:
        if not name or folder.has_folder(name):
            raise UsageError(f"{flag} '{path}' is a folder", hint="name a file", code="bad-output")
        folder.write(name, data)
