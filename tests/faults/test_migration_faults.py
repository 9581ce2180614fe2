"""A migration that ends, tears a write or fails at any of its operations is finished by the next one."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from orchestrator.base.errors import StorageError
from orchestrator.base.files import Seam
from orchestrator.store.legacy.migrating import migrate_task
from orchestrator.store.legacy.migration import sessions
from orchestrator.store.store import RunStore
from tests.faults.conftest import Scenes
from tests.faults.crash_seam import Crash, QuickSeam, TornSeam, crash_at, fail_from
from tests.records import FakeClock, make_workspace

SAMPLES = Path(__file__).parent.parent / "samples" / "version-1"
TASK = "0101-billing"
RUN = "2026-11-22T10-05-47-594Z-513d1ee0"
OLDER = "2025-10-18T18-26-01-631Z-39463"


def lay_out(root: Path) -> dict[str, bytes]:
    """Lay out a task of the early version with something for each kind of step; return every file's bytes."""
    runs = root / ".runs"
    for name in (f"{TASK}/cli/{RUN}",):
        shutil.copytree(SAMPLES / "runs" / name, runs / name)
    shutil.copytree(SAMPLES / "out", root / "out")
    for folder, document in (
        (runs / TASK / "mcp" / OLDER, {"status": "failed", "commands": []}),
        (runs / "local-mcp" / "2025-10-16T01-23-45Z", {"mode": "mcp", "command": "x", "task_id": TASK}),
    ):
        (folder / "below").mkdir(parents=True)
        (folder / "manifest.json").write_text(json.dumps(document))
        (folder / "below" / "log").write_text("line\n")
    return files(root)


def files(root: Path) -> dict[str, bytes]:
    """Return what lies below ``root``: files with their bytes, links with their targets; no logs, locks and caches."""
    found = {}
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = os.readlink(path).encode()
        elif path.is_file() and path.name not in (".lock", ".index") and "/migrations/" not in name:
            found[name] = path.read_bytes()
    return found


def migrate(root: Path, seam: Seam) -> None:
    """Migrate the task of ``root``."""
    store = RunStore(make_workspace(root), FakeClock(), seam=seam)
    migrate_task(store, TASK, sessions(store, lambda document: (None, "")), "billing", None)


def check_whole(root: Path, before: dict[str, bytes]) -> None:
    """Nothing of the early version is changed, and what can be seen of the index is whole."""
    now = files(root)
    for name, content in before.items():
        if name != f"out/{TASK}/state.json":
            assert now[name] == content
    for run in (root / ".runs" / TASK / "cli").iterdir():
        assert json.loads((run / "manifest.json").read_bytes())["run_id"] == run.name
    state = json.loads((root / "out" / TASK / "state.json").read_bytes())
    assert "schema_version" in state or now[f"out/{TASK}/state.json"] == before[f"out/{TASK}/state.json"]
    if "schema_version" in state:
        assert now[f"out/{TASK}/state.v1.json"] == before[f"out/{TASK}/state.json"]


@pytest.fixture
def whole(scenes: Scenes) -> tuple[int, dict[str, bytes]]:
    """The number of a migration's operations, and what it leaves when nothing happens to it."""
    scene = scenes.new()
    lay_out(scene)
    seam = QuickSeam()
    migrate(scene, seam)
    return seam.count, files(scene)


@pytest.mark.parametrize("torn", [False, True])
def test_every_crash_point(scenes: Scenes, whole: tuple[int, dict[str, bytes]], torn: bool) -> None:
    """Wherever it ends, what is there is whole, and the next migration leaves what an undisturbed one does."""
    count, expected = whole
    assert count > 60
    for point in range(1, count + 1):
        scene = scenes.new()
        before = lay_out(scene)
        try:
            migrate(scene, TornSeam(point) if torn else QuickSeam(crash_at(point)))
        except Crash:
            check_whole(scene, before)
            migrate(scene, QuickSeam())
        assert files(scene) == expected, point


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_every_operation_fails(scenes: Scenes, whole: tuple[int, dict[str, bytes]], code: int) -> None:
    """A fault at any operation is told as a storage error, harms nothing, and the next migration finishes."""
    count, expected = whole
    for point in range(1, count + 1):
        scene = scenes.new()
        before = lay_out(scene)
        try:
            migrate(scene, QuickSeam(fail_from(point, code, once=True)))
        except StorageError:
            check_whole(scene, before)
            migrate(scene, QuickSeam())
        assert files(scene) == expected, point
