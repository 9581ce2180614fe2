"""Records of the first digest form keep their digest when a later version of this program writes them again."""

from __future__ import annotations

import json

from orchestrator.model.manifest.digest import manifest_digest
from orchestrator.model.manifest.manifest import Manifest
from tests.records import make_manifest

LATER = {"digest_form", "began_at", "queued_seconds", "dedup_key", "recorded_by", "ci", "policy", "engine"}


def test_an_old_record_that_is_written_again_keeps_its_digest() -> None:
    """Keys that came later and say nothing are left out of it, at each level; what they say of a resume is kept."""
    new = make_manifest()
    lineage = new.lineage._replace(trace_id=None, parent_span_id=None)
    old = new._replace(
        digest_form=1, lineage=lineage, recorded_by=(), ci=(), policy=(), began_at=None, queued_seconds=0
    )
    document = old.as_json()
    assert LATER.isdisjoint(document)
    assert {"trace_id", "parent_span_id"}.isdisjoint(document["lineage"])
    again = Manifest.from_json(json.loads(json.dumps(document)))
    assert manifest_digest(again.as_json()) == manifest_digest(document)
    resumed = again._replace(ci=(None, None), began_at="2026-11-28T10:00:00.000Z").as_json()
    assert (resumed["ci"], resumed["began_at"]) == ([None, None], "2026-11-28T10:00:00.000Z")


def test_a_new_record_has_every_key() -> None:
    """Records of form 2 name all keys, also those that say nothing."""
    assert set(make_manifest()._replace(digest_form=2).as_json()) >= LATER
