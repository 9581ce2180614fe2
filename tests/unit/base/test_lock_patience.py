"""Waiting for a lock: in line, with a limit, and for nothing once nobody waits any more."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from pathlib import Path

import pytest

from orchestrator.base.errors import StorageError
from orchestrator.base.files import HELD, Folder, Seam


def test_a_lock_that_is_given_back_is_taken(tmp_path: Path) -> None:
    """Who waits has it as soon as its holder gives it back."""
    with Folder.at(str(tmp_path), Seam()) as folder:
        held = folder.lock("a", blocking=True)
        assert held is not None
        threading.Timer(0.06, held.release).start()
        began = time.monotonic()
        taken = folder.lock("a", blocking=True)
        assert taken is not None
        assert 0.03 < time.monotonic() - began < 5
        assert folder.is_locked("a")
        taken.release()
        assert not folder.is_locked("a")


def test_a_lock_that_is_never_given_back_is_refused(tmp_path: Path) -> None:
    """The error names the file and how to find its holder; a wait that was given up takes nothing later."""
    with Folder.at(str(tmp_path), Seam()) as folder:
        held = folder.lock("a", blocking=True)
        assert held is not None
        with pytest.raises(StorageError) as raised:
            folder.lock("a", blocking=True, patience=lambda: 0.05)
        assert raised.value.code == HELD
        assert f"'{tmp_path}/a' is locked by another process" in raised.value.message
        assert "fuser" in raised.value.hint
        held.release()
        until = time.monotonic() + 5
        while folder.is_locked("a"):  # the thread that was left takes it and gives it back at once
            assert time.monotonic() < until
            time.sleep(0.01)


def test_patience_that_ends_meanwhile(tmp_path: Path) -> None:
    """How long is waited is asked again and again: a signal, say, ends a wait that has begun."""
    left = [60.0]
    with Folder.at(str(tmp_path), Seam()) as folder, open(tmp_path / "a", "w") as stranger:
        fcntl.flock(stranger, fcntl.LOCK_EX)
        threading.Timer(0.06, left.clear).start()
        began = time.monotonic()
        with pytest.raises(StorageError, match="locked by another process"):
            folder.lock("a", blocking=True, patience=lambda: left[0] if left else 0.0)
        assert time.monotonic() - began < 5
        assert os.listdir(tmp_path) == ["a"]
