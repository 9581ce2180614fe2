"""Help, from the declarations: plain text of at most 100 columns, of fewer where the screen has fewer."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from orchestrator.cli.options import Command, Commands, Option

WIDEST = 100
"""Columns of a help text; longer lines are hard to read."""

GROUPS = {
    "run": "Run",
    "look": "Look",
    "review": "Review",
    "setup": "Set up",
    "maintain": "Maintain",
    "": "Commands",
}
"""The headings of the groups, in order: the folders of ``commands/``."""

_CORE = (
    ("--help, -h", "show this, or a command's help"),
    ("--list, -l", "list the commands"),
    ("--version, -V", "show the version"),
    ("--dry", "with start: show the plan instead of running it"),
)
_NARROWEST = 20
"""Columns below which a description is no longer readable."""

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
    ("124", "the timeout of wait ran out; the run goes on"),
    ("130, 143, 129", "stopped by SIGINT, SIGTERM, SIGHUP"),
)
"""The contract's section 2, in one line each."""


def program_help(program: str, commands: Commands, width: int) -> str:
    """Return the help of the whole program, in ``width`` columns."""
    return "\n".join(
        [
            "Run diagnostics, guardrails and reviews of many codebases, and keep a record of every run.",
            "",
            f"Usage: {program} <command> [options]",
            "",
            command_list(commands, width),
            "Options:",
            *_columns(_CORE, width),
            "",
            "Exit codes:",
            *_columns(EXIT_CODES, width),
            "",
            f"More about a command: {program} <command> --help",
            "",
        ]
    )


def command_list(commands: Commands, width: int) -> str:
    """Return the commands with their summaries, by group."""
    lines = []
    longest = max(map(len, commands))
    for group, heading in GROUPS.items():
        rows = [(command.name, command.summary) for command in commands.values() if command.group == group]
        if rows:
            lines += [f"{heading}:", *_columns(rows, width, longest), ""]
    return "\n".join(lines)


def command_help(program: str, command: Command, width: int) -> str:
    """Return the help of one command: what it does, how it is called, its options."""
    bare = command.option(command.positional)
    rows = [(_spec(option), _description(option)) for option in command.options]
    rows.append(("--help, -h", "show this"))
    usage = f"Usage: {program} {command.name} {_words(bare)}"
    also = [f"The word {bare.value} is the same as {bare.flag} {bare.value}.", ""] if bare is not None else []
    summary = textwrap.wrap(command.summary, _limited(width), break_on_hyphens=False)
    return "\n".join([*summary, "", usage, "", *also, "Options:", *_columns(rows, width), ""])


def _words(bare: Option | None) -> str:
    """Return what stands behind a command's name, with what its bare words mean."""
    if bare is None:
        return "[options]"
    if bare.required and bare.repeatable:
        return f"[options] -- {bare.value} …"
    return f"{bare.value} [options]" if bare.required else f"[{bare.value}] [options]"


def _spec(option: Option) -> str:
    return f"{option.flag} {option.value}" if option.value else option.flag


def _description(option: Option) -> str:
    if option.required:
        return f"{option.help} (needed)"
    return option.help if option.default is None else f"{option.help} (default: {option.default})"


def _columns(rows: Iterable[tuple[str, str]], width: int, longest: int = 0) -> list[str]:
    """Return two columns; in a narrow terminal the right one stands below the left one."""
    pairs = list(rows)
    left_width = longest or max(len(left) for left, _ in pairs)
    room = _limited(width) - left_width - 5
    beside = room >= _NARROWEST
    margin = " " * (left_width + 5 if beside else 6)
    lines = []
    for left, right in pairs:
        columns = room if beside else max(_NARROWEST, _limited(width) - 6)
        parts = textwrap.wrap(right, columns, break_on_hyphens=False) or [""]
        if beside:
            lines.append(f"  {left:<{left_width}}   {parts.pop(0)}".rstrip())
        else:
            lines.append(f"  {left}")
        lines += [margin + part for part in parts]
    return lines


def _limited(width: int) -> int:
    return min(WIDEST, max(width, _NARROWEST))
