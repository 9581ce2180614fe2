"""The one loop of a run: what ends in the same turn, what the disk refuses, and a guard that is gone."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.base.errors import StorageError
from orchestrator.base.files import Seam
from orchestrator.base.redaction import Redactor
from orchestrator.runner.job import Finished, Job
from orchestrator.runner.process_loop import ProcessLoop
from orchestrator.runner.signals import SignalInbox
from orchestrator.runner.stage_log import StageLog
from tests.fake_processes import FakeHost, FakeSelector, Script
from tests.records import FakeClock


class Refusing(Seam):
    """A disk that refuses to cut files, and to write those whose descriptor is in ``bad``."""

    def __init__(self) -> None:
        self.bad: set[int] = set()

    def truncate(self, fd: int, size: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def write(self, fd: int, data: bytes | memoryview) -> int:
        if fd in self.bad:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(fd, data)


class Scene:
    """A loop over a fake host, and logs in a folder."""

    def __init__(self, folder: Path, inbox: SignalInbox, scripts: dict[str, Script]) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.host = FakeHost(self.clock, scripts)
        self.seam = Refusing()
        self.fds: dict[str, int] = {}
        self.loop = ProcessLoop(
            self.host, inbox, self.clock, Redactor(()), lambda now: 5.0, selector=FakeSelector(self.host)
        )

    def start(self, name: str, limit: int = 1 << 20) -> int:
        """Start the script of that name with a log of that name."""
        path = self.folder / name
        self.fds[name] = fd = os.open(path, os.O_RDWR | os.O_CREAT)
        return self.loop.start(
            Job((name,), "/", {}, None, StageLog(fd, limit, self.seam, str(path)), lambda data: None)
        )

    def until(self, count: int) -> list[Finished]:
        """Turn the loop until so many have finished, or the disk has refused."""
        found: list[Finished] = []
        for _ in range(100):
            found += self.loop.turn()
            if len(found) >= count or self.loop.refused is not None:
                return found
        raise AssertionError("nothing ends")


@pytest.fixture
def inbox() -> Iterator[SignalInbox]:
    """Yield an inbox of stop signals."""
    with SignalInbox() as opened:
        yield opened


def test_what_finished_beside_a_refused_log_is_not_lost(tmp_path: Path, inbox: SignalInbox) -> None:
    """A job whose log can't be put in order ends none of the others that finished in the same turn."""
    scene = Scene(tmp_path, inbox, {"long": Script(b"x" * 4000, 1.0), "good": Script(b"fine\n", 1.0)})
    scene.start("long", limit=1024)
    good = scene.start("good")
    finished = scene.until(2)
    assert [(one.key, one.ended.outcome) for one in finished] == [(good, "success")]
    assert scene.loop.is_stopping
    with pytest.raises(StorageError, match="long' can't be read or written: input/output error"):
        scene.loop.raise_refusal()
    scene.loop.close()
    # The descriptor's number is free for somebody else, and closing the loop took it from nobody.
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(scene.fds["long"])


def test_output_that_the_disk_refuses_names_its_log_and_keeps_the_turn(tmp_path: Path, inbox: SignalInbox) -> None:
    """A log that can't be written is refused by its path, and other jobs' ends are heard in that turn."""
    scene = Scene(tmp_path, inbox, {"full": Script(b"some\n", 9.0), "good": Script(b"fine\n")})
    scene.start("full")
    scene.seam.bad.add(scene.fds["full"])
    scene.start("good")
    scene.until(1)
    assert scene.loop.refused is not None
    assert str(tmp_path / "full") in scene.loop.refused.message
    assert (tmp_path / "good").read_bytes() == b"fine\n"
    scene.loop.close()


def test_a_job_that_is_started_after_the_guard_was_lost_ends(tmp_path: Path, inbox: SignalInbox) -> None:
    """Nothing can be started without a guard, so such a job is over with the reason, and is not waited for."""
    scene = Scene(tmp_path, inbox, {})
    scene.host.lose("the guard process was ended by SIGKILL")
    scene.loop.turn(0.0)
    assert scene.loop.is_stopping
    scene.start("late")
    ended = scene.until(1)[0].ended
    assert (ended.outcome, ended.detail) == ("error", "the guard process was ended by SIGKILL")
    scene.loop.close()
