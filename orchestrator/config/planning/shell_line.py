"""Can a shell line fail? A reader of POSIX shell that follows results, not values.

It answers what a reviewer asks of a guardrail: whose exit status is the line's, and may that be
anything but 0. Where it can't tell, it says that the line can fail, so that nothing good is accused.
Rules: POSIX.1-2024, Shell Command Language, sections 2.8.2 (exit status) and 2.9 (commands).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.config.planning.shell_words import REDIRECTIONS, Token, tokens

Simple = Callable[[list[str], bool], "str | None"]
"""Says why a simple command can't fail, or None when it can; the flag tells that it reads from a pipe."""

NOTHING = "it runs nothing"
_OPENERS = frozenset({"if", "while", "until", "for", "case", "{"})


def line_reason(line: str, simple: Simple, *, errexit: bool = False, pipefail: bool = False) -> str | None:
    """Return why the shell line can't fail, or None when it can, or when it can't be read.

    ``errexit`` and ``pipefail`` are the shell's options at the start; ``set`` in the line is followed.
    """
    try:
        reader = _Reader(tokens(line), simple, errexit=errexit, pipefail=pipefail)
        reason = reader.run(frozenset())
        return reason if reader.done() else None
    except (ValueError, RecursionError):
        return None


@dataclass(slots=True)
class _Shell:
    """What one shell, or subshell, has come to while its commands are read."""

    errexit: bool
    pipefail: bool
    may_exit: bool = False
    """A command was seen that can end this shell with another status than 0."""
    over: bool = False
    """This shell has ended for certain: what follows is never run."""


class _Reader:
    """One walk over the tokens; each method reads one construct and returns why it can't fail, or None."""

    def __init__(self, items: list[Token], simple: Simple, *, errexit: bool, pipefail: bool) -> None:
        self._items = items
        self._at = 0
        self._simple = simple
        self._shell = _Shell(errexit, pipefail)
        self._conditional = 0

    def done(self) -> bool:
        return self._at >= len(self._items)

    def run(self, stops: frozenset[str]) -> str | None:
        """A list of commands up to one of ``stops``: the last one's status, if none before ends the shell."""
        reason: str | None = NOTHING
        while not self.done() and not self._stands(stops):
            if self._take_operator(";", "\n", ";;"):
                continue
            dead = self._shell.over
            result, last = self._and_or()
            background = self._take_operator("&")
            if dead:
                continue
            reason = "it ends in the background" if background else result
            if self._shell.errexit and last is None and not background:
                self._shell.may_exit = True
        return None if self._shell.may_exit else reason

    def _and_or(self) -> tuple[str | None, str | None]:
        left = last = self._pipeline()
        while operator := self._take_operator("&&", "||"):
            while self._take_operator("\n"):
                pass
            last = self._conditionally(self._pipeline)
            if operator == "&&":
                left = None if left is None else last
            elif left is None:
                left = last
        return left, last

    def _pipeline(self) -> str | None:
        negated = self._take_word("!")
        results = [self._element(piped=False)]
        while self._take_operator("|", "|&"):
            results.append(self._element(piped=True))
        if negated or (self._shell.pipefail and None in results):
            return None
        return results[-1]

    def _element(self, *, piped: bool) -> str | None:
        following = self._following_pipe()
        return self._subshell(lambda: self._command(piped)) if piped or following else self._command(piped)

    def _following_pipe(self) -> bool:
        """Whether the simple command here writes into a pipe; told without reading compound commands."""
        for item in self._items[self._at :]:
            if item.operator and item.text not in REDIRECTIONS:
                return item.text in ("|", "|&")
        return False

    def _subshell(self, read: Callable[[], str | None]) -> str | None:
        outer = self._shell
        self._shell = _Shell(outer.errexit, outer.pipefail)
        try:
            reason = read()
            return None if self._shell.may_exit else reason
        finally:
            self._shell = outer

    def _conditionally(self, read: Callable[[], str | None]) -> str | None:
        self._conditional += 1
        try:
            return read()
        finally:
            self._conditional -= 1

    def _command(self, piped: bool) -> str | None:
        if self._take_operator("("):
            reason = self._subshell(lambda: self.run(frozenset({")"})))
            self._expect(")")
        elif self._keyword() in _OPENERS:
            reason = self._compound()
        else:
            return self._plain(piped)
        self._redirections()
        return reason

    def _compound(self) -> str | None:
        keyword = self._next().text
        if keyword == "{":
            reason = self.run(frozenset({"}"}))
            self._expect("}")
            return reason
        return self._conditionally({"if": self._if, "case": self._case}.get(keyword, self._loop))

    def _if(self) -> str | None:
        branches: list[str | None] = []
        word = "if"
        while word in ("if", "elif"):
            self._condition("then")
            branches.append(self.run(frozenset({"elif", "else", "fi"})))
            word = self._next().text
        if word == "else":
            branches.append(self.run(frozenset({"fi"})))
            self._expect("fi")
        return None if None in branches else branches[-1]

    def _loop(self) -> str | None:
        self._condition("do")
        reason = self.run(frozenset({"done"}))
        self._expect("done")
        return reason

    def _case(self) -> str | None:
        while self._next().text != "in":
            pass
        branches: list[str | None] = [NOTHING]
        while not self._take_word("esac"):
            if self._take_operator("\n", ";;"):
                continue
            while not self._next().is_operator(")"):
                pass
            branches.append(self.run(frozenset({";;", "esac"})))
        return None if None in branches else branches[-1]

    def _condition(self, end: str) -> None:
        """Read what a branch or loop hangs on: its status is asked, so that it never ends the shell by itself."""
        errexit, self._shell.errexit = self._shell.errexit, False
        self.run(frozenset({end}))
        self._shell.errexit = errexit
        self._expect(end)

    def _plain(self, piped: bool) -> str | None:
        words: list[str] = []
        start = self._at
        while not self.done():
            if self._redirections():
                continue
            item = self._items[self._at]
            if item.operator:
                break
            self._at += 1
            words.append(item.text)
        if self._at == start:
            raise ValueError("a command is missing")
        if self._take_operator("("):  # a function's definition: it runs when it is called
            self._expect(")")
            while self._take_operator("\n"):
                pass
            self._subshell(lambda: self._command(False))
            return NOTHING
        return self._words(words, piped)

    def _words(self, words: list[str], piped: bool) -> str | None:
        if words[:1] == ["set"]:
            self._options(words[1:])
        if words[:1] in (["exit"], ["return"]):
            return self._exit(words[1:])
        reason = self._simple(words, piped)
        if words[:1] == ["exec"] and len(words) > 1 and not self._conditional:
            self._shell.over = True
        return reason

    def _exit(self, arguments: list[str]) -> str | None:
        code = arguments[0] if arguments else ""
        if not (code.isascii() and code.isdigit() and int(code[:18]) % 256 == 0):
            self._shell.may_exit = self._shell.may_exit or not self._shell.over
            return None
        if not self._conditional:
            self._shell.over = True
        return f"its result is that of 'exit {code}'"

    def _options(self, words: list[str]) -> None:
        for place, word in enumerate(words):
            on = word.startswith("-")
            if word[:1] not in ("-", "+"):
                continue
            if "e" in word[1:]:
                self._shell.errexit = on
            if word.endswith("o") and words[place + 1 : place + 2] == ["pipefail"]:
                self._shell.pipefail = on
            if word.endswith("o") and words[place + 1 : place + 2] == ["errexit"]:
                self._shell.errexit = on

    def _redirections(self) -> bool:
        found = False
        while not self.done() and self._items[self._at].operator and self._items[self._at].text in REDIRECTIONS:
            self._at += 2
            found = True
        return found

    def _stands(self, stops: frozenset[str]) -> bool:
        item = self._items[self._at]
        return not item.quoted and item.text in stops

    def _keyword(self) -> str | None:
        if self.done():
            raise ValueError("a command is missing")
        item = self._items[self._at]
        return None if item.operator or item.quoted else item.text

    def _take_operator(self, *operators: str) -> str | None:
        if self.done() or not self._items[self._at].operator or self._items[self._at].text not in operators:
            return None
        return self._next().text

    def _take_word(self, word: str) -> bool:
        if self._keyword() != word:
            return False
        self._at += 1
        return True

    def _next(self) -> Token:
        if self.done():
            raise ValueError("the line ends too early")
        self._at += 1
        return self._items[self._at - 1]

    def _expect(self, text: str) -> None:
        if self._next().text != text:
            raise ValueError(f"{text} is missing")
