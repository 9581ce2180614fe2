"""Where a repository lies is read from small files, whatever stands in their place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.git.repository import common_folder, git_folder


def test_pointers_of_a_working_tree(tmp_path: Path) -> None:
    """A linked working tree's folder and what it shares are found by paths of any bytes, as git writes them."""
    odd = os.fsencode(tmp_path) + b"/caf\xe9"
    os.makedirs(odd + b"/.git/worktrees/w")
    (tmp_path / ".git").write_bytes(b"gitdir: " + odd + b"/.git/worktrees/w\n")
    with open(odd + b"/.git/worktrees/w/commondir", "wb") as stream:
        stream.write(odd + b"/.git\n")
    assert os.fsencode(git_folder(str(tmp_path))) == odd + b"/.git/worktrees/w"
    assert os.fsencode(common_folder(str(tmp_path))) == odd + b"/.git"


@pytest.mark.parametrize("content", [b"gitdir: a\0b", b"", b"\xff\0", None])
def test_a_pointer_that_is_none(tmp_path: Path, content: bytes | None) -> None:
    """What no path can be, and a pipe that nobody writes to (None), is passed over: git reports the damage."""
    place = tmp_path / ".git"
    if content is None:
        os.mkfifo(place)
    else:
        place.write_bytes(content)
    for folder in (git_folder(str(tmp_path)), common_folder(str(tmp_path))):
        assert not os.path.exists(os.path.join(folder, "HEAD"))


@pytest.mark.parametrize("content", [b"a\0b", None])
def test_a_shared_folder_that_is_not_said(tmp_path: Path, content: bytes | None) -> None:
    """Without a readable ``commondir`` the repository's own folder is the shared one."""
    place = tmp_path / ".git"
    place.mkdir()
    if content is None:
        os.mkfifo(place / "commondir")
    else:
        (place / "commondir").write_bytes(content)
    assert common_folder(str(tmp_path)) == str(place)
