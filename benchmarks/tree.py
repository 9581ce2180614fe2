"""Memory of a whole process tree while it runs, from Linux's ``/proc``: looked at every few milliseconds."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from benchmarks.running import Command

_INTERVAL = 0.003
_KIB_PER_MIB = 1024.0


def is_supported() -> bool:
    """Tell whether this system tells a process's children and its share of memory."""
    with suppress(OSError), open("/proc/self/smaps_rollup", encoding="ascii") as file:
        return bool(file.read(1))
    return False


@dataclass(slots=True)
class Peak:
    """The largest figures seen, in MiB.

    ``whole`` is of the whole tree at one moment: what each process has for itself, and the largest part that one
    shares. (PSS would divide shared pages among processes outside the tree, too, so it would depend on them.)
    ``own`` is the peak of the process that was started, as the kernel keeps it (VmHWM), however short it was.
    """

    whole: float = 0.0
    own: float = 0.0

    def look(self, pid: int) -> None:
        """Look at the tree below ``pid`` now."""
        private, shared = 0.0, 0.0
        for each in tree(pid):
            with suppress(OSError, ValueError, KeyError):
                maps = _fields(f"/proc/{each}/smaps_rollup")
                private += _mib(maps["Private_Clean"]) + _mib(maps["Private_Dirty"])
                shared = max(shared, _mib(maps["Shared_Clean"]) + _mib(maps["Shared_Dirty"]))
        self.whole = max(self.whole, private + shared)
        with suppress(OSError, ValueError, KeyError):
            self.own = max(self.own, _mib(_fields(f"/proc/{pid}/status")["VmHWM"]))


def peak_of(command: Command) -> Peak:
    """Run a command, looking at its tree all the while, and return the peak. Raises RuntimeError when it fails."""
    peak = Peak()
    with subprocess.Popen(
        command.argv,
        cwd=command.folder,
        env=dict(command.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while process.poll() is None:
            peak.look(process.pid)
            time.sleep(_INTERVAL)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command.argv)} ended with exit code {process.returncode}")
    return peak


def tree(pid: int) -> Iterator[int]:
    """Yield ``pid`` and all that descends from it now."""
    yield pid
    with suppress(OSError), open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        for child in file.read().split():
            yield from tree(int(child))


def _fields(path: str) -> Mapping[str, str]:
    with open(path, encoding="utf-8", errors="replace") as file:
        return {name: value.strip() for name, _, value in (line.partition(":") for line in file)}


def _mib(text: str) -> float:
    """Return MiB of a field that is told in kB."""
    return int(text.split()[0]) / _KIB_PER_MIB
