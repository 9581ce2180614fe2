"""The commands that run, and those that look at runs, in the order of the help."""

from __future__ import annotations

from orchestrator.base.limits import UNNAMED_PIPELINE
from orchestrator.cli.options import (
    FORMAT,
    LATEST,
    PROJECT,
    TASK,
    Command,
    Late,
    OneOf,
    Option,
    assignment,
    count,
    integer,
    seconds,
    share,
    whole,
)

DEFAULT_INTERVAL = 2.0
"""Seconds between two readings of ``status --watch``."""

_PIPELINE = Option("pipeline", "the pipeline, else the project's default_pipeline", "NAME", default=UNNAMED_PIPELINE)
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
_STATUSES = ("queued", "in_progress", "succeeded", "failed", "cancelled", "damaged")
_OUTCOMES = ("success", "failure", "timeout", "cancellation", "error")
_SELECTION = (
    Option(
        "all",
        "all projects that have the pipeline, as one run (a fleet), as with any selection below",
        parameter="everything",
    ),
    Option("projects", "these projects", "A,B"),
    Option("affected", "projects with changes since --base, and those that depend on them"),
    Option(
        "base",
        "the commit to compare with, or last-success; left out: $BASE_SHA, the default branch",
        "REV",
    ),
    Option("no-dependents", "with --affected: leave out projects that only depend on a changed one"),
    Option(
        "owner",
        "projects of this owner; may be repeated, for any of several",
        "NAME",
        repeatable=True,
        parameter="owners",
    ),
    Option(
        "tag", "projects with this tag; may be repeated, for any of several", "NAME", repeatable=True, parameter="tags"
    ),
    Option("exclude", "leave out these projects", "A,B"),
    Option("failed", "projects whose last run of the pipeline did not succeed, or that the last fleet skipped"),
    Option("shard", "the I-th of N parts of the selection", "I/N"),
)

COMMANDS = (
    Command(
        "start",
        "Run a project's pipeline and record it.",
        Late("orchestrator.commands.run.start", "start"),
        (
            _PIPELINE,
            PROJECT,
            TASK,
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
            Option("key", "repeating a start with the same key returns the first one's run; 1 to 256 bytes", "KEY"),
            Option(
                "priority",
                "the place in the queue where runs have to wait: -9 to 9, higher first",
                "N",
                default=0,
                read=integer,
            ),
            Option("wait", "the longest time to wait in the queue, such as 5m; left out: as long as it takes", "SPAN"),
            Option("no-wait", "refuse (exit code 5) instead of waiting in the queue"),
            Option("detach", "print the run's id and return while the run goes on"),
            *_SELECTION,
            Option("fail-fast", "of a selection: start no other project after the first failed one"),
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
            Option("fresh", "of a fleet: new runs for all projects that did not succeed"),
            Option("mode", "local or cloud; left out: as the attempt before", "MODE", read=OneOf("local", "cloud")),
            _JOBS,
            _NO_CACHE,
            _EVENTS,
        ),
        positional="run",
    ),
    Command(
        "attach",
        "Take over a run in the cloud whose submitter is gone, and go on as 'start' would.",
        Late("orchestrator.commands.run.attach", "attach"),
        (_RUN, _EVENTS),
        positional="run",
    ),
    Command(
        "cancel",
        "Stop a live run and every process of it.",
        Late("orchestrator.commands.run.cancel", "cancel"),
        (_RUN, Option("reason", "the reason for stopping; recorded", "TEXT"), _ACTOR, FORMAT),
        positional="run",
    ),
    Command(
        "prove",
        "Show that the guardrails can fail: run each on the tree, and with its canaries planted.",
        Late("orchestrator.commands.run.prove", "prove"),
        (PROJECT, _ACTOR, _EVENTS),
    ),
    Command(
        "exec",
        "Run one command in a project's session and record it.",
        Late("orchestrator.commands.run.execute", "execute"),
        (
            Option(
                "command",
                "a word of the command, in their order; all words after -- are such",
                "WORD",
                required=True,
                repeatable=True,
            ),
            PROJECT,
            TASK,
            _ACTOR,
            _EVENTS,
        ),
        positional="command",
    ),
    Command(
        "status",
        "Show one run: stages, guardrails, reviews, and whether it is ready.",
        Late("orchestrator.commands.look.status", "status"),
        (
            LATEST,
            Option("brief", "the shortest answer, at most 2 KiB: state, causes of failure, next command"),
            Option("watch", "refresh until the run has ended"),
            Option("interval", "seconds between two refreshes of --watch", "N", default=DEFAULT_INTERVAL, read=seconds),
            FORMAT,
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
            FORMAT,
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
            PROJECT,
            TASK,
            Option("against", "the run to compare with; left out: the last approved one", "RUN"),
            Option("explain", "show for each stage whether it would run or is cached, and why"),
            *_SELECTION,
            Option("shards", "of a selection as github-matrix: in at most N parts", "N", read=count),
            Option(
                "format",
                "text, json, or of a selection github-matrix",
                "FORMAT",
                default="text",
                read=OneOf("text", "json", "github-matrix"),
            ),
        ),
        positional="pipeline",
        dry_as="plan",
    ),
    Command(
        "projects",
        "List the projects: last run, ready, coverage, errors of configs; failed ones first.",
        Late("orchestrator.commands.look.projects", "projects"),
        (
            Option(
                "format",
                "text, json or github-matrix",
                "FORMAT",
                default="text",
                read=OneOf("text", "json", "github-matrix"),
            ),
        ),
        dry_as="projects",
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
            FORMAT,
        ),
        positional="run",
        dry_as="logs",
    ),
    Command(
        "artifacts",
        "List the files of a run that may be uploaded: all but its token and locks.",
        Late("orchestrator.commands.look.artifacts", "artifacts"),
        (_RUN, FORMAT),
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
            FORMAT,
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
            FORMAT,
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
)
