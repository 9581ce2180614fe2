"""The next command of a run: what brings it on, None when nothing is left to do (contract, section 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.base.identifiers import FLEET, RESERVED_PIPELINES
from orchestrator.model.exec_command import EXEC
from orchestrator.report.readiness import unsuccessful_children

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PROGRAM = "codex-orchestrator"
_OF_REVIEWERS = frozenset(
    {"approval-missing", "approval-role-missing", "approval-stale", "approval-own-run", "policy-softened"}
)
"""Reasons that only a decision removes."""

_OF_CHILDREN = "child-not-succeeded"
_OF_THE_CONFIG = "review-policy-unknown"
_FOR_GOOD = "mixed-trees"
"""A reason that no resume removes: what passed on another tree is not run again."""


def watching(run_id: str) -> list[str]:
    """Return the command that follows a run that goes on."""
    return [PROGRAM, "status", run_id, "--watch"]


def attaching(run_id: str) -> list[str]:
    """Return the command that goes on as the keeper of a run of mode cloud which nobody attends."""
    return [PROGRAM, "attach", run_id]


def resuming(run_id: str) -> list[str]:
    """Return the command that resumes a run."""
    return [PROGRAM, "resume", run_id]


def next_argv(body: Mapping[str, Any]) -> list[str] | None:
    """Return the next command of a run, by its status document; None when nothing is left to do.

    A run that goes on is watched, or attached to where nobody attends it; one that did not succeed is resumed. One
    that succeeded and is not ready waits for a reviewer, for a child run, or has to be started anew.
    """
    run_id = body["run_id"]
    if body["version"] == 1:
        return None
    if body["alive"]:
        return watching(run_id)
    if body["attended"] is False:
        return attaching(run_id)
    codes = {reason["code"] for reason in body["ready"]["reasons"]}
    if body["status"] != "succeeded":
        return starting(body) if _FOR_GOOD in codes or is_refused_to_resume(body) else resuming(run_id)
    if not codes:
        return None
    if codes <= _OF_REVIEWERS:
        return [PROGRAM, "review", run_id]
    unsuccessful = unsuccessful_children(body)
    if codes <= _OF_REVIEWERS | {_OF_CHILDREN} and unsuccessful:  # there are none where a record is gone
        child = unsuccessful[0]
        if child.get("attended") is False:
            return attaching(child["run_id"])
        return watching(child["run_id"]) if child["alive"] else resuming(child["run_id"])
    if codes <= _OF_REVIEWERS | {_OF_THE_CONFIG}:
        return [PROGRAM, "doctor"]
    return starting(body)


def first_in_words(status: str, argv: Sequence[str] | None) -> str | None:
    """Return what comes before the next command of a run; None where that can be typed as it is.

    The same start answers the same: after a run that succeeded, something is to be changed first.
    """
    if status != "succeeded" or argv is None or argv[1] != "start":
        return None
    return "change what keeps the run from being ready; the same start alone changes nothing"


def is_refused_to_resume(body: Mapping[str, Any]) -> bool:
    """Tell whether ``resume`` refuses a run, by its status document.

    Its logs or the copies of ``prove`` are gone, its token stayed elsewhere, or its one command holds a secret that its
    record does not have.
    """
    if body.get("pruned") or body.get("imported_from"):
        return True
    if body["pipeline_id"] not in RESERVED_PIPELINES:
        return False
    from orchestrator.base.redaction.names import MASK

    return body["pipeline_id"] != EXEC or any(MASK in str(one["command"]) for one in body["commands"])


def starting(body: Mapping[str, Any]) -> list[str] | None:
    """Return the command that starts such a run anew; None of a single command (``exec``), which is its caller's."""
    pipeline, project = body["pipeline_id"], body["project"]
    if pipeline in RESERVED_PIPELINES:
        return None if pipeline == EXEC else [PROGRAM, "prove", "--project", project]
    if project == FLEET:
        return [PROGRAM, "start", "--pipeline", pipeline, "--projects", ",".join(one["id"] for one in body["commands"])]
    return [PROGRAM, "start", "--pipeline", pipeline, "--project", project, "--task", body["task_id"]]


def with_next(argv: Sequence[str] | None) -> dict[str, Any]:
    """Return the two keys of a document. Ids hold nothing that a shell would read otherwise."""
    return {"next_command": None if argv is None else " ".join(argv), "next_argv": None if argv is None else list(argv)}
