"""A folder for thousands of short-lived scenes."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


class Scenes:
    """Hands out empty folders; each is removed when the next one is asked for."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._number = 0
        self._last: Path | None = None

    def new(self) -> Path:
        """Return an empty folder."""
        if self._last is not None:
            shutil.rmtree(self._last)
        self._number += 1
        self._last = self._base / str(self._number)
        self._last.mkdir()
        return self._last

    def copy_of(self, scene: Path) -> Path:
        """Return a copy of what another scene left; a tenth of the time of playing it again."""
        root = self.new()
        _copy(scene, root)
        return root

    def keep(self) -> Path:
        """Return an empty folder that stays until the test ends."""
        self._number += 1
        folder = self._base / str(self._number)
        folder.mkdir()
        return folder


def _copy(source: Path, target: Path) -> None:
    with os.scandir(source) as entries:
        for entry in entries:
            place = target / entry.name
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), place)
            elif entry.is_dir():
                place.mkdir()
                _copy(Path(entry.path), place)
            else:
                shutil.copyfile(entry.path, place)
                os.chmod(place, entry.stat().st_mode)


@pytest.fixture
def scenes(tmp_path: Path) -> Iterator[Scenes]:
    """Folders in memory where the machine has such a place: what is told apart here is order, not speed."""
    memory = "/dev/shm"
    base = tempfile.mkdtemp(prefix="orchestrator-", dir=memory) if os.access(memory, os.W_OK) else str(tmp_path)
    yield Scenes(Path(base))
    shutil.rmtree(base, ignore_errors=True)
