"""Starting what is measured: times, exit codes, memory of a tree, and installers that fail."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import peers
from benchmarks.running import Command, environ, run, run_all
from benchmarks.tree import is_supported, peak_of


def _python(folder: Path, code: str) -> Command:
    return Command([sys.executable, "-I", "-S", "-c", code], folder, environ(folder))


def test_cpu_time_counts_descendants(tmp_path: Path) -> None:
    """What a child of the command worked is counted, what it slept is not."""
    work = "import os, time\nif os.fork() == 0:\n  while time.process_time() < 0.1: pass\n  os._exit(0)\nos.wait()\n"
    ended = run(_python(tmp_path, work + "time.sleep(0.2)"))
    assert ended.wall >= 0.3
    assert 0.1 <= ended.cpu < ended.wall - 0.1


def test_a_command_that_fails_is_no_sample(tmp_path: Path) -> None:
    """Its exit code and its last words are told."""
    with pytest.raises(RuntimeError, match="exit code 3: gone wrong"):
        run(_python(tmp_path, "import sys; sys.stderr.write('gone wrong'); sys.exit(3)"))


def test_many_at_once_tell_each_exit_code(tmp_path: Path) -> None:
    """One that fails among many is seen, whichever it is."""
    commands = [_python(tmp_path, f"raise SystemExit({code})") for code in (0, 5, 0)]
    assert run_all(commands).codes == (0, 5, 0)


@pytest.mark.skipif(not is_supported(), reason="no /proc/<pid>/smaps_rollup")
def test_the_memory_of_a_child_is_the_trees(tmp_path: Path) -> None:
    """A child's 64 MiB count for the whole tree, and not for its parent."""
    code = (
        "import os, time\nif os.fork() == 0:\n  held = b'x' * (64 << 20)\n  time.sleep(0.2)\n  os._exit(0)\nos.wait()\n"
    )
    peak = peak_of(_python(tmp_path, code))
    assert 64 < peak.whole < 128
    assert 0 < peak.own < 64


def test_an_installer_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No peer can be had without programs: each is missing with a reason, and nothing is raised."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(
        peers, "_pip", lambda python, wanted: [sys.executable, "-c", f"raise SystemExit('no {wanted}')"]
    )
    (tmp_path / "python" / "bin").mkdir(parents=True)
    (tmp_path / "python" / "bin" / "python").touch()
    found = peers.installed(tmp_path)
    assert found.commands == {}
    assert found.missing["npm"] == "npm is not installed"
    assert "no doit==" in found.missing["doit"]
