"""Where the task items of a Markdown document stand, by CommonMark with GitHub's tables and task items.

GitHub's rule (GFM 5.3): a list item whose first block is a paragraph that begins with ``[ ]``, ``[x]`` or
``[X]`` and whitespace. The plugin of mdit-py-plugins is not used for it: it takes 1 s for 2,500 items and
four times as long for twice as many; the blocks alone take 0.4 s for 10,000.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from orchestrator.checks.checklists.github_blocks import as_github_reads, with_bare_markers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from markdown_it import MarkdownIt
    from markdown_it.token import Token

DEEPEST = 200
"""Containers inside each other that are read; cmark has no limit, a Python stack has one."""

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")
_MARK = re.compile(r"\[(?P<mark>[ xX])\](?=[ \t\n\v\f\r]|$)[ \t\n\v\f\r]*")
_ANY_MARK = re.compile(r"\[[ xX]\]")
_BRACKET = re.compile(r"\\.|[\[\]]", re.DOTALL)
_CONFLICT = re.compile(r"(?:<{7}|>{7})(?: |$)")


class TooDeepError(ValueError):
    """A document whose lists and quotes, or an item's brackets, stand inside each other more than ``DEEPEST`` times."""


@dataclass(frozen=True, slots=True)
class TaskItem:
    """A task item: ``line`` and ``last_line`` (from 1) of its paragraph, ``text`` without the mark.

    ``headings`` are the texts above it with their levels, ``parents`` those of the list items that it stands in,
    ``beside`` is what else its list item holds, without other task items.
    """

    line: int
    last_line: int
    ticked: bool
    text: str
    headings: tuple[tuple[int, str], ...]
    parents: tuple[str, ...]
    beside: str = ""


@dataclass(frozen=True, slots=True)
class Structure:
    """What is known of a document: its items, the lines (from 1) that are code, and its link definitions."""

    items: tuple[TaskItem, ...]
    code: frozenset[int]
    definitions: Mapping[str, Any]


_NOTHING = Structure((), frozenset(), {})


def lines_of(text: str) -> list[str]:
    """Return the lines of a document with their ends; form feeds and U+0085 end no line in Markdown."""
    return _LINE.findall(text)


def body_of(line: str) -> str:
    """Return a line without its end."""
    return line.rstrip("\r\n")


@lru_cache(maxsize=64)
def structure_of(text: str) -> Structure:
    """Return the structure of a document. Raises TooDeepError."""
    if not _ANY_MARK.search(text):
        return _NOTHING
    text = text.removeprefix("\ufeff")
    environment: dict[str, Any] = {}
    try:
        tokens = _blocks().parse(with_bare_markers(text))
        if "]:" in text:
            _reader().parse(text, environment)
    except RecursionError:
        raise TooDeepError from None
    if any(token.level >= DEEPEST - 1 for token in tokens):
        raise TooDeepError
    code = frozenset(
        number
        for token in tokens
        if token.type in ("fence", "code_block", "html_block") and token.map
        for number in range(token.map[0] + 1, token.map[1] + 1)
    )
    items = tuple(_items(tokens))
    if any(_has_deep_brackets(item.text) for item in items):
        raise TooDeepError
    return Structure(items, code, environment.get("references", {}))


def _has_deep_brackets(text: str) -> bool:
    """Tell whether brackets stand inside each other too deep: the library looks from each one for its end."""
    depth = 0
    if text.count("[") > DEEPEST:
        for found in _BRACKET.finditer(without_code(text)):
            depth += (found[0] == "[") - (found[0] == "]" and depth > 0)
            if depth > DEEPEST:
                return True
    return False


def _items(tokens: list[Token]) -> Iterator[TaskItem]:
    headings: list[tuple[int, str]] = []
    parents: list[str] = []
    found: list[TaskItem] = []
    beside: list[list[str]] = []
    owners: list[int | None] = []  # of each list item around: which task item it is, or stands in
    mark: Token | None = None
    for index, token in enumerate(tokens):
        if token.type == "heading_open" and token.level == 0:
            level = int(token.tag[1:])
            headings = [*(above for above in headings if above[0] < level), (level, tokens[index + 1].content)]
        elif token.type == "list_item_open":
            mark = _first_line(tokens, index + 1)
            text = "" if mark is None else mark.content
            item = None if mark is None else _task_item(mark, tuple(headings), tuple(parents))
            owner = owners[-1] if owners else None
            if item is not None:
                owner = len(found)
                found.append(item)
                beside.append([])
            else:
                mark = None
            owners.append(owner)
            parents.append(text if item is None else item.text)
        elif token.type == "list_item_close":
            parents.pop()
            owners.pop()
        elif token.type == "inline" and token is not mark and owners and owners[-1] is not None:
            beside[owners[-1]].append(token.content)
    return (replace(item, beside="\n".join(rest)) if rest else item for item, rest in zip(found, beside, strict=True))


def _first_line(tokens: list[Token], index: int) -> Token | None:
    """Return the line that a list item begins with; the box is read before what makes it a heading or a table."""
    block = tokens[index]
    if block.type == "paragraph_open" or (block.type == "heading_open" and block.markup in ("=", "-")):
        return tokens[index + 1]
    if block.type == "table_open":
        return next(token for token in tokens[index:] if token.type == "inline")
    return None


def _task_item(inline: Token, headings: tuple[tuple[int, str], ...], parents: tuple[str, ...]) -> TaskItem | None:
    mark = _MARK.match(inline.content)
    if mark is None or not inline.map:
        return None
    first, end = inline.map
    return TaskItem(first + 1, end, mark["mark"] != " ", inline.content[mark.end() :], headings, parents)


def links_in(text: str, definitions: Mapping[str, Any]) -> list[str]:
    """Return where the links of an item's text lead, reference links and those with titles too; code has none."""
    reader = _reader()
    tokens: list[Token] = []
    reader.inline.parse(text, reader, {"references": definitions}, tokens)
    return [str(token.attrs["href"]) for token in tokens if token.type == "link_open"]


def without_code(text: str) -> str:
    """Return an item's text with its code spans emptied."""
    parts: list[str] = []
    at = 0
    for start, end in code_spans(text):
        parts += (text[at:start], "``")
        at = end
    return "".join((*parts, text[at:]))


def code_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield where code spans begin and end (CommonMark 6.1): a run of backticks, and the next one of its length.

    A backtick that is escaped belongs to no run that opens one.
    """
    runs = [(found.start(), found.end()) for found in _BACKTICKS.finditer(text)]
    following: dict[int, list[tuple[int, int]]] = {}
    for start, end in reversed(runs):
        following.setdefault(end - start, []).append((start, end))
    at = 0
    for start, end in runs:
        if start < at:
            continue
        escaped = _is_escaped(text, start)
        closing = following.get(end - start - escaped, [])
        while closing and closing[-1][0] < end:
            closing.pop()
        if closing:
            at = closing[-1][1]
            yield start + escaped, at


_BACKTICKS = re.compile("`+")


def _is_escaped(text: str, at: int) -> bool:
    before = at
    while before and text[before - 1] == "\\":
        before -= 1
    return (at - before) % 2 == 1


def conflicts_in(text: str, code: frozenset[int]) -> list[int]:
    """Return the lines at which a merge left a conflict's markers."""
    if "<<<<<<<" not in text and ">>>>>>>" not in text:
        return []
    lines = enumerate(lines_of(text), start=1)
    return [number for number, line in lines if number not in code and _CONFLICT.match(body_of(line))]


@lru_cache(maxsize=1)
def _blocks() -> MarkdownIt:
    return as_github_reads(_new_reader())


@lru_cache(maxsize=1)
def _reader() -> MarkdownIt:
    return _new_reader()


def _new_reader() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"maxNesting": DEEPEST}).enable("table").disable("inline")
