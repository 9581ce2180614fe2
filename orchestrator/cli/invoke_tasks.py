"""The commands as Invoke tasks. Their parameters are the declared options, all of them with a default."""

from __future__ import annotations

import sys
from collections.abc import Callable
from inspect import Parameter, Signature
from keyword import iskeyword

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import Task

from orchestrator.base import utf8_mode
from orchestrator.cli.invocation import Invocation, answer, guarded
from orchestrator.cli.options import Command, Commands, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def write_bytecode() -> None:
    """Undo Invoke's ``sys.dont_write_bytecode``, or modules that are imported late are compiled at every start.

    What the user asked for (``python -B``, ``$PYTHONDONTWRITEBYTECODE``) stands.
    """
    sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)


def process_collection(commands: Commands) -> Collection:
    """Return the collection for a ``tasks.py``: each task answers on this process's streams."""
    if utf8_mode.is_needed():
        utf8_mode.start_again()
    write_bytecode()
    return collection(commands, lambda: Invocation.of_process(sys.argv[1:]))


def collection(commands: Commands, open_invocation: Callable[[], Invocation]) -> Collection:
    """Return one task for each command; ``open_invocation`` is called when a task is."""
    found = Collection()
    for command in commands.values():
        found.add_task(_task(command, commands, open_invocation))
    return found


def _task(command: Command, commands: Commands, open_invocation: Callable[[], Invocation]) -> Task[Callable[..., None]]:
    names = {_parameter_name(option): option.name for option in command.options}

    def body(context: Context, **values: Any) -> None:
        given = {names[name]: value for name, value in values.items()}
        dry = bool(context.config.run.dry)
        invocation = open_invocation()
        code = guarded(invocation, lambda: answer(invocation, commands, command, given, dry=dry))
        if code:
            raise Exit(code=code)

    body.__name__ = command.name.replace("-", "_")
    body.__doc__ = command.summary
    leading = Parameter("context", Parameter.POSITIONAL_OR_KEYWORD)
    parameters = [leading, *(_parameter(option) for option in command.options)]
    body.__signature__ = Signature(parameters)  # type: ignore[attr-defined]  # inspect reads it, and so does Invoke
    return Task(
        body,
        name=command.name,
        iterable=[name for name, option in zip(names, command.options, strict=True) if option.repeatable],
        help={option.name: option.help for option in command.options},
        auto_shortflags=False,
    )


def _parameter(option: Option) -> Parameter:
    """Return the task's parameter: a switch, or text that the declaration reads, so that refusals are ours."""
    default = None if option.value else False
    return Parameter(_parameter_name(option), Parameter.POSITIONAL_OR_KEYWORD, default=default)


def _parameter_name(option: Option) -> str:
    """Return a name that Python takes; Invoke's flag leaves out the underscore behind a keyword such as ``as``."""
    name = option.name.replace("-", "_")
    return f"{name}_" if iskeyword(name) else name
