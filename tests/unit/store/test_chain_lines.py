"""Lines of a chain that hold a mark are those of all its lines that do."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.base.errors import StorageError
from orchestrator.store import chain
from orchestrator.store.chain import lines_of, lines_with
from orchestrator.store.layout import CHAIN
from tests.records import TASK, make_store

TEXT = st.lists(st.sampled_from([b"ma", b"rk", b"mark", b"x", b"\n", b"\r", b"long " * 5]), max_size=40).map(b"".join)


@example(text=b"x\n" + b"y" * 100 + b"mark\n", block=5, start=0)
@given(text=TEXT, block=st.integers(5, 40), start=st.integers(0, 60))
def test_they_are_those_of_all_lines(
    text: bytes, block: int, start: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """However the file is cut into blocks, no line with the mark is lost, none is made up, and a torn one is none."""
    root = tmp_path_factory.mktemp("chain")
    (root / ".runs" / TASK).mkdir(parents=True)
    (root / ".runs" / TASK / CHAIN).write_bytes(text)
    with pytest.MonkeyPatch.context() as patch, make_store(root).task(TASK) as task:
        patch.setattr(chain, "_SCANNED", block)
        found = list(lines_with(task, b"mark", start))
        assert found == [line for line in lines_of(task, start) if b"mark" in line]


def test_a_task_without_a_chain_has_none(tmp_path: Path) -> None:
    """Nothing is found where no chain is."""
    (tmp_path / ".runs" / TASK).mkdir(parents=True)
    with make_store(tmp_path).task(TASK) as task:
        assert list(lines_with(task, b"mark")) == []


def test_a_disk_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An I/O error under the chain is a storage error that names the file, and no bug of the program."""

    def fails(*_: int) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    (tmp_path / ".runs" / TASK).mkdir(parents=True)
    (tmp_path / ".runs" / TASK / CHAIN).write_bytes(b"mark\n")
    with make_store(tmp_path).task(TASK) as task:
        monkeypatch.setattr(os, "pread", fails)
        with pytest.raises(StorageError, match=CHAIN):
            list(lines_with(task, b"mark"))
