"""The sorted names of a task's runs: what is read is what is there, whoever put it there or took it away."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.base.files import Folder, Seam
from orchestrator.store import run_index
from orchestrator.store.run_index import changing, move_in, newest_names, renew
from tests.generated import examples
from tests.records import make_run_id


@contextmanager
def places(root: Path) -> Iterator[tuple[Folder, Folder, Folder]]:
    """Open a task's folder, its ``.staging`` and its ``cli``."""
    with (
        Folder.at(str(root), Seam()) as task,
        task.sub(".staging", create=True) as staging,
        task.sub("cli", create=True) as cli,
    ):
        yield task, staging, cli


def claim(root: Path, number: int) -> None:
    """Put a run in its place as a claim does."""
    with places(root) as (task, staging, cli):
        staging.sub(make_run_id(number), create=True).close()
        move_in(task, staging, cli, make_run_id(number))


def read(root: Path, least: str = "") -> list[str]:
    """Return the names as a reader gets them, whose count is right."""
    with places(root) as (task, _, cli):
        count, names = newest_names(task, cli, least)
        found = list(names)
    assert count == len(found)
    return found


def listed(root: Path) -> list[str]:
    """Return the names that are there, newest first."""
    return sorted(os.listdir(root / "cli"), reverse=True)


def no_listing(folder: Folder) -> list[str]:
    """Stand for a folder whose listing would be noticed."""
    raise AssertionError(folder.path)


STEPS = st.lists(
    st.tuples(st.sampled_from(["claim", "claim", "claim", "rm", "mkdir", "renew", "lose", "tear"]), st.integers(1, 12)),
    max_size=25,
)


@settings(max_examples=examples(150))
@given(STEPS, st.integers(1, 12))
def test_what_is_read_is_what_is_there(steps: list[tuple[str, int]], least: int) -> None:
    """Claims in any order, runs put there and taken away by hand at once, an index that is lost, cut or made anew."""
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patched:
        root = Path(name)
        patched.setattr(run_index, "_BLOCK", 3)
        for kind, number in steps:
            path, index = root / "cli" / make_run_id(number), root / ".index"
            if kind == "claim" and not path.exists():
                claim(root, number)
            elif kind == "rm" and path.exists():
                path.rmdir()
            elif kind == "mkdir":
                path.mkdir(parents=True, exist_ok=True)
            elif kind == "renew":
                with places(root) as (task, _, cli):
                    renew(task, cli)
            elif kind in ("lose", "tear") and index.exists():
                os.truncate(index, 0 if kind == "lose" else max(0, index.stat().st_size - number))
            with places(root):
                assert read(root) == listed(root)
                assert read(root, make_run_id(least)) == [run for run in listed(root) if run >= make_run_id(least)]


def test_after_a_claim_no_folder_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first claim lists once; from then on names come in their order, also of a clock that went back."""
    for number in (1, 2, 5):
        claim(tmp_path, number)
    monkeypatch.setattr(Folder, "names", no_listing)
    for number in (7, 6, 3, 9):
        claim(tmp_path, number)
    monkeypatch.setattr(run_index, "_BLOCK", 2)
    assert read(tmp_path) == [make_run_id(number) for number in (9, 7, 6, 5, 3, 2, 1)]
    assert read(tmp_path, make_run_id(6)) == [make_run_id(number) for number in (9, 7, 6)]


@pytest.mark.parametrize("number", [1, 8])
def test_a_run_that_comes_while_names_are_read_hides_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Names that follow are those of the folder: each run once, whatever the index holds by then."""
    monkeypatch.setattr(run_index, "_BLOCK", 2)
    before = [2, 3, 4, 5, 6, 7]
    for each in before:
        claim(tmp_path, each)
    with places(tmp_path) as (task, _, cli):
        _, names = newest_names(task, cli)
        found = [next(names)]
        claim(tmp_path, number)
        found += names
    assert [run for run in found if run != make_run_id(number)] == [make_run_id(each) for each in reversed(before)]
    assert len(found) == len(set(found))


def test_a_process_that_was_stopped_while_it_held_the_index_stops_no_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is made anew, and what the stopped one goes on to write proves nothing."""
    monkeypatch.setattr(run_index, "_LOOKS", 2)
    claim(tmp_path, 1)
    held = os.open(tmp_path / ".index", os.O_RDWR)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        claim(tmp_path, 2)
        os.write(held, b"1 ")
    finally:
        os.close(held)
    assert read(tmp_path) == listed(tmp_path) == [make_run_id(2), make_run_id(1)]


def test_a_prune_that_goes_on_lets_no_claim_prove_names(tmp_path: Path) -> None:
    """It renames folders between what a claim reads and what it writes; when it is over, it proves them itself."""
    claim(tmp_path, 1)
    (tmp_path / ".pruned").mkdir()
    (tmp_path / ".pruned" / "pending.json").write_text("{}")
    claim(tmp_path, 2)
    with places(tmp_path) as (task, _, cli), changing(task) as fd:
        assert fd is not None
        assert run_index._proven_size(fd, cli) is None
    assert read(tmp_path) == listed(tmp_path)


@pytest.mark.parametrize("planted", ["link", "pipe", "folder"])
def test_what_stands_in_the_place_of_the_index_is_left_alone(tmp_path: Path, planted: str) -> None:
    """A claim goes on, nothing is written through it, and names are listed."""
    victim, index = tmp_path / "victim", tmp_path / ".index"
    victim.write_text("mine")
    if planted == "link":
        index.symlink_to(victim)
    elif planted == "pipe":
        os.mkfifo(index)
    else:
        index.mkdir()
    claim(tmp_path, 1)
    assert victim.read_text() == "mine"
    assert read(tmp_path) == [make_run_id(1)]


def test_names_of_another_boot_or_folder_prove_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was never synced may be lost in a power cut, and a copied folder has its own times."""
    claim(tmp_path, 1)
    monkeypatch.setattr(run_index, "boot_id", lambda: "another")
    with places(tmp_path) as (task, _, cli), changing(task) as fd:
        assert fd is not None
        assert run_index._proven_size(fd, cli) is None
        monkeypatch.setattr(run_index, "boot_id", lambda: None)
        assert run_index._proven_size(fd, cli) is None


class Rounding(Seam):
    """A file system that stores whole seconds."""

    def set_times(self, fd: int, accessed: int, modified: int) -> None:
        """Round both down."""
        super().set_times(fd, accessed // 10**9 * 10**9, modified // 10**9 * 10**9)


class Refusing(Seam):
    """A folder of another account."""

    def set_times(self, fd: int, accessed: int, modified: int) -> None:
        """Refuse it as the system does."""
        raise PermissionError(errno.EPERM, "Operation not permitted")


@pytest.mark.parametrize("reason", [Rounding, Refusing, None])
def test_where_nothing_can_be_proven_no_claim_lists_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: type[Seam] | None
) -> None:
    """After the first look claims cost the same with any number of runs, and readers list the folder."""
    if reason is not None:
        monkeypatch.setattr(f"{__name__}.Seam", reason)
        claim(tmp_path, 1)
    else:
        monkeypatch.setattr(run_index, "boot_id", lambda: None)
    with monkeypatch.context() as patched:
        patched.setattr(Folder, "names", no_listing)
        claim(tmp_path, 2)
        claim(tmp_path, 3)
    assert read(tmp_path) == listed(tmp_path)
