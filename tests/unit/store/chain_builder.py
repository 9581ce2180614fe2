"""Lines of a chain for tests, by what writes them, and one that nobody wrote."""

from __future__ import annotations

import json

from orchestrator.base.files import Folder
from orchestrator.store.chain import IMPORT, add_line
from orchestrator.store.decision_lines import KIND
from orchestrator.store.decisions import add_decision
from orchestrator.store.prune_lines import NamedAttempt, NamedRun, PruneLine, add_prune

AT = "2026-11-22T08:43:05.720Z"


def add(task: Folder, what: str, run: str, number: int) -> None:
    """Append a line: the end of an attempt of ``run``, a decision, a prune, an import with a decision, or another."""
    if what == "decision":
        add_decision(task, run, 1, {"decision": "rejected", "number": number, "timestamp": AT})
    elif what == "prune":
        named = NamedRun(run, (NamedAttempt(1, "d"),), "succeeded", "success", "hello", "diagnostics", AT, AT)
        add_prune(task, PruneLine("record", False, "tester", str(number), {}, (named,), AT, ""))
    elif what == "import":
        inner = {"kind": KIND, "run_id": run, "attempt": 1, "decision": {"number": number}, "previous_line": "0" * 64}
        add_line(task, {"kind": IMPORT, "run_id": run, "lines": [{"run_id": run, "attempt": 1}, inner]}, {})
    elif what == "unknown":
        add_line(task, {"kind": "later", "run_id": run, "number": number}, {})
    else:
        add_line(task, {"form": 2, "run_id": run, "attempt": number, "manifest_digest": "d"}, {"recorded_at": AT})


def planted(run: str, length: int) -> bytes:
    """Return a decision about a run that rests on no line, of ``length`` bytes where it can be so short."""
    line = json.dumps({"kind": KIND, "run_id": run, "attempt": 1, "decision": {"number": 0}})
    return (line[:-1] + " " * (length - len(line)) + "}").encode()
