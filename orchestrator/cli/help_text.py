"""Help, from the declarations: plain text of at most 100 columns, of fewer where the screen has fewer."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from orchestrator.cli.options import Command, Commands, Option

_WIDTH = 100
_CORE = (
    ("--help, -h", "show this, or a command's help"),
    ("--list, -l", "list the commands"),
    ("--version, -V", "show the version"),
    ("--dry", "with start: show the plan instead of running it"),
)
EXIT_CODES = (
    ("0", "done; of start and resume: the run succeeded"),
    ("1", "a bug in this program; a report is written and named"),
    ("2", "usage or configuration"),
    ("3", "the run ended without success"),
    ("4", "a gate is not met"),
    ("5", "refused: the run's state forbids it"),
    ("6", "not found: no such run"),
    ("7", "a record is damaged, or of an unknown version"),
    ("8", "storage: no space, read-only, I/O error, a planted link"),
    ("130, 143, 129", "stopped by SIGINT, SIGTERM, SIGHUP"),
)
"""The contract's section 2, in one line each."""


def program_help(program: str, commands: Commands) -> str:
    """Return the help of the whole program."""
    return "\n".join(
        [
            f"Usage: {program} <command> [options]",
            "",
            command_list(commands),
            "Options:",
            *_columns(_CORE),
            "",
            "Exit codes:",
            *_columns(EXIT_CODES),
            "",
            f"More about a command: {program} <command> --help",
            "",
        ]
    )


def command_list(commands: Commands) -> str:
    """Return the commands with their summaries."""
    return "\n".join(["Commands:", *_columns((command.name, command.summary) for command in commands.values()), ""])


def command_help(program: str, command: Command) -> str:
    """Return the help of one command."""
    bare = command.option(command.positional)
    rows = [(_spec(option), _description(option)) for option in command.options]
    rows.append(("--help, -h", "show this"))
    usage = f"Usage: {program} {command.name} {_bare_word(bare)}[options]"
    also = [f"The word {bare.value} is the same as {bare.flag} {bare.value}.", ""] if bare is not None else []
    return "\n".join([usage, "", command.summary, "", *also, "Options:", *_columns(rows), ""])


def _bare_word(option: Option | None) -> str:
    if option is None:
        return ""
    return f"{option.value} " if option.required else f"[{option.value}] "


def _spec(option: Option) -> str:
    return f"{option.flag} {option.value}" if option.value else option.flag


def _description(option: Option) -> str:
    if option.required:
        return f"{option.help} (needed)"
    return option.help if option.default is None else f"{option.help} (default: {option.default})"


def _columns(rows: Iterable[tuple[str, str]]) -> list[str]:
    pairs = list(rows)
    width = max(len(left) for left, _ in pairs)
    lines = []
    for left, right in pairs:
        first, *more = textwrap.wrap(right, _WIDTH - width - 5) or [""]
        lines += [f"  {left:<{width}}   {first}".rstrip(), *(" " * (width + 5) + part for part in more)]
    return lines
