"""``checklist``: tick items with the run that proves them, in all mirrors at once; make mirrors equal again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orchestrator.base.errors import UsageError
from orchestrator.base.files.changes import FileChange, diff_text
from orchestrator.base.globs import Globs
from orchestrator.base.identifiers import check_name, near_hint
from orchestrator.base.quoting import shown
from orchestrator.checks.checklists.documents import Documents, read_documents
from orchestrator.checks.checklists.mirrors import Synced, tasks_in
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.review import consent
from orchestrator.commands.review.tick import ticking
from orchestrator.commands.run.prepared_run import check_format
from orchestrator.config.workspace_file import read_docs_policy
from orchestrator.store.store import RunStore

VERBS = ("tick", "sync")


def checklist(
    context: Context,
    *,
    words: Sequence[str] = (),
    run: str | None = None,
    task: str | None = None,
    yes: bool = False,
    dry_run: bool = False,
    drop_lines: bool = False,
    format: str = "text",  # noqa: A002 -- the option's name
) -> Answer:
    """Do ``tick ITEM …`` or ``sync``; differences are shown before anything is written, and asked about by ``sync``.

    ``drop_lines`` lets ``sync`` drop lines of mirrors that are no items and stand nowhere else. Raises GateNotMet when
    the run does not prove an item, UsageError, NotFound, DamagedRecord, Refused and StorageError; then nothing
    was written.
    """
    check_format(format, ("text", "json"))
    store = context.store()
    if task is not None:
        check_name("task", task)
    verb, names = (words[0], words[1:]) if words else ("", ())
    if verb == "sync" and not names and run is None:
        return _written(context, store, _syncing(store, task, drop_lines=drop_lines), yes=yes, dry_run=dry_run)
    if verb == "tick" and names and run is not None and not drop_lines:
        changes = ticking(context, store, read_for_checklists(store), names, run, task)
        return _written(context, store, changes, yes=True, dry_run=dry_run)
    raise _misused(verb, words, is_run_missing=run is None)


def _misused(verb: str, words: Sequence[str], *, is_run_missing: bool) -> UsageError:
    if verb == "tick" and is_run_missing:
        what, hint = "checklist tick needs the run that proves the item", "add --run RUN"
    elif not words:
        what, hint = "checklist needs what to do: tick ITEM … --run RUN, or sync", "codex-orchestrator checklist --help"
    else:
        said = " ".join(words)
        what = f"checklist does 'tick ITEM … --run RUN' and 'sync', not {shown(said)}"
        hint = "codex-orchestrator checklist --help" if verb in VERBS else near_hint(verb, VERBS)
    return UsageError(what, hint=hint, code="bad-checklist")


def read_for_checklists(store: RunStore) -> Documents:
    """Return the workspace's documents, but for those that ``[docs] ignore`` names.

    Raises ConfigError.
    """
    ignored: Callable[[str], bool] = Globs(read_docs_policy(store.workspace.root).ignore).match
    return read_documents(store.workspace.root, ignored)


def _syncing(store: RunStore, task: str | None, *, drop_lines: bool) -> list[FileChange]:
    documents = read_for_checklists(store)
    changes: list[FileChange] = []
    for name in tasks_in(documents.texts) if task is None else [task]:
        documents.refuse_unreadable(name)
        synced = Synced(name, documents.texts)
        if synced.ambiguous:
            found = synced.ambiguous[0]
            raise UsageError(f"{found.place}: {found.message}", hint=found.hint, code=found.code)
        if synced.dropped and not drop_lines:
            path, line, text = synced.dropped[0]
            more = f", and {len(synced.dropped) - 1} more" if len(synced.dropped) > 1 else ""
            raise UsageError(
                f"sync would drop lines that stand in no other place: {path}:{line} {shown(text)}{more}",
                hint=f"move them to {synced.changes[0].path}, or add --drop-lines",
                code="lines-dropped",
            )
        changes += synced.changes
    return changes


def _written(context: Context, store: RunStore, changes: Sequence[FileChange], *, yes: bool, dry_run: bool) -> Answer:
    became = consent.settle(context, store.workspace.root, changes, yes=yes, dry_run=dry_run)
    diff = diff_text(changes)
    document = {"result": became, "files": consent.listed(changes), "diff": diff, **consent.error_of(became)}
    lines = [diff] if became in (consent.SHOWN, consent.UNASKED) else []
    if became == consent.WRITTEN:
        lines += [f"wrote {change.path}" for change in changes if change.action != "unchanged"]
    elif became == consent.NOTHING:
        lines.append("Nothing to do: all places say the same.")
    else:
        lines.append(consent.verdict(became))
    return Answer(consent.exit_code(became), document, "\n".join(lines) + "\n")
