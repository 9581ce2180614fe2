"""Where scenes of thousands of files lie: in memory while there is room, else on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import bench as of_bench
from benchmarks.bench import Bench, room_mib
from benchmarks.peers import no_peers


def _bench(folder: Path, memory: Path | None) -> Bench:
    return Bench(folder, no_peers("none"), 1, 1, frozenset(), memory=memory)


@pytest.mark.parametrize(
    ("room", "place", "name"), [(200, "in memory", "memory"), (199, "on disk", "disk"), (None, "on disk", "disk")]
)
def test_a_large_scene_lies_in_memory_with_twice_its_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int | None, place: str, name: str
) -> None:
    """Half of the memory is left to what is measured; the place is known, for the table."""
    monkeypatch.setattr(of_bench, "room_mib", lambda _folder: room)
    memory = None if room is None else tmp_path / "memory"
    scene, found = _bench(tmp_path / "disk", memory).roomy_scene(100)
    assert (scene.parent, found) == (tmp_path / name, place)


def test_scenes_of_one_bench_differ(tmp_path: Path) -> None:
    """Whatever their place, no two have one name."""
    bench = _bench(tmp_path, tmp_path)
    assert len({bench.scene(), bench.roomy_scene(0)[0], bench.roomy_scene(0)[0], bench.scene()}) == 4


def test_a_folder_that_is_not_there_has_no_room(tmp_path: Path) -> None:
    """So a system without ``/dev/shm`` has its scenes on disk."""
    assert room_mib(tmp_path / "missing") == 0


def test_memory_is_given_back_after_a_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies on the disk stays until the results are published."""
    monkeypatch.setattr(of_bench, "room_mib", lambda _folder: 1)
    (tmp_path / "disk").mkdir()
    bench = _bench(tmp_path / "disk", tmp_path / "memory")
    scenes = [bench.scene(), bench.roomy_scene(0)[0]]
    for scene in scenes:
        (scene / "inside").mkdir(parents=True)
    bench.clear_memory()
    assert [scene.exists() for scene in scenes] == [True, False]
    _bench(tmp_path / "disk", None).clear_memory()
