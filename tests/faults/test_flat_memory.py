"""Memory does not grow with what stages print."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.harness import Orchestrator, WorkspaceFolder

GROWTH_KIB = 2 * 1024
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
def test_our_memory_is_the_same_after_1_and_after_200_mib_of_output(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """The peak of the orchestrator's own process grows by at most 2 MiB, with 20 secrets to look for."""
    python = f"{sys.executable} -I -S"
    stages = {"small": 2, "large": 200}
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
    after = [_peak(run, name) for name in ("after-small", "after-large")]
    assert after[1] - after[0] <= GROWTH_KIB, after


def _peak(run: Path, stage: str) -> int:
    (log,) = (run / "commands").glob(f"*-{stage}.log")
    return int(log.read_text())
