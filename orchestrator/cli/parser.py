"""The console script's command line: words in, a request out. Invoke's parser has no optional positionals.

Rules: the command comes first, its options after it in any order; ``--flag value`` and ``--flag=value``
are the same; the word after a flag that takes a value is its value, unless it is itself a flag of the
command; the first bare word is the command's positional; after ``--`` every word is bare. What is given
twice is refused, but for options that may be repeated and for switches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestrator.base.errors import UsageError
from orchestrator.base.identifiers import near_hint, nearest
from orchestrator.base.quoting import shown
from orchestrator.cli.options import Command, Commands, Option

HELP, VERSION, LIST, DRY = "help", "version", "list", "dry"
CORE_FLAGS = {
    "--help": HELP,
    "-h": HELP,
    "--version": VERSION,
    "-V": VERSION,
    "--list": LIST,
    "-l": LIST,
    "--dry": DRY,
}
"""Flags that stand before or after any command, with Invoke's names for them."""


class CommandLine:
    """What a command line asks for: a command with what was given for its options, and core flags."""

    def __init__(self) -> None:
        self.command: Command | None = None
        self.given: dict[str, object] = {}
        self.core: set[str] = set()


def wants_json(words: Sequence[str]) -> bool:
    """Tell whether ``--format json`` (or ``ndjson``) stands anywhere, also on a line that can't be parsed.

    What follows ``--`` are the words of another command.
    """
    words = words[: words.index("--")] if "--" in words else words
    following = [*words[1:], ""]
    return any(
        word in ("--format=json", "--format=ndjson") or (word == "--format" and after in ("json", "ndjson"))
        for word, after in zip(words, following, strict=True)
    )


def parse(words: Sequence[str], commands: Commands) -> CommandLine:
    """Return what ``words``, the command line without the program's name, ask for; UsageError otherwise."""
    request = CommandLine()
    rest = list(reversed(words))
    while rest:
        word = rest.pop()
        if word == "--":
            while rest:
                _take_bare(request, rest.pop(), commands, literal=True)
        elif word.startswith("-") and word != "-":
            _take_flag(request, word, rest, commands)
        else:
            _take_bare(request, word, commands)
    if request.command is None and not request.core and words:
        raise UsageError("no command is named", hint=near_hint("", commands), code="no-command")
    return request


def _take_flag(request: CommandLine, word: str, rest: list[str], commands: Commands) -> None:
    flag, equals, value = word.partition("=")
    command = request.command
    option = command.option(flag[2:]) if command is not None and flag.startswith("--") else None
    if flag in CORE_FLAGS or (option is not None and not option.value):
        if equals:
            raise UsageError(f"{flag} takes no value", hint=f"give {flag} alone, or leave it out")
        if option is None:
            request.core.add(CORE_FLAGS[flag])
        else:
            request.given[option.name] = True
    elif command is None:
        raise _before_the_command(flag, commands)
    elif option is None:
        raise _unknown_flag(flag, command)
    else:
        text = value if equals else _next_value(command, option, rest)
        _put(request, option, text, bare=option.name == command.positional)


def _next_value(command: Command, option: Option, rest: list[str]) -> str:
    """Take the option's value from the words that are left, the next one last."""
    following = rest[-1].partition("=")[0] if rest else ""
    is_flag = following in CORE_FLAGS or (following[:2] == "--" and command.option(following[2:]) is not None)
    if not rest or is_flag or following == "--":
        if option.is_optional:
            return ""
        raise UsageError(
            f"{option.flag} needs a value",
            hint=f"{option.flag} {option.value}, or {option.flag}={option.value} for a value that looks like an option",
            code="missing-value",
        )
    return rest.pop()


def _take_bare(request: CommandLine, word: str, commands: Commands, *, literal: bool = False) -> None:
    command = request.command
    if command is None:
        request.command = _command_named(word, commands)
        return
    option = command.option(command.positional)
    if option is None:
        raise UsageError(
            f"'{command.name}' takes no bare words, and {shown(word)} is one",
            hint=_near_flag(word, _flags(command)) or f"codex-orchestrator {command.name} --help",
            code="extra-word",
        )
    if word in commands and request.given and not literal and not option.repeatable:
        raise UsageError(
            f"one command a call: {shown(word)} comes after '{command.name}' and its options",
            hint=f"call it by itself; for a {option.name} of that name write {option.flag}={word}",
            code="second-command",
        )
    _put(request, option, word, bare=True)


def _put(request: CommandLine, option: Option, value: str, *, bare: bool) -> None:
    before = request.given.get(option.name)
    if option.repeatable:
        request.given[option.name] = [*(before if isinstance(before, list) else ()), value]
    elif before is None:
        request.given[option.name] = value
    else:
        # Without the values: one of them may be a token.
        hint = f"give it once; a bare word is {option.flag} too" if bare else "give it once"
        raise UsageError(f"{option.flag} is given twice", hint=hint, code="given-twice")


def _command_named(word: str, commands: Commands) -> Command:
    if word in commands:
        return commands[word]
    raise UsageError(
        f"there is no command {shown(word)}",
        hint=near_hint(word, commands),
        code="unknown-command",
    )


def _unknown_flag(flag: str, command: Command) -> UsageError:
    return UsageError(
        f"'{command.name}' has no option {shown(flag)}",
        hint=_near_flag(flag, _flags(command)) or f"codex-orchestrator {command.name} --help",
        code="unknown-option",
    )


def _before_the_command(flag: str, commands: Commands) -> UsageError:
    known = {option.flag for command in commands.values() for option in command.options}
    if flag in known:
        return UsageError(
            f"{flag} stands before the command", hint="options of a command come after it", code="unknown-option"
        )
    return UsageError(
        f"there is no option {shown(flag)}",
        hint=_near_flag(flag, [*CORE_FLAGS, *known]) or "codex-orchestrator --help",
        code="unknown-option",
    )


def _near_flag(flag: str, known: Iterable[str]) -> str:
    """Return the hint that names the nearest flag, or nothing. The dashes, which all flags share, don't count."""
    match = nearest(flag.strip("-"), [name[2:] for name in known if name.startswith("--")])
    return f"did you mean '--{match}'?" if match else ""


def _flags(command: Command) -> Iterable[str]:
    return [*(option.flag for option in command.options), *CORE_FLAGS]
