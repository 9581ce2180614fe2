"""The metrics line of a run is what is written of it, digest and all."""

from __future__ import annotations

import json

from orchestrator.base.json_values import json_text
from orchestrator.store.chain import metrics_digest
from orchestrator.store.metrics_line import metrics_line
from tests.records import make_manifest


def test_a_runs_folder_that_is_no_utf8_does_not_alter_the_line() -> None:
    """What is read of a line has the digest of what was written, also below a folder named in Latin-1."""
    line = metrics_line(make_manifest()._replace(artifact_root="/runs/r\udce9/cli"), "2026-11-22T08:43:05.720Z")
    assert metrics_digest(json.loads(json_text(line, ensure_ascii=False))) == metrics_digest(line)
    assert line["artifact_path"] == "/runs/r\ufffd/cli"
