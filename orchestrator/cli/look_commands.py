"""The commands that look at runs and projects, in the order of the help."""

from __future__ import annotations

from orchestrator.cli.options import (
    FORMAT,
    LATEST,
    PIPELINE,
    PROJECT,
    RUN,
    SELECTION,
    TASK,
    Command,
    Late,
    OneOf,
    Option,
    count,
    seconds,
    share,
    whole,
)

DEFAULT_INTERVAL = 2.0
"""Seconds between two readings of ``status --watch``."""

_STATUSES = ("queued", "in_progress", "succeeded", "failed", "cancelled", "damaged")
_OUTCOMES = ("success", "failure", "timeout", "cancellation", "error")

COMMANDS = (
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
            RUN,
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
            PIPELINE,
            PROJECT,
            TASK,
            Option("against", "the run to compare with; left out: the last approved one", "RUN"),
            Option("explain", "show for each stage whether it would run or is cached, and why"),
            *SELECTION,
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
            RUN,
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
        (RUN, FORMAT),
        positional="run",
        dry_as="artifacts",
    ),
    Command(
        "compare",
        "Show what differs between two runs of a pipeline.",
        Late("orchestrator.commands.look.compare", "compare"),
        (
            RUN,
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
            RUN,
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
            Option(
                "min-coverage",
                "the least guardrail coverage; left out: the project's, else 0.9",
                "N",
                read=share("0.9"),
            ),
            Option(
                "sla-budget",
                "the share of runs that may breach; left out: the project's, else 0.1",
                "N",
                read=share("0.1"),
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
