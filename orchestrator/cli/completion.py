"""``completion``: a script for bash or zsh, and the candidates that it asks for at each key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestrator.base.errors import EXIT_DONE, Refusal
from orchestrator.cli.command_table import COMMANDS
from orchestrator.cli.parser import CORE_FLAGS
from orchestrator.commands.context import Answer, Context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orchestrator.cli.options import Command, Commands, Option

CANDIDATES = "candidates"
LIST = "A,B"
"""What options of several names show as their value."""
LINE, POINT = "COMP_LINE", "COMP_POINT"
"""Bash's names for the line that is typed and the cursor's place in it."""

_BASH = """\
_codex_orchestrator() {
    local IFS=$'\\n'
    COMPREPLY=($(COMP_LINE="$COMP_LINE" COMP_POINT="$COMP_POINT" "${COMP_WORDS[0]}" completion candidates 2>/dev/null))
}
complete -F _codex_orchestrator codex-orchestrator
"""
_ZSH = """\
#compdef codex-orchestrator
_codex_orchestrator() {
    local -a found
    local line="${(j: :)words[1,CURRENT]}"
    found=("${(@f)$(COMP_LINE="$line" COMP_POINT="${#line}" "${words[1]}" completion candidates 2>/dev/null)}")
    compset -P '--*='
    compadd -- "${(@)found:#}"
}
compdef _codex_orchestrator codex-orchestrator
"""


def completion(context: Context, *, shell: str) -> Answer:
    """Return the script for a shell, or the candidates for the line in the environment, one a line."""
    if shell != CANDIDATES:
        return Answer(EXIT_DONE, None, _BASH if shell == "bash" else _ZSH)
    line = context.environ.get(LINE, "")
    point = context.environ.get(POINT, "")
    typed = line[: int(point)] if point.isascii() and point.isdecimal() else line
    found = candidates(typed, COMMANDS, lambda option, given: _of_workspace(context, option, given))
    return Answer(EXIT_DONE, None, "".join(f"{word}\n" for word in found))


def candidates(typed: str, commands: Commands, values: Values) -> list[str]:
    """Return what may stand where a line ends: commands, options, or values, as far as they begin as typed.

    ``typed`` is the line up to the cursor, with the program's name; ``values`` knows those of the workspace.
    """
    words = typed.split()
    current = "" if typed[-1:].isspace() else words.pop() if words else ""
    command = next((commands[word] for word in words[1:] if word in commands), None)
    if command is None:
        return _fitting(current, CORE_FLAGS if current.startswith("-") else commands)
    after = words[words.index(command.name) + 1 :]
    flag, equals, value = current.partition("=")
    if equals and flag.startswith("--"):
        return _fitting_values(value, command.option(flag[2:]), _given(command, after), values)
    pending = command.option(after[-1][2:]) if after and after[-1].startswith("--") else None
    if pending is not None and pending.value:
        return _fitting_values(current, pending, _given(command, after[:-1]), values)
    given = _given(command, after)
    if current.startswith("-"):
        left = [option.flag for option in command.options if option.repeatable or option.name not in given]
        return _fitting(current, [*left, "--help"])
    bare = command.option(command.positional)
    return [] if bare is None or bare.name in given else _fitting_values(current, bare, given, values)


def _fitting_values(beginning: str, option: Option | None, given: Mapping[str, str], values: Values) -> list[str]:
    """Return the values of an option that begin as typed; of a list, its last name, which is none of those before."""
    known = _values(option, given, values)
    if option is None or option.value != LIST:
        return _fitting(beginning, known)
    before, comma, last = beginning.rpartition(",")
    named = before.split(",")
    return [f"{before}{comma}{name}" for name in _fitting(last, known) if name not in named]


def _values(option: Option | None, given: Mapping[str, str], values: Values) -> Iterable[str]:
    if option is None:
        return ()
    return option.choices or values(option.name, given)


def _given(command: Command, words: list[str]) -> dict[str, str]:
    """Return the options that stand on the line; a switch has no value."""
    found: dict[str, str] = {}
    rest = list(reversed(words))
    while rest:
        word = rest.pop()
        flag, equals, value = word.partition("=")
        option = command.option(flag[2:]) if flag.startswith("--") else command.option(command.positional)
        if option is None:
            continue
        if not flag.startswith("--"):
            found[option.name] = word
        elif option.value:
            found[option.name] = value if equals else rest.pop() if rest else ""
        else:
            found[option.name] = ""
    return found


def _fitting(beginning: str, words: Iterable[str]) -> list[str]:
    return [word for word in words if word.startswith(beginning)]


def _of_workspace(context: Context, option: str, given: Mapping[str, str]) -> Iterable[str]:
    from orchestrator.commands.setup.completion_values import values

    try:
        return values(context.store(), option, given)
    except Refusal:  # outside of a workspace there is nothing to complete, and nobody reads a message
        return ()


if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Values: TypeAlias = Callable[[str, Mapping[str, str]], Iterable[str]]
