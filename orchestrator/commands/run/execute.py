"""``exec``: run one command in a project's session and record it as a run."""

from __future__ import annotations

from orchestrator.base.errors import UsageError
from orchestrator.base.text.well_formed import well_formed
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.run.carry_out import carry_out
from orchestrator.commands.run.prepare_start import prepare
from orchestrator.commands.run.requests import StartRequest
from orchestrator.model.exec_command import EXEC


def execute(
    context: Context,
    *,
    command: tuple[str, ...],
    project: str | None = None,
    task: str | None = None,
    actor: str | None = None,
    format: str = "text",  # noqa: A002 -- the option's name
) -> Answer:
    """Run ``command``, its words as they are and no shell, and return its record; exit codes are those of ``start``.

    The run is of the reserved pipeline ``exec``: it has no guardrails, is in no coverage and never ``latest``. Raises
    UsageError for an empty command and one that no record can hold, and Refusal as ``start``; then nothing was written.
    """
    if not command or not command[0]:
        raise UsageError(
            "'exec' needs a command", hint="codex-orchestrator exec --project NAME -- COMMAND …", code="no-command"
        )
    if any("\0" in word for word in command):
        raise UsageError("the command has a NUL character, which no argument can hold", code="bad-command")
    if any(word != well_formed(word) for word in command):
        # A record holds valid Unicode only: it would name, and a resume would run, another command than this one.
        raise UsageError(
            "the command has bytes that are no UTF-8, which no record can hold",
            hint="put such a name into a script, and run that",
            code="bad-command",
        )
    request = StartRequest(EXEC, project=project, task=task, actor=actor, format=format, command=command)
    return carry_out(context, prepare(context, request), request)
