"""A checklist as text: its items, what each needs, and what a ticked one cites.

An item is a task item ``- [ ] **milestone**: what is done (needs: diagnostics/build, approval)``. Ticked, it ends in
`` — [run ID](link to its evidence), digest `SHA256` `` and, where there is one, ``, approved by `WHO` at WHEN``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from orchestrator.base.identifiers import NAME_PATTERN, RUN_ID_PATTERN, name_fault
from orchestrator.base.text.normal_form import normal_form
from orchestrator.checks.checklists.links import comparable, linked, target_of
from orchestrator.checks.checklists.markdown import Structure, TaskItem, body_of, lines_of, links_in, structure_of
from orchestrator.checks.checklists.needs import needs_of

EVIDENCE_FOLDER = "tasks/evidence"

_NAMED = re.compile(r"(?:\*\*(?P<id>[^*]+)\*\*|__(?P<id2>[^_]+)__)")
_CITED = re.compile(
    rf"(?:^|/)(?:evidence/(?P<task>{NAME_PATTERN})/(?P<run>{RUN_ID_PATTERN})\.json"
    rf"|(?P<task2>{NAME_PATTERN})/cli/(?P<run2>{RUN_ID_PATTERN})/manifest\.json)"
)
_EARLY = re.compile(r"\.runs/(?P<task>[\w.-]+)/(?:(?:cli|mcp)/)?(?P<run>[\w.:-]+)/manifest\.json")
_DIGEST = re.compile(r"digest `([0-9a-f]{64})`")
_APPROVED = re.compile(r"approved by `([^`]+)` at (\S+)$", re.MULTILINE)
_APPROVED_IN_PROOF = re.compile(r"approved by `([^`]+)` at ([^\s,]+)")
_SAID = re.compile(rf"\[[Rr]un ({RUN_ID_PATTERN})\]")
_RUN = rf"\[[Rr]un {RUN_ID_PATTERN}\](?:\([^()\n]*\)|\[[^\]\n]*\])"
_PROOF = re.compile(
    rf"(?<![ \t])[ \t]*(?:[—–]|-{{1,3}})[ \t]+{_RUN}"
    rf"(?:,?[ \t]*(?:and[ \t]+)?(?:{_RUN}|digest `[^`\n]*`|approved by `[^`\n]+` at \S+))*[ \t]*"
)
_BOX = re.compile(r"\[[ xX]\]")
_HEADING = re.compile(rf"\b[Tt]ask:? (?P<tick>`?)(?P<task>{NAME_PATTERN})(?P=tick)(?![\w/])")
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
    """One item of a checklist. ``task`` is None where neither the file nor a heading names one.

    ``key`` tells items of a file apart: the word in bold, else headings, parents and text. ``needs`` are pipelines,
    ``pipeline/stage`` and ``approval``; ``claim`` is the text without the proof. ``early`` are the task and run that
    it cites as version 1 did; ``said`` are the runs that its proof's words name. ``line`` to ``last_line`` (from 1) are
    its paragraph.
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
    unclear: str | None = None
    key: tuple[str, ...] = ()
    last_line: int = 0
    early: tuple[str, str] | None = None
    said: tuple[str, ...] = ()


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


def items_of(path: str, text: str, known: Collection[str] = ()) -> Iterator[Item]:
    """Yield the items of a file; ``known`` are the tasks that a heading may name. Raises TooDeepError."""
    structure = structure_of(text)
    task = task_of_path(path)
    for found in structure.items:
        yield _item(path, task or _task_of_headings(found.headings, known), found, structure)


def _task_of_headings(headings: tuple[tuple[int, str], ...], known: Collection[str]) -> str | None:
    """Return the task of the nearest heading above that names one: known, in backticks, or numbered as ``1001-x``."""
    for _, text in reversed(headings):
        for found in _HEADING.finditer(text):
            task = found["task"]
            if name_fault("task", task) is None and (found["tick"] or task in known or re.match(r"\d+-", task)):
                return task
    return None


def _item(path: str, task: str | None, found: TaskItem, structure: Structure) -> Item:
    claim = claim_of(found.text)
    named = _NAMED.match(claim)
    needs = needs_of(claim, found.beside)
    digest, proof = _DIGEST.search(found.text), "".join(_PROOF.findall(found.text))
    approved = _APPROVED_IN_PROOF.search(proof) or _APPROVED.search(found.text)
    name = (named["id"] or named["id2"]).strip() if named is not None else ""
    above = (text for _, text in found.headings)
    place = (*above, *(claim_of(text) for text in found.parents), claim)
    early = _EARLY.search(found.text)
    return Item(
        path=path,
        line=found.line,
        task=task,
        id=name or slug(claim),
        ticked=found.ticked,
        claim=claim,
        needs=needs.words,
        citations=tuple(_citations(path, found.text, structure)),
        digest=digest[1] if digest is not None else None,
        approved=(approved[1], approved[2]) if approved is not None else None,
        unclear=needs.unclear,
        key=("", _plain(name)) if name else tuple(_plain(comparable(path, text)) for text in place),
        last_line=found.last_line,
        early=(early["task"], early["run"]) if early is not None else None,
        said=tuple(_SAID.findall(proof)),
    )


def claim_of(text: str) -> str:
    """Return an item's text without its proof, in whichever line that stands."""
    return _PROOF.sub("", text).strip()


def _plain(text: str) -> str:
    return " ".join(normal_form("NFC", text).split())


def slug(text: str) -> str:
    """Return the id of an item that has no name in bold: its words, of any script, at most 60 characters."""
    without = re.sub(r"\(needs: [^()]*\)", "", text)
    words = "".join(char if char.isalnum() or unicodedata.category(char)[0] == "M" else " " for char in without.lower())
    return "-".join(words.split())[:60].strip("-") or text


def _citations(path: str, text: str, structure: Structure) -> Iterator[Citation]:
    if "](" not in text and "][" not in text and not structure.definitions:
        return
    for link in links_in(text, structure.definitions):
        target = target_of(path, link)
        found = _CITED.search(target)
        if found is not None:
            yield Citation(found["task"] or found["task2"], found["run"] or found["run2"], target)


def proof_text(path: str, run_id: str, target: str, digest: str, approved: tuple[str, str] | None) -> str:
    """Return what a proved item of ``path`` ends in: link, digest and the approval's actor and time."""
    proof = f" — [run {run_id}]({linked(path, target)}), digest `{digest}`"
    if approved is not None:
        proof += f", approved by `{word(approved[0])}` at {approved[1]}"
    return proof


def proof_in(lines: list[str], item: Item) -> str:
    """Return the proof that stands in the lines of an item."""
    return "".join(found for line in lines[item.line - 1 : item.last_line] for found in _PROOF.findall(body_of(line)))


def with_proof(text: str, item: Item, proof: str) -> str:
    """Return a document in which an item is ticked and ends in ``proof``; no other byte changes."""
    lines = lines_of(text)
    for index in range(item.line - 1, item.last_line):
        body = body_of(lines[index])
        end = lines[index][len(body) :]
        if index == item.line - 1:
            body = _BOX.sub("[x]", body, count=1)
        body = _PROOF.sub("", body)
        if index == item.last_line - 1:
            body = body.rstrip(" \t") + proof
        lines[index] = body + end
    return "".join(lines)


def word(name: str) -> str:
    """Return somebody's name as it stands in a line: printable, without backticks."""
    return "".join(char if char.isprintable() and char != "`" else "?" for char in name) or "?"
