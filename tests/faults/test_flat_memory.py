"""Memory does not grow with what stages print."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.harness import Orchestrator, WorkspaceFolder

GROWTH_KIB = 2 * 1024
BUFFERS_KIB = 6 * 1024
"""Pieces of up to 512 KiB from the pipe, each read, masked, cut at the log's end and kept for a moment, and the matcher
where it is loaded after the first stage: that many are in use together, however much follows."""
_PEAK = (
    "import json, os; pid = json.load(open(os.environ['CODEX_ORCHESTRATOR_RUN_DIR'] + '/.lock'))['pid'];"
    "print(next(line.split()[1] for line in open(f'/proc/{pid}/status') if line.startswith('VmHWM')))"
)
_TEXT = (
    "import os; text = b''.join(b'%06d collected tests/unit/test_%d.py::test_it PASSED\\n' % (n, n * 7919)"
    " for n in range(20_000))[: 1 << 20]\nfor _ in range({mib}): os.write(1, text)"
)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a process's peak memory is read from /proc")
def test_our_memory_is_the_same_after_32_and_after_256_mib_of_output(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """The peak of the orchestrator's own process grows by at most 2 MiB from 32 to 256 MiB, with 20 secrets.

    What is promised is that memory does not grow with output (contract, section 5). So the growth is measured from
    where all is in use that a large output needs, the compiled matcher (after 1 MiB) and the ring of a log that is
    over its limit; what these and pieces of 512 KiB add to a small output has a bound of its own.
    """
    python = f"{sys.executable} -I -S"
    stages = {"small": 2, "middle": 32, "large": 256}
    table: dict[str, str] = {}
    for name, mib in stages.items():
        script = workspace.write(f"print-{name}.py", _TEXT.format(mib=mib))
        table[name] = f"{python} {script} 2>&1"
        table[f"after-{name}"] = f'{python} -c "{_PEAK}"'
    # The ring of a stage's log is on disk; a small limit makes it turn.
    workspace.project("x", {name: {"shell": line, "log_limit": "8MiB"} for name, line in table.items()})
    secrets = {f"SECRET_{number}_TOKEN": f"{number}s3cret/{number * 7919}+value" for number in range(20)}
    done = orchestrate("start", "--project", "x", "--format", "json", env=secrets, timeout=300)
    assert done.code == 0, done.stderr
    (run,) = workspace.runs("1-x")
    after = [_peak(run, name) for name in ("after-small", "after-middle", "after-large")]
    assert after[2] - after[1] <= GROWTH_KIB, after
    assert after[1] - after[0] <= BUFFERS_KIB, after


def _peak(run: Path, stage: str) -> int:
    (log,) = (run / "commands").glob(f"*-{stage}.log")
    return int(log.read_text())
