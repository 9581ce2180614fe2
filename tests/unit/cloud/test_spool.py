"""The files of hub and agent: whole or not there, private, and named by nobody but us."""

from __future__ import annotations

import errno
import os
import time
from hashlib import sha256
from pathlib import Path

import pytest

from orchestrator.base.clock import parse_stamp
from orchestrator.base.identifiers import make_run_id
from orchestrator.cloud.spool import Spool, is_kept, keep_newest, spool_folder

TICKET = "0" * 64
RUN = make_run_id(parse_stamp("2026-01-01T00:00:00.000Z"), bytes(4))


def test_a_blob_is_there_when_it_is_whole(tmp_path: Path) -> None:
    """Pieces make a blob once the last came, one that is repeated changes nothing, and a wrong sum leaves none."""
    spool, data = Spool(str(tmp_path / "hub")), os.urandom(3000)
    name = sha256(data).hexdigest()
    spool.put(name, TICKET, 0, data[:1000], is_last=False)
    spool.put(name, TICKET, 1000, data[1000:2000], is_last=False)
    spool.put(name, TICKET, 1000, data[1000:2000], is_last=False)
    assert not spool.has_blob(name)
    spool.put(name, TICKET, 2000, data[2000:], is_last=True)
    assert spool.get(name, 500, 5000) == data[500:]
    other = sha256(b"other").hexdigest()
    with pytest.raises(ValueError, match="not what was sent"):
        spool.put(other, TICKET, 0, b"something", is_last=True)
    with pytest.raises(ValueError, match="begins at"):
        spool.put(other, TICKET, 10, b"something", is_last=True)
    assert not spool.has_blob(other)
    assert (tmp_path / "hub").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["../x", "", "a" * 63, "A" * 64, "a" * 64 + "/.."])
def test_names_lead_nowhere(tmp_path: Path, name: str) -> None:
    """What is no sha256 is no blob's name, what is no run's id has no fence."""
    spool = Spool(str(tmp_path / "hub"))
    with pytest.raises(ValueError, match="name"):
        spool.get(name, 0, 1)
    with pytest.raises(ValueError, match="id"):
        spool.append(name, {"kind": "submit"})


def test_a_torn_line_is_left_out(tmp_path: Path) -> None:
    """After a power cut within a line the ones before and after it stand."""
    spool = Spool(str(tmp_path / "hub"))
    spool.append(RUN, {"kind": "a"})
    with (tmp_path / "hub/runs" / f"{RUN}.fence").open("ab") as stream:
        stream.write(b'{"kind": "to')
    spool.append(RUN, {"kind": "b"})
    assert [line["kind"] for line in spool.lines(RUN)] == ["a", "b"]
    assert spool.run_ids() == [RUN]


def test_a_full_disk_leaves_the_fence_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that can't be synced is taken back: what was not promised is not there later."""
    spool = Spool(str(tmp_path / "hub"))
    spool.append(RUN, {"kind": "a"})

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        spool.append(RUN, {"kind": "b"})
    assert [line["kind"] for line in spool.lines(RUN)] == ["a"]


def test_old_blobs_go_unless_they_are_used(tmp_path: Path) -> None:
    """A sweep removes what is old and unused, and fences that are done with."""
    spool = Spool(str(tmp_path / "hub"))
    names = []
    for data in (b"old", b"used"):
        names.append(sha256(data).hexdigest())
        spool.put(names[-1], TICKET, 0, data, is_last=True)
    spool.append(RUN, {"kind": "a"})
    spool.sweep({names[1]}, time.time() - 60, {RUN})
    assert (spool.has_blob(names[0]), spool.run_ids()) == (True, [RUN])
    spool.sweep({names[1]}, time.time() + 60, {RUN})
    assert [spool.has_blob(name) for name in names] == [False, True]
    assert spool.run_ids() == []


def test_a_pack_that_a_run_takes_again_is_not_the_oldest(tmp_path: Path) -> None:
    """It is read for as long as the run's tree is made, while others fetch theirs: only what nobody asks for goes."""
    for number, name in enumerate(("again", "unused", "new")):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (number, number))
    assert (is_kept(str(tmp_path / "again")), is_kept(str(tmp_path / "missing"))) == (True, False)
    keep_newest(str(tmp_path), 2)
    assert sorted(os.listdir(tmp_path)) == ["again", "new"]


def test_where_the_spool_is(tmp_path: Path) -> None:
    """The variable wins, then the user's folder for state."""
    assert spool_folder({"CODEX_ORCHESTRATOR_SPOOL": str(tmp_path)}) == str(tmp_path)
    assert spool_folder({"XDG_STATE_HOME": "/s"}) == "/s/codex-orchestrator/cloud"
    assert spool_folder({}).endswith("/.local/state/codex-orchestrator/cloud")
