"""Blocks that GitHub's parser (cmark-gfm) reads otherwise than the library, so that a box would be hidden."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock

_FOOTNOTE = re.compile(r"\[\^[^\]\s\0]+\]:[ \t]*")
_FOOTNOTE_INDENT = 4
_BARE_MARKER = re.compile(r"^([ \t>]*(?:[-+*]|\d{1,9}[.)])[ \t]*(?:\r\n|\n|\r)[ \t>]*[ \t])(?=[\r\n])", re.MULTILINE)
_SPACES = " \t\n\f\r"
_LETTER = "\N{MIDDLE DOT}"
"""A character that is no blank of HTML's, and may stand in no name of it, as those that it is taken for."""


def as_github_reads(reader: MarkdownIt) -> MarkdownIt:
    """Return ``reader`` with GitHub's footnotes, and with tables and HTML blocks that begin where they begin there.

    The head of a table is a line that begins nothing else. Link definitions are a paragraph, as they are there until
    it ends: ``reference`` is no rule of it.
    """
    from markdown_it.rules_block import html_block, table
    from markdown_it.rules_block.html_block import HTML_SEQUENCES

    def block(state: StateBlock, line: int, end: int, silent: bool) -> bool:
        """Begin a block by a tag: none that a blank of Unicode belongs to; any tag ends what would go on lazily."""
        text = state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]
        if not text.startswith("<") or state.is_code_block(line):
            return False
        plain = "".join(_LETTER if char.isspace() and char not in _SPACES else char for char in text)
        ends_paragraph = next((ends for begin, _, ends in HTML_SEQUENCES if begin.search(plain)), None)
        if ends_paragraph is None:
            return False
        if silent:
            is_lazy = state.parentType in ("blockquote", "table") or state.sCount[line] < state.blkIndent
            return ends_paragraph or is_lazy
        return html_block(state, line, end, False)

    reader.block.ruler.at("html_block", block, {"alt": ["paragraph", "reference", "blockquote"]})
    reader.block.ruler.before("reference", "footnote", _footnote, {"alt": ["paragraph", "blockquote"]})
    reader.block.ruler.before("lheading", "github_table", table, {"alt": ["paragraph"]})
    return reader.disable(["reference", "table"])


def with_bare_markers(text: str) -> str:
    """Return a document in which a line of blanks behind a bare marker does not end the list item, as on GitHub."""
    return _BARE_MARKER.sub(r"\1<!---->", text)


def _footnote(state: StateBlock, line: int, end: int, silent: bool) -> bool:
    """Read ``[^name]: text`` and what is indented below it."""
    if state.is_code_block(line):
        return False
    first = state.bMarks[line] + state.tShift[line]
    found = _FOOTNOTE.match(state.src, first, state.eMarks[line])
    if found is None or silent:
        return found is not None
    state.push("footnote_open", "", 1)
    marks = state.bMarks[line], state.tShift[line], state.sCount[line]
    around = state.parentType, state.listIndent
    state.blkIndent += _FOOTNOTE_INDENT
    state.bMarks[line], state.tShift[line], state.sCount[line] = found.end(), 0, state.blkIndent
    state.parentType, state.listIndent = "footnote", -1
    state.md.block.tokenize(state, line, end)
    state.blkIndent -= _FOOTNOTE_INDENT
    state.bMarks[line], state.tShift[line], state.sCount[line] = marks
    state.parentType, state.listIndent = around
    state.push("footnote_close", "", -1)
    return True
