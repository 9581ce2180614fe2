"""Invoke's program with our command line: the same tasks, and a parser that knows positionals and near matches."""

from __future__ import annotations

import os

from invoke.config import Config
from invoke.parser.context import ParserContext
from invoke.parser.parser import Parser, ParseResult
from invoke.program import Program

from orchestrator import __version__
from orchestrator.base.text.appearance import text_width
from orchestrator.cli import help_text, invoke_tasks, streams
from orchestrator.cli.invocation import PROGRAM, Invocation
from orchestrator.cli.options import Commands
from orchestrator.cli.parser import HELP, parse


class WordsParser(Parser):
    """Hands out Invoke's parse results for our command line (see ``words``); raises UsageError."""

    def __init__(self, commands: Commands, initial: ParserContext, contexts: list[ParserContext]) -> None:
        super().__init__(contexts, initial)
        self._commands = commands
        self._core = initial

    def parse_argv(self, argv: list[str]) -> ParseResult:
        """Return the core flags' context, and the command's when one is named."""
        request = parse(argv, self._commands)
        core = self._core
        result = ParseResult([core])
        for flag in request.core:
            core.args[flag].set_value(True, cast=False)
        if request.command is None:
            return result
        if HELP in request.core:
            core.args[HELP].set_value(request.command.name, cast=False)
        if request.command.name in self.contexts:
            result.append(self._filled(request.command.name, request.given))
        return result

    def _filled(self, name: str, given: dict[str, object]) -> ParserContext:
        context: ParserContext = self.contexts[name]
        for option, value in given.items():
            argument = context.args[option]
            for item in value if isinstance(value, list) else [value]:
                argument.set_value(item, cast=argument.kind is list)
        return context


class _Defaults(Config):
    """Invoke's defaults: ``~/.invoke.yaml`` (by ``lazy``) and ``$INVOKE_…`` are about the ``invoke`` command."""

    def load_shell_env(self) -> None:
        """Leave the environment alone: ``$INVOKE_RUN_DRY`` would make every ``start`` a plan."""


class OrchestratorProgram(Program):
    """The console script's program. Refusals leave ``run`` as exceptions; everything else as SystemExit."""

    def __init__(self, commands: Commands, invocation: Invocation) -> None:
        namespace = invoke_tasks.collection(commands, lambda: invocation)
        super().__init__(version=__version__, namespace=namespace, name=PROGRAM, binary=PROGRAM)
        self._commands = commands
        self._invocation = invocation

    def create_config(self) -> None:
        """Use Invoke's own defaults."""
        self.config = _Defaults(lazy=True)

    def update_config(self, merge: bool = True) -> None:
        """Take over the one core flag that reaches a task."""
        self.config.load_overrides({"run": {"dry": self.args.dry.value}}, merge=merge)

    def parse_core(self, argv: list[str] | None) -> None:
        """Parse, and undo what Invoke does to the writing of bytecode."""
        super().parse_core(argv)
        invoke_tasks.write_bytecode()

    def parse_core_args(self) -> None:
        """Parse the whole line at once: what is wrong anywhere in it is reported first."""
        self.core = WordsParser(self._commands, self.initial_context, []).parse_argv(self.argv[1:])
        self.core.unparsed = self.argv[1:]

    def _make_parser(self) -> Parser:
        return WordsParser(self._commands, self.initial_context, self.collection.to_contexts())

    def print_help(self) -> None:
        """Print the program's help."""
        streams.emit(self._invocation.stdout, help_text.program_help(PROGRAM, self._commands, self._width()))

    def print_task_help(self, name: str) -> None:
        """Print a command's help."""
        streams.emit(self._invocation.stdout, help_text.command_help(PROGRAM, self._commands[name], self._width()))

    def list_tasks(self) -> None:
        """Print the commands."""
        streams.emit(self._invocation.stdout, help_text.command_list(self._commands, self._width()))

    def _width(self) -> int:
        return text_width(self._invocation.stdout, os.environ)
