"""The commands. A new one is one entry here, and its section in ``docs/commands.md``."""

from __future__ import annotations

from orchestrator.cli.options import Command, Option, assignment, count, late, one_of, seconds, share, table, whole

DEFAULT_PIPELINE = "diagnostics"
DEFAULT_INTERVAL = 2.0
"""Seconds between two looks of ``status --watch``."""

_PROJECT = Option("project", "the project; left out: told by the task, the current folder, or the only one", "NAME")
_TASK = Option("task", "the task; left out: $MCP_RUNNER_TASK_ID, the parent run's, or the project's own", "ID")
_PIPELINE = Option("pipeline", "the pipeline", "NAME", default=DEFAULT_PIPELINE)
_FORMAT = Option("format", "text or json", "FORMAT", default="text", read=one_of("text", "json"))
_EVENTS = Option(
    "format",
    "text, json, or ndjson (the run's events)",
    "FORMAT",
    default="text",
    read=one_of("text", "json", "ndjson"),
)
_JOBS = Option("jobs", "stages that run at once; left out: the number of cores", "N", read=count)
_NO_CACHE = Option("no-cache", "run every stage, unchanged or not; what succeeds is kept all the same")
_ACTOR = Option("actor", "who asks for it; recorded", "NAME")
_RUN = Option("run", "a run's id, a unique prefix of it, or 'latest'", "RUN", required=True)
_YES = Option("yes", "write without asking; needed where there is no terminal")
_DRY_RUN = Option("dry-run", "show what would be written, and write nothing")
_LATEST = Option("run", "a run's id, a unique prefix of it, or 'latest'", "RUN", default="latest")
_STATUSES = ("queued", "in_progress", "succeeded", "failed", "cancelled", "damaged")
_OUTCOMES = ("success", "failure", "timeout", "cancellation", "error")

COMMANDS = table(
    Command(
        "start",
        "Run a project's pipeline and record it.",
        late("orchestrator.commands.run.start", "start"),
        (
            _PIPELINE,
            _PROJECT,
            _TASK,
            Option("parent-run", "the run that this one belongs to; left out: the run that encloses this call", "RUN"),
            _JOBS,
            _ACTOR,
            Option("approval-policy", "the approval policy in force; recorded", "TEXT"),
            Option("mode", "local or cloud; recorded", "MODE", default="local", read=one_of("local", "cloud")),
            Option(
                "override",
                "a setting that was overridden, may be repeated; recorded, needs --override-reason",
                "K=V",
                read=assignment,
                repeatable=True,
                parameter="overrides",
            ),
            Option("override-reason", "why it was overridden; recorded", "TEXT"),
            _NO_CACHE,
            Option("detach", "print the run's id and return while the run goes on"),
            _EVENTS,
        ),
        positional="pipeline",
        dry_as="plan",
    ),
    Command(
        "resume",
        "Run what has not succeeded in a run, as a new attempt.",
        late("orchestrator.commands.run.resume", "resume"),
        (
            _RUN,
            Option("token", "the run's resume token; left out: read from the run's token file", "TOKEN"),
            _ACTOR,
            Option("reason", "why it is resumed; recorded", "TEXT"),
            Option("accept-drift", "run today's plan, though it is not the recorded one; recorded"),
            _JOBS,
            _NO_CACHE,
            _EVENTS,
        ),
        positional="run",
    ),
    Command(
        "cancel",
        "Stop a live run, and wait until nothing of it is left running.",
        late("orchestrator.commands.run.cancel", "cancel"),
        (_RUN, Option("reason", "why it is stopped; recorded", "TEXT"), _ACTOR, _FORMAT),
        positional="run",
    ),
    Command(
        "status",
        "Show a run as a reviewer needs it.",
        late("orchestrator.commands.look.status", "status"),
        (
            _LATEST,
            Option("watch", "show it again until the run has ended"),
            Option("interval", "seconds between two looks of --watch", "N", default=DEFAULT_INTERVAL, read=seconds),
            _FORMAT,
        ),
        positional="run",
        dry_as="status",
    ),
    Command(
        "runs",
        "List the runs of all tasks and projects, newest first.",
        late("orchestrator.commands.look.runs", "runs"),
        (
            Option("project", "runs of this project only", "NAME"),
            Option("task", "runs of this task only", "ID"),
            Option("status", "runs with this status only, or the damaged ones", "STATUS", read=one_of(*_STATUSES)),
            Option("outcome", "runs with this outcome only", "OUTCOME", read=one_of(*_OUTCOMES)),
            Option("pipeline", "runs of this pipeline only", "NAME"),
            Option("since", "runs that started since then: a span such as 7d, or a date (UTC)", "WHEN"),
            Option("parent", "runs started inside this run only", "RUN"),
            Option("limit", "so many at most; 0: all", "N", default=20, read=whole),
            Option(
                "sort",
                "started, completed or duration: the latest, or longest, first",
                "KEY",
                default="started",
                read=one_of("started", "completed", "duration"),
            ),
            _FORMAT,
        ),
        dry_as="runs",
    ),
    Command(
        "lineage",
        "Show the tree of runs that a run belongs to, and what is broken in it.",
        late("orchestrator.commands.look.lineage", "lineage"),
        (
            _RUN,
            Option("all", "search every run for children that their parents don't list"),
            Option("format", "text, json or mermaid", "FORMAT", default="text", read=one_of("text", "json", "mermaid")),
        ),
        positional="run",
        dry_as="lineage",
    ),
    Command(
        "metrics",
        "Show what the runs of the last days come to, by project, and the gate over it.",
        late("orchestrator.commands.look.metrics", "metrics"),
        (
            Option("project", "this project only", "NAME"),
            Option("window", "how far back: a span such as 7d or 36h", "SPAN", default="7d"),
            Option("gate", "exit with 4 when the gate is not met"),
            Option("min-coverage", "the least guardrail coverage; left out: the project's, else 0.9", "N", read=share),
            Option(
                "sla-budget", "the most of the runs that may breach; left out: the project's, else 0.1", "N", read=share
            ),
            Option(
                "format",
                "text, json, openmetrics or svg",
                "FORMAT",
                default="text",
                read=one_of("text", "json", "openmetrics", "svg"),
            ),
        ),
        dry_as="metrics",
    ),
    Command(
        "sla",
        "Write each project's limit and measured p90 into docs/sla.md, shown before it is written.",
        late("orchestrator.commands.review.sla", "sla"),
        (_YES, _DRY_RUN, _FORMAT),
    ),
    Command(
        "plan",
        "Show the stages that 'start' would run; runs nothing.",
        late("orchestrator.commands.look.plan", "plan"),
        (
            _PIPELINE,
            _PROJECT,
            _TASK,
            Option("against", "the run to compare with; left out: the one that was approved last", "RUN"),
            Option("explain", "say of each stage whether it would run now, and why"),
            _FORMAT,
        ),
        positional="pipeline",
        dry_as="plan",
    ),
    Command(
        "review",
        "Show what a reviewer must see of a run, and record the decision.",
        late("orchestrator.commands.review.review", "review"),
        (
            _LATEST,
            Option("decision", "approve, request-changes or comment", "WORD"),
            Option("actor", "who decides; recorded", "NAME"),
            Option("role", "the role in which it is decided; recorded", "NAME"),
            Option("reason", "why; recorded", "TEXT"),
            Option("scope", "what the decision is about, when not the whole run; recorded", "TEXT"),
            Option("escalate", "to whom it goes, and why; recorded as a comment", "TEXT"),
            _FORMAT,
        ),
        positional="run",
    ),
    Command(
        "logs",
        "Show what a run's stages printed.",
        late("orchestrator.commands.look.logs", "logs"),
        (
            _RUN,
            Option("stage", "this stage only", "ID"),
            Option("follow", "go on until the run has ended"),
        ),
        positional="run",
        dry_as="logs",
    ),
    Command(
        "spec-guard",
        "Check that code was not changed without its spec, and that specs, checklists and records hold.",
        late("orchestrator.commands.review.spec_guard", "spec_guard"),
        (
            _PROJECT,
            _TASK,
            Option(
                "base", "the commit to compare with; left out: $BASE_SHA, the config's, or the default branch", "COMMIT"
            ),
            Option("sarif", "a file to write the findings to besides, as SARIF 2.1.0", "FILE"),
            Option("dry-run", "report, but pass whatever is found"),
            Option(
                "format",
                "text, json, sarif, or github (annotations of a workflow)",
                "FORMAT",
                default="text",
                read=one_of("text", "json", "sarif", "github"),
            ),
        ),
        dry_as="spec-guard",
    ),
    Command(
        "doctor",
        "Check the workspace: configurations, tools, records and file systems.",
        late("orchestrator.commands.maintain.doctor", "doctor"),
        (Option("repair", "mend what can be mended; safe beside live runs, and to repeat"), _FORMAT),
    ),
    Command(
        "verify",
        "Check that records are as they were left, and that documents claim what records prove.",
        late("orchestrator.commands.review.verify", "verify"),
        (
            Option("run", "a run's id, a unique prefix of it, or 'latest'; left out: every run", "RUN"),
            Option("all", "every run of every task"),
            Option("state", "whether manifests, metrics, state and pointers agree"),
            Option(
                "docs",
                "whether ticked items are proved by the runs that they cite, and docs/sla.md is fresh",
            ),
            _FORMAT,
        ),
        positional="run",
        dry_as="verify",
    ),
    Command(
        "checklist",
        "Tick an item with the run that proves it ('tick ITEM'), or make mirrors equal again ('sync').",
        late("orchestrator.commands.review.checklist", "checklist"),
        (
            Option("words", "tick ITEM, or sync", "WORDS", repeatable=True),
            Option("run", "the run that proves the item", "RUN"),
            Option("task", "the task of the checklist; left out: the run's, or all for sync", "ID"),
            Option("yes", "with sync: write without asking, needed where there is no terminal; tick never asks"),
            _DRY_RUN,
            _FORMAT,
        ),
        positional="words",
    ),
    Command(
        "export",
        "Write a run in a form that other tools verify: an in-toto Statement, signed when asked.",
        late("orchestrator.commands.review.export", "export"),
        (
            _RUN,
            Option("as", "the form", "FORM", default="in-toto", read=one_of("in-toto"), parameter="kind"),
            Option("sign", "a file with an ed25519 private key in PEM, to sign with (DSSE)", "KEY"),
            Option("output", "the file to write to; left out: stdout", "FILE"),
        ),
        positional="run",
    ),
    Command(
        "onboard",
        "Make a codebase a project: config, task files and mirrors, shown before they are written.",
        late("orchestrator.commands.setup.onboard", "onboard"),
        (
            Option("project", "what the project is to be called", "NAME", required=True),
            Option("path", "the codebase's folder, which may lie outside; left out: packages/NAME", "DIR"),
            Option("task", "the task of its runs; left out: the next free number with the project's name", "ID"),
            Option(
                "template",
                "python, node, go, rust, make or generic; left out: told by the codebase's files",
                "KIND",
                read=one_of("python", "node", "go", "rust", "make", "generic"),
            ),
            Option(
                "owner", "who answers for the project, may be repeated", "NAME", repeatable=True, parameter="owners"
            ),
            Option("keep", "leave files that are there as they are, and write only what is missing"),
            _YES,
            _DRY_RUN,
            _FORMAT,
        ),
        positional="project",
    ),
    Command(
        "init",
        "Make a folder a workspace: the files that it lacks, shown before they are written.",
        late("orchestrator.commands.setup.init", "init"),
        (
            Option("path", "the folder, made when it is missing; left out: the current one", "DIR"),
            _YES,
            _DRY_RUN,
            _FORMAT,
        ),
    ),
    Command(
        "migrate",
        "Take the runs of the early version into the index; nothing is deleted.",
        late("orchestrator.commands.setup.migrate", "migrate"),
        (
            Option("run", "this run only: its id, or the name of its early folder; left out: all of them", "RUN"),
            Option("dry-run", "show what would be made, and write nothing"),
            _FORMAT,
        ),
        positional="run",
    ),
    Command(
        "schema",
        "Print the JSON Schema of a kind of file.",
        late("orchestrator.commands.maintain.schema", "schema"),
        (Option("name", "which kind of file, such as manifest", "NAME", default="manifest"),),
        positional="name",
        dry_as="schema",
    ),
)
