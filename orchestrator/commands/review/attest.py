"""The in-toto Statement of ``export``: only about a run that verifies and is ready."""

from __future__ import annotations

import os
from collections.abc import Mapping

from orchestrator.base.errors import GateNotMet, Refused, UsageError
from orchestrator.base.json_values import json_text
from orchestrator.checks.attestation import render_statement, signed, signing_key, statement_of
from orchestrator.commands.context import Context
from orchestrator.commands.look.status import view
from orchestrator.commands.review.evidence_sources import link_of
from orchestrator.commands.review.plan_of_config import plan_proof, with_proof
from orchestrator.model.fleet import is_fleet
from orchestrator.model.outcome import TERMINAL
from orchestrator.store.find import find_run, read_document
from orchestrator.store.record_proof import prove, refuse_pruned_logs
from orchestrator.store.verification.tasks import verify_run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.store.layout import Location
    from orchestrator.store.store import RunStore

_KEY_LIMIT = 64 * 1024


def attested(context: Context, run: str, sign: str | None) -> bytes:
    """Return the Statement about an ended run, in a DSSE envelope when ``sign`` names a private key's file.

    Raises GateNotMet when ``verify`` finds something in the run, it is of no clean commit or is not ready, Refused
    for a run that goes on or is of version 1, UsageError for a key that can't be read, NotFound and DamagedRecord.
    """
    key = None if sign is None else signing_key(_key_bytes(os.path.join(context.cwd, sign)), sign)
    store = context.store()
    where = find_run(store, run)
    document = read_document(store, where)
    if document["version"] != 2:
        raise Refused(f"run '{where.run_id}' is of version 1, which can't be verified", code="version-1")
    if document["status"] not in TERMINAL:
        raise Refused(f"run '{where.run_id}' has not ended", code="not-ended")
    if is_fleet(document):
        raise GateNotMet(
            f"run '{where.run_id}' is of many projects, each with a run of its own",
            hint=f"attest those: codex-orchestrator status {where.run_id}",
            code="wrong-project",
        )
    findings = verify_run(store, where).findings
    if findings:
        raise GateNotMet(
            f"run '{where.run_id}' does not verify: {findings[0].place}: {findings[0].message}",
            hint=f"codex-orchestrator verify {where.run_id}",
            code=findings[0].code,
        )
    refuse_pruned_logs(where, prove(store, where, document, "logs"))
    statement = statement_of(document, link_of(store, where, document["attempt"]))
    _check_ready(context, store, where, document)
    payload = render_statement(statement)
    return payload if key is None else json_text(signed(payload, key), indent=2).encode() + b"\n"


def _check_ready(context: Context, store: RunStore, where: Location, document: Mapping[str, Any]) -> None:
    """Raise GateNotMet, with every reason, when an ended run is not ready: it is not attested (contract, section 2)."""
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
