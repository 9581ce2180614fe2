"""The seal of cached files: only what was sealed under the account's key is read again."""

from __future__ import annotations

import hmac
import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.files.cache_dir import KEY_FILE, hmac_sha256, make_key, read_key, read_sealed, write_sealed
from orchestrator.base.workspace import Workspace, find_workspace
from tests.records import make_workspace

DATA = b'{"a": 1, "b": {}}'


@given(st.binary(max_size=64), st.binary(max_size=300))
def test_the_seal_is_the_standards(key: bytes, message: bytes) -> None:
    """It is the HMAC-SHA256 that the standard library computes."""
    assert hmac_sha256(key, message) == hmac.new(key, message, "sha256").hexdigest()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace with a sealed file ``f``."""
    made = make_workspace(tmp_path)
    Path(made.runs_dir).mkdir()
    write_sealed(made, "f", DATA)
    return made


def place(workspace: Workspace) -> Path:
    """Return the path of the sealed file."""
    return Path(workspace.runs_dir) / ".cache" / "f"


def test_what_was_sealed_is_read_again(workspace: Workspace) -> None:
    """The bytes come back, the file is JSON, and nobody else can read the key."""
    assert read_sealed(workspace, "f", len(DATA)) == DATA
    assert read_sealed(workspace, "f", len(DATA) - 1) is None
    assert json.loads(place(workspace).read_text())["b"] == {}
    assert workspace.state_dir is not None
    key = Path(workspace.state_dir) / KEY_FILE
    assert [path.name for path in key.parent.iterdir()] == [KEY_FILE]
    assert (stat.S_IMODE(key.stat().st_mode), key.stat().st_size) == (0o600, 32)


def test_no_byte_can_be_changed(workspace: Workspace) -> None:
    """Each bit, a byte more, a byte less, an empty file and one without a seal: none of it is read."""
    whole = place(workspace).read_bytes()
    edits = [bytes([*whole[:at], whole[at] ^ 1, *whole[at + 1 :]]) for at in range(len(whole))]
    for edited in (*edits, whole + b"\n", whole[:-1], b"", DATA, b"{" + whole[1:-1]):
        place(workspace).write_bytes(edited)
        assert read_sealed(workspace, "f", 1000) is None
    place(workspace).write_bytes(whole)
    assert read_sealed(workspace, "f", 1000) == DATA


@pytest.mark.parametrize("damage", ["gone", "cut", "empty", "readable", "link", "folder", "pipe"])
def test_a_key_that_is_none_is_made_anew(workspace: Workspace, damage: str) -> None:
    """A key that was cut, that others could read, or that is no file: what it sealed is void, and the next serves."""
    assert workspace.state_dir is not None
    key = Path(workspace.state_dir) / KEY_FILE
    kept = key.read_bytes()
    if damage == "cut":
        key.write_bytes(kept[:-1])
    elif damage == "readable":
        key.chmod(0o644)
    else:
        key.unlink()
    if damage == "empty":
        os.close(os.open(key, os.O_CREAT, 0o600))
    elif damage == "link":
        (key.parent / "elsewhere").write_bytes(kept)
        (key.parent / "elsewhere").chmod(0o600)
        key.symlink_to("elsewhere")
    elif damage == "folder":
        key.mkdir()
    elif damage == "pipe":
        os.mkfifo(key)
    assert read_sealed(workspace, "f", 1000) is None
    write_sealed(workspace, "f", DATA)
    assert read_sealed(workspace, "f", 1000) == (None if damage == "folder" else DATA)


def test_who_comes_second_takes_the_first_ones_key(tmp_path: Path) -> None:
    """A key is made once; of a folder that can't be made there is none, and that is no error."""
    folder = tmp_path / "a" / "b"
    first = make_key(str(folder))
    assert first is not None
    assert make_key(str(folder)) == first == read_key(str(folder))
    assert [path.name for path in folder.iterdir()] == [KEY_FILE]
    (tmp_path / "file").write_text("")
    for refused in (str(tmp_path / "file" / "x"), "/proc/none", "a\0b"):
        assert make_key(refused) is None


def test_without_a_place_for_a_key_nothing_is_kept(tmp_path: Path) -> None:
    """No home folder, or one that can't be written: the file is not written, and nothing is said."""
    for state_dir in (None, "/proc/none"):
        workspace = make_workspace(tmp_path)._replace(state_dir=state_dir)
        Path(workspace.runs_dir).mkdir(exist_ok=True)
        write_sealed(workspace, "f", DATA)
        assert not place(workspace).exists()
        assert read_sealed(workspace, "f", 1000) is None


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({"HOME": "{h}"}, "{h}/.local/state/codex-orchestrator"),
        ({"HOME": "{h}", "XDG_STATE_HOME": "/s"}, "/s/codex-orchestrator"),
        ({"HOME": "{h}", "XDG_STATE_HOME": "s"}, "{h}/.local/state/codex-orchestrator"),
        ({"HOME": "{h}", "XDG_STATE_HOME": ""}, "{h}/.local/state/codex-orchestrator"),
        ({"HOME": "{h}/not-there"}, None),
        ({"HOME": "h"}, None),
        ({"HOME": ""}, None),
        ({}, None),
    ],
)
def test_where_the_account_keeps_its_state(tmp_path: Path, environ: dict[str, str], found: str | None) -> None:
    """As XDG's specification says: a relative path counts as none; and a home that is not there is not made."""
    (tmp_path / "project_configs").mkdir()
    home = tmp_path / "home"
    home.mkdir()
    given = {name: text.replace("{h}", str(home)) for name, text in environ.items()}
    expected = None if found is None else found.replace("{h}", str(home))
    assert find_workspace(str(tmp_path), given).state_dir == expected
