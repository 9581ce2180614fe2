"""The lease: bytes keep a run alive, silence and a closed pipe end it."""

from __future__ import annotations

import itertools
import os

from orchestrator.cloud.lease import BYTE, watch


def test_a_closed_pipe_ends_the_lease() -> None:
    """The agent's death closes the pipe: the end comes at once, however long silence may last."""
    read, write = os.pipe()
    os.close(write)
    ended: list[bool] = []
    watch(read, 3600.0, lambda: ended.append(True))
    assert ended
    os.close(read)


def test_silence_ends_the_lease_and_bytes_do_not() -> None:
    """As long as bytes come the run goes on; without them it ends after the time of silence."""
    read, write = os.pipe()
    ended: list[int] = []
    looks = itertools.count()

    def monotonic() -> float:
        """Let 0.2 s pass at each look, and a byte come before each of the first eight waits."""
        look = next(looks)
        if look % 2 == 1 and look < 16:
            assert not ended
            os.write(write, BYTE)
        return look * 0.2

    watch(read, 0.3, lambda: ended.append(next(looks)), monotonic)
    assert ended == [16 + 3]  # after the last byte, before a wait for the next, and when that was in vain
    os.close(read)
    os.close(write)
