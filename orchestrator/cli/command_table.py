"""The commands, in the order of the help. A new one is an entry here and a section in ``docs/commands.md``."""

from __future__ import annotations

from orchestrator.base.limits import DEFAULT_PIPELINE
from orchestrator.cli.options import Command, Late, OneOf, Option, assignment, count, seconds, share, table, whole

DEFAULT_INTERVAL = 2.0
"""Seconds between two readings of ``status --watch``."""

_PROJECT = Option("project", "the project; left out: that of the task, of the current folder, or the only one", "NAME")
_TASK = Option("task", "the task; left out: $MCP_RUNNER_TASK_ID, the parent run's, or the project's own", "ID")
_PIPELINE = Option("pipeline", "the pipeline", "NAME", default=DEFAULT_PIPELINE)
_FORMAT = Option("format", "text or json", "FORMAT", default="text", read=OneOf("text", "json"))
_EVENTS = Option(
    "format",
    "text, json, or ndjson (the run's events)",
    "FORMAT",
    default="text",
    read=OneOf("text", "json", "ndjson"),
)
_JOBS = Option("jobs", "stages that run at once; left out: the number of cores", "N", read=count)
_NO_CACHE = Option("no-cache", "run every stage, cached or not; successes are stored all the same")
_ACTOR = Option("actor", "the person or program behind the call; recorded", "NAME")
_RUN = Option("run", "a run's id, a unique prefix of it, or 'latest'", "RUN", required=True)
_YES = Option("yes", "write without asking; needed where there is no terminal")
_DRY_RUN = Option("dry-run", "show the changes, and write nothing")
_LATEST = Option("run", "a run's id, a unique prefix of it, or 'latest'", "RUN", default="latest")
_FORMS = ("junit", "otlp", "otlp-json", "chrome-trace", "github-summary", "github-annotations", "in-toto")
_STATUSES = ("queued", "in_progress", "succeeded", "failed", "cancelled", "damaged")
_OUTCOMES = ("success", "failure", "timeout", "cancellation", "error")

COMMANDS = table(
    Command(
        "start",
        "Run a project's pipeline and record it.",
        Late("orchestrator.commands.run.start", "start"),
        (
            _PIPELINE,
            _PROJECT,
            _TASK,
            Option("parent-run", "the parent run; left out: the run that encloses this call", "RUN"),
            _JOBS,
            _ACTOR,
            Option("approval-policy", "the approval policy in force; recorded", "TEXT"),
            Option("mode", "local or cloud; recorded", "MODE", default="local", read=OneOf("local", "cloud")),
            Option(
                "override",
                "an overridden setting, may be repeated; recorded, needs --override-reason",
                "K=V",
                read=assignment,
                repeatable=True,
                parameter="overrides",
            ),
            Option("override-reason", "the reason for the overrides; recorded", "TEXT"),
            _NO_CACHE,
            Option("key", "a start with a key that was used returns that run; 1 to 256 bytes of text", "KEY"),
            Option("detach", "print the run's id and return while the run goes on"),
            _EVENTS,
        ),
        positional="pipeline",
        dry_as="plan",
    ),
    Command(
        "resume",
        "Run what has not succeeded in a run, as a new attempt.",
        Late("orchestrator.commands.run.resume", "resume"),
        (
            _RUN,
            Option("token", "the run's resume token; left out: read from the run's token file", "TOKEN"),
            _ACTOR,
            Option("reason", "the reason for resuming; recorded", "TEXT"),
            Option("accept-drift", "run the current plan, though it differs from the recorded one; recorded"),
            _JOBS,
            _NO_CACHE,
            _EVENTS,
        ),
        positional="run",
    ),
    Command(
        "cancel",
        "Stop a live run and every process of it.",
        Late("orchestrator.commands.run.cancel", "cancel"),
        (_RUN, Option("reason", "the reason for stopping; recorded", "TEXT"), _ACTOR, _FORMAT),
        positional="run",
    ),
    Command(
        "prove",
        "Show that the guardrails can fail: run each on the tree, and with its canaries planted.",
        Late("orchestrator.commands.run.prove", "prove"),
        (_PROJECT, _ACTOR, _EVENTS),
    ),
    Command(
        "status",
        "Show one run: stages, guardrails, reviews, and whether it is ready.",
        Late("orchestrator.commands.look.status", "status"),
        (
            _LATEST,
            Option("brief", "the shortest answer, at most 2 KiB: state, causes of failure, next command"),
            Option("watch", "refresh until the run has ended"),
            Option("interval", "seconds between two refreshes of --watch", "N", default=DEFAULT_INTERVAL, read=seconds),
            _FORMAT,
        ),
        positional="run",
        dry_as="status",
    ),
    Command(
        "wait",
        "Wait until a run has ended, and exit as its start would.",
        Late("orchestrator.commands.look.wait", "wait"),
        (
            _RUN,
            Option("timeout", "the longest time to wait, such as 90s or 10m; left out: for ever", "SPAN"),
            _FORMAT,
        ),
        positional="run",
        dry_as="wait",
    ),
    Command(
        "plan",
        "Show the stages that 'start' would run, and run nothing.",
        Late("orchestrator.commands.look.plan", "plan"),
        (
            _PIPELINE,
            _PROJECT,
            _TASK,
            Option("against", "the run to compare with; left out: the last approved one", "RUN"),
            Option("explain", "show for each stage whether it would run or is cached, and why"),
            _FORMAT,
        ),
        positional="pipeline",
        dry_as="plan",
    ),
    Command(
        "logs",
        "Print the output of a run's stages.",
        Late("orchestrator.commands.look.logs", "logs"),
        (
            _RUN,
            Option("stage", "this stage only", "ID"),
            Option("attempt", "this attempt of each stage; left out: the last", "N", read=count),
            Option("tail", "the last lines of each stage only; left out: all, in json 200", "N", read=whole),
            Option("follow", "go on until the run has ended"),
            _FORMAT,
        ),
        positional="run",
        dry_as="logs",
    ),
    Command(
        "artifacts",
        "List the files of a run that may leave the machine.",
        Late("orchestrator.commands.look.artifacts", "artifacts"),
        (_RUN, _FORMAT),
        positional="run",
        dry_as="artifacts",
    ),
    Command(
        "compare",
        "Show what differs between two runs of a pipeline.",
        Late("orchestrator.commands.look.compare", "compare"),
        (
            _RUN,
            Option(
                "with",
                "the run to compare with, or last-success: the last one before it that succeeded",
                "RUN",
                default="last-success",
                parameter="before",
            ),
            _FORMAT,
        ),
        positional="run",
        dry_as="compare",
    ),
    Command(
        "runs",
        "List the runs of all tasks and projects, newest first.",
        Late("orchestrator.commands.look.runs", "runs"),
        (
            Option("project", "runs of this project only", "NAME"),
            Option("task", "runs of this task only", "ID"),
            Option("status", "runs with this status only, or the damaged ones", "STATUS", read=OneOf(*_STATUSES)),
            Option("outcome", "runs with this outcome only", "OUTCOME", read=OneOf(*_OUTCOMES)),
            Option("pipeline", "runs of this pipeline only", "NAME"),
            Option("since", "runs that started since then: a span such as 7d, or a date (UTC)", "WHEN"),
            Option("parent", "runs started inside this run only", "RUN"),
            Option("limit", "the most runs to list; 0: all", "N", default=20, read=whole),
            Option(
                "sort",
                "started, completed or duration: the latest, or longest, first",
                "KEY",
                default="started",
                read=OneOf("started", "completed", "duration"),
            ),
            _FORMAT,
        ),
        dry_as="runs",
    ),
    Command(
        "lineage",
        "Show the tree of parent and child runs around a run, and broken links in it.",
        Late("orchestrator.commands.look.lineage", "lineage"),
        (
            _RUN,
            Option("all", "search every run for children that their parents don't list"),
            Option("format", "text, json or mermaid", "FORMAT", default="text", read=OneOf("text", "json", "mermaid")),
        ),
        positional="run",
        dry_as="lineage",
    ),
    Command(
        "metrics",
        "Show coverage, SLA breaches and durations by project, with a gate.",
        Late("orchestrator.commands.look.metrics", "metrics"),
        (
            Option("project", "this project only", "NAME"),
            Option("window", "how far back: a span such as 7d or 36h", "SPAN", default="7d"),
            Option("gate", "exit with 4 when the gate is not met"),
            Option("min-coverage", "the least guardrail coverage; left out: the project's, else 0.9", "N", read=share),
            Option(
                "sla-budget", "the share of runs that may breach; left out: the project's, else 0.1", "N", read=share
            ),
            Option(
                "format",
                "text, json, openmetrics or svg",
                "FORMAT",
                default="text",
                read=OneOf("text", "json", "openmetrics", "svg"),
            ),
        ),
        dry_as="metrics",
    ),
    Command(
        "review",
        "Show a run's review packet, and record a decision on it.",
        Late("orchestrator.commands.review.review", "review"),
        (
            _LATEST,
            Option("decision", "approve, request-changes or comment", "WORD"),
            Option("actor", "the reviewer; recorded", "NAME"),
            Option("role", "the reviewer's role; recorded", "NAME"),
            Option("reason", "the reason; recorded", "TEXT"),
            Option("scope", "the part of the run that the decision is about; left out: all of it; recorded", "TEXT"),
            Option("escalate", "the next person to decide, and the reason; recorded as a comment", "TEXT"),
            Option("sign", "sign it: a key's file or name; left out: git's user.signingkey", "KEY", is_optional=True),
            _FORMAT,
        ),
        positional="run",
    ),
    Command(
        "spec-guard",
        "Check that code changed together with its spec, and that documents and records are valid.",
        Late("orchestrator.commands.review.spec_guard", "spec_guard"),
        (
            _PROJECT,
            _TASK,
            Option(
                "base", "the commit to compare with; left out: $BASE_SHA, the config's, or the default branch", "COMMIT"
            ),
            Option("sarif", "a file to write the findings to besides, as SARIF 2.1.0", "FILE"),
            Option("dry-run", "report the findings, and exit with 0 all the same"),
            Option(
                "format",
                "text, json, sarif, or github (annotations of a workflow)",
                "FORMAT",
                default="text",
                read=OneOf("text", "json", "sarif", "github"),
            ),
        ),
        dry_as="spec-guard",
    ),
    Command(
        "verify",
        "Check that records are unaltered, and that documents claim only what records prove.",
        Late("orchestrator.commands.review.verify", "verify"),
        (
            Option("run", "a run's id, a unique prefix of it, or 'latest'; left out: every run", "RUN"),
            Option("all", "every run of every task"),
            Option("state", "whether manifests, metrics, state and pointers agree"),
            Option(
                "docs",
                "whether ticked items are proved by their cited runs, and docs/sla.md is up to date",
            ),
            Option("witness", "a remote whose checkpoints the chains must extend", "REMOTE"),
            _FORMAT,
        ),
        positional="run",
        dry_as="verify",
    ),
    Command(
        "checkpoint",
        "Keep the newest line of each task's chain in a git ref; with --push a remote witnesses it.",
        Late("orchestrator.commands.review.checkpoint", "checkpoint"),
        (
            Option(
                "push", "a remote, by name or URL, that keeps the checkpoints and takes only more of each", "REMOTE"
            ),
            _FORMAT,
        ),
    ),
    Command(
        "checklist",
        "Tick items with the run that proves them ('tick ITEM …'), or update mirrors ('sync').",
        Late("orchestrator.commands.review.checklist", "checklist"),
        (
            Option("words", "tick ITEM …, or sync", "WORDS", repeatable=True),
            Option("run", "the run that proves the item", "RUN"),
            Option("task", "the task of the checklist; left out: the run's, or all for sync", "ID"),
            Option("yes", "with sync: write without asking, needed where there is no terminal; tick never asks"),
            Option("drop-lines", "with sync: drop lines of mirrors that are no items and stand nowhere else"),
            _DRY_RUN,
            _FORMAT,
        ),
        positional="words",
    ),
    Command(
        "sla",
        "Write each project's limit and measured p90 into docs/sla.md.",
        Late("orchestrator.commands.review.sla", "sla"),
        (_YES, _DRY_RUN, _FORMAT),
    ),
    Command(
        "export",
        "Write a run for other tools: JUnit XML, traces, a CI summary, an in-toto Statement.",
        Late("orchestrator.commands.review.export", "export"),
        (
            _LATEST,
            Option("as", "the form", "FORM", default="in-toto", read=OneOf(*_FORMS), parameter="kind"),
            Option("sign", "a file with an ed25519 private key in PEM, to sign with (DSSE)", "KEY"),
            Option("output", "the file to write to; left out: stdout", "FILE"),
            Option("to", "the address to send it to, by HTTP", "URL"),
            Option("no-children", "the run alone, without the runs that it started"),
        ),
        positional="run",
    ),
    Command(
        "init",
        "Make a folder a workspace: write the files that it lacks.",
        Late("orchestrator.commands.setup.init", "init"),
        (
            Option("path", "the folder, created when missing; left out: the current one", "DIR"),
            Option(
                "ci",
                "the CI system to write a workflow for: github or gitlab",
                "SYSTEM",
                read=OneOf("github", "gitlab"),
            ),
            _YES,
            _DRY_RUN,
            _FORMAT,
        ),
    ),
    Command(
        "onboard",
        "Make a codebase a project: write its config, task files and mirrors.",
        Late("orchestrator.commands.setup.onboard", "onboard"),
        (
            Option("project", "the project's name", "NAME", required=True),
            Option("path", "the codebase's folder, which may lie outside; left out: packages/NAME", "DIR"),
            Option("task", "the task of its runs; left out: the next free number and the project's name", "ID"),
            Option(
                "template",
                "python, node, go, rust, make or generic; left out: detected",
                "KIND",
                read=OneOf("python", "node", "go", "rust", "make", "generic"),
            ),
            Option("owner", "an owner of the project, may be repeated", "NAME", repeatable=True, parameter="owners"),
            Option("keep", "leave existing files as they are, and write the missing ones"),
            _YES,
            _DRY_RUN,
            _FORMAT,
        ),
        positional="project",
    ),
    Command(
        "migrate",
        "Index the runs of the early version, and delete nothing.",
        Late("orchestrator.commands.setup.migrate", "migrate"),
        (
            Option("run", "this run only: its id, or the name of its early folder; left out: all of them", "RUN"),
            Option("dry-run", "show the changes, and write nothing"),
            _FORMAT,
        ),
        positional="run",
    ),
    Command(
        "completion",
        "Print a script that completes commands, options, projects, tasks and runs in a shell.",
        Late("orchestrator.cli.completion", "completion", group="setup"),
        (
            Option(
                "shell",
                "bash or zsh",
                "SHELL",
                read=OneOf("bash", "zsh", "candidates", offered=("bash", "zsh")),
                required=True,
            ),
        ),
        positional="shell",
        dry_as="completion",
    ),
    Command(
        "doctor",
        "Check the workspace: configurations, tools, records and file systems.",
        Late("orchestrator.commands.maintain.doctor", "doctor"),
        (Option("repair", "repair what follows from the manifests; safe beside live runs, and to repeat"), _FORMAT),
    ),
    Command(
        "schema",
        "Print the JSON Schema of a document.",
        Late("orchestrator.commands.maintain.schema", "schema"),
        (Option("name", "the document: manifest, run, status, brief, plan, runs, …", "NAME", default="manifest"),),
        positional="name",
        dry_as="schema",
    ),
)
