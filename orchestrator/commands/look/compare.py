"""``compare``: what differs between two runs of a project and pipeline."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from orchestrator.base.errors import EXIT_DONE, DamagedRecord, NotFound, StorageError, UsageError
from orchestrator.base.identifiers import nearest
from orchestrator.base.text.appearance import appearance
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.look.compared_tests import compared_tests
from orchestrator.git.changed_since_commit import changed_between
from orchestrator.model.manifest.json_schema import load
from orchestrator.model.plan_diff import plan_drift
from orchestrator.report.compare_text import compare_text, compared_stages
from orchestrator.store.find import find_run, read_document, run_ids
from orchestrator.store.layout import Location
from orchestrator.store.record_proof import is_proved, refuse_altered
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LAST_SUCCESS = "last-success"
_TREE = ("commit", "branch", "dirty", "tree_digest")
_NOT_HOST = frozenset({*_TREE, "attempt", "note", "at_end", "config_digest"})


def compare(
    context: Context,
    *,
    run: str,
    before: str = LAST_SUCCESS,
    format: str = "text",  # noqa: A002 -- the option's name
) -> Answer:
    """Return what differs from the run ``before`` to ``run``, both of one project and pipeline; exit code 0.

    ``before`` is a run, or ``last-success``: the last one of the same task that succeeded and was started before
    ``run``. Raises UsageError for runs of two pipelines, NotFound, DamagedRecord, StorageError.
    """
    store = context.store()
    where = find_run(store, run)
    record = _record(store, where)
    earlier = _last_success(store, where, record) if before == LAST_SUCCESS else _record(store, _named(store, before))
    for key, what in (("project", "projects"), ("pipeline_id", "pipelines")):
        if record[key] != earlier[key]:
            raise UsageError(
                f"the runs are of two {what}: '{earlier[key]}' and '{record[key]}'",
                hint="compare runs of one project and pipeline",
                code="not-comparable",
            )
    then, now = _provenance(earlier), _provenance(record)
    files, note = _files(context, store, record, then, now)
    document = {
        "run_id": record["run_id"],
        "before": earlier["run_id"],
        "project": record["project"],
        "pipeline_id": record["pipeline_id"],
        "commits": {name: {key: of.get(key) for key in _TREE} for name, of in (("before", then), ("run", now))},
        "files": files,
        "files_note": note,
        "plan": list(plan_drift(earlier["plan"], record["plan"])),
        "host": list(_host(then, now)),
        "outcome": {"before": earlier["outcome"], "run": record["outcome"]},
        "stages": compared_stages(earlier["commands"], record["commands"]),
        "tests": compared_tests(store, earlier, record),
    }
    seen = appearance(context.stdout, context.environ)
    return Answer(EXIT_DONE, document, compare_text(document, width=seen.width, color=seen.color))


def _named(store: RunStore, before: str) -> Location:
    try:
        return find_run(store, before)
    except UsageError as error:
        if error.code != "bad-run-id" or nearest(before, (LAST_SUCCESS,)) is None:
            raise
        raise UsageError(error.message, hint=f"did you mean '{LAST_SUCCESS}'?", code=error.code) from None


def _record(store: RunStore, where: Location) -> dict[str, Any]:
    """Return the record of a run, checked. Raises UsageError for version 1, which has neither plan nor tree.

    Raises DamagedRecord for one that is not what its run left.
    """
    record = read_document(store, where)
    if record["version"] == 1:
        raise UsageError(
            f"run '{where.run_id}' is of version 1, which says neither its plan nor its tree", code="version-1"
        )
    load(record, store.paths(where).manifest)
    refuse_altered(store, where, record)
    return record


def _last_success(store: RunStore, where: Location, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of the last run before ``where``, of the same task, project and pipeline, that succeeded."""
    for run_id in sorted(run_ids(store, where.task_id), reverse=True):
        if run_id >= where.run_id:
            continue
        try:
            then = Location(where.task_id, run_id)
            found = read_document(store, then)
        except (NotFound, DamagedRecord, StorageError):
            continue
        same = all(found.get(key) == record[key] for key in ("project", "pipeline_id"))
        if same and found["version"] == 2 and found["status"] == "succeeded" and is_proved(store, then, found):
            return found
    raise NotFound(
        f"no run of pipeline '{record['pipeline_id']}' of '{record['project']}' succeeded before '{where.run_id}'",
        hint="name the run to compare with by --with",
    )


def _provenance(record: Mapping[str, Any]) -> Mapping[str, Any]:
    entries = record["provenance"]
    return entries[-1] if entries else {}


def _files(
    context: Context, store: RunStore, record: Mapping[str, Any], then: Mapping[str, Any], now: Mapping[str, Any]
) -> tuple[list[dict[str, Any]] | None, str | None]:
    """Return the files that differ between the commits of two runs, None where git can't tell, and a note."""
    if then.get("tree_digest") and then.get("tree_digest") == now.get("tree_digest"):
        return [], None
    if not then.get("commit") or not now.get("commit"):
        return None, "a run has no commit, so that no files can be named"
    folder = os.path.normpath(os.path.join(store.workspace.root, record["plan"]["project_path"]))
    files = changed_between(folder, then["commit"], now["commit"], context.environ)
    if files is None:
        return None, "a commit is not in this clone, so that no files can be named"
    dirty = [name for name, of in (("the earlier run", then), ("the run", now)) if of.get("dirty")]
    if not dirty:
        return files, None
    return files, f"{' and '.join(dirty)} had changes that were not committed; a record has their digest, no names"


def _host(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what differs of host, platform, Python and tools."""
    for key in sorted({*then, *now} - _NOT_HOST):
        old, new = then.get(key), now.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            for name in sorted({*old, *new}):
                if old.get(name) != new.get(name):
                    yield {"what": f"{key}.{name}", "before": old.get(name), "run": new.get(name)}
        elif old != new:
            yield {"what": key, "before": old, "run": new}
