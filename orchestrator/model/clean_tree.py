"""Whether a run's stages ran on the tree of a commit, from beginning to end (contract, section 7, "The tree")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NAMED = 3


def tree_fault(manifest: Mapping[str, Any]) -> str | None:
    """Return why nobody can run the stages of a run, by its manifest (version 2), again on what they ran on; or None.

    Each attempt in which a stage succeeded, and the last one, must have begun and ended on the tree of a commit, all
    of them on one tree; where no stage ran in an attempt, nobody looked at its end. What lies there now doesn't matter.
    """
    run, entries = manifest["run_id"], {entry["attempt"]: entry for entry in manifest["provenance"]}
    last, ran = manifest["attempt"], _attempts_of_stages(manifest)
    trees = set()
    for attempt in sorted({last, *(number for number, success in ran.items() if success)}):
        entry = entries.get(attempt, {})
        commit = entry.get("commit")
        if not commit:
            return f"run {run} is of no commit: its tree is not known to git"
        if entry.get("dirty") is not False:
            return f"run {run} ran on a tree that was not that of commit {commit[:12]}"
        if attempt in ran and (why := _moved(entry.get("at_end"), commit)) is not None:
            return f"run {run}: {why}"
        trees.add(entry.get("tree_digest"))
    if len(trees) > 1 and _is_of_one_tree(manifest):
        return f"run {run} has stages that passed on another tree than that of its last attempt"
    return None


def _attempts_of_stages(manifest: Mapping[str, Any]) -> dict[int, bool]:
    """Return the attempts in which a stage ran, and whether one of those succeeded that counts."""
    found: dict[int, bool] = {}
    for command in manifest["commands"]:
        tries = command["attempts"]
        for each in tries:
            found.setdefault(each["run_attempt"], False)
        if tries and command["status"] == "succeeded":
            found[tries[-1]["run_attempt"]] = True
    return found


def _is_of_one_tree(manifest: Mapping[str, Any]) -> bool:
    """Tell whether all stages work on the project's own tree: other projects' trees are judged in their own runs."""
    stages: Sequence[Mapping[str, Any]] = manifest["plan"].get("stages") or ()
    return all(stage.get("project") in (None, manifest["project"]) for stage in stages)


def _moved(at_end: object, commit: str) -> str | None:
    if not isinstance(at_end, Mapping):
        return None
    if at_end.get("moved"):
        files = [str(path) for path in at_end["moved"]]
        more = ", …" if len(files) > _NAMED else ""
        return f"files changed while its stages ran: {', '.join(files[:_NAMED])}{more}"
    if at_end.get("note") is not None:
        return f"it is not known whether its tree was that of commit {commit[:12]} when it ended: {at_end['note']}"
    left = [str(path) for path in at_end.get("left_behind") or ()]
    if left:
        what = "ignore them in git, or have the stage put them elsewhere"
        return f"its stages left new files behind: {', '.join(left[:_NAMED])} ({what})"
    if at_end.get("commit") != commit or at_end.get("dirty") is not False:
        return f"its tree was not that of commit {commit[:12]} any more when it ended"
    return None
