"""Mirrors of a task's checklist: the same lines in each place, but for where links start from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import zip_longest

from orchestrator.base.files.changes import FileChange
from orchestrator.base.finding import Flaw
from orchestrator.checks.checklists.items import (
    Item,
    comparable,
    items_of,
    mirror_paths,
    moved,
    task_of_path,
    ticked_line,
)

HINT = "codex-orchestrator checklist sync"
Texts = Mapping[str, str]
"""The documents of a workspace by their paths from its root."""


def tasks_in(texts: Texts) -> list[str]:
    """Return the tasks that have a checklist, or a mirror of one, sorted."""
    return sorted(
        {task for path in texts if (task := task_of_path(path)) is not None and any(items_of(path, texts[path]))}
    )


def source_of(task: str, texts: Texts) -> str | None:
    """Return the place that a task's mirrors follow: the first that is there."""
    return next((path for path in mirror_paths(task) if path in texts), None)


def mirror_flaws(texts: Texts, only: str | None = None) -> Iterator[Flaw]:
    """Yield every line in which a mirror differs from the checklist that it mirrors, and mirrors that are missing.

    ``only`` names the one task to look at; left out: every task.
    """
    for task in tasks_in(texts):
        if only not in (None, task):
            continue
        source = source_of(task, texts)
        for path in mirror_paths(task):
            if path not in texts:
                yield Flaw("mirror-missing", path, f"the checklist of task '{task}' is not mirrored here", hint=HINT)
            elif source is not None and path != source:
                yield from _differences(source, path, texts)


def _differences(source: str, path: str, texts: Texts) -> Iterator[Flaw]:
    pairs = zip_longest(texts[source].splitlines(), texts[path].splitlines())
    for number, (expected, found) in enumerate(pairs, start=1):
        if expected is None or found is None:
            what = "the mirror goes on, and" if expected is None else "the mirror ends here, and"
            yield Flaw("mirror-differs", path, f"{what} {source}:{number} does not", number, HINT)
            return
        if comparable(source, expected) != comparable(path, found):
            yield Flaw("mirror-differs", path, f"the line is not that of {source}:{number}", number, HINT)


def synced(task: str, texts: Texts) -> list[FileChange]:
    """Return what makes a task's mirrors equal: to ``tasks/``, with what only a mirror proves taken over.

    An item that is ticked with a proof in one place is ticked in all of them: a place that fell behind
    untick nothing. Where two places prove an item by different runs, the first place counts.
    """
    source = source_of(task, texts)
    if source is None:
        return []
    lines = texts[source].splitlines(keepends=True)
    proved: dict[str, tuple[str, str]] = {}
    for path in mirror_paths(task):
        for item in items_of(path, texts.get(path, "")):
            if item.ticked and item.citations:
                proved.setdefault(item.id, (path, texts[path].splitlines()[item.line - 1]))
    for item in items_of(source, texts[source]):
        if item.id in proved and not (item.ticked and item.citations):
            path, line = proved[item.id]
            lines[item.line - 1] = moved(path, source, line) + "\n"
    return _everywhere(task, source, "".join(lines), texts)


def _everywhere(task: str, source: str, text: str, texts: Texts) -> list[FileChange]:
    changes = []
    for path in mirror_paths(task):
        turned = "".join(moved(source, path, line) for line in text.splitlines(keepends=True))
        changes.append(FileChange(path, texts.get(path), text if path == source else turned))
    return changes


def ticked(
    item: Item, texts: Texts, run_id: str, target: str, digest: str, approved: tuple[str, str] | None
) -> list[FileChange]:
    """Return what ticks an item in all places: its line in each of them, and nothing else.

    Where a place has no such item, its whole text follows the first place.
    """
    assert item.task is not None  # noqa: S101 -- the caller chose it by its task
    changes = []
    source = item.path
    after = _with_tick(item, texts[source], run_id, target, digest, approved)
    for path in mirror_paths(item.task):
        text = texts.get(path)
        own = next((one for one in items_of(path, text or "") if one.id == item.id), None)
        if text is None or own is None:
            turned = "".join(moved(source, path, line) for line in after.splitlines(keepends=True))
            changes.append(FileChange(path, text, turned))
        else:
            changes.append(FileChange(path, text, _with_tick(own, text, run_id, target, digest, approved)))
    return changes


def _with_tick(item: Item, text: str, run_id: str, target: str, digest: str, approved: tuple[str, str] | None) -> str:
    lines = text.splitlines(keepends=True)
    line = lines[item.line - 1]
    end = line[len(line.rstrip("\r\n")) :]
    lines[item.line - 1] = ticked_line(replace(item), line, run_id, target, digest, approved) + end
    return "".join(lines)
