"""What each command may load: the one table. ``tests/functional/test_import_budget.py`` holds every command to it.

Loading is most of what a short command takes. A row names what a call must not load; everything else it may. The
milliseconds are of CPU, measured on Python 3.11 (``docs/performance.md``).
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

from tests.harness import Orchestrator

HEAVY = frozenset(
    {
        "asyncio",
        "importlib.metadata",  # 20 ms
        "invoke",  # 85 ms
        "jsonschema",  # 60 ms
        "nox",  # 80 ms
        "portalocker",  # 36 ms
        "pydantic",  # 57 ms
        "rich",  # 30 ms
        "unittest",
    }
)
"""Tens of milliseconds, and no part of an answer that needs no run."""

SLOW = frozenset(
    {
        "_hashlib",  # 2.5 ms: it loads OpenSSL
        "dataclasses",  # 13 ms, with inspect
        "datetime",  # 2 ms; base/clock has its compiled part
        "enum",  # 1.5 ms
        "hashlib",
        "importlib",
        "inspect",
        "json",  # 2 ms, and re; base/json_codec has its compiled part
        "re",  # 5 ms, with enum
        "rfc8785",  # 16 ms; its form is Python's own for what our records hold (base/canonical)
        "shlex",
        "signal",  # 0.6 ms, and enum; base/signals has its numbers
        "subprocess",
        "tomllib",
        "typing",  # 3 ms, and 0.16 ms for each named tuple
    }
)
"""Milliseconds of the standard library, behind what is answered in fifty."""

NOT_FOR_STARTS = frozenset(
    {
        "orchestrator.checks.spec_guard.guard",
        "orchestrator.commands.review.plan_of_config",
        "orchestrator.commands.review.review_context",
    }
)
"""What judges a run, a fifth of a millisecond for each of their dozen modules: a start asks for its base only."""

RARE = frozenset(
    {
        "orchestrator.git.filtered_files",
        "orchestrator.git.ownership",
        "orchestrator.git.tree_at_end",
        "orchestrator.git.tree_on_disk",
        "orchestrator.model.plan_diff",
        "orchestrator.report.failures",
        "orchestrator.report.interrupted",
        "orchestrator.store.legacy",
    }
)
"""A changed tree or plan, a failed or interrupted run, a record of version 1: none of them is most days' case."""

NOT_FOR_PROGRAMS = RARE | {
    "orchestrator.base.redaction",
    "orchestrator.git.digest_cache",
    "orchestrator.git.host",
    "orchestrator.git.identity",
    "orchestrator.report.layout",
    "orchestrator.report.review_lines",
    "orchestrator.report.stage_words",
    "orchestrator.report.status_text",
}
"""What a program that polls a run's document does not get: the text, and who and where the reader is."""

NOT_FOR_CACHED = RARE | {
    "orchestrator.commands.look",
    "orchestrator.runner.job",
    "orchestrator.runner.stage_command",
    "orchestrator.runner.stage_log",
    "orchestrator.store.decisions",
}
"""What starts a stage, and what looks at others' runs."""

CI_ONLY = frozenset(
    {
        "opentelemetry",
        "orchestrator.commands.review.waiting_exports",
        "orchestrator.commands.run.ci_outputs",
        "orchestrator.config.export_policy",
        "orchestrator.report.exports",
        "orchestrator.runner.mask_commands",
        "orchestrator.runner.progress.ci_screen",
        "orchestrator.store.outbox",
    }
)
"""What a run needs on a CI system only, and an export."""

REPORTS_ONLY = frozenset(
    {
        "orchestrator.model.failed_tests",
        "orchestrator.model.junit",
        "orchestrator.runner.stage_reports",
        "pyexpat",
    }
)
"""What a run needs of which a stage declares reports."""

LATE_IN_COMMANDS = {
    "orchestrator.commands.context": "a warning prints, [export] is read, what waits is sent: all rare",
    "orchestrator.commands.look.failures": "only of a run that failed",
    "orchestrator.commands.look.plan": "a fleet's plan needs nothing of one project's, nor that of a selection",
    "orchestrator.commands.look.status": "a program gets no text, and looks once",
    "orchestrator.commands.review.approved_plan": "only of a plan that differs; a start asks for it",
    "orchestrator.commands.review.granted_policy": "only with signers of a base; `status` asks for it",
    "orchestrator.commands.review.export": "attesting verifies: 50 ms that no other form needs",
    "orchestrator.commands.review.project_policy": "only where a config has [review]; `status` asks for it",
    "orchestrator.commands.review.review_context": "only where a tree is compared; `status` asks for it",
    "orchestrator.commands.run": "a start loads what its options and its cache need",
}
"""The modules of commands, or packages of such, that import modules of ours inside functions, with the reason.

A command's module is loaded late itself: another delay needs one of the rows below to fail without it.
"""


NOT_FOR_NEW_KEYS = frozenset({"orchestrator.commands.look.status", "orchestrator.commands.look.wait"})
"""What answers of a run that a key stands for already."""

NOT_FOR_USED_KEYS = frozenset(
    {
        "orchestrator.commands.run.create_run",
        "orchestrator.commands.run.session_run",
        "orchestrator.process.client",
        "orchestrator.runner.attempt",
        "orchestrator.runner.environment.nox",
    }
)
"""What begins and carries out a run: who finds one by its key begins none."""


@dataclass(frozen=True)
class Row:
    """One call.

    ``after`` is the workspace's state: ``empty``, a ``started`` run, one ``keyed`` by ``a``, all stages ``cached``,
    or a selection that was ``planned`` before.
    ``without`` must not be loaded, ``with_`` must. ``exactly`` are all modules of ours that are loaded.
    """

    words: tuple[str, ...]
    after: str = "empty"
    without: frozenset[str] = HEAVY
    with_: frozenset[str] = frozenset()
    exactly: frozenset[str] | None = None

    @property
    def name(self) -> str:
        """The row's name in test reports."""
        return f"{' '.join(self.words)} ({self.after})"


BUDGET = (
    Row(("--version",), without=HEAVY | SLOW | {"json"}, exactly=frozenset({"orchestrator", "orchestrator.__main__"})),
    Row(
        ("--help",),
        without=HEAVY - {"invoke", "asyncio", "importlib.metadata", "unittest"},
        with_=frozenset({"invoke"}),
    ),
    Row(("status",)),
    Row(("status", "latest", "--format", "json")),
    Row(("status", "--bogus")),
    Row(("plan", "--project", "nope")),
    Row(
        ("plan", "--affected", "--base", "HEAD"),
        after="planned",
        without=HEAVY | {"tomllib", "subprocess", "inspect", "orchestrator.runner", "orchestrator.config.planning"},
        with_=frozenset({"orchestrator.config.fleet.members_cache"}),
    ),
    Row(("start", "--nope")),
    Row(("start", "--project", "nope")),
    Row(("resume", "latest")),
    Row(("logs", "latest")),
    Row(
        ("status", "--format", "json"),
        after="started",
        without=HEAVY | SLOW | REPORTS_ONLY | NOT_FOR_PROGRAMS | {"orchestrator.model.plan"},
    ),
    Row(("status", "--format", "text"), after="started", without=HEAVY | SLOW | {"orchestrator.model.plan"}),
    Row(("runs",), after="started"),
    Row(("logs", "latest"), after="started"),
    Row(("lineage", "latest"), after="started"),
    Row(
        ("start", "--project", "x"),
        after="started",
        without=HEAVY - {"nox", "importlib.metadata"} | {"rfc8785"} | CI_ONLY | REPORTS_ONLY | NOT_FOR_STARTS,
        with_=frozenset({"nox"}),
    ),
    Row(
        ("start", "--project", "x"),
        after="cached",
        without=HEAVY | SLOW | REPORTS_ONLY | NOT_FOR_STARTS | NOT_FOR_CACHED | CI_ONLY,
    ),
    Row(
        ("start", "--project", "x", "--key", "a"),
        after="started",
        without=HEAVY - {"nox", "importlib.metadata"} | {"rfc8785"} | CI_ONLY | NOT_FOR_STARTS | NOT_FOR_NEW_KEYS,
        with_=frozenset({"nox", "orchestrator.store.keys"}),
    ),
    Row(
        ("start", "--project", "x", "--key", "a"),
        after="keyed",
        without=HEAVY | CI_ONLY | NOT_FOR_USED_KEYS,
        with_=frozenset({"orchestrator.store.keys"}),
    ),
)


def imported(orchestrate: Orchestrator, *words: str) -> set[str]:
    """Return the modules that a call of the console script's function loads, beside what Python had loaded."""
    program = (
        "import sys; before = set(sys.modules)\n"
        "from orchestrator.__main__ import main\n"
        f"sys.argv = ['codex-orchestrator', *{list(words)!r}]\n"
        "try: main()\n"
        "finally: print('\\n'.join(['', *(set(sys.modules) - before)]))\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program],
        cwd=orchestrate.cwd,
        env=dict(orchestrate.environ),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(finished.stdout.splitlines())
