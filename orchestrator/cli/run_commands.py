"""The commands that run, in the order of the help."""

from __future__ import annotations

from orchestrator.cli.options import (
    FORMAT,
    PIPELINE,
    PROJECT,
    RUN,
    SELECTION,
    TASK,
    Command,
    Late,
    OneOf,
    Option,
    assignment,
    count,
    integer,
)

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

COMMANDS = (
    Command(
        "start",
        "Run a project's pipeline and record it.",
        Late("orchestrator.commands.run.start", "start"),
        (
            PIPELINE,
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
            *SELECTION,
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
            RUN,
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
        (RUN, _EVENTS),
        positional="run",
    ),
    Command(
        "cancel",
        "Stop a live run and every process of it.",
        Late("orchestrator.commands.run.cancel", "cancel"),
        (RUN, Option("reason", "the reason for stopping; recorded", "TEXT"), _ACTOR, FORMAT),
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
)
