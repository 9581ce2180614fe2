"""The stage's log keeps head and tail within its limit."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.base.files import Seam
from orchestrator.runner.stage_log import FinishedLog, StageLog
from tests.generated import examples


def written(folder: Path, chunks: list[bytes], limit: int) -> tuple[bytes, FinishedLog]:
    path = folder / "log"
    log = StageLog(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC), limit, Seam(), str(path))
    for chunk in chunks:
        log.write(chunk)
    finished = log.finish()
    content = path.read_bytes()
    assert finished.digest[:2] == (len(content), hashlib.sha256(content).hexdigest())
    assert finished.digest.read_back == bool(finished.left_out)
    return content, finished


def test_output_within_the_limit_is_kept_as_it_is(tmp_path: Path) -> None:
    """Nothing is changed when the limit is not reached."""
    content, finished = written(tmp_path, [b"one\n", b"two\n"], 8)
    assert (content, finished.left_out, finished.name) == (b"one\ntwo\n", 0, "log")


@settings(max_examples=examples(200))
@given(sizes=st.lists(st.integers(0, 400), max_size=20), limit=st.integers(2, 1500))
def test_head_and_tail_are_kept_around_a_marker(tmp_path_factory: object, sizes: list[int], limit: int) -> None:
    """Whatever the split, the file begins with the output's head, ends with its tail and stays bounded."""
    folder = tmp_path_factory.mktemp("log")  # type: ignore[attr-defined]
    total = bytes(97 + (index * index // 7) % 26 for index in range(sum(sizes)))
    chunks, start = [], 0
    for size in sizes:
        chunks.append(total[start : start + size])
        start += size
    content, finished = written(folder, chunks, limit)
    if len(total) <= limit:
        assert content == total
        assert finished.left_out == 0
        return
    head = max(limit // 2, 1)
    marker = re.search(rb"\n\[ *(\d+) bytes left out here by log_limit\]\n", content)
    assert marker is not None
    assert content[: marker.start()] == total[:head]
    tail = content[marker.end() :]
    assert total.endswith(tail)
    assert len(total) == head + int(marker[1]) + len(tail) or not tail
    assert len(content) <= limit + 60
