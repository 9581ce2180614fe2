"""The lease: bytes keep a run alive, silence and a closed pipe end it."""

from __future__ import annotations

import os
import threading
import time

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
    ended = threading.Event()
    thread = threading.Thread(target=watch, args=(read, 0.3, ended.set))
    thread.start()
    for _ in range(8):
        os.write(write, BYTE)
        time.sleep(0.1)
    assert not ended.is_set()
    thread.join(10)
    assert ended.is_set()
    os.close(read)
    os.close(write)
