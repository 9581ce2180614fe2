"""The console script: words in, exit code out."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.cli.command_table import COMMANDS
from orchestrator.cli.invocation import PROGRAM, Invocation, answer, guarded
from orchestrator.cli.options import Commands
from orchestrator.cli.parser import parse


def run(words: Sequence[str], commands: Commands = COMMANDS, invocation: Invocation | None = None) -> int:
    """Carry out the command line ``words`` (without the program's name) and return the exit code."""
    called = invocation or Invocation.of_process(words)
    return guarded(called, lambda: _carry_out(called, commands))


def _carry_out(invocation: Invocation, commands: Commands) -> int:
    """Answer plain words from the declarations that the Invoke tasks are made of, and all else through Invoke.

    Loading Invoke (3.0.3) costs about 85 ms of CPU, asyncio and unittest among it: more than a run of
    four stages, and five times the answer of ``status``. Help, lists and ``--dry`` are Invoke's.
    """
    if invocation.words and invocation.words[0] in commands:
        request = parse(invocation.words, commands)
        if request.command is not None and not request.core:
            return answer(invocation, commands, request.command, request.given)
    return _through_invoke(invocation, commands)


def _through_invoke(invocation: Invocation, commands: Commands) -> int:
    from orchestrator.cli.invoke_program import OrchestratorProgram

    try:
        OrchestratorProgram(commands, invocation).run([PROGRAM, *invocation.words])
    except SystemExit as ended:
        if isinstance(ended.__context__, KeyboardInterrupt):
            raise ended.__context__ from None  # Invoke makes it exit code 1
        return ended.code if isinstance(ended.code, int) else 0
    return 0
