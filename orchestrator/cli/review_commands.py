"""The commands that review, set up and maintain, in the order of the help."""

from __future__ import annotations

from orchestrator.cli.options import FORMAT, LATEST, PROJECT, TASK, Command, Late, OneOf, Option, whole

_YES = Option("yes", "write without asking; needed where there is no terminal")
_DRY_RUN = Option("dry-run", "show the changes, and write nothing")
_FORMS = ("junit", "otlp", "otlp-json", "chrome-trace", "github-summary", "github-annotations", "in-toto")

COMMANDS = (
    Command(
        "review",
        "Show a run's review packet, and record a decision on it.",
        Late("orchestrator.commands.review.review", "review"),
        (
            LATEST,
            Option("decision", "approve, request-changes or comment", "WORD"),
            Option("actor", "the reviewer; recorded", "NAME"),
            Option("role", "the reviewer's role; recorded", "NAME"),
            Option("reason", "the reason; recorded", "TEXT"),
            Option("scope", "the part of the run that the decision is about; left out: all of it; recorded", "TEXT"),
            Option("escalate", "the next person to decide, and the reason; recorded as a comment", "TEXT"),
            Option("sign", "sign it: a key's file or name; left out: git's user.signingkey", "KEY", is_optional=True),
            FORMAT,
        ),
        positional="run",
    ),
    Command(
        "spec-guard",
        "Check that code changed together with its spec, and that documents and records are valid.",
        Late("orchestrator.commands.review.spec_guard", "spec_guard"),
        (
            PROJECT,
            TASK,
            Option(
                "base", "the commit to compare with; left out: $BASE_SHA, the config's, or the default branch", "COMMIT"
            ),
            Option("sarif", "also write the findings to this file, as SARIF 2.1.0", "FILE"),
            Option("dry-run", "report the findings, and exit with 0 nevertheless"),
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
            FORMAT,
        ),
        positional="run",
        dry_as="verify",
    ),
    Command(
        "checkpoint",
        "Store the newest line of each task's chain in a git ref; --push gives it to a remote as witness.",
        Late("orchestrator.commands.review.checkpoint", "checkpoint"),
        (
            Option("push", "the remote, by name or URL, to push to; it refuses a chain that lost lines", "REMOTE"),
            FORMAT,
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
            Option("drop-lines", "with sync: remove lines of a mirror that are not items and are in no other copy"),
            _DRY_RUN,
            FORMAT,
        ),
        positional="words",
    ),
    Command(
        "sla",
        "Write each project's limit and measured p90 into docs/sla.md.",
        Late("orchestrator.commands.review.sla", "sla"),
        (_YES, _DRY_RUN, FORMAT),
    ),
    Command(
        "export",
        "Write a run for other tools: JUnit XML, traces, a CI summary, an in-toto Statement.",
        Late("orchestrator.commands.review.export", "export"),
        (
            LATEST,
            Option(
                "as",
                "junit, otlp, otlp-json, chrome-trace, github-summary, github-annotations or in-toto",
                "FORM",
                default="in-toto",
                read=OneOf(*_FORMS),
                parameter="kind",
            ),
            Option("sign", "a file with an ed25519 private key in PEM, to sign with (DSSE)", "KEY"),
            Option("output", "the file to write to, a pipe or a device gets the bytes; left out: stdout", "FILE"),
            Option("to", "the address to send it to, by HTTP", "URL"),
            Option("no-children", "the run alone, without the runs that it started"),
            Option("pending", "deliver what waits in the outbox, and nothing else"),
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
            FORMAT,
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
                "python, node, go, rust, make, just, task or generic; left out: detected",
                "KIND",
                read=OneOf("python", "node", "go", "rust", "make", "just", "task", "generic"),
            ),
            Option("owner", "an owner of the project, may be repeated", "NAME", repeatable=True, parameter="owners"),
            Option("keep", "leave existing files as they are, and write the missing ones"),
            Option("refresh", "put the commands of the changed config into spec, action plan and open items"),
            _YES,
            _DRY_RUN,
            FORMAT,
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
            FORMAT,
        ),
        positional="run",
    ),
    Command(
        "import",
        "Copy runs of another machine into this workspace's history.",
        Late("orchestrator.commands.setup.import_runs", "import_runs"),
        (
            Option("path", "another machine's .runs, or the folder that holds it", "DIR", required=True),
            _DRY_RUN,
            FORMAT,
        ),
        positional="path",
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
        (Option("repair", "repair what follows from the manifests; safe beside live runs, and to repeat"), FORMAT),
    ),
    Command(
        "cloud",
        "Check the engine of mode cloud: address, certificate, scheduler and workers ('check').",
        Late("orchestrator.commands.maintain.cloud", "cloud"),
        (Option("words", "check", "WORDS", repeatable=True), FORMAT),
        positional="words",
        dry_as="cloud",
    ),
    Command(
        "prune",
        "Remove old runs by the rules of [prune]; their lines in chain and metrics stay.",
        Late("orchestrator.commands.maintain.prune", "prune"),
        (
            Option("task", "runs of this task only", "ID"),
            Option("project", "runs of this project only", "NAME"),
            Option("keep-last", "keep the last N runs of each project and pipeline, at least 100", "N", read=whole),
            Option("keep-within", "keep runs that ended within this time, such as 90d", "SPAN"),
            Option("keep-failed", "keep runs that failed within this time, such as 365d", "SPAN"),
            Option("logs-only", "remove events, logs and error files only; the records stay"),
            Option("acknowledge", "record that this run was removed by hand; needs --reason", "RUN"),
            Option("dry-run", "show what would be removed and why the rest is kept, and remove nothing"),
            Option("yes", "remove without asking; needed where there is no terminal"),
            Option("actor", "the person or program behind the call; recorded", "NAME"),
            Option("reason", "the reason; recorded", "TEXT"),
            FORMAT,
        ),
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
