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

LAZY_OF_NOX = frozenset({"_hashlib", "humanize", "inspect", "logging", "packaging.specifiers", "socket", "traceback"})
"""What nox's session imports lazily or logs by, 20 ms: nobody asks an empty session for it."""

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

LATE = {
    "orchestrator.__main__": "`--version` is answered of two modules, and is 7 ms faster by it",
    "orchestrator.base.redaction.redactor": "the search, 5 ms with `re`: most texts hold nothing like a secret",
    "orchestrator.cli": "the command table, 0.1 ms, and Invoke, 85 ms: most calls are answered without",
    "orchestrator.cloud.mirror": "an XML parser, 12 ms: few stages declare reports",
    "orchestrator.commands.context": "a warning prints, [export] is read, what waits is sent: all rare, 2 ms each",
    "orchestrator.commands.look.failures": "0.8 ms; only of a run that failed",
    "orchestrator.commands.look.fleet_view": "3 ms; few fleets have a key, and hardly one was used before",
    "orchestrator.commands.look.logs": "1 ms; only to follow a run",
    "orchestrator.commands.look.plan": "7 and 14 ms: a fleet's plan needs nothing of one project's, nor the other way",
    "orchestrator.commands.look.run_view": "7 ms; only where the record of a child is gone",
    "orchestrator.commands.look.status": "1 ms each: a program gets no text, and looks once",
    "orchestrator.commands.look.wait": "3 ms; only of a fleet",
    "orchestrator.commands.review.approved_plan": "1 ms; only of a plan that differs; a start asks for it",
    "orchestrator.commands.review.granted_policy": "5 ms; only with signers of a base; `status` asks for it",
    "orchestrator.commands.review.export": "attesting verifies: 50 ms that no other form needs",
    "orchestrator.commands.review.project_policy": "1.7 ms; only where a config has [review]; `status` asks for it",
    "orchestrator.commands.review.review_context": "3 ms; only where a tree is compared; `status` asks for it",
    "orchestrator.commands.run.ancestry": "1 ms; only of a sub-pipeline",
    "orchestrator.commands.run.carry_out": "a cached run or queue 5 ms, a session 11, CI 10, the cloud 60: one of them",
    "orchestrator.commands.run.ci_outputs": "10 ms; only what the CI system at hand takes",
    "orchestrator.commands.run.create_run": "0.4 to 2 ms: only where a plan was approved, or a canary proved",
    "orchestrator.commands.run.ended_run": "1 to 10 ms each: failures, a fleet's projects, CI, an export that waits",
    "orchestrator.commands.run.fleet_start": "mode cloud's client, 17 ms; of CI with nothing selected, 10",
    "orchestrator.commands.run.keyed_answer": "10 ms; only on a CI system",
    "orchestrator.commands.run.policy_comparison": "4 and 14 ms; only where a config differs from the base's",
    "orchestrator.commands.run.prepare_start": "1 to 60 ms: a key, the queue, the cloud, a folder that is empty",
    "orchestrator.commands.run.prepared_run": "1 to 10 ms each: the cache, the base's policy, the CI system's screen",
    "orchestrator.commands.run.resume": "1 to 24 ms: a fleet, the queue, the cloud, a pruned run",
    "orchestrator.commands.run.session_run": "2 ms each; only with limits of runs at once, and of a fleet",
    "orchestrator.commands.run.start": "1 to 24 ms: a fleet, a key that was used, a run in the background",
    "orchestrator.commands.run.unattended_run": "14 to 60 ms: the engine's client",
    "orchestrator.config.builtin": "0.5 ms; what runs from a stored plan needs no durations",
    "orchestrator.config.default_pipeline": "1.7 ms with `re`; hardly a config names one",
    "orchestrator.config.loading": "pydantic, 57 ms: only who reads a config, not who names what one holds",
    "orchestrator.config.project_outlines": "1.7 ms for the parser, 4 and pydantic for the rest; a stored plan has it",
    "orchestrator.config.plan_cache": "7 ms, and pydantic: compiling, of which a stored plan needs nothing",
    "orchestrator.config.plan_policy": "1.7 ms with `re`; a stored plan has the policy",
    "orchestrator.config.routing.deciding": "1.7 ms with `re`; only for a refusal",
    "orchestrator.git.capture": "0.2 to 1 ms each: accounts, digests, the host, a tree that moved; `status` needs none",
    "orchestrator.git.scope": "0.3 ms; without patterns all files are code",
    "orchestrator.model.plan_flags": "6 ms: the reader of shell words; a stored plan has its answer",
    "orchestrator.nox_session": "8 to 14 ms: a fleet, a resume and a detached start are hardly begun by nox",
    "orchestrator.report.brief": "its patterns take 2 ms to compile, and only a failure needs them",
    "orchestrator.report.next_step": "1 ms; only of a run of exec",
    "orchestrator.report.readiness": "0.1 ms; a program's status of a green run needs no words",
    "orchestrator.report.status_document": "0.5 ms for version 1, 0.6 for interrupted and waiting runs: rare",
    "orchestrator.report.run_summary": "its patterns take 2 ms to compile, and only a failure needs them",
    "orchestrator.runner.attempt": "masks that CI knows, 1 ms, and an XML parser, 12 ms: few runs need them",
    "orchestrator.runner.environment.fingerprint": "9 ms; of a session that installs something",
    "orchestrator.runner.environment.make": "3 ms; of an environment whose maker is gone",
    "orchestrator.runner.error_files": "its patterns take 2 ms to compile, and only a failed stage needs them",
    "orchestrator.runner.prepare_environment": "its patterns take 2 ms to compile, and only a failure needs them",
    "orchestrator.runner.progress.lines": "its patterns take 2 ms to compile; only output that is shown needs them",
    "orchestrator.runner.progress.observers": "rich, 30 ms, and 0.6 to 2 ms for the other forms: one is chosen",
    "orchestrator.runner.recorder": "0.2 to 0.8 ms each: a cached attempt starts no stage and fails none",
    "orchestrator.runner.stage_command": "1 ms with `re`; only of a session with an environment, as a stage ends",
    "orchestrator.store.cited_run": "0.5 ms; a cited run is stored, unless it was removed by hand",
    "orchestrator.store.decisions": "1 ms; only of a run with much of a chain behind it; `status` asks for it",
    "orchestrator.store.take_over": "1 to 2 ms: a start takes over no run, and no run is pruned meanwhile",
    "orchestrator.store.find": "1 ms; only of a run that a prune removed or is about to",
    "orchestrator.store.legacy.documents": "6 ms: the reader of shell words, for few records of version 1",
    "orchestrator.store.publish": "0.3 to 1.3 ms: no export on close, and a state that is as it was left",
    "orchestrator.store.record_proof": "0.2 ms of an imported run, 1 ms of pruned logs; `status` asks",
    "orchestrator.store.recovery": "1.5 and 2 ms: a prune or an import that died on its way",
}
"""Every module, or package of such, that imports modules of ours inside functions: what would be loaded in vain.

The milliseconds are of CPU, of what a ``start``, ``status`` or ``plan`` would load more. All else stands at the top
of its file, and a command's module is loaded late itself: another delay needs a measured reason in this table.
"""


NOT_FOR_CACHED_FLEETS = frozenset(
    {
        "orchestrator.cli.loaded_program",
        "orchestrator.commands.look.failures",
        "orchestrator.process.copied_guard",
        "orchestrator.process.guard.main",
        "subprocess",
    }
)
"""What starts a guard, and children below it: one that is up to date is answered without."""

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
        without=HEAVY - {"nox", "importlib.metadata"}
        | {"rfc8785"}
        | CI_ONLY
        | LAZY_OF_NOX
        | REPORTS_ONLY
        | NOT_FOR_STARTS,
        with_=frozenset({"nox"}),
    ),
    Row(
        ("start", "--project", "x"),
        after="cached",
        without=HEAVY | SLOW | REPORTS_ONLY | NOT_FOR_STARTS | NOT_FOR_CACHED | CI_ONLY,
    ),
    Row(
        ("start", "--all"),
        after="cached",
        without=HEAVY | REPORTS_ONLY - {"orchestrator.model.failed_tests"} | CI_ONLY | NOT_FOR_CACHED_FLEETS,
        with_=frozenset({"orchestrator.process.copies"}),
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
