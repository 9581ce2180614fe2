"""``export``: a run in a form that other tools verify."""

from __future__ import annotations

import os

from orchestrator.base.errors import EXIT_DONE, GateNotMet, Refused, UsageError
from orchestrator.base.json_values import json_text
from orchestrator.commands.context import Answer, Context
from orchestrator.model.outcome import TERMINAL

IN_TOTO = "in-toto"
_KEY_LIMIT = 64 * 1024


def export(
    context: Context,
    *,
    run: str,
    kind: str = IN_TOTO,
    sign: str | None = None,
    output: str | None = None,
) -> Answer:
    """Return an in-toto Statement about an ended run, in a DSSE envelope when a key is given to ``sign`` with.

    It goes to the file ``output``, else to stdout. Raises GateNotMet when ``verify`` finds something in the
    run or it is of no clean commit, Refused for a run that goes on or is of version 1, UsageError,
    NotFound, DamagedRecord, StorageError.
    """
    from orchestrator.checks.attestation import render_statement, signed, signing_key, statement_of
    from orchestrator.commands.review.evidence_sources import link_of
    from orchestrator.commands.review.plan_of_config import refuse_foreign_plan
    from orchestrator.store.find import find_run, read_document
    from orchestrator.store.verification.tasks import verify_run

    if kind != IN_TOTO:
        raise UsageError(f"--as is '{kind}'; a run is exported as {IN_TOTO}", hint=f"--as {IN_TOTO}", code="bad-form")
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
    refuse_foreign_plan(store, where, document, context.environ)
    payload = render_statement(statement_of(document, link_of(store, where, document["attempt"])))
    data = payload if key is None else json_text(signed(payload, key), indent=2).encode() + b"\n"
    if output is None:
        return Answer(EXIT_DONE, None, data.decode())
    path = os.path.join(context.cwd, output)
    write_file(path, data, "--output")
    return Answer(EXIT_DONE, None, f"wrote {output}\n")


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
