"""When a key is free again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.base.clock import parse_stamp
from orchestrator.base.errors import DamagedRecord
from orchestrator.store.claim import claim
from orchestrator.store.keys import KEPT_SECONDS, HeldKey, is_over, key_name, keyed_run
from orchestrator.store.layout import KEYS
from tests.records import FakeClock, make_manifest, make_store, where_is

ENDED = "2026-11-22T08:43:05.000Z"
AT = parse_stamp(ENDED).timestamp()


@pytest.mark.parametrize(
    ("record", "later", "free"),
    [
        ({"status": "in_progress", "began_at": ENDED, "completed_at": None}, 10 * KEPT_SECONDS, False),
        ({"status": "failed", "began_at": ENDED, "completed_at": ENDED}, KEPT_SECONDS, False),
        ({"status": "failed", "began_at": ENDED, "completed_at": ENDED}, KEPT_SECONDS + 1, True),
        ({"status": "cancelled", "began_at": None, "completed_at": ENDED}, 0, True),
        ({"status": "failed", "began_at": ENDED, "completed_at": "soon"}, 10 * KEPT_SECONDS, False),
    ],
)
def test_when_a_key_is_free(record: dict[str, str | None], later: float, free: bool) -> None:
    """A key is kept for seven days after its run ended; that of a run that never began is free at once."""
    assert is_over(record, AT + later) is free


def test_a_key_is_of_a_project_and_pipeline() -> None:
    """The same text is another key in another project or pipeline, however their names are put together."""
    names = {key_name(*words) for words in (("a", "b", "c"), ("a", "bc", ""), ("ab", "", "c"), ("a", "b", "d"))}
    assert len(names) == 4


def test_what_a_key_stands_for(tmp_path: Path) -> None:
    """A noted place counts once its run is there; what can't be read is named, and old places are swept."""
    store = make_store(tmp_path, FakeClock())
    assert keyed_run(store, "one") is None
    held = HeldKey.take(store, "one")
    manifest = make_manifest()
    held.note(where_is(manifest))
    assert held.run() is None
    claim(store, manifest, "token").close()
    assert held.run() == where_is(manifest)
    held.release()
    folder = tmp_path / ".runs" / KEYS
    (folder / "two.json").write_text("{}")
    with pytest.raises(DamagedRecord, match=r"two\.json"):
        keyed_run(store, "two")
    for name in ("two.json", "three.json"):
        (folder / name).write_text('{"task_id": "1-x", "run_id": "2026-01-01T00-00-00-000Z-00000000"}')
        os.utime(folder / name, (1, 1))
    busy = HeldKey.take(store, "two")
    held = HeldKey.take(store, "one")
    held.note(where_is(manifest))
    assert sorted(path.name for path in folder.glob("*.json")) == ["one.json", "two.json"]
    busy.release()
    held.release()
