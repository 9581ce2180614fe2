"""A run as others' tools read it: an in-toto Statement with the test-result predicate, signed as DSSE when asked.

Sources: in-toto Attestation Framework, Statement v1 (https://in-toto.io/Statement/v1); predicate test-result v0.1
(https://in-toto.io/attestation/test-result/v0.1); DSSE v1 (https://github.com/secure-systems-lab/dsse).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from orchestrator.base.errors import GateNotMet, UsageError
from orchestrator.base.installation import extra_hint, recorded_source
from orchestrator.base.json_values import json_text
from orchestrator.model.clean_tree import tree_fault
from orchestrator.model.manifest.manifest import manifest_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"


def statement_of(document: Mapping[str, Any], link: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the Statement of an ended run by its manifest (version 2) and its line of the task's chain.

    The subject is the commit that ran. GateNotMet when there was none, or the tree was not that commit's.
    """
    last = document["provenance"][-1] if document["provenance"] else {}
    commit = last.get("commit")
    if not commit:
        raise GateNotMet("the run is of no commit, so there is nothing to attest", code="no-commit")
    fault = tree_fault(document)
    if fault is not None:
        raise GateNotMet(fault, hint="commit what has changed, and start a new run", code="dirty-tree")
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": document["project"], "digest": {"gitCommit": commit}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": _predicate(document, link),
    }


def _predicate(document: Mapping[str, Any], link: Mapping[str, Any] | None) -> dict[str, Any]:
    pipeline, plan = document["pipeline_id"], document["plan"]
    unsure = {flag["stage"] for flag in plan.get("flags", ()) if flag["code"] == "guardrail-cannot-fail"}
    unsure |= {entry["id"] for entry in document["guardrails"] if entry["outcome"] in ("waived", "advisory")}
    passed: list[str] = []
    warned: list[str] = []
    failed: list[str] = []
    for command in document["commands"]:
        name = f"{pipeline}/{command['id']}"
        if command["status"] == "failed":
            failed.append(name)
        elif command["outcome"] == "success":
            (warned if command["id"] in unsure else passed).append(name)
        elif command["outcome"] != "skip":
            warned.append(name)
    good = document["status"] == "succeeded"
    proof = {
        "runId": document["run_id"],
        "taskId": document["task_id"],
        "attempt": document["attempt"],
        "outcome": document["outcome"],
        "startedAt": document["started_at"],
        "completedAt": document["completed_at"],
        "manifestDigest": manifest_digest(document),
        "chainLine": dict(link) if link is not None else None,
    }
    return {
        "result": "FAILED" if not good else "WARNED" if warned or unsure else "PASSED",
        "configuration": [
            {"name": f"plan of {pipeline}", "digest": {"sha256": plan["digest"]}, "annotations": {"run": proof}}
        ],
        "passedTests": passed,
        "warnedTests": warned,
        "failedTests": failed,
    }


def render_statement(statement: Mapping[str, Any]) -> bytes:
    """Return the bytes of a Statement, which are what is signed."""
    return json_text(statement, indent=2, ensure_ascii=False).encode() + b"\n"


def signed(payload: bytes, key: Ed25519PrivateKey) -> dict[str, Any]:
    """Return the DSSE envelope of a payload; ``keyid`` is the sha256 of the public key (DER)."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    signature = key.sign(pre_authentication(PAYLOAD_TYPE, payload))
    return {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": hashlib.sha256(public).hexdigest(), "sig": base64.b64encode(signature).decode()}],
    }


def pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """Return DSSE's pre-authentication encoding: lengths stand before type and payload, so that neither can shift."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def signing_key(pem: bytes, path: str) -> Ed25519PrivateKey:
    """Return the ed25519 private key in a PEM file without a password (PKCS#8). UsageError for any other content."""
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError:
        hint = extra_hint("sign", recorded_source())
        raise UsageError("signing needs the package 'cryptography'", hint=hint, code="no-cryptography") from None
    hint = f"openssl genpkey -algorithm ed25519 -out {path}"
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UsageError(
            f"'{path}' holds no private key in PEM without a password", hint=hint, code="bad-key"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"'{path}' holds no ed25519 key", hint=hint, code="bad-key")
    return key
