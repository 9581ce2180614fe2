"""Evidence: what is kept in git of a cited run, at ``tasks/evidence/<task>/<run>.json``.

It holds the part of the manifest that the manifest digest covers, so that the digest can be computed from it
alone; the reviews, and the run's line of the task's chain with the digests of events and logs, each with a digest of
its own. Left out are the events, logs and error files themselves, the resume token, and what changes after a
run's end. Version 1 of the file had no digest of the reviews, version 2 none of the line: they are read, and judged as
when they were made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.base.canonical import digest_of
from orchestrator.base.errors import DamagedRecord
from orchestrator.base.json_values import json_text
from orchestrator.checks.checklists.items import EVIDENCE_FOLDER
from orchestrator.model.manifest.document import parse
from orchestrator.model.manifest.json_schema import load
from orchestrator.model.manifest.manifest import NOT_DIGESTED, manifest_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SCHEMA = 3
_READ = (1, 2, SCHEMA)
_FILLED: Mapping[str, Any] = {
    "approvals": [],
    "metrics_recorded": True,
    "child_runs": [],
    "revision": 0,
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is kept of a run: the digested part of its manifest, its reviews, its line of the chain, if it has one."""

    manifest: Mapping[str, Any]
    digest: str
    approvals: tuple[Mapping[str, Any], ...]
    chain: Mapping[str, Any] | None

    @property
    def run_id(self) -> str:
        """The run's id."""
        return str(self.manifest["run_id"])


def evidence_path(task_id: str, run_id: str) -> str:
    """Return where the evidence of a run is kept, from the workspace."""
    return f"{EVIDENCE_FOLDER}/{task_id}/{run_id}.json"


def evidence_of(document: Mapping[str, Any], chain: Mapping[str, Any] | None) -> Evidence:
    """Return the evidence of a run by its manifest."""
    kept = {key: value for key, value in document.items() if key not in NOT_DIGESTED}
    return Evidence(kept, manifest_digest(document), tuple(document["approvals"]), chain)


def approvals_digest(approvals: Sequence[Mapping[str, Any]]) -> str:
    """Return the sha256 of the reviews in canonical JSON."""
    return digest_of(list(approvals))


def render_evidence(evidence: Evidence) -> str:
    """Return the text of an evidence file: a line for each key of the manifest, so that changes can be read."""
    lines = [f"    {json_text(key)}: {json_text(value)}" for key, value in sorted(evidence.manifest.items())]
    reviews = [f"    {json_text(entry, sort_keys=True)}" for entry in evidence.approvals]
    return (
        "{\n"
        f'  "evidence": {SCHEMA},\n'
        f'  "manifest_digest": {json_text(evidence.digest)},\n'
        '  "manifest": {\n' + ",\n".join(lines) + "\n  },\n"
        f'  "approvals_digest": {json_text(approvals_digest(evidence.approvals))},\n'
        '  "approvals": [' + ("\n" + ",\n".join(reviews) + "\n  " if reviews else "") + "],\n"
        f'  "chain_digest": {json_text(digest_of(evidence.chain))},\n'
        f'  "chain": {json_text(evidence.chain, sort_keys=True)}\n'
        "}\n"
    )


def read_evidence(text: str, path: str) -> Evidence:
    """Return the evidence in a file's text; DamagedRecord when it is not whole, or was edited."""
    document = parse(text.encode("utf-8", "surrogateescape"), path)
    manifest, approvals, chain = (document.get(key) for key in ("manifest", "approvals", "chain"))
    fits = (
        isinstance(manifest, dict)
        and isinstance(approvals, list)
        and all(isinstance(entry, dict) for entry in approvals)
        and (chain is None or isinstance(chain, dict))
    )
    if document.get("evidence") not in _READ or not fits:
        raise DamagedRecord(f"'{path}' is no evidence of version {SCHEMA}")
    assert isinstance(manifest, dict)  # noqa: S101 -- checked by `fits`
    begun = manifest.get("started_at")
    load({**_FILLED, "heartbeat_at": begun, "updated_at": begun, **manifest}, path).check()
    digest = manifest_digest(manifest)
    if document.get("manifest_digest") != digest:
        raise DamagedRecord(f"'{path}' was edited: its manifest has another digest than it says")
    if _is_digested(document, "approvals", 2) and document.get("approvals_digest") != approvals_digest(approvals or ()):
        raise DamagedRecord(f"'{path}' was edited: its reviews have another digest than it says")
    if _is_digested(document, "chain", 3) and document.get("chain_digest") != digest_of(chain):
        raise DamagedRecord(f"'{path}' was edited: its line of the chain has another digest than it says")
    return Evidence(manifest, digest, tuple(approvals or ()), chain)


def _is_digested(document: Mapping[str, Any], part: str, since: int) -> bool:
    """Tell whether a part of an evidence file has a digest: from that version on, or because one stands there."""
    return document["evidence"] >= since or f"{part}_digest" in document
