"""What only the fast tests share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import folder_of

_MEMORY = "/dev/shm"
_ROOM = 256 << 20
"""Bytes; all fast tests together leave 50 MB."""


@pytest.fixture(autouse=True, scope="module")
def no_syncs() -> Iterator[None]:
    """Don't wait for the disk: what is synced, and in which order, is what ``tests/faults`` are about."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _descriptor: None)
        yield


@pytest.fixture(scope="session")
def fast_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in memory, if programs may lie there; else pytest's own. Disks are a fifth of these tests' time."""
    try:
        found = os.statvfs(_MEMORY)
        fits = found.f_bavail * found.f_frsize > _ROOM and not found.f_flag & os.ST_NOEXEC
    except OSError:
        fits = False
    if not (fits and os.access(_MEMORY, os.W_OK | os.X_OK)):
        yield tmp_path_factory.getbasetemp()
        return
    with tempfile.TemporaryDirectory(dir=_MEMORY, prefix="unit-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, fast_folder: Path) -> Path:
    """A folder of the test's own."""
    return folder_of(request.node, fast_folder)
