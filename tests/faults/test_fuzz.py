"""Whatever stands in the place of an id, config, manifest, metrics line or event: an answer or a refusal."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.base.errors import DamagedRecord, Refusal, UsageError
from orchestrator.base.files import Folder
from orchestrator.base.identifiers import check_name, check_run_reference, is_run_id
from orchestrator.config.loading import load_all
from orchestrator.model.manifest.document import check_version, parse, render
from orchestrator.model.manifest.json_schema import load
from orchestrator.model.manifest.transitions import interrupted
from orchestrator.store.claim import claim
from orchestrator.store.layout import CHAIN, METRICS, STATE
from orchestrator.store.open_run import OpenRun
from orchestrator.store.publish import publish
from orchestrator.store.store import RunStore
from tests.faults.conftest import Scenes
from tests.faults.crash_seam import QuickSeam
from tests.faults.lives import AT, store_of
from tests.records import TASK, make_manifest, make_plan

CASES = int(os.environ.get("ORCHESTRATOR_FUZZ_CASES", "10000"))
"""For each target."""

_ALL = list(HealthCheck)
FAULTS = settings(max_examples=CASES, deadline=None, suppress_health_check=_ALL, derandomize=True, database=None)

_NEARLY = st.text(alphabet="abz019._-/A\n\x00\u202e ", max_size=70)
_BYTES = render(interrupted(make_manifest(1, make_plan()), AT).as_json())


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Draw ``whole`` cut, with bytes put in, taken out, doubled or changed."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from(["cut", "insert", "remove", "double"]))
        size = draw(st.integers(1, 60))
        if kind == "cut":
            del data[at:]
        elif kind == "insert":
            data[at:at] = draw(st.binary(max_size=8) | st.sampled_from([b"{", b"[", b'"', b"null", b"-1e999", b"NaN"]))
        elif kind == "remove":
            del data[at : at + size]
        else:
            data[at:at] = data[at : at + size]
    return bytes(data)


@FAULTS
@given(st.text(max_size=80) | _NEARLY)
def test_ids(value: str) -> None:
    """An id is taken as it is, or refused in one printable line; a taken one is a safe file name."""
    for kind in ("task", "project", "pipeline", "stage"):
        try:
            taken = check_name(kind, value, ["build", "1001-hello"])
        except UsageError as error:
            refusals = [error.message]
        else:
            refusals = []
            assert taken == value
            assert os.path.basename(taken) == taken
            assert taken not in ("", ".", "..")
            assert taken.isascii()
        assert all(refusal.isprintable() for refusal in refusals)
    with suppress(UsageError):
        assert check_run_reference(value) == value
    if is_run_id(value):
        assert len(value) == 33


@pytest.mark.slow
@FAULTS
@given(st.binary(max_size=300) | damaged(_BYTES))
def test_manifests(data: bytes) -> None:
    """Bytes are a record that passes the full check, or damaged; nothing else comes out of reading them."""
    with suppress(DamagedRecord):
        document = parse(data, "m")
        if check_version(document, "m") == 2:
            again = load(document, "m").as_json()
            assert parse(render(again), "m") == again


_CONFIG = b"""schema_version = 1
[project]
name = "x"
path = "packages/x"
task_id = "1-x"
[session]
backend = "none"
[[pipelines.diagnostics.stages]]
id = "build"
run = "true"
needs = []
timeout = "10m"
"""


@pytest.mark.slow
@FAULTS
@given(data=st.binary(max_size=200) | damaged(_CONFIG))
def test_configs(data: bytes, tmp_path_factory: Any) -> None:
    """A config is loaded, or refused with faults that each fit on a printable line."""
    root = tmp_path_factory.getbasetemp() / "configs"
    (root / "project_configs").mkdir(parents=True, exist_ok=True)
    (root / "project_configs" / "x.toml").write_bytes(data)
    try:
        faults = load_all(str(root))[1]
    except Refusal as error:
        faults = error.message.splitlines()
    assert all(fault.isprintable() for fault in faults)


_LINE = json.dumps({"run_id": "2026-11-22T08-43-05-720Z-5087869c", "event_id": "0" * 32}).encode() + b"\n"


@pytest.fixture
def ended(scenes: Scenes) -> Iterator[tuple[Path, RunStore, OpenRun]]:
    """A run that has ended and is to be published, with its workspace."""
    root = scenes.keep()
    store = store_of(root, QuickSeam())
    run = claim(store, make_manifest(1, make_plan()), "token")
    run.save(interrupted(run.manifest, AT))
    (root / "out" / TASK).mkdir(parents=True)
    yield root, store, run
    run.close()


@pytest.mark.slow
@FAULTS
@given(lines=st.binary(max_size=300) | damaged(_LINE * 3), state=st.binary(max_size=200) | damaged(b'{"runs": []}'))
def test_metrics_lines_and_states(lines: bytes, state: bytes, ended: tuple[Path, RunStore, OpenRun]) -> None:
    """Whatever stands in the two files, a run ends with its own line and its entry; no whole line is changed."""
    root, store, run = ended
    path = root / ".runs" / TASK / METRICS
    path.write_bytes(lines)
    (root / ".runs" / TASK / CHAIN).unlink(missing_ok=True)
    (root / "out" / TASK / STATE).write_bytes(state)
    publish(store, run, certain=False)
    publish(store, run, certain=False)
    after = path.read_bytes()
    kept = lines[: lines.rfind(b"\n") + 1]
    assert after.startswith(kept)
    assert json.loads(after[len(kept) :])["run_id"] == run.where.run_id
    found = json.loads((root / "out" / TASK / STATE).read_text())
    assert [entry["runId"] for entry in found["runs"]] == [run.where.run_id]


_LETTERS = 'ab "\\\n\r\x00\x1b\x7f\x85\u2028\u202e\ud800\U0001f600'


def grown(chance: random.Random, depth: int = 0) -> Any:
    """Return a value that JSON can hold. Drawn piece by piece by hypothesis, each took 3 ms."""
    kind = chance.randrange(7 if depth < 3 else 5)
    if kind < 3:
        return (None, chance.random() < 0.5, chance.randrange(-(2**70), 2**70))[kind]
    if kind < 5:
        return "".join(chance.choices(_LETTERS, k=chance.randrange(9)))
    items = [grown(chance, depth + 1) for _ in range(chance.randrange(4))]
    return items if kind == 5 else {str(grown(chance, 3)): item for item in items}


@FAULTS
@given(seed=st.integers(0, 2**64), torn=st.binary(max_size=30))
def test_events(seed: int, torn: bytes, tmp_path_factory: Any) -> None:
    """An event is one line of JSON whatever it holds, also behind a torn one."""
    fields = {"event": grown(random.Random(seed))}
    root = Path(tmp_path_factory.getbasetemp()) / "events"
    root.mkdir(exist_ok=True)
    path = root / "runner.ndjson"
    path.write_bytes(torn)
    with Folder.at(str(root), QuickSeam()) as folder:
        line = json.dumps(fields, ensure_ascii=False).encode("utf-8", "backslashreplace")
        folder.append_line("runner.ndjson", line)
    data = path.read_bytes()
    kept = torn[: torn.rfind(b"\n") + 1]
    assert data.startswith(kept)
    assert data[len(kept) :].count(b"\n") == 1
    assert list(json.loads(data[len(kept) :])) == ["event"]
