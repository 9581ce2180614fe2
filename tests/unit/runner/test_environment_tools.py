"""The folder with the three programs that every stage finds."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.base.errors import StorageError
from orchestrator.base.files import Seam
from orchestrator.runner.environment import tools_dir
from orchestrator.runner.environment.module_command import module_command


class ReadOnly(Seam):
    """A seam on which nothing can be written."""

    def write(self, fd: int, data: bytes | memoryview) -> int:
        """Refuse."""
        raise AssertionError("something was written")

    def replace(self, source: str, target: str, folder: int, target_folder: int) -> None:
        """Refuse."""
        raise AssertionError("something was moved")

    def mkdir(self, name: str, mode: int, folder: int) -> None:
        """Refuse."""
        raise AssertionError("a folder was made")


def made(runs: Path, *, executable: str = "/o/bin/python", seam: Seam | None = None) -> Path:
    """Return the tools folder below ``runs`` for an orchestrator that is installed."""
    return Path(tools_dir(str(runs), {}, executable=executable, seam=seam))


def test_three_scripts_and_nothing_else(tmp_path: Path) -> None:
    """The folder holds the three programs, executable, each starting its module with the same interpreter."""
    folder = made(tmp_path / ".runs")
    assert sorted(os.listdir(folder)) == ["codex-orchestrator", "invoke", "nox"]
    assert (folder / "nox").read_text() == "#!/bin/sh\nexec '/o/bin/python' '-P' '-m' 'nox' \"$@\"\n"
    assert (folder / "codex-orchestrator").read_text().endswith("'-m' 'orchestrator' \"$@\"\n")
    assert all(os.access(folder / name, os.X_OK) for name in os.listdir(folder))
    assert folder.parent == tmp_path / ".runs" / ".tools"


def test_the_warm_path_writes_nothing(tmp_path: Path) -> None:
    """When the folder is there, it is only read."""
    assert made(tmp_path) == made(tmp_path, seam=ReadOnly())


def test_another_installation_gets_its_own_folder(tmp_path: Path) -> None:
    """Two orchestrators that share a workspace don't replace each other's programs."""
    assert made(tmp_path) != made(tmp_path, executable="/other/bin/python")


@pytest.mark.parametrize("damage", ["truncate", "remove", "replace", "mode", "folder-mode", "another", "folder"])
def test_a_damaged_folder_is_repaired(tmp_path: Path, damage: str) -> None:
    """Scripts that a power cut emptied, or that are gone or changed, are written again; nothing else stays behind.

    So those that may not be executed any more, and what somebody put beside them.
    """
    folder = made(tmp_path)
    if damage == "remove":
        (folder / "nox").unlink()
    elif damage == "another":
        (folder / "pytest").write_text("#!/bin/sh\n")
    elif damage == "folder":
        (folder / "pytest").mkdir()
    elif damage.endswith("mode"):
        (folder / "nox" if damage == "mode" else folder).chmod(0o644)
    else:
        (folder / "nox").write_text("" if damage == "truncate" else "#!/bin/sh\n")
    assert made(tmp_path) == folder
    assert (folder / "nox").read_text().startswith("#!/bin/sh\nexec '/o/bin/python'")
    assert sorted(os.listdir(folder)) == ["codex-orchestrator", "invoke", "nox"]
    assert (folder / "nox").stat().st_mode & folder.stat().st_mode & 0o100
    assert os.listdir(folder.parent) == [folder.name]


def test_many_at_once(tmp_path: Path) -> None:
    """However many make the folder at once, all get the same whole one, and no leftovers."""
    with ThreadPoolExecutor(8) as pool:
        folders = set(pool.map(lambda _: made(tmp_path), range(24)))
    assert len(folders) == 1
    folder = folders.pop()
    assert len(os.listdir(folder)) == 3
    assert os.listdir(folder.parent) == [folder.name]


@pytest.mark.parametrize("place", [".tools", "inner", "script"])
def test_nothing_is_written_through_a_planted_link(tmp_path: Path, place: str) -> None:
    """A link in the place of the folder or of a script is refused, and its end stays as it was."""
    elsewhere, runs = tmp_path / "elsewhere", tmp_path / ".runs"
    elsewhere.mkdir()
    folder = made(runs)
    if place == "script":
        (folder / "nox").unlink()
        (folder / "nox").symlink_to(elsewhere / "nox")
    else:
        planted = folder if place == "inner" else folder.parent
        planted.rename(tmp_path / "aside")
        planted.symlink_to(elsewhere)
    with pytest.raises(StorageError):
        made(runs)
    assert os.listdir(elsewhere) == []


def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    """When the scripts can't be written, the error names the cause, and no half-made folder stays."""

    class Full(Seam):
        def write(self, fd: int, data: bytes | memoryview) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="no space left"):
        made(tmp_path, seam=Full())
    assert os.listdir(tmp_path / ".tools") == []


def test_pythonpath_is_kept_out_of_stages() -> None:
    """A package that is found by PYTHONPATH only is named in the command itself."""
    sources = str(Path(__file__).resolve().parents[3])
    installed = module_command("nox", {"PYTHONPATH": "/other"}, executable="py")
    assert installed == ["py", "-P", "-m", "nox"]
    command = module_command("nox", {"PYTHONPATH": f"/other:{sources}"}, executable="py")
    assert command[:3] == ["py", "-P", "-c"]
    assert sources in command[3]
