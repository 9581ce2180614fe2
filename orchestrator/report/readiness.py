"""Whether a run is ready for review, and what is missing: the codes are described in docs/status.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orchestrator.model.approvals import reasons
from orchestrator.model.base_policy import unapproved_softening
from orchestrator.model.manifest.document import INTERRUPTED
from orchestrator.model.outcome import TERMINAL
from orchestrator.model.review_policy import ReviewPolicy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NAMED = 3
_UNMET = frozenset({"failed", "missing", "skipped", "advisory"})


def readiness(body: Mapping[str, Any], record_fault: tuple[str, str] | None = None) -> dict[str, Any]:
    """Return ``{"ready": bool, "reasons": [{"code", "message"}]}`` of a run, by its status document.

    ``record_fault`` is code and words of why the record itself is not proved.
    """
    found = [*([] if record_fault is None else [record_fault])]
    found += [*_of_the_run(body), *_of_guardrails(body), *_of_trees(body), *reasons_of_children(body)]
    found += _of_reviews(body)
    if body["version"] == 1:
        found.append(("version-1", "the record is of version 1, which does not say on which tree the stages ran"))
    found = list(dict.fromkeys(found))  # several attempts may say the same
    return {"ready": not found, "reasons": [{"code": code, "message": message} for code, message in found]}


def mixed_stages(body: Mapping[str, Any]) -> dict[str, int]:
    """Return the stages that passed on another tree of their project than others did, with the attempt they passed in.

    A stage of the run's own project is compared with the last attempt, a sub-pipeline of another project with that
    project's newest child run: a change in the one says nothing of the other. A tree that is not known is another
    one (contract, section 5, promise 6).
    """
    trees = {entry["attempt"]: entry["tree_digest"] for entry in body["provenance"]}
    last, elsewhere = body["attempt"], _children_elsewhere(body)
    found = {}
    for command in body["commands"]:
        if command["status"] != "succeeded" or not command["attempts"]:
            continue
        passed_in = command["attempts"][-1]["run_attempt"]
        if _project_elsewhere(body, command["id"]) is None:
            now, then = trees.get(last), trees.get(passed_in)
        else:
            child = elsewhere.get(command["id"])
            newest = max((item for item in elsewhere.values() if child and item[0] == child[0]), default=None)
            if newest is None or newest == child:
                continue
            now, then = newest[2], child[2] if child else None
        if (passed_in != last or _project_elsewhere(body, command["id"])) and (now is None or then != now):
            found[command["id"]] = passed_in
    return found


def _project_elsewhere(body: Mapping[str, Any], stage_id: str) -> str | None:
    """Return the project of a stage that is a sub-pipeline of another project, else None."""
    project = body.get("plan_projects", {}).get(stage_id)
    return project if project is not None and project != body["project"] else None


def _children_elsewhere(body: Mapping[str, Any]) -> dict[str, tuple[str, str, str | None]]:
    """Return project, run id and tree of the newest child run of each stage that runs another project's pipeline."""
    found: dict[str, tuple[str, str, str | None]] = {}
    for child in sorted(body["child_runs"], key=lambda child: str(child["run_id"])):
        if _project_elsewhere(body, child["stage_id"]) == child["project"]:
            tree = body.get("child_trees", {}).get(child["run_id"])
            found[child["stage_id"]] = child["project"], child["run_id"], tree
    return found


def _of_the_run(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if body["status"] not in TERMINAL:
        where = "" if body["alive"] else " in the cloud, as far as is known here, and nobody attends it"
        yield "run-in-progress", f"the run is still in progress{where}"
    elif body["outcome"] == "error" and body["status_detail"] == INTERRUPTED:
        yield "run-interrupted", "the run was interrupted: its process died"
    elif body["status"] != "succeeded":
        failed = [command["id"] for command in body["commands"] if command["status"] == "failed"]
        stages = f": stage {', '.join(failed)}" if failed else ""
        from orchestrator.report.stage_words import run_detail  # a program's status of a green run needs no words

        detail = f" ({run_detail(body)})" if run_detail(body) else ""
        yield "run-not-succeeded", f"the run ended with outcome {body['outcome']}{stages}{detail}"


def _of_guardrails(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    settled, waived = set(), set()
    for entry in body["guardrails"]:
        if entry["outcome"] in ("waived", "advisory"):
            settled.add(entry["id"])
        if entry["outcome"] == "waived":
            waived.add(entry["id"])
        if entry["required"] and entry["outcome"] in _UNMET:
            reason = f": {entry['reason']}" if entry["reason"] else ""
            yield f"guardrail-{entry['outcome']}", f"guardrail '{entry['id']}' {_WORDS[entry['outcome']]}{reason}"
    for flag in body["plan"]["flags"] if body["plan"] else ():
        standing = {
            "guardrail-replaced": flag["stage"] not in waived,
            "guardrail-cannot-fail": flag["stage"] not in settled,
            "nothing-checked": True,
        }
        if standing.get(flag["code"]):
            advice = f" ({_ADVICE[flag['code']]} in project_configs/{body['project']}.toml)"
            yield flag["code"], f"{flag['message']}{advice}"


_ADVICE = {
    "guardrail-replaced": "take 'run', 'shell' or 'pipeline' of that stage out",
    "guardrail-cannot-fail": "give it a command that can fail",
    "nothing-checked": "give build, lint or test a command",
}
"""What is to be changed: another start of the same plan is flagged as this one was."""

_WORDS = {"failed": "failed", "missing": "is missing", "skipped": "was skipped", "advisory": "is only advisory"}


def _of_trees(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    mixed = mixed_stages(body)
    if mixed:
        stages = ", ".join(f"{stage} (attempt {attempt})" for stage, attempt in mixed.items())
        yield "mixed-trees", f"passed on another tree than that of attempt {body['attempt']}: {stages}"
    counting = {body["attempt"], *mixed.values()}
    counting |= {
        command["attempts"][-1]["run_attempt"]
        for command in body["commands"]
        if command["status"] == "succeeded" and command["attempts"]
    }
    for entry in body["provenance"]:
        at_end = entry.get("at_end")
        if entry["attempt"] not in counting or not isinstance(at_end, Mapping):
            continue
        if at_end.get("moved"):
            yield "tree-moved-while-running", _moved(at_end)
        elif at_end.get("note") is not None:
            # Only what was compared is said to be as it was.
            yield (
                "tree-moved-while-running",
                f"it is not known whether files changed while stages ran: {at_end['note']}",
            )


def _moved(at_end: Mapping[str, Any]) -> str:
    files = [str(path) for path in at_end["moved"]]
    more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
    named = ", ".join(files[:_NAMED])
    advice = "use the tool's check mode, or commit what it writes and start again"
    return f"files changed while stages ran: {named}{more} ({advice})"


def reasons_of_children(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield code and message of what child runs keep a run from: it is no readier than one that counts."""
    for child in counting_children(body):
        if child["status"] != "succeeded":
            yield "child-not-succeeded", f"child run {child['run_id']} ({child['pipeline_id']}) is {child['status']}"
        for reason in body.get("child_reasons", {}).get(child["run_id"], ()):
            yield reason["code"], f"in child run {child['run_id']} of '{child['project']}': {reason['message']}"


def unsuccessful_children(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the child runs whose end keeps a run from being ready, oldest first."""
    return [child for child in counting_children(body) if child["status"] != "succeeded"]


def counting_children(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the child runs that count, oldest first: no later one did the same work, and its stage may not fail."""
    latest = {}
    for child in sorted(body["child_runs"], key=lambda child: str(child["run_id"])):
        latest[child["stage_id"], child["task_id"], child["project"], child["pipeline_id"]] = child
    return [child for child in latest.values() if not body["plan_stages"].get(child["stage_id"], False)]


def _of_reviews(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    review = body["review"]
    if review["fault"] is not None:
        yield "review-policy-unknown", f"the project's rules for reviews are unknown: {review['fault']}"
    policy = ReviewPolicy(review["approvals"], tuple(review["roles"]))
    if body["version"] == 2:
        yield from reasons(body["approvals"], policy)
        yield from unapproved_softening(body.get("policy") or (), body["approvals"])
