"""A shell line as words and operators: quotes removed, substitutions kept whole, here-documents left out."""

from __future__ import annotations

import re

from orchestrator.base.record import Record

REDIRECTIONS = frozenset({"<", ">", ">>", ">|", "<>", "<&", ">&", "<<", "<<-", "<<<", "&>", "&>>"})
_OPERATOR = re.compile(r"&&|&>>|&>|&|\|\||\|&|\||;;|;|\(|\)|<<<|<<-|<<|<&|<>|<|>>|>&|>\||>")


class Token(Record):
    """A word without its quotes, or an operator; ``quoted`` words are never keywords."""

    text: str
    operator: bool = False
    quoted: bool = False

    def is_operator(self, text: str) -> bool:
        """Tell whether this is that operator."""
        return self.operator and self.text == text


def tokens(line: str) -> list[Token]:
    """Return the tokens of a shell line, newlines as operators; ValueError when a quote or bracket stays open."""
    return _Scanner(line).scan()


class _Scanner:
    def __init__(self, line: str) -> None:
        self._line = line
        self._at = 0
        self._found: list[Token] = []
        self._word: str | None = None
        self._quoted = False
        self._documents: list[str] = []

    def scan(self) -> list[Token]:
        line = self._line
        while self._at < len(line):
            char = line[self._at]
            if char in " \t\r":
                self._flush()
                self._at += 1
            elif char == "\n":
                self._newline()
            elif char == "#" and self._word is None:
                self._at = _or_end(line, line.find("\n", self._at))
            elif char in "\\'\"`" or line.startswith(("$(", "${", "<(", ">("), self._at):
                self._special(char)
            elif match := _OPERATOR.match(line, self._at):
                self._operator(match[0])
            else:
                self._add(char, self._at + 1)
        self._flush()
        return self._found

    def _add(self, text: str, end: int, *, quoted: bool = False) -> None:
        self._word = (self._word or "") + text
        self._quoted = self._quoted or quoted
        self._at = end

    def _flush(self) -> None:
        if self._word is None:
            return
        if self._found and self._found[-1].text in ("<<", "<<-") and self._found[-1].operator:
            self._documents.append(self._word)
        self._found.append(Token(self._word, quoted=self._quoted))
        self._word, self._quoted = None, False

    def _operator(self, text: str) -> None:
        if text in REDIRECTIONS and self._word is not None and self._word.isdigit() and not self._quoted:
            self._word = None  # the number of a descriptor, as in 2>
        self._flush()
        self._found.append(Token(text, operator=True))
        self._at += len(text)

    def _newline(self) -> None:
        self._flush()
        self._found.append(Token("\n", operator=True))
        self._at += 1
        for ending in self._documents:
            while self._at < len(self._line):
                end = _or_end(self._line, self._line.find("\n", self._at))
                text, self._at = self._line[self._at : end], end + 1
                if text.strip("\t") == ending:
                    break
        self._documents = []

    def _special(self, char: str) -> None:
        line, start = self._line, self._at
        if char == "\\":
            following = line[start + 1 : start + 2]
            if following == "\n":
                self._at += 2
            else:
                self._add(following, start + 2, quoted=True)
        elif char == "'":
            end = line.index("'", start + 1)
            self._add(line[start + 1 : end], end + 1, quoted=True)
        elif char == '"':
            end = _end_of_quote(line, start)
            self._add(re.sub(r"\\([\"\\$`])", r"\1", line[start + 1 : end - 1]), end, quoted=True)
        else:
            end = _end_of(line, start)
            self._add(line[start:end], end)


def _or_end(line: str, found: int) -> int:
    return len(line) if found < 0 else found


def _end_of(line: str, start: int) -> int:
    """Return the place after the substitution that begins at ``start``."""
    if line[start] == "`":
        at = start + 1
        while line[at : at + 1] != "`":
            if at >= len(line):
                raise ValueError("a substitution stays open")
            at += 2 if line[at] == "\\" else 1
        return at + 1
    closing = "}" if line[start + 1] == "{" else ")"
    return _end_of_bracket(line, start + 2, closing)


def _end_of_bracket(line: str, at: int, closing: str) -> int:
    opening, depth = {"}": "{", ")": "("}[closing], 1
    while depth:
        if at >= len(line):
            raise ValueError("a bracket stays open")
        char = line[at]
        if char == "\\":
            at += 2
        elif char == "'":
            at = line.index("'", at + 1) + 1
        elif char == '"':
            at = _end_of_quote(line, at)
        else:
            depth += (char == opening) - (char == closing)
            at += 1
    return at


def _end_of_quote(line: str, start: int) -> int:
    """Return the place after the double quote that closes the one at ``start``."""
    at = start + 1
    while at < len(line):
        if line[at] == '"':
            return at + 1
        if line[at] == "\\":
            at += 2
        elif line[at] == "`" or line.startswith(("$(", "${"), at):
            at = _end_of(line, at)
        else:
            at += 1
    raise ValueError("a quote stays open")
