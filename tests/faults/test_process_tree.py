"""Whatever ends first, the command, the guard, a reaper or the owner: nothing of the tree is left."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.process import Exited, GuardClient, GuardLost, Spawned
from orchestrator.process.guard.reaper import LOOK_INTERVAL
from orchestrator.process.guard.tree import GroupTree, _children, is_stopped, kill_all, proc_table, ps_table
from tests.harness import REPOSITORY
from tests.process_driver import (
    EVERY_KIND,
    LINUX,
    REACHABLE_BY_GROUP,
    Driver,
    marked,
    new_marker,
    parent_of,
    soon,
    zoo,
)

if TYPE_CHECKING:
    from orchestrator.process.guard.tree import ProcessTable

needs_subreaper = pytest.mark.skipif(not LINUX, reason="orphans come back to their reaper on Linux only")


@pytest.mark.parametrize("code", [0, 3])
def test_nothing_is_left_when_the_command_ends(code: int) -> None:
    """Daemons, orphans and what ignores SIGTERM are gone, and counted, when the command's end is heard."""
    marker = new_marker()
    with Driver() as driver:
        ended = driver.run(zoo(marker, str(code)))
        assert marked(marker) == []
        assert ended.exit_code == code
        assert ended.swept >= len(EVERY_KIND)
        assert ended.survivors == 0


def test_what_a_command_leaves_behind_gets_a_moment_to_end_by_itself(tmp_path: Path) -> None:
    """Leftovers are told to end before they are killed."""
    left = f"(trap 'echo told; exit' TERM; echo up; touch {tmp_path}/up; while :; do sleep 0.01; done)"
    with Driver() as driver:
        key = driver.spawn(["sh", "-c", f"{left} & until test -e {tmp_path}/up; do sleep 0.01; done"])
        printed = driver.output(key)
        assert printed.startswith(b"up\n")
        assert printed.endswith(b"told\n")
        assert driver.wait(Exited, key).swept >= 1


def test_nothing_is_left_after_termination() -> None:
    """The whole tree gets SIGTERM, and SIGKILL after the grace period; not before."""
    marker = new_marker()
    with Driver() as driver:
        key = driver.spawn(zoo(marker, "stay"))
        assert driver.line(key) == b"ready\n"
        began = time.monotonic()
        driver.guard.terminate(key, grace_seconds=0.3)
        ended = driver.wait(Exited, key)
        took = time.monotonic() - began
        assert marked(marker) == []
        assert ended.signal == "SIGTERM"
        assert 0.3 <= took < 20
        assert ended.swept >= len(EVERY_KIND) - 1  # all but the plain one ignore SIGTERM


def test_a_process_out_of_the_group_gets_sigterm_too_even_when_it_is_stopped() -> None:
    """SIGTERM reaches a stopped process in a session of its own, which can act on it."""
    code = (
        "import os, signal, sys, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b'told\\n'), os._exit(0)))\n"
        "    os.write(1, b'up\\n')\n"
        "    os.kill(os.getpid(), signal.SIGSTOP)\n"
        "time.sleep(60)\n"
    )
    with Driver() as driver:
        key = driver.spawn([sys.executable, "-I", "-S", "-c", code])
        assert driver.line(key) == b"up\n"
        time.sleep(0.05)
        driver.guard.terminate(key, grace_seconds=10)
        assert driver.output(key) == b"told\n"
        assert driver.wait(Exited, key).swept == 0


def test_a_second_termination_shortens_the_grace_and_never_lengthens_it() -> None:
    """The shortest grace period counts; terminating what is no more changes nothing."""
    marker = new_marker()
    with Driver() as driver:
        key = driver.spawn(zoo(marker, "stay", REACHABLE_BY_GROUP))
        assert driver.line(key) == b"ready\n"
        began = time.monotonic()
        for grace in (60.0, 0.2, 60.0):
            driver.guard.terminate(key, grace_seconds=grace)
        driver.wait(Exited, key)
        assert time.monotonic() - began < 20
        driver.guard.terminate(key, grace_seconds=0)
        driver.guard.terminate(99, grace_seconds=0)
        assert driver.run(["true"]).exit_code == 0


def test_terminating_all_without_grace_kills_every_stage_at_once() -> None:
    """Every tree is killed, also one whose start was asked for a moment ago."""
    markers = [new_marker() for _ in range(3)]
    with Driver() as driver:
        keys = [driver.spawn(zoo(marker, "stay")) for marker in markers[:2]]
        for key in keys:
            assert driver.line(key) == b"ready\n"
        keys.append(driver.spawn(zoo(markers[2], "stay")))
        driver.guard.terminate_all(grace_seconds=0)
        for key, marker in zip(keys, markers, strict=True):
            assert driver.wait(Exited, key).signal == "SIGKILL"
            assert marked(marker) == []


@needs_subreaper
def test_the_output_ends_with_the_stage_even_when_a_daemon_held_it() -> None:
    """A daemon that keeps the output open is gone, so the reader finds the end."""
    with Driver() as driver:
        key = driver.spawn(zoo(new_marker(), "0", ["daemon"]))
        driver.wait(Exited, key)
        assert driver.output(key, seconds=0.5) == b"ready\n"


@needs_subreaper
def test_nothing_is_left_of_processes_that_multiply() -> None:
    """Processes that fork faster than they can be listed are all killed."""
    marker = new_marker()
    bomb = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "os.write(1, b'up\\n')\n"
        "end = time.monotonic() + 20\n"
        "for depth in range(7):\n"
        "    os.fork()\n"
        "    os.setsid() if os.getpid() != os.getsid(0) else None\n"
        "while time.monotonic() < end:\n"
        "    if os.fork():\n"
        "        os._exit(0)\n"
    )
    with Driver() as driver:
        key = driver.spawn([sys.executable, "-I", "-S", "-c", bomb, marker])
        assert driver.line(key) == b"up\n"
        driver.guard.terminate(key, grace_seconds=0)
        ended = driver.wait(Exited, key)
        assert marked(marker) == []
        assert ended.survivors == 0


OWNER = """
import os, sys, time
from orchestrator.process import GuardClient
lock = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
import fcntl
guard = GuardClient.start()
fcntl.flock(lock, fcntl.LOCK_EX)
guard.adopt_keep_fd(lock)
guard.spawn(1, sys.argv[2:], cwd="/", env={"PATH": "/usr/bin:/bin"}, output_fd=1)
time.sleep(60)
"""


def start_owner(lock: Path, argv: list[str]) -> subprocess.Popen[bytes]:
    """Start a process that holds ``lock``, has a guard, and runs ``argv`` under it; wait until that is up."""
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(lock), *argv], stdout=subprocess.PIPE, env=environ)
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"ready\n"
    return owner


def wait_for_lock(path: Path) -> None:
    """Wait until a lock can be had."""
    fd = os.open(path, os.O_RDWR)
    until = soon()
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            assert time.monotonic() < until, "the lock is still held"
            time.sleep(0.0005)
        else:
            os.close(fd)
            return


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_when_the_owner_is_killed_and_its_lock_is_free_only_then(
    tmp_path: Path, sent: signal.Signals
) -> None:
    """An owner's death kills its tree without grace; its lock stays held until that has happened."""
    marker, lock = new_marker(), tmp_path / "lock"
    with start_owner(lock, zoo(marker, "stay")) as owner:
        began = time.monotonic()
        owner.send_signal(sent)
        wait_for_lock(lock)
        took = time.monotonic() - began
        assert [pid for pid in marked(marker) if pid != owner.pid] == []
        assert took < 4.5


def test_the_lock_is_held_while_a_dead_owners_tree_is_not_gone(tmp_path: Path) -> None:
    """A guard that was stopped goes on when its owner dies; the lock can be had when nothing is left running."""
    marker, lock = new_marker(), tmp_path / "lock"
    with start_owner(lock, zoo(marker, "stay", ["plain"])) as owner:
        main = min(pid for pid in marked(marker) if pid != owner.pid)
        guard = parent_of(parent_of(main))
        os.kill(guard, signal.SIGSTOP)
        owner.kill()
        owner.wait()
        wait_for_lock(lock)
        assert marked(marker) == []


def test_nothing_is_left_when_the_guard_is_killed() -> None:
    """The owner hears of it once, and after closing nothing runs any more."""
    marker = new_marker()
    with Driver() as driver:
        key = driver.spawn(zoo(marker, "stay"))
        assert driver.line(key) == b"ready\n"
        os.kill(parent_of(parent_of(driver.wait(Spawned, key).pid)), signal.SIGKILL)
        assert "SIGKILL" in driver.wait(GuardLost).detail
        driver.guard.spawn(7, ["true"], cwd="/", env={}, output_fd=1)
        driver.guard.terminate_all(grace_seconds=1)
        assert driver.guard.messages() == []
        driver.guard.close(timeout_seconds=10)
        assert marked(marker) == []


@needs_subreaper
def test_nothing_is_left_when_a_reaper_is_killed() -> None:
    """The guard sweeps what a killed reaper kept, reports the stage as killed, and serves on."""
    marker = new_marker()
    with Driver() as driver:
        key = driver.spawn(zoo(marker, "stay"))
        assert driver.line(key) == b"ready\n"
        other = driver.spawn(["sh", "-c", "read line < /dev/null; sleep 0.3; exit 7"])
        os.kill(parent_of(driver.wait(Spawned, key).pid), signal.SIGKILL)
        ended = driver.wait(Exited, key)
        assert marked(marker) == []
        assert (ended.exit_code, ended.signal) == (None, "SIGKILL")
        assert ended.swept >= len(EVERY_KIND)
        assert driver.wait(Exited, other).exit_code == 7


PROGRAM = """
import os, signal

class Program:
    def is_ready(self):
        return True

    def is_called_by(self, argv):
        return True

    def run(self, argv, env):
        os.write(1, b"here\\n")
        while True:
            os.kill(os.getpid(), signal.SIGSTOP)
            if argv[0] == b"once":
                os.execve("/bin/sleep", [b"sleep", b"60"], env)

load = Program
"""


@needs_subreaper
@pytest.mark.parametrize("how", ["once", "again and again"])
@pytest.mark.parametrize("end", ["termination", "the guard's closing", "the guard's death"])
def test_a_command_that_is_stopped_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, end: str
) -> None:
    """Its reaper, which waits for that, hears of its end all the same: the process goes on, or it is killed."""
    (tmp_path / "stopping_sample.py").write_text(PROGRAM)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    driver = Driver()
    driver.guard.close(timeout_seconds=10)
    driver.guard = GuardClient.start(program="stopping_sample")
    with driver:
        key = driver.spawn([how])
        assert driver.line(key) == b"here\n"
        (guard,) = _children(os.getpid())
        (reaper,) = _children(guard)
        (process,) = _children(reaper)
        while not is_stopped(process):
            time.sleep(0.01)
        began = time.monotonic()
        if end == "termination":
            driver.guard.terminate(key, grace_seconds=0.2)
            assert driver.wait(Exited, key).signal == ("SIGTERM" if how == "once" else "SIGKILL")
        elif end == "the guard's death":
            os.kill(guard, signal.SIGKILL)
        driver.guard.close(timeout_seconds=10)
        assert not Path(f"/proc/{process}/exe").exists()  # nor has a zombie one
        assert time.monotonic() - began < 8


@pytest.mark.parametrize(("stopped", "timeout"), [("reaper", 10.0), ("guard", 0.1)])
def test_what_is_stopped_does_not_stop_the_end(stopped: str, timeout: float) -> None:
    """A stopped reaper is woken to kill its tree; a guard that does not answer in time is killed, with the tree."""
    marker = new_marker()
    driver = Driver()
    key = driver.spawn(zoo(marker, "stay"))
    assert driver.line(key) == b"ready\n"
    reaper = parent_of(driver.wait(Spawned, key).pid)
    os.kill(reaper if stopped == "reaper" else parent_of(reaper), signal.SIGSTOP)
    began = time.monotonic()
    driver.guard.close(timeout_seconds=timeout)
    assert marked(marker) == []
    assert time.monotonic() - began < 4.5


def test_without_a_subreaper_the_group_is_swept_and_children_of_other_sessions_with_the_command() -> None:
    """As on macOS: what stays in the group goes with the command; on termination every descendant does."""
    marker = new_marker()
    with Driver(subreaper=False) as driver:
        ended = driver.run(zoo(marker, "3", REACHABLE_BY_GROUP))
        assert marked(marker) == []
        assert (ended.exit_code, ended.survivors) == (3, 0)
        assert ended.swept == len(REACHABLE_BY_GROUP)
        key = driver.spawn(zoo(marker, "stay", ["plain", "stubborn", "session"]))
        assert driver.line(key) == b"ready\n"
        driver.guard.terminate(key, grace_seconds=0.2)
        assert driver.wait(Exited, key).signal == "SIGTERM"
        assert marked(marker) == []


def test_without_a_subreaper_a_process_seen_once_is_not_lost_when_its_parent_ends(tmp_path: Path) -> None:
    """A child that left the group is remembered from an earlier look, and killed after its parent's end."""
    marker = new_marker()
    with Driver(subreaper=False) as driver:
        command = zoo(marker, "stay", ["session"])
        until = f"until test -e {tmp_path}/go; do sleep 0.01; done"
        key = driver.spawn(["sh", "-c", f'"$@" & {until}; kill -KILL $!', "sh", *command])
        assert driver.line(key) == b"ready\n"
        time.sleep(1.5 * LOOK_INTERVAL)
        (tmp_path / "go").touch()
        assert driver.wait(Exited, key).swept >= 1
        assert marked(marker) == []


@pytest.mark.parametrize(
    "look",
    [ps_table, pytest.param(proc_table, marks=pytest.mark.skipif(not LINUX, reason="there is no /proc"))],
)
def test_a_tree_is_found_in_the_systems_own_table(look: Callable[[], ProcessTable]) -> None:
    """Members of the group and children in sessions of their own are found, by ps and by /proc; gone ones are not."""
    command = "sleep 60 & setsid sleep 60 & wait" if LINUX else "sleep 60 & sleep 60 & wait"
    shell = subprocess.Popen(["sh", "-c", command], start_new_session=True)
    tree = GroupTree(shell.pid, look)
    until = soon()
    while len(found := tree.members()) < 3:
        assert time.monotonic() < until, f"only {found} were found"
        time.sleep(0.01)
    assert shell.pid in found
    shell.kill()
    shell.wait()
    assert sorted(tree.members()) == sorted(set(found) - {shell.pid})
    assert kill_all(tree)
    while tree.members():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_without_a_subreaper_closing_ends_the_tree() -> None:
    """Closing the guard kills what can be found in the table of processes, and counts it."""
    marker = new_marker()
    driver = Driver(subreaper=False)
    key = driver.spawn(zoo(marker, "stay", ["plain", "stubborn", "session"]))
    assert driver.line(key) == b"ready\n"
    assert driver.guard.close(timeout_seconds=10) == 4
    assert marked(marker) == []


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_to_an_owners_group_spares_its_guard(name: str) -> None:
    """A terminal's Ctrl-C goes to the group while the guard has not yet left it; commands run all the same."""
    code = (
        "import os, select, signal, sys\n"
        "from orchestrator.process import Exited, GuardClient\n"
        "sent = getattr(signal, sys.argv[1])\n"
        "signal.signal(sent, lambda *_: None)\n"
        "guard = GuardClient.start()\n"
        "os.killpg(0, sent)\n"
        "guard.spawn(1, ['true'], cwd='/', env={'PATH': '/usr/bin:/bin'}, output_fd=1)\n"
        "heard = []\n"
        "while not any(isinstance(message, Exited) for message in heard):\n"
        "    select.select([guard], [], [])\n"
        "    heard += guard.messages()\n"
        "guard.close(timeout_seconds=5)\n"
        "print('ended well')\n"
    )
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", code, name],
        capture_output=True,
        env=environ,
        start_new_session=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == b"ended well\n", done.stderr
