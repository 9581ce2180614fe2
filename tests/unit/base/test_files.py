"""Crash-safe files and locks."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.errors import StorageError
from orchestrator.base.files import Folder, Seam, explained
from tests.faults.crash_seam import QuickSeam


class FailingSync(QuickSeam):
    """Refuses to sync."""

    def fsync(self, fd: int) -> None:
        raise OSError(errno.EIO, "input/output error")


def test_a_line_whose_fsync_failed_is_taken_back(tmp_path: Path) -> None:
    """The kernel may count bytes as written after a failed fsync: the line is not left for a later one to trust."""
    (tmp_path / "lines").write_bytes(b"one\n")
    with Folder.at(str(tmp_path), FailingSync()) as folder, pytest.raises(StorageError):
        folder.append_line("lines", b"two", sync=True)
    assert (tmp_path / "lines").read_bytes() == b"one\n"


def test_folders_above_are_made_and_synced(tmp_path: Path) -> None:
    """Each folder on the way is made through the seam, and its parent is synced."""
    synced: list[str] = []

    class Noting(Seam):
        def fsync(self, fd: int) -> None:
            synced.append(os.path.realpath(f"/dev/fd/{fd}"))

    with Folder.at(str(tmp_path / "a" / "b" / "c"), Noting(), create=True):
        assert (tmp_path / "a" / "b" / "c").is_dir()
    assert len(synced) == 3


@given(
    lines=st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=6), cut=st.integers(0)
)
def test_whatever_tears_the_tail_the_next_line_survives(lines: list[bytes], cut: int) -> None:
    """After a cut at any byte, an append heals the tail, says how much was lost, and keeps every whole line."""
    import tempfile

    with tempfile.TemporaryDirectory() as root, Folder.at(root, QuickSeam()) as folder:
        for line in lines:
            assert folder.append_line("lines", line) == 0
        path = Path(root) / "lines"
        data = path.read_bytes() if lines else b""
        torn = data[: cut % (len(data) + 1)]
        path.write_bytes(torn)
        whole = torn[: torn.rfind(b"\n") + 1]
        assert folder.append_line("lines", b"next") == len(torn) - len(whole)
        assert path.read_bytes() == whole + b"next\n"


def test_a_lock_file_that_was_moved_away_has_one_holder(tmp_path: Path) -> None:
    """Who waits for a lock that is replaced meanwhile takes the new one, so that no two hold 'the' lock."""
    with Folder.at(str(tmp_path), Seam()) as folder:
        first = folder.lock("lock", blocking=False)
        assert first is not None
        assert folder.lock("lock", blocking=False) is None
        assert folder.is_locked("lock")
        os.rename(tmp_path / "lock", tmp_path / "moved")
        second = folder.lock("lock", blocking=False)
        assert second is not None
        assert folder.lock("lock", blocking=False) is None
        first.release()
        second.release()
        assert not folder.is_locked("lock")


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
def test_a_name_that_no_file_can_have_is_a_missing_one(tmp_path: Path, name: str) -> None:
    """What a damaged record names is not there, instead of an error of Python's about the name."""
    with Folder.at(str(tmp_path), QuickSeam()) as folder:
        with pytest.raises(FileNotFoundError):
            folder.read(name, 10)
        with pytest.raises(FileNotFoundError):
            folder.open_read(name)
        with pytest.raises(FileNotFoundError):
            folder.sub(name)


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "make room"),
        (errno.EIO, "repair the disk"),
        (errno.EMFILE, "ulimit -n"),
        (errno.EACCES, "let this user read and write it"),
        (errno.EROFS, "RUNS_DIR"),
    ],
)
def test_a_refusal_of_the_disk_says_what_to_do_about_its_cause(number: int, advice: str) -> None:
    """A full disk, a limit and a permission ask for different things."""
    with pytest.raises(StorageError) as refused, explained("/a/b"):
        raise OSError(number, os.strerror(number))
    assert "/a/b" in refused.value.message
    assert advice in refused.value.hint
