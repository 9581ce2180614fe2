"""A checklist as text: its items, what each needs, and what a ticked one cites.

An item is a line ``- [ ] **milestone**: what is done (needs: diagnostics/build, approval)``. Ticked, it ends in
`` — [run ID](link to its evidence), digest `SHA256` `` and, where there is one, ``, approved by `WHO` at WHEN``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.base.identifiers import NAME_PATTERN, RUN_ID_PATTERN, name_fault

EVIDENCE_FOLDER = "tasks/evidence"

_ITEM = re.compile(r"\s*[-*+] \[(?P<mark>[ xX])\]\s+(?P<text>.*?)\s*")
_NAMED = re.compile(r"\*\*(?P<id>[^*]+)\*\*")
_NEEDS = re.compile(r"\(needs: (?P<needs>[^()]*)\)")
_LINK = re.compile(r"\]\((?P<target>[^()\s]+)\)")
_CITED = re.compile(
    rf"(?:^|/)(?:evidence/(?P<task>{NAME_PATTERN})/(?P<run>{RUN_ID_PATTERN})\.json"
    rf"|(?P<task2>{NAME_PATTERN})/cli/(?P<run2>{RUN_ID_PATTERN})/manifest\.json)"
)
_DIGEST = re.compile(r"digest `([0-9a-f]{64})`")
_APPROVED = re.compile(r"approved by `([^`]+)` at (\S+)$")
_PROOF = re.compile(r" — \[run .*$")
_FENCE = re.compile(r"\s*(```|~~~)")
_HEADING = re.compile(rf"#+ .*?\b[Tt]ask `?(?P<task>{NAME_PATTERN})")
_PLACES = (
    re.compile(rf"tasks/tasks-(?P<task>{NAME_PATTERN})\.md"),
    re.compile(rf"docs/checklists/(?P<task>{NAME_PATTERN})\.md"),
    re.compile(rf"\.agent/task/(?P<task>{NAME_PATTERN})\.md"),
)


@dataclass(frozen=True, slots=True)
class Citation:
    """The run that an item cites, of which task, and the link as a path from the workspace."""

    task_id: str
    run_id: str
    target: str


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a checklist. ``task`` is None where neither the file nor a heading names one.

    ``needs`` are pipelines, ``pipeline/stage`` and ``approval``; ``claim`` is the text without the proof.
    """

    path: str
    line: int
    task: str | None
    id: str
    ticked: bool
    claim: str
    needs: tuple[str, ...]
    citations: tuple[Citation, ...]
    digest: str | None
    approved: tuple[str, str] | None


def mirror_paths(task: str) -> tuple[str, ...]:
    """Return where the checklist of a task stands; the first place is the one that others mirror."""
    return (f"tasks/tasks-{task}.md", f"docs/checklists/{task}.md", f".agent/task/{task}.md")


def task_of_path(path: str) -> str | None:
    """Return the task whose checklist or mirror a file is, or None."""
    for place in _PLACES:
        found = place.fullmatch(path)
        if found is not None and name_fault("task", found["task"]) is None:
            return found["task"]
    return None


def items_of(path: str, text: str) -> Iterator[Item]:
    """Yield the items of a file; what stands in a block of code is none."""
    task = task_of_path(path)
    fence: str | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        mark = _FENCE.match(line)
        if mark is not None:
            fence = mark[1] if fence is None else None if fence == mark[1] else fence
            continue
        if fence is not None:
            continue
        heading = _HEADING.match(line)
        if heading is not None and task_of_path(path) is None:
            task = heading["task"]
        found = _ITEM.fullmatch(line)
        if found is not None:
            yield _item(path, number, task, found["mark"] != " ", found["text"])


def _item(path: str, number: int, task: str | None, ticked: bool, text: str) -> Item:
    claim = _PROOF.sub("", text)
    named = _NAMED.match(claim)
    needs = [match["needs"] for match in _NEEDS.finditer(claim)][-1:]  # a command that is quoted before may say so too
    digest, approved = _DIGEST.search(text), _APPROVED.search(text)
    return Item(
        path=path,
        line=number,
        task=task,
        id=named["id"].strip() if named is not None else slug(claim),
        ticked=ticked,
        claim=claim,
        needs=tuple(word.strip() for part in needs for word in part.split(",") if word.strip()),
        citations=tuple(_citations(path, text)),
        digest=digest[1] if digest is not None else None,
        approved=(approved[1], approved[2]) if approved is not None else None,
    )


def slug(text: str) -> str:
    """Return the id of an item that has no name in bold: its words, at most 60 characters."""
    return re.sub(r"[^a-z0-9]+", "-", _NEEDS.sub("", text).lower()).strip("-")[:60].strip("-")


def _citations(path: str, text: str) -> Iterator[Citation]:
    for link in _LINK.finditer(text):
        target = resolved(path, link["target"])
        found = _CITED.search(target)
        if found is not None:
            yield Citation(found["task"] or found["task2"], found["run"] or found["run2"], target)


def resolved(path: str, target: str) -> str:
    """Return a relative link of a file as a path from the workspace; other links as they are."""
    if "://" in target or target.startswith(("/", "#")):
        return target
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), target))


def linked(path: str, target: str) -> str:
    """Return the relative link from a file to a path from the workspace."""
    return posixpath.relpath(target, posixpath.dirname(path) or ".")


def comparable(path: str, line: str) -> str:
    """Return a line with its relative links as paths from the workspace, so that mirrors can be compared."""
    return _LINK.sub(lambda link: f"]({resolved(path, link['target'])})", line.rstrip())


def moved(source: str, path: str, line: str) -> str:
    """Return a line of the file ``source`` as it stands in the file ``path``: with its links turned."""

    def turned(link: re.Match[str]) -> str:
        target = link["target"]
        if resolved(source, target) == target:
            return f"]({target})" if "://" in target or target[:1] in "/#" else f"]({linked(path, target)})"
        return f"]({linked(path, resolved(source, target))})"

    return _LINK.sub(turned, line)


def ticked_line(item: Item, line: str, run_id: str, target: str, digest: str, approved: tuple[str, str] | None) -> str:
    """Return the line of an item, ticked, with link, digest and the approval's actor and time."""
    bare = _PROOF.sub("", line.rstrip())
    marked = re.sub(r"\[[ xX]\]", "[x]", bare, count=1)
    proof = f" — [run {run_id}]({linked(item.path, target)}), digest `{digest}`"
    if approved is not None:
        proof += f", approved by `{word(approved[0])}` at {approved[1]}"
    return marked + proof


def word(name: str) -> str:
    """Return somebody's name as it stands in a line: printable, without backticks."""
    return "".join(char if char.isprintable() and char != "`" else "?" for char in name) or "?"
