"""Mirrors of a task's checklist: the same lines in each place, but for where links start from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher, get_close_matches
from itertools import zip_longest

from orchestrator.base.files.changes import FileChange
from orchestrator.base.finding import Finding
from orchestrator.checks.checklists.items import (
    Item,
    items_of,
    mirror_paths,
    proof_in,
    proof_text,
    task_of_path,
    with_proof,
)
from orchestrator.checks.checklists.links import comparable, moved
from orchestrator.checks.checklists.markdown import body_of, conflicts_in, lines_of, structure_of

HINT = "codex-orchestrator checklist sync"
Texts = Mapping[str, str]
"""The documents of a workspace by their paths from its root."""

Proof = tuple[str, str, str, tuple[str, str] | None]
"""Run, path of its evidence from the workspace, manifest digest, and the approval's actor and time."""

_BOM = "\ufeff"
_SAME_LINE = 0.6
"""How alike (difflib's ratio) a line must be to one of the source to count as an older form of it."""


def tasks_in(texts: Texts) -> list[str]:
    """Return the tasks that have a checklist, or a mirror of one, sorted."""
    return sorted(
        {task for path in texts if (task := task_of_path(path)) is not None and any(items_of(path, texts[path]))}
    )


def source_of(task: str, texts: Texts) -> str | None:
    """Return the place that a task's mirrors follow: the first that is there."""
    return next((path for path in mirror_paths(task) if path in texts), None)


def mirror_findings(texts: Texts, only: str | None = None) -> Iterator[Finding]:
    """Yield every line in which a mirror differs from the checklist that it mirrors, and mirrors that are missing.

    Items of one name, and what a merge left, are findings too. ``only`` names the one task to look at.
    """
    for task in tasks_in(texts):
        if only not in (None, task):
            continue
        source = source_of(task, texts)
        for path in mirror_paths(task):
            if path not in texts:
                yield Finding("mirror-missing", path, f"the checklist of task '{task}' is not mirrored here", hint=HINT)
                continue
            yield from unclear_items(path, texts[path])
            if source is not None and path != source:
                yield from _differences(source, path, texts)


def unclear_items(path: str, text: str) -> Iterator[Finding]:
    """Yield what makes the items of a checklist ambiguous: two of one name, and the markers of a merge."""
    for line in conflicts_in(text, structure_of(text).code):
        yield Finding("conflict-markers", path, "a merge left its markers here", line, "resolve the conflict")
    first: dict[tuple[str, ...], Item] = {}
    for item in items_of(path, text):
        other = first.setdefault(item.key, item)
        if other is not item:
            what = f"'{item.id}' is the name of the item in line {other.line} too"
            yield Finding("item-repeated", path, what, item.line, "give each its own word in bold: - [ ] **word**: …")


def _differences(source: str, path: str, texts: Texts) -> Iterator[Finding]:
    pairs = zip_longest(_comparable_lines(source, texts[source]), _comparable_lines(path, texts[path]))
    for number, (expected, found) in enumerate(pairs, start=1):
        if expected is None or found is None:
            what = "the mirror goes on, and" if expected is None else "the mirror ends here, and"
            yield Finding("mirror-differs", path, f"{what} {source}:{number} does not", number, HINT)
            return
        if expected != found:
            yield Finding("mirror-differs", path, f"the line is not that of {source}:{number}", number, HINT)


def _comparable_lines(path: str, text: str) -> list[str]:
    code = structure_of(text).code
    bodies = map(body_of, lines_of(text.removeprefix(_BOM)))
    return [body.rstrip() if number in code else comparable(path, body) for number, body in enumerate(bodies, start=1)]


class Synced:
    """What makes a task's mirrors equal to the first place, with proofs that only a mirror has taken over.

    ``changes`` are the files; ``dropped`` the lines of mirrors, as (path, line, text), that are no items, stand
    in no other place, and would be lost; ``ambiguous`` what keeps items from being distinguished.
    """

    def __init__(self, task: str, texts: Texts) -> None:
        self.changes: list[FileChange] = []
        self.dropped: list[tuple[str, int, str]] = []
        source = source_of(task, texts)
        there = [path for path in mirror_paths(task) if path in texts]
        self.ambiguous = [finding for path in there for finding in unclear_items(path, texts[path])]
        if source is None or self.ambiguous:
            return
        text = _with_proofs(source, texts, there)
        for path in mirror_paths(task):
            before = texts.get(path)
            if path == source:
                self.changes.append(FileChange(path, before, text))
            elif before is None:
                self.changes.append(FileChange(path, None, _placed(source, path, text)))
            else:
                self.changes.append(FileChange(path, before, self._followed(source, path, text, before)))

    def _followed(self, source: str, path: str, text: str, before: str) -> str:
        """Return a mirror that follows ``text``; its lines that say the same already are not touched."""
        wanted, found = _comparable_lines(source, text), _comparable_lines(path, before)
        mine = lines_of(before.removeprefix(_BOM))
        new = lines_of(_placed(source, path, text.removeprefix(_BOM)))
        end = _usual_end(mine) or _usual_end(new)
        items = {line for item in items_of(path, before) for line in range(item.line, item.last_line + 1)}
        lines: list[str] = []
        for here, (first, last), (begin, until) in _blocks(found, wanted):
            if here:
                lines += mine[first:last]
                continue
            lines += [body_of(line) + (end if line != body_of(line) else "") for line in new[begin:until]]
            for index in range(first, last):
                if index + 1 in items or not found[index].strip():
                    continue
                if not get_close_matches(found[index], wanted[begin:until], 1, _SAME_LINE):
                    self.dropped.append((path, index + 1, body_of(mine[index])))
        return _whole(lines, end, bom=before.startswith(_BOM))


def _whole(lines: list[str], end: str, *, bom: bool) -> str:
    """Return lines as a text: one whose end was missing because it was the last gets it when others follow."""
    joined = [
        line if line != body_of(line) or index == len(lines) - 1 else line + end for index, line in enumerate(lines)
    ]
    return (_BOM if bom else "") + "".join(joined)


def _usual_end(lines: list[str]) -> str:
    ends = Counter(line[len(body_of(line)) :] for line in lines)
    del ends[""]
    return ends.most_common(1)[0][0] if ends else ""


_Span = tuple[int, int]


def _blocks(found: list[str], wanted: list[str]) -> Iterator[tuple[bool, _Span, _Span]]:
    """Yield which lines of a mirror are those of the source, and which stand in place of others."""
    begin = 0
    while begin < min(len(found), len(wanted)) and found[begin] == wanted[begin]:
        begin += 1
    end = 0
    while end < min(len(found), len(wanted)) - begin and found[-1 - end] == wanted[-1 - end]:
        end += 1
    yield True, (0, begin), (0, begin)
    matcher = SequenceMatcher(None, found[begin : len(found) - end], wanted[begin : len(wanted) - end], autojunk=False)
    for tag, first, last, start, until in matcher.get_opcodes():
        yield tag == "equal", (begin + first, begin + last), (begin + start, begin + until)
    yield True, (len(found) - end, len(found)), (len(wanted) - end, len(wanted))


def _with_proofs(source: str, texts: Texts, there: list[str]) -> str:
    """Return the first place, with the proofs that the same items, in the same words, have in a mirror only.

    A place that fell behind unticks nothing. Where two places prove an item by different runs, the first counts.
    """
    text = texts[source]
    proved: dict[tuple[str, ...], tuple[str, Item]] = {}
    for path in there:
        for item in items_of(path, texts[path]):
            if item.ticked and item.citations:
                proved.setdefault(item.key, (path, item))
    for item in items_of(source, text):
        path, other = proved.get(item.key, (source, item))
        if path == source or (item.ticked and item.citations):
            continue
        if _words(source, item.claim) == _words(path, other.claim):
            text = with_proof(text, item, moved(path, source, proof_in(lines_of(texts[path]), other).rstrip()))
    return text


def _words(path: str, claim: str) -> str:
    return " ".join(comparable(path, claim).split())


def _placed(source: str, path: str, text: str) -> str:
    code = structure_of(text).code
    lines = enumerate(lines_of(text), start=1)
    return "".join(line if number in code else moved(source, path, line) for number, line in lines)


def ticked(item: Item, texts: Texts, proof: Proof) -> list[FileChange]:
    """Return what ticks an item of the first place in all places: its paragraph in each of them, and nothing else.

    A place that is not there is made. Raises KeyError with the path of a place that lacks the item.
    """
    assert item.task is not None  # noqa: S101 -- the caller chose it by its task
    changes = []
    after = with_proof(texts[item.path], item, proof_text(item.path, *proof))
    for path in mirror_paths(item.task):
        text = texts.get(path)
        if text is None:
            changes.append(FileChange(path, None, _placed(item.path, path, after)))
            continue
        own = [one for one in items_of(path, text) if one.key == item.key]
        if len(own) != 1:
            raise KeyError(path)
        changes.append(FileChange(path, text, with_proof(text, own[0], proof_text(path, *proof))))
    return changes
