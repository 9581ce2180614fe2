"""A file named by a flag: replaced whole where it is one, and a device or pipe stays what it is."""

from __future__ import annotations

import os
import pty
import stat
import threading
from pathlib import Path

import pytest

from orchestrator.base.errors import UsageError
from orchestrator.commands.review.output_file import write_named


def test_a_file_is_replaced_and_a_link_too(tmp_path: Path) -> None:
    """Nothing is written through a link that stands at the name."""
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "link").symlink_to("theirs")
    for name in ("new", "link", "new"):
        write_named(str(tmp_path / name), b"ours", "--output")
        assert ((tmp_path / name).read_text(), (tmp_path / name).is_symlink()) == ("ours", False)
    assert (tmp_path / "theirs").read_text() == "theirs"


def test_a_pipe_stays_one(tmp_path: Path) -> None:
    """Who reads a named pipe gets all of it; one that nobody reads is refused, and does not hold the command up."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(UsageError, match="can't be written"):
        write_named(str(path), b"x", "--output")
    reader = os.open(path, os.O_RDWR)
    data = b"x" * 300_000
    writer = threading.Thread(target=write_named, args=(str(path), data, "--output"))
    writer.start()
    with open(reader, "rb") as file:
        assert file.read(len(data)) == data
    writer.join()
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_a_terminal_and_an_open_file_get_the_bytes(tmp_path: Path) -> None:
    """As ``/dev/stdout`` and a shell's ``>(command)`` are named: a device by its path, a pipe by its descriptor."""
    leader, follower = pty.openpty()
    name = os.ttyname(follower)
    write_named(name, b"seen", "--sarif")
    assert os.read(leader, 10) == b"seen"
    assert stat.S_ISCHR(os.stat(name).st_mode)
    read, write = os.pipe()
    write_named(f"/dev/fd/{write}", b"piped", "--output")
    os.close(write)
    with open(read, "rb") as file:
        assert file.read() == b"piped"
    for fd in (leader, follower):
        os.close(fd)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A folder, a place below none, and a descriptor that is not open."""
    for path in (str(tmp_path), f"{tmp_path}/", str(tmp_path / "none" / "x"), "/dev/fd/977"):
        with pytest.raises(UsageError):
            write_named(path, b"", "--output")
