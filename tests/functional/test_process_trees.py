"""How commands are started, and what is heard of their end."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.process import Exited, GuardClient, Spawned
from orchestrator.process.guard.tree import ReapedTree
from tests.process_driver import ENV, Driver, marked, new_marker, parent_of


@pytest.fixture
def driver() -> Iterator[Driver]:
    """A guard."""
    with Driver() as made:
        yield made


def script(folder: Path, name: str, text: str, mode: int = 0o755) -> Path:
    """Write an executable file."""
    path = folder / name
    path.write_text(text)
    path.chmod(mode)
    return path


def python(code: str, *args: str) -> list[str]:
    """Return a command that runs a line of Python."""
    return [sys.executable, "-I", "-S", "-c", code, *args]


def test_exit_codes_and_signals_are_kept_apart(driver: Driver) -> None:
    """A command's exit code is heard as a number, a signal by its name, never as both."""
    ended = driver.run(["sh", "-c", "exit 3"])
    assert (ended.exit_code, ended.signal, ended.swept, ended.survivors) == (3, None, 0, 0)
    killed = driver.run(["sh", "-c", "kill -KILL $$"])
    assert (killed.exit_code, killed.signal) == (None, "SIGKILL")


def test_stdout_and_stderr_come_in_order_and_stdin_is_empty(driver: Driver) -> None:
    """Both streams go to the one output, and reading finds the end at once."""
    key = driver.spawn(["sh", "-c", "echo one; echo two >&2; cat; echo three"])
    assert driver.output(key) == b"one\ntwo\nthree\n"


def test_environment_is_exact_and_passes_byte_for_byte(driver: Driver, tmp_path: Path) -> None:
    """A command has the variables that it was given and no other, bytes that are not UTF-8 included."""
    odd = b"\xff\xfe=\n".decode("utf-8", "surrogateescape")
    code = "import posix, sys; print(sorted(posix.environ.items()), ascii(sys.argv[1]))"
    key = driver.spawn(python(code, odd), env={"A": odd, "LC_ALL": "C.UTF-8"}, cwd=tmp_path)
    assert driver.output(key).decode() == f"{[(b'A', os.fsencode(odd)), (b'LC_ALL', b'C.UTF-8')]} {odd!a}\n"


def test_cwd_and_path_decide_what_is_started(driver: Driver, tmp_path: Path) -> None:
    """A plain name is looked up in the PATH of the command's environment, a path from its folder."""
    script(tmp_path, "tool", "#!/bin/sh\npwd\n")
    for argv, env in ((["tool"], {"PATH": f"/nowhere:{tmp_path}"}), (["./tool"], {})):
        key = driver.spawn(argv, env=env, cwd=tmp_path)
        assert driver.output(key).decode().strip() == str(tmp_path.resolve())


def test_command_starts_with_default_signals_own_session_and_nothing_inherited(driver: Driver) -> None:
    """No signal is ignored or blocked, the command leads its session, and it holds its three streams only."""
    code = (
        "import os, signal; ignored = [s for s in signal.valid_signals() if signal.getsignal(s) == signal.SIG_IGN];"
        "held = [];\n"
        "for fd in range(256):\n"
        "    try: os.fstat(fd); held.append(fd)\n"
        "    except OSError: pass\n"
        "print([int(s) for s in ignored if s not in (signal.SIGPIPE, getattr(signal, 'SIGXFSZ', 0))],"
        " list(signal.pthread_sigmask(signal.SIG_BLOCK, ())), os.getsid(0) == os.getpid(), held)"
    )
    key = driver.spawn(python(code))
    assert driver.output(key) == b"[] [] True [0, 1, 2]\n"
    shell = driver.spawn(["sh", "-c", "trap"])
    assert driver.output(shell) == b"", "a signal ignored at the start can't be trapped by a shell"


def test_umask_is_inherited(tmp_path: Path) -> None:
    """Files that a command makes have the modes that the user's umask gives."""
    before = os.umask(0o027)
    try:
        with Driver() as driver:
            assert driver.run(["touch", "made"], cwd=tmp_path).exit_code == 0
    finally:
        os.umask(before)
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("argv", "reason", "said"),
    [
        (["no-such-command"], "not-found", "not found on the stage's PATH"),
        (["/no/such/command"], "not-found", "does not exist"),
        ([], "not-found", "empty"),
        ([""], "not-found", "empty"),
        (["/etc/passwd"], "not-executable", "permission denied"),
        (["/etc"], "not-executable", "it is a folder"),
        (["./no-interpreter"], "not-executable", "interpreter"),
        (["./text"], "not-executable", "neither a program nor a script"),
        (["a\0b"], "failed", "null"),
        (["/bin/sh", "a\0b"], "failed", "null"),
        (["\ud800"], "failed", "surrogates"),
        (["sh", *["x" * 100_000] * 40], "failed", "Argument list too long"),
    ],
)
def test_a_command_that_cannot_be_started_says_why(
    driver: Driver, tmp_path: Path, argv: list[str], reason: str, said: str
) -> None:
    """Each way of failing has its word and its sentence, and the guard goes on."""
    script(tmp_path, "no-interpreter", "#!/no/such/interpreter\n")
    script(tmp_path, "text", "no first line\n")
    failed = driver.failure(argv, cwd=tmp_path)
    assert failed.reason == reason
    assert said in failed.detail
    assert driver.run(["true"]).exit_code == 0


def test_path_search_skips_folders_and_tells_a_file_that_is_not_executable(driver: Driver, tmp_path: Path) -> None:
    """A folder of the command's name on PATH is passed over; a file without the x bit is named as such."""
    (tmp_path / "first" / "tool").mkdir(parents=True)
    (tmp_path / "second").mkdir()
    script(tmp_path / "second", "tool", "#!/bin/sh\n", mode=0o644)
    env = {"PATH": f"{tmp_path}/first:{tmp_path}/second"}
    assert driver.failure(["tool"], env=env).reason == "not-executable"
    (tmp_path / "second" / "tool").unlink()
    assert driver.failure(["tool"], env=env).reason == "not-found"


@pytest.mark.parametrize("made", [None, "file"])
def test_a_working_folder_that_is_none_is_named(driver: Driver, tmp_path: Path, made: str | None) -> None:
    """A missing working folder, and a file in its place, are told from a missing command."""
    folder = tmp_path / "folder"
    if made:
        folder.write_text("")
    failed = driver.failure(["true"], cwd=folder)
    assert failed.reason == "bad-cwd"
    assert str(folder) in failed.detail


def test_a_large_environment_passes(driver: Driver) -> None:
    """An environment of a mebibyte reaches the command whole."""
    env = {f"VARIABLE_{number}": "x" * 16_000 for number in range(64)} | ENV
    key = driver.spawn(["sh", "-c", "env | wc -c"], env=env)
    assert int(driver.output(key)) > 1_000_000


def test_outputs_of_stages_that_start_together_end_apart(driver: Driver) -> None:
    """No stage holds another's output, even when one order came with the end of a long one."""
    large = {f"VARIABLE_{number}": "x" * 16_000 for number in range(64)} | ENV
    slow = [driver.spawn(["sleep", "60"], env=large) for _ in range(3)]
    for _ in range(3):
        key = driver.spawn(["echo", "done"])
        slow.append(driver.spawn(["sleep", "60"], env=large))
        assert driver.output(key, seconds=40) == b"done\n"
    driver.guard.terminate_all(grace_seconds=0)
    assert {driver.wait(Exited, key).signal for key in slow} == {"SIGKILL"}


def test_resource_use_counts_the_whole_tree(driver: Driver) -> None:
    """CPU time of a grandchild that nobody waited for is counted, and the largest process's peak memory."""
    burn = "import time\nwhile time.process_time() < 0.15: pass\nkept = bytearray(64 << 20)"
    ended = driver.run(["sh", "-c", '"$0" -I -S -c "$1" & wait', sys.executable, burn])
    assert 0.14 < ended.cpu_seconds < 5
    assert 64 << 20 < ended.max_rss_bytes < 1 << 30


def test_stages_run_at_the_same_time_and_end_apart(driver: Driver) -> None:
    """The end of one command neither waits for another nor touches it."""
    slow = driver.spawn(["sh", "-c", "echo up; sleep 60"])
    assert driver.line(slow) == b"up\n"
    assert driver.run(["true"]).exit_code == 0
    driver.guard.terminate(slow, grace_seconds=5)
    assert driver.wait(Exited, slow).signal == "SIGTERM"


def test_two_hundred_starts_leave_no_descriptor_and_no_zombie(driver: Driver) -> None:
    """Neither owner nor guard grows with the number of commands."""
    driver.run(["true"])
    guard = parent_of(parent_of(driver.wait(Spawned, driver.spawn(["sleep", "60"])).pid))
    before = (descriptors(os.getpid()), descriptors(guard))
    with open(os.devnull, "wb") as sink:
        for key in range(1000, 1200):
            driver.guard.spawn(key, ["true"], cwd="/", env=ENV, output_fd=sink.fileno())
            if key % 10 == 0:
                driver.wait(Exited, key)
        for key in range(1000, 1200):
            assert driver.wait(Exited, key).exit_code == 0
    driver.run(["true"])
    assert children(guard) <= 2  # the one that sleeps, and perhaps the last one's reaper
    assert (descriptors(os.getpid()), descriptors(guard)) <= (before[0] + 1, before[1] + 1)


def test_closing_kills_counts_and_leaves_nothing() -> None:
    """Closing kills what runs, says how many processes that were, and reaps the guard; again, it does nothing."""
    marker = new_marker()
    guard = GuardClient.start()
    with open(os.devnull, "wb") as sink:
        guard.spawn(
            1, python("import os, time; os.fork(); time.sleep(60)", marker), cwd="/", env=ENV, output_fd=sink.fileno()
        )
    while len(marked(marker)) < 2:
        pass
    assert guard.close(timeout_seconds=10) == 2
    assert marked(marker) == []
    assert guard.close(timeout_seconds=10) == 0
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_closing_at_once_is_quick_and_harmless() -> None:
    """A guard that is closed before it has begun to run ends all the same."""
    assert GuardClient.start().close(timeout_seconds=10) == 0


def test_a_kept_descriptor_is_held_until_the_guard_has_ended(tmp_path: Path) -> None:
    """A descriptor that was handed over, at the start or later, is closed with the guard and not before."""
    first, second = os.pipe(), os.pipe()
    guard = GuardClient.start(keep_fds=[first[1]])
    guard.adopt_keep_fd(second[1])
    for reading, writing in (first, second):
        os.close(writing)
        os.set_blocking(reading, False)
        with pytest.raises(BlockingIOError):
            os.read(reading, 1)
    guard.close(timeout_seconds=10)
    assert [os.read(reading, 1) for reading, _ in (first, second)] == [b"", b""]
    for reading, _ in (first, second):
        os.close(reading)


def descriptors(pid: int) -> int:
    """Return how many descriptors a process holds; 0 where that can't be seen."""
    return len(os.listdir(f"/proc/{pid}/fd")) if sys.platform == "linux" else 0


def children(pid: int) -> int:
    """Return how many children a process has, zombies included; 0 where that can't be seen."""
    if sys.platform != "linux":
        return 0
    return len(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
def test_descendants_are_the_same_with_and_without_the_kernels_lists(driver: Driver) -> None:
    """A kernel that lists no children is asked for all processes, with the same result."""
    key = driver.spawn(["sh", "-c", "(sleep 60 & sleep 60 & echo up; wait); true"])
    assert driver.line(key) == b"up\n"
    listed, scanned = ReapedTree(listed=True), ReapedTree(listed=False)
    found = listed.members()
    assert len(found) >= 6  # guard, reaper, shells, sleeps
    assert sorted(found) == sorted(scanned.members())
    assert all(listed.runs(pid) for pid in found)
    guard = found[0]
    assert guard not in ReapedTree(besides={guard}).members()
