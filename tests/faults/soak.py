"""``python -m tests.faults.soak --minutes N``: random lives of runs, ended at random, all promises checked each round.

Everything goes through the real command: starts at the same time, resumes, cancels, signals, ``kill -9`` of
orchestrators and of guards, torn last lines, a full disk where one can be mounted. Ends with figures, as
text and as one line of JSON; the exit code is 1 when a promise did not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.base.files import Folder, Seam
from tests.faults.soak_checks import checked_task, locks_held
from tests.harness import Orchestrator, WorkspaceFolder, clean_environ
from tests.process_driver import ZOO, marked, new_marker

PROJECTS = ("quick", "fails", "slow")
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FINE = frozenset({0, 3, 5, 129, 130, 143, -1, -2, -9, -15})
"""Exit codes of starts, resumes and cancels that were interfered with; negative ones are signals before the claim."""

_SETTLING_SECONDS = 15.0


@dataclass
class Soak:
    """One workspace and what was done in it."""

    folder: Path
    chance: random.Random
    figures: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    marker: str = field(default_factory=new_marker)

    def __post_init__(self) -> None:
        home = self.folder / "home"
        home.mkdir()
        self.workspace = WorkspaceFolder(self.folder / "workspace")
        self.call = Orchestrator(self.workspace.root, clean_environ(home))
        onboard(self.workspace, self.marker)

    def round(self) -> None:
        """Start, disturb, wait for the end, let the next commands recover, and check."""
        self.figures["rounds"] += 1
        running = [self._launch() for _ in range(self.chance.randint(1, 4))]
        for _ in range(self.chance.randint(1, 6)):
            time.sleep(self.chance.uniform(0, 0.4))
            self._disturb(running)
        for process in running:
            self._reap(process)
        self._wait_for_locks()
        left = marked(self.marker)
        self.figures["survivors"] += len(left)
        if left:
            self.violations.append(f"round {self.figures['rounds']}: still running: {left}")
        for project in PROJECTS:
            done = self.call("start", "--project", project, "--pipeline", "smoke", timeout=60)
            self._judge("start", done.code, done.stderr)
            self.check(project)

    def check(self, project: str) -> None:
        """Check what must hold of a task on which nothing runs."""
        found, faults = checked_task(self.workspace, f"1-{project}")
        for name, number in found.items():
            self.figures[f"{name} ({project})"] = number
        self.violations += [f"round {self.figures['rounds']}: {fault}" for fault in faults]
        self.figures["lines lost"] += sum("has no metrics line" in fault for fault in faults)

    def _launch(self) -> subprocess.Popen[bytes]:
        project = self.chance.choices(PROJECTS, weights=(1, 1, 3))[0]
        words = ["start", "--project", project, "--pipeline", "smoke"]
        runs = self.workspace.runs(f"1-{project}")
        if runs and self.chance.random() < 0.35:
            words = ["resume", self.chance.choice(runs[-10:]).name]
            self.figures["resumes asked"] += 1
        else:
            self.figures["starts asked"] += 1
        return self.call.popen(*words, stdout=subprocess.DEVNULL)

    def _disturb(self, running: list[subprocess.Popen[bytes]]) -> None:
        victim = self.chance.choice([process for process in running if process.poll() is None] or running)
        what = self.chance.choice(["kill", "kill", "kill guard", "signal", "cancel", "tear"])
        if what == "kill" and victim.poll() is None:
            victim.kill()
            self.figures["orchestrators killed"] += 1
        elif what == "kill guard":
            for guard in guards_of(victim.pid):
                with suppress(ProcessLookupError):
                    os.kill(guard, signal.SIGKILL)
                    self.figures["guards killed"] += 1
        elif what == "signal" and victim.poll() is None:
            victim.send_signal(self.chance.choice(STOPPING))
            self.figures["signals sent"] += 1
        elif what == "cancel":
            self._cancel()
        elif what == "tear":
            self._tear()

    def _cancel(self) -> None:
        runs = self.workspace.runs("1-slow")
        if runs:
            done = self.call("cancel", runs[-1].name, "--reason", "the soak", timeout=60)
            self.figures["cancels asked"] += 1
            self._judge("cancel", done.code, done.stderr)

    def _tear(self) -> None:
        """Leave what a writer leaves that dies in the middle of a line."""
        task = self.workspace.root / ".runs" / f"1-{self.chance.choice(PROJECTS)}"
        if not (task / "metrics.json").exists():
            return
        with Folder.at(str(task), Seam()) as folder:
            lock = folder.lock(".lock", blocking=True)
            assert lock is not None
            with lock, open(task / "metrics.json", "ab") as file:
                file.write(b'{"run_id": "torn')
        self.figures["lines torn"] += 1

    def _reap(self, process: subprocess.Popen[bytes]) -> None:
        try:
            _, said = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.violations.append(f"round {self.figures['rounds']}: a command did not end: {process.args!r}")
            process.kill()
            process.communicate()
            return
        self._judge(str(process.args), process.returncode, said.decode("utf-8", "replace"))

    def _judge(self, what: str, code: int, said: str) -> None:
        self.figures[f"exit code {code}"] += 1
        if code not in FINE:
            self.violations.append(f"round {self.figures['rounds']}: {what} ended with {code}: {said[-500:]}")

    def _wait_for_locks(self) -> None:
        until = time.monotonic() + _SETTLING_SECONDS
        while held := locks_held(self.workspace):
            if time.monotonic() > until:
                self.violations.append(f"round {self.figures['rounds']}: still locked: {held}")
                return
            time.sleep(0.01)


def onboard(workspace: WorkspaceFolder, marker: str) -> None:
    """Onboard a project that passes, one that fails, and one whose daemons stay until they are killed."""
    script = workspace.write("zoo.py", ZOO)
    daemons = f"{sys.executable} -I -S {script} {marker} 0 plain stubborn session daemon"
    zoo = f"{daemons}; sleep $(($$ % 2)).$(($$ % 10)); exit $(($$ % 2))"
    workspace.project("quick", {"build": "true", "test": "true"}, pipeline="smoke")
    workspace.project("fails", {"build": "true", "test": "echo failing; exit 1"}, pipeline="smoke")
    workspace.project("slow", {"build": "true", "test": zoo}, pipeline="smoke")


def guards_of(pid: int) -> list[int]:
    """Return the pids of the guards that a process has started."""
    listing = subprocess.run(["ps", "-A", "-ww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
    rows = [line.split(None, 2) for line in listing.stdout.splitlines()]
    return [int(row[0]) for row in rows if row[1] == str(pid) and "guard.main" in row[2]]


def full_disk(soak: Soak, folder: Path) -> None:
    """Run on a disk that fills up, make room, and check; where nothing can be mounted this does nothing."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode != 0:
        soak.figures["disks that could not be mounted"] += 1
        return
    try:
        workspace = WorkspaceFolder(folder / "workspace")
        workspace.project("x", {"test": "head -c 400000 /dev/zero | tr '\\0' x"}, pipeline="smoke")
        call = Orchestrator(workspace.root, soak.call.environ)
        room = soak.chance.randint(0, 700_000)
        free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
        (folder / "filler").write_bytes(bytes(max(0, free - room)))
        done = call("start", "--project", "x", "--pipeline", "smoke", timeout=60)
        soak.figures[f"full disk: exit code {done.code}"] += 1
        if done.code not in (0, 8):
            soak.violations.append(
                f"a full disk with {room} bytes of room ended with {done.code}: {done.stderr[-500:]}"
            )
        (folder / "filler").unlink()
        done = call("start", "--project", "x", "--pipeline", "smoke", timeout=60)
        if done.code != 0:
            soak.violations.append(f"after a full disk with {room} bytes of room: {done.code}: {done.stderr[-500:]}")
        _, faults = checked_task(workspace, "1-x")
        soak.violations += [f"after a full disk with {room} bytes of room: {fault}" for fault in faults]
    finally:
        subprocess.run(["umount", str(folder)], check=False)


def main() -> int:
    """Soak for the time that was asked for, print the figures, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: 10)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the random choices")
    asked = parser.parse_args()
    until = time.monotonic() + asked.minutes * 60
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        folder = Path(name).resolve()
        soak = Soak(folder, random.Random(asked.seed))
        (folder / "disk").mkdir()
        while time.monotonic() < until:
            soak.round()
            if soak.figures["rounds"] % 3 == 0:
                full_disk(soak, folder / "disk")
    for key, number in sorted(soak.figures.items()):
        print(f"{key:<36} {number}")
    for violation in soak.violations:
        print(f"VIOLATION {violation}")
    print(json.dumps({"seed": asked.seed, "figures": soak.figures, "violations": soak.violations}))
    return 1 if soak.violations else 0


if __name__ == "__main__":
    raise SystemExit(main())
