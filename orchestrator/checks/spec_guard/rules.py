"""The rules of the spec guard: an id for machines, one line for people, and what repairs it."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base.record import Record


class Rule(Record):
    """``short`` says what does not hold, ``help`` what to do about it."""

    short: str
    help: str


_FETCH = "Fetch the whole history (`git fetch --unshallow`), or name a commit by $BASE_SHA."
_TICK = "Tick the item with a run that proves it: `checklist tick ITEM --run RUN`."
_SYNC = "Make the mirrors equal by `codex-orchestrator checklist sync`."
_RECORD = "Restore the file from a backup; without it the run proves nothing."
_REPAIR = "Run `doctor --repair`, which repairs what follows from the manifests."
_REVIEW = "Review the run: `codex-orchestrator review RUN`."
_DATE = "Read the spec, correct what is no longer true, and set last_review to that day."

RULES: Mapping[str, Rule] = {
    "code-without-spec": Rule(
        "Code changed since the base, and no spec did",
        "Describe the change in a spec; a spec that is still right gets a new last_review.",
    ),
    "base-unknown": Rule("There is no commit to compare with", _FETCH),
    "history-shallow": Rule("The clone is shallow and lacks what HEAD follows", _FETCH),
    "git-failed": Rule("Git can't say what changed", "Run the git command by hand, and see why it is refused."),
    "spec-missing": Rule("A task of tasks/index.json has no spec", "Write tasks/specs/<task>.md with its last_review."),
    "review-missing": Rule("A spec does not say when it was last reviewed", _DATE),
    "review-malformed": Rule("last_review can't be read", "Write one line `last_review: YYYY-MM-DD` in front matter."),
    "review-stale": Rule("A spec was not reviewed for too long", _DATE),
    "review-in-future": Rule("last_review lies in the future", "Set it to the day on which the spec was read."),
    "document-unreadable": Rule("A document that may hold checklists can't be read", "Repair or remove the file."),
    "tick-without-run": Rule("An item is ticked and cites no run", _TICK),
    "tick-without-task": Rule(
        "An item is ticked and nothing says of which task", "Put it below a heading `Task <id>`."
    ),
    "needs-unclear": Rule(
        "Something looks like a requirement, and is none",
        "Write (needs: diagnostics), (needs: diagnostics/test, approval).",
    ),
    "item-repeated": Rule("Two items have one name", "Give each its own word in bold: `- [ ] **word**: …`."),
    "conflict-markers": Rule("A merge left its markers in a document", "Resolve the conflict."),
    "baseline-unknown": Rule(
        "`[docs] since` is no commit of this clone", "Fetch the whole history (`git fetch --unshallow`)."
    ),
    "evidence-missing": Rule("The cited run has no evidence in git", _TICK),
    "evidence-damaged": Rule("Evidence is not whole, or was edited", "Restore the file from git, or tick anew."),
    "evidence-stale": Rule("Evidence is not what the full record is", _TICK),
    "evidence-unproven": Rule("The evidence holds no line of the task's chain", _TICK),
    "dirty-tree": Rule("The cited run's tree was not that of a commit", "Commit, run again, and tick with that run."),
    "wrong-run": Rule("The evidence is of another run", _TICK),
    "wrong-task": Rule("The run is of another task", _TICK),
    "wrong-project": Rule("The run is of another project", _TICK),
    "run-not-succeeded": Rule("The cited run did not succeed", _TICK),
    "guardrail-not-passed": Rule("A required guardrail of the cited run did not pass", _TICK),
    "guardrail-cannot-fail": Rule("A guardrail of the cited run could not have failed", _TICK),
    "not-covered": Rule("The cited run does not show what the item needs", _TICK),
    "wrong-digest": Rule("The line says another digest than the run has", _TICK),
    "wrong-approval": Rule("The line says another approval than is on record", _TICK),
    "approval-missing": Rule("An approval that is needed is not there", _REVIEW),
    "approval-role-missing": Rule("Nobody approved in a role that the project asks for", _REVIEW),
    "approval-stale": Rule("The approval is of another attempt, record or tree", _REVIEW),
    "approval-own-run": Rule("The run's own actor approved it", "Let somebody else review the run."),
    "changes-requested": Rule(
        "A reviewer asks for changes", "Make them, and run again; or let the reviewer decide anew."
    ),
    "review-policy-unknown": Rule("The project's review policy can't be read", "Correct the project's config."),
    "mirror-differs": Rule("A mirror is not its checklist, line by line", _SYNC),
    "mirror-missing": Rule("A checklist is not mirrored", _SYNC),
    "manifest-edited": Rule("The record is not what its last ended attempt left", _RECORD),
    "manifest-damaged": Rule("The record can't be read", _RECORD),
    "manifest-misplaced": Rule("The record lies under another task", _RECORD),
    "run-missing": Rule("The chain names a run that is gone", _RECORD),
    "run-came-back": Rule("A run is there that was pruned", "Remove the folder: codex-orchestrator prune does that."),
    "prune-unproven": Rule("A prune names what the chain does not have, or names it twice", _RECORD),
    "not-in-chain": Rule(
        "A run ended, and the task's chain does not know", "Restore the chain from a backup, or set the records aside."
    ),
    "record-contradicts-events": Rule("A record contradicts its events or error files", _RECORD),
    "decision-missing": Rule("The record lacks a decision that the chain has", _REVIEW),
    "review-altered": Rule("A decision in the record is not what the chain says", _RECORD),
    "clock-went-back": Rule("A host's clock went back between two records", "See which run the line names."),
    "events-edited": Rule("Events of a run were edited", _RECORD),
    "events-cut": Rule("Events of a run were cut off", _RECORD),
    "events-added": Rule("There are events after a run's end", _RECORD),
    "events-missing": Rule("A run's events are gone", _RECORD),
    "log-edited": Rule("A log was edited", _RECORD),
    "log-cut": Rule("A log was cut off", _RECORD),
    "log-missing": Rule("A log is gone", _RECORD),
    "error-file-edited": Rule("An error file was edited", _RECORD),
    "error-file-cut": Rule("An error file was cut off", _RECORD),
    "error-file-missing": Rule("An error file is gone", _RECORD),
    "file-added": Rule("A log or error file was not there when the run ended", _RECORD),
    "undigested": Rule("A file could not be read when the run ended, so nothing proves it", _RECORD),
    "metrics-edited": Rule("A metrics line was edited", _REPAIR),
    "metrics-cut": Rule("A metrics line is gone", _REPAIR),
    "metrics-reordered": Rule("Metrics lines stand in another order", _REPAIR),
    "metrics-repeated": Rule("A metrics line stands there twice", _REPAIR),
    "metrics-torn": Rule("The last metrics line has no end", _REPAIR),
    "metrics-unreadable": Rule("A line of the metrics can't be read", _REPAIR),
    "metrics-unproven": Rule("A metrics line tells of an end that the chain does not know", _REPAIR),
    "chain-broken": Rule("A line of the chain does not rest on the one before", _RECORD),
    "chain-edited": Rule("A line of the chain was edited", _RECORD),
    "chain-unreadable": Rule("A line of the chain can't be read", _RECORD),
    "chain-torn": Rule("The last line of the chain has no end", _REPAIR),
    "storage": Rule("Something can't be read, or is no file or folder", "Look at the file: link, pipe, permissions."),
}
