"""Children of a fleet are copies of a process that has the program loaded: none can tell that it was not executed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.process import Exited, GuardClient
from orchestrator.process.copied_guard import copy_guard
from orchestrator.runner.stage_command import child_program
from tests.process_driver import LINUX, Driver

pytestmark = pytest.mark.skipif(not LINUX, reason="fleets make copies on Linux only")

PROBE = r"""
import gc, json, locale, os, resource, signal, subprocess, sys, threading, time


def probe():
    held = []
    for fd in (0, 1, 2, *range(4, 256)):  # 3 is where a copy reports, closed at any exec
        try:
            os.fstat(fd)
            held.append(fd)
        except OSError:
            pass
    status = open("/proc/self/status").read().splitlines()
    kinds = ("SigB", "SigI", "SigC", "SigP", "ShdP", "Umas", "NoNe", "Thre")
    streams = (sys.stdin, sys.stdout, sys.stderr, sys.__stdout__)
    return {
        "signals": [repr(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
        "status": [line for line in status if line[:4] in kinds],
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "wakeup": signal.set_wakeup_fd(-1),
        "held": held,
        "inheritable": [fd for fd in range(3, 256) if fd in held and os.get_inheritable(fd)],
        "leads": os.getsid(0) == os.getpid() == os.getpgid(0),
        "folder": os.getcwd(),
        "environ": dict(os.environ),
        "seen by programs": subprocess.run("env | LC_ALL=C sort", shell=True, stdout=-1).stdout.hex(),
        "words": sys.argv[1:],
        "original": sys.orig_argv[0],
        "flags": str(sys.flags),
        "path": [entry for entry in sys.path if entry],
        "streams": [(s.encoding, s.errors, s.line_buffering, s.isatty(), s.fileno()) for s in streams],
        "stdin": sys.stdin.read(),
        "threads": threading.active_count(),
        "time": time.tzname,
        "locale": locale.setlocale(locale.LC_ALL),
        "collects": gc.isenabled(),
        "nice": os.nice(0),
        "limits": resource.getrlimit(resource.RLIMIT_NOFILE),
        "used": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >= 0,
    }
"""
MODULE = """
import orchestrator.__main__ as program
from orchestrator.cli.loaded_program import copied, load
{body}
program.main = main
"""
COPYING = """
import os, sys
from orchestrator.runner.stage_command import child_program
from tests.functional.test_loaded_program import driver_of
lost = [open(os.devnull, "w") for _ in range(9)]
lost[0].write("not written by a copy")
lost.append(lost)
del lost
with driver_of("loaded_sample", copied=True) as driver:
    key = driver.spawn([*child_program(), "word", "é"], cwd=sys.argv[1], env=dict(os.environ))
    sys.stdout.buffer.write(driver.output(key))
"""
OF_ITS_START = 3 << 31
"""The C library's own two signals, which its ``posix_spawn`` leaves ignored (glibc, ``__spawni_child``)."""
OF_PYTHONPATH = ("environ", "seen by programs", "path")


def comparable(found: dict[str, Any]) -> dict[str, Any]:
    """Return what a probe found, but for what follows from PYTHONPATH and from how its guard was started."""
    status = dict(line.split(":\t", 1) for line in found["status"])
    status["SigIgn"] = hex(int(status["SigIgn"], 16) & ~OF_ITS_START)
    return {name: value for name, value in found.items() if name not in OF_PYTHONPATH} | {"status": status}


def loading(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> Driver:
    """Return a driver whose guard holds the program loaded, with another ``main``: that of ``body``."""
    (folder / "loaded_sample.py").write_text(MODULE.format(body=body))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return driver_of("loaded_sample")


def driver_of(program: str, *, copied: bool = False) -> Driver:
    """Return a driver whose guard holds the program of that module loaded."""
    driver = Driver()
    driver.guard.close(timeout_seconds=10)
    driver.guard = GuardClient.start(program=program, make=copy_guard if copied else None)
    return driver


def test_a_copy_is_as_a_process_that_was_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signals, descriptors, session, folder, variables, arguments, streams, path and limits are the same.

    So are those of a copy whose guard is a copy itself.
    """
    body = f"{PROBE}\ndef main():\n    print(json.dumps(probe()), end='')\n    return 0\n"
    executed = f"{PROBE}\nprint(json.dumps(probe()), end='')"
    found: list[dict[str, Any]] = []
    with loading(tmp_path, monkeypatch, body) as driver:
        env = {**os.environ, "SAMPLE": "é\udcff", "TZ": "Asia/Tokyo"}
        env.pop("CODEX_ORCHESTRATOR_ROOT", None)
        for argv in ((sys.executable, "-P", "-c", executed), child_program()):
            key = driver.spawn([*argv, "word", "é"], cwd=tmp_path, env=env)
            found.append(json.loads(driver.output(key)))
    assert found[1] == found[0]
    root = str(Path(__file__).parents[2])
    env["PYTHONPATH"] = os.pathsep.join((str(tmp_path), root))
    words = [sys.executable, "-P", "-c", COPYING, str(tmp_path)]
    copying = subprocess.run(words, env=env, stdout=subprocess.PIPE, check=True, timeout=60)
    assert comparable(json.loads(copying.stdout)) == comparable(found[0])


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ("    print('unflushed', end='')\n    return 7", 7, "unflushed"),
        ("    raise SystemExit('why')", 1, "why\n"),
        ("    raise SystemExit", 0, ""),
        ("    raise ValueError('broken')", 1, "ValueError: broken\n"),
        ("    import atexit; atexit.register(print, 'at the end')\n    return 0", 0, "at the end\n"),
        ("    import threading, time\n    threading.Thread(target=lambda: (time.sleep(0.2), print('late'))).start()\n"
         "    return 0", 0, "late\n"),
    ],
)  # fmt: skip
def test_a_copy_ends_as_an_interpreter_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, code: int, said: str
) -> None:
    """Its exit code, what it has not flushed, what it does at its end and what escapes from it are as ever."""
    with loading(tmp_path, monkeypatch, f"def main():\n{body}\n") as driver:
        key = driver.spawn(child_program(), env=dict(os.environ))
        assert driver.output(key).decode().endswith(said)
        ended = driver.wait(Exited, key)
        assert (ended.exit_code, ended.signal) == (code, None)


def test_what_a_child_had_to_load_is_loaded_for_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that the first copy imports is there already in the second; other commands are executed."""
    body = "import sys\ndef main():\n    print('colorsys' in sys.modules)\n    import colorsys\n    return 0"
    with loading(tmp_path, monkeypatch, body) as driver:
        seen = []
        for _ in range(2):
            key = driver.spawn(child_program(), env=dict(os.environ))
            seen.append(driver.output(key))
            driver.wait(Exited, key)
        assert seen == [b"False\n", b"True\n"]
        assert driver.run(["sh", "-c", "exit 3"]).exit_code == 3


@pytest.mark.parametrize("program", ["no_such_module", "orchestrator.cli.loaded_program"])
def test_a_program_that_cannot_be_loaded_is_executed(program: str) -> None:
    """The answer is the same, whether the guard holds the program or not."""
    with driver_of(program) as driver:
        key = driver.spawn([*child_program(), "--version"], env=dict(os.environ))
        assert driver.output(key).startswith(b"codex-orchestrator ")
        assert driver.wait(Exited, key).exit_code == 0


def test_a_guard_with_threads_makes_no_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of several threads can't be copied: then the program is executed."""
    body = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\nmain = None"
    with loading(tmp_path, monkeypatch, body) as driver:
        key = driver.spawn([*child_program(), "--version"], env=dict(os.environ))
        assert driver.output(key).startswith(b"codex-orchestrator ")
