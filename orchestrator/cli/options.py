"""What a command takes, declared once: Invoke's tasks, the console script, its help and the docs test read it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from orchestrator.base.errors import UsageError
from orchestrator.base.identifiers import near_hint
from orchestrator.base.limits import UNNAMED_PIPELINE
from orchestrator.base.quoting import shown
from orchestrator.base.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.commands.context import Answer

Reader = Callable[[str, str], object]
"""Turns a flag's name and the text given for it into a value; raises UsageError."""

Given = Mapping[str, object]
"""What stood on the command line, by option name: text, True for a switch, a list for what may repeat."""

_MOST_DIGITS = 6
_SECONDS = r"[0-9]{1,6}(?:\.[0-9]{1,6})?"
_SHARE = r"([0-9]{1,3}(?:\.[0-9]{1,6})?)(%)?"
_SHORTEST_INTERVAL = 0.1


def text(flag: str, given: str) -> str:
    """Return ``given`` as it is: what ids and words may be is decided by the command."""
    return given


def count(flag: str, given: str) -> int:
    """Return a whole number from 1 to 999999; UsageError for anything else, as in every reader here."""
    if not _is_whole(given) or int(given) == 0:
        raise UsageError(f"--{flag} is a whole number from 1 to 999999, not {shown(given)}", hint=f"--{flag} 4")
    return int(given)


def whole(flag: str, given: str) -> int:
    """Return a whole number from 0 to 999999, or raise UsageError."""
    if not _is_whole(given):
        raise UsageError(f"--{flag} is a whole number, not {shown(given)}", hint=f"--{flag} 20")
    return int(given)


def integer(flag: str, given: str) -> int:
    """Return a whole number from -999999 to 999999, or raise UsageError."""
    if not _is_whole(given.removeprefix("-")):
        raise UsageError(f"--{flag} is a whole number, not {shown(given)}", hint=f"--{flag} 5")
    return int(given)


def _is_whole(given: str) -> bool:
    return given.isascii() and given.isdigit() and len(given) <= _MOST_DIGITS


def share(usual: str) -> Callable[[str, str], float]:
    """Return what reads a share, of ``0.9`` or ``90%``, as a number from 0 to 1, or raises UsageError.

    ``usual`` is what counts when the option is left out: whoever takes the hint gets no weaker gate.
    """

    def read(flag: str, given: str) -> float:
        import re

        match = re.fullmatch(_SHARE, given)
        value = float(match[1]) / (100 if match[2] else 1) if match is not None else 2.0
        if value > 1:
            raise UsageError(f"--{flag} is a share such as 0.9 or 90%, not {shown(given)}", hint=f"--{flag} {usual}")
        return value

    return read


def seconds(flag: str, given: str) -> float:
    """Return a number of seconds; a tenth is the least, so that nothing polls without a pause. Raises UsageError."""
    import re

    if re.fullmatch(_SECONDS, given) is None or float(given) < _SHORTEST_INTERVAL:
        raise UsageError(
            f"--{flag} is a number of seconds from {_SHORTEST_INTERVAL} up, not {shown(given)}", hint=f"--{flag} 2"
        )
    return float(given)


def assignment(flag: str, given: str) -> str:
    """Return ``given`` when it has the form ``KEY=VALUE`` with a key; the value may be empty. Raises UsageError."""
    if given.find("=") < 1:
        raise UsageError(f"--{flag} has the form KEY=VALUE, not {shown(given)}")
    return given


class OneOf:
    """A reader that takes the ``allowed`` words only; ``offered`` are those that a shell completes."""

    def __init__(self, *allowed: str, offered: tuple[str, ...] = ()) -> None:
        self.allowed = allowed
        self.offered = offered or allowed

    def __call__(self, flag: str, given: str) -> str:
        """Return ``given`` when it is allowed."""
        if given in self.allowed:
            return given
        words = " or ".join(f"'{word}'" for word in self.offered)
        raise UsageError(f"--{flag} is {words}, not {shown(given)}", hint=near_hint(given, self.offered))


class Option(Record):
    """One option of a command.

    ``name`` is the flag without its dashes, ``value`` the word for its value in the help (empty: a switch),
    ``parameter`` the command function's parameter when it is called otherwise. The value of an ``is_optional`` one may
    be left out: then it is empty.
    """

    name: str
    help: str
    value: str = ""
    default: object = None
    read: Reader = text
    required: bool = False
    repeatable: bool = False
    parameter: str = ""
    is_optional: bool = False

    @property
    def flag(self) -> str:
        """The flag as it is typed."""
        return f"--{self.name}"

    @property
    def keyword(self) -> str:
        """The parameter of the command function that gets the value."""
        return self.parameter or self.name.replace("-", "_")

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that may be given, where there are only some."""
        return self.read.offered if isinstance(self.read, OneOf) else ()

    def value_of(self, given: object) -> object:
        """Return the value for the command: of what was given, or the default when ``given`` is None."""
        if not self.value:
            return bool(given)
        if self.repeatable:
            return tuple(self.read(self.name, str(item)) for item in (given if isinstance(given, list) else ()))
        return self.default if given is None else self.read(self.name, str(given))


class Late:
    """Where a command's function is: ``module`` is imported when the command is called, not before.

    ``group`` is the folder of ``commands/`` that holds it, unless another one is named.
    """

    def __init__(self, module: str, function: str, group: str = "") -> None:
        self.module = module
        self.function = function
        self.group = group or module.split(".")[-2]

    def __call__(self) -> Callable[..., Answer]:
        """Import the module and return the function."""
        __import__(self.module)  # importlib would have to be imported itself
        found: Callable[..., Answer] = getattr(sys.modules[self.module], self.function)
        return found


class Command(Record):
    """One command: its words, and where its function is.

    ``load`` returns the function, so that a command's imports are paid for by that command only.
    ``positional`` is the option that takes the first bare word. ``dry_as`` is the command that answers
    under ``--dry`` (its own name where it changes nothing anyway, empty where ``--dry`` is refused).
    """

    name: str
    summary: str
    load: Callable[[], Callable[..., Answer]]
    options: tuple[Option, ...] = ()
    positional: str = ""
    dry_as: str = ""

    @property
    def group(self) -> str:
        """The group of the help; empty for a function that is no command's."""
        return self.load.group if isinstance(self.load, Late) else ""

    def option(self, name: str) -> Option | None:
        """Return the option called ``name``, or None."""
        return next((option for option in self.options if option.name == name), None)

    def _asked(self, option: Option) -> str:
        """Return how an option is given: what takes all bare words stands behind ``--``."""
        is_rest = option.repeatable and option.name == self.positional
        return f"-- {option.value} …" if is_rest else f"{option.flag} {option.value}"

    def arguments(self, given: Given) -> dict[str, Any]:
        """Return the keyword arguments of the command's function; UsageError for what is wrong or missing."""
        for option in self.options:
            if option.required and given.get(option.name) is None:
                raise UsageError(
                    f"'{self.name}' needs {self._asked(option)}",
                    hint=f"codex-orchestrator {self.name} --help",
                    code="missing-option",
                )
        return {option.keyword: option.value_of(given.get(option.name)) for option in self.options}


Commands = Mapping[str, Command]
"""The commands by name, in the order in which help shows them."""


def table(*commands: Command) -> Commands:
    """Return the commands by name."""
    return {command.name: command for command in commands}


PROJECT = Option("project", "the project; left out: that of the task, of the current folder, or the only one", "NAME")
PIPELINE = Option("pipeline", "the pipeline, else the project's default_pipeline", "NAME", default=UNNAMED_PIPELINE)
RUN = Option("run", "a run's id, a unique prefix of it, or 'latest'", "RUN", required=True)
SELECTION = (
    Option(
        "all",
        "all projects that have the pipeline, as one run (a fleet), as with any selection below",
        parameter="everything",
    ),
    Option("projects", "these projects", "A,B"),
    Option("affected", "projects with changes since --base, and those that depend on them"),
    Option(
        "base",
        "the commit to compare with, or last-success; left out: $BASE_SHA, the default branch",
        "REV",
    ),
    Option("no-dependents", "with --affected: leave out projects that only depend on a changed one"),
    Option(
        "owner",
        "projects of this owner; may be repeated, for any of several",
        "NAME",
        repeatable=True,
        parameter="owners",
    ),
    Option(
        "tag", "projects with this tag; may be repeated, for any of several", "NAME", repeatable=True, parameter="tags"
    ),
    Option("exclude", "leave out these projects", "A,B"),
    Option("failed", "projects whose last run of the pipeline did not succeed, or that the last fleet skipped"),
    Option("shard", "the I-th of N parts of the selection", "I/N"),
)
TASK = Option("task", "the task; left out: $MCP_RUNNER_TASK_ID, the parent run's, or the project's own", "ID")
FORMAT = Option("format", "text or json", "FORMAT", default="text", read=OneOf("text", "json"))
LATEST = Option("run", "a run's id, a unique prefix of it, or 'latest'", "RUN", default="latest")
"""Of commands of several groups."""
