"""``checkpoint``: each chain's newest line into a git ref, and to a remote that keeps it; and what a witness says."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from orchestrator.base.errors import EXIT_DONE, GateNotMet, StorageError, UsageError
from orchestrator.base.finding import Finding
from orchestrator.base.identifiers import name_fault
from orchestrator.base.sha256 import sha256
from orchestrator.base.text.safe_text import safe_text
from orchestrator.checks.checkpoints import (
    REFS,
    WITNESS_REFS,
    Head,
    head_of,
    history_of,
    witness_findings,
    write_checkpoint,
)
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.run.prepared_run import check_format
from orchestrator.git.ownership import remedy
from orchestrator.git.repository import repository_top
from orchestrator.git.user_git import GitRun, user_git
from orchestrator.store.chain import lines_of
from orchestrator.store.find import task_ids
from orchestrator.store.store import RunStore


def checkpoint(
    context: Context,
    *,
    push: str | None = None,
    format: str = "text",  # noqa: A002 -- the option's name
) -> Answer:
    """Put the newest line of each task's chain into its ref; ``push`` them to a remote, which takes only more of each.

    Raises GateNotMet (``chain-rewound``) when a chain, or the remote's checkpoint of it, has lines that the other
    lacks; UsageError where there is no repository, or the remote can't be reached or refuses.
    """
    check_format(format, ("text", "json"))
    store = context.store()
    git = user_git(store.workspace.root, context.environ)
    _check_repository(git, store.workspace.root)
    heads = list(_heads(store))
    written = [write_checkpoint(git, head, _line_check(store, head.task)) for head in heads]
    if push is not None and heads:
        _push(git, push, heads)
    document = {
        "checkpoints": [
            {"task": head.task, "ref": head.ref, "line": head.number, "new": new}
            for head, new in zip(heads, written, strict=True)
        ],
        "pushed": push if heads else None,
    }
    lines = [
        f"{head.task}: line {head.number}{'' if new else ', as before'}"
        for head, new in zip(heads, written, strict=True)
    ]
    if not heads:
        lines.append("No chain yet.")
    elif push is not None:
        lines.append(f"pushed to {push}")
    return Answer(EXIT_DONE, document, safe_text("\n".join(lines) + "\n", lines=True))


def _check_repository(git: GitRun, root: str) -> None:
    """Raise UsageError unless git knows the repository of the workspace at ``root``."""
    code, _, complaint = git(["rev-parse", "--git-dir"], b"", {})
    if code == 0:
        return
    if repository_top(root) is None:
        message, hint = f"'{root}' is in no git repository", "checkpoints are kept in one"
    else:
        said = complaint.strip().splitlines()
        message = f"git does not read the repository of '{root}': {said[0] if said else f'exit code {code}'}"
        hint = remedy(complaint)
    raise UsageError(message, hint=hint, code="no-repository")


def _heads(store: RunStore) -> list[Head]:
    heads = []
    for task_id in task_ids(store):
        with suppress(FileNotFoundError, StorageError), store.task(task_id) as task:
            head = head_of(task_id, lines_of(task), os.uname().nodename, store.workspace.root)
            if head is not None:
                heads.append(head)
    return heads


def _line_check(store: RunStore, task_id: str) -> Callable[[int, str], bool]:
    def has_line(number: int, digest: str) -> bool:
        with suppress(FileNotFoundError, StorageError), store.task(task_id) as task:
            for count, line in enumerate(lines_of(task), start=1):
                if count == number:
                    return sha256(line).hexdigest() == digest
        return False

    return has_line


def _push(git: GitRun, remote: str, heads: Sequence[Head]) -> None:
    """Push each ref, forward only. A leading '-' would be an option of git's."""
    if remote.startswith("-") or not remote.strip():
        raise UsageError("--push names a remote", code="bad-remote")
    words = [
        "push",
        "--porcelain",
        "--no-verify",
        "--end-of-options",
        remote,
        *(f"{head.ref}:{head.ref}" for head in heads),
    ]
    code, output, complaint = git(words, b"", {})
    if code == 0:
        return
    refused = [line for line in output.splitlines() if line.startswith("!")]
    if any("non-fast-forward" in line or "fetch first" in line for line in refused):
        raise GateNotMet(
            f"'{remote}' has checkpoints that are not here: {refused[0].split(chr(9))[1].split(':')[0]}",
            hint=f"codex-orchestrator verify --witness {remote}",
            code="chain-rewound",
        )
    reasons = [line.split("\t")[-1] for line in refused[:1]] or [_said(complaint) or f"git push ended with {code}"]
    raise UsageError(
        f"'{remote}' can't be reached, or refuses: {reasons[0]}", hint="git remote -v", code="remote-failed"
    )


def _said(complaint: str) -> str:
    """Return what git complains of, on one line; behind a blank line is its advice."""
    lines = complaint.strip().partition("\n\n")[0].splitlines()
    return "; ".join(line.strip().removeprefix("fatal: ").removeprefix("error: ") for line in lines[:3])


def witness_findings_of(store: RunStore, environ: Mapping[str, str], remote: str) -> list[Finding]:
    """Return what the checkpoints of ``remote`` say otherwise than the chains here. Raises UsageError."""
    git = user_git(store.workspace.root, environ)
    if remote.startswith("-") or not remote.strip():
        raise UsageError("--witness names a remote", code="bad-remote")
    _check_repository(git, store.workspace.root)
    place = f"{WITNESS_REFS}/{sha256(remote.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"
    words = ["fetch", "--quiet", "--no-tags", "--prune", "--no-write-fetch-head", "--end-of-options", remote]
    code, _, complaint = git([*words, f"+{REFS}/*:{place}/*"], b"", {})
    if code != 0:
        reason = _said(complaint) or f"git fetch ended with {code}"
        raise UsageError(f"'{remote}' can't be reached: {reason}", hint="git remote -v", code="remote-failed")
    _, output, _ = git(["for-each-ref", "--format=%(refname)", place], b"", {})
    refs = [(ref.replace(place, REFS, 1), history_of(git, ref)) for ref in output.splitlines()]

    def digests_of(task_id: str, chain: str) -> list[str] | None:
        if name_fault("task", task_id) is None:
            with suppress(FileNotFoundError, StorageError), store.task(task_id) as task:
                digests = [sha256(line).hexdigest() for line in lines_of(task)]
                return digests if digests[:1] == [chain] else None
        return None

    return list(witness_findings(refs, digests_of, os.uname().nodename, store.workspace.root))
