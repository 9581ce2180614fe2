"""What a noxfile registers: one session for each project and pipeline, tagged with both names."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress

from orchestrator.base.clock import SystemClock
from orchestrator.base.errors import Refusal
from orchestrator.commands.context import Context
from orchestrator.commands.run.launch import answer_for, observer_for
from orchestrator.commands.run.nox_process import deliver, delivered_request
from orchestrator.commands.run.session_run import perform_in
from orchestrator.commands.run.start import Request, prepare

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nox.sessions import Session


def register(root: str | None = None) -> None:
    """Register the projects' sessions of the workspace ``root`` (the current folder's when left out) with nox.

    Sessions are not among nox's default ones: they run when they are named, or by their tags. Faults in
    configurations are told on stderr; the sessions of the other projects are registered all the same.
    """
    import nox

    from orchestrator.base.workspace import find_workspace
    from orchestrator.config.collisions import pipeline_names, session_name
    from orchestrator.config.planning import survey

    workspace = find_workspace(root or os.getcwd(), os.environ)
    configs, faults = survey(workspace.root, today=SystemClock().now().date())
    for fault in faults:
        print(f"codex-orchestrator: {fault}", file=sys.stderr)  # noqa: T201 -- nox has no way to say it
    for project in sorted(configs):
        for pipeline in pipeline_names(configs[project]):
            nox.session(
                name=session_name(pipeline, project), venv_backend="none", tags=[pipeline, project], default=False
            )(_body(workspace.root, project, pipeline))


def _body(root: str, project: str, pipeline: str) -> Callable[[Session], None]:
    def body(session: Session) -> None:
        run_session(session, root, project, pipeline)

    body.__doc__ = f"Run and record the pipeline '{pipeline}' of project '{project}'."
    return body


def run_session(session: Session, root: str, project: str, pipeline: str) -> None:
    """Run a pipeline in a session that nox started, with the record that ``start`` would leave."""
    context = Context(root, os.environ, sys.stdout, sys.stderr)
    request, reply = delivered_request(context.environ)
    if request is None:
        if session.posargs:
            session.error(f"'{' '.join(session.posargs)}': options are for 'codex-orchestrator start', not for nox")
        request = Request(project=project, pipeline=pipeline)
    try:
        attempt = prepare(context, request)
        result = perform_in(session, context, attempt, observer_for(context, request.format))
    except Refusal as refusal:
        if reply is not None:
            deliver(reply, refusal)
        session.error(refusal.message + (f"\nhint: {refusal.hint}" if refusal.hint else ""))
    answer = answer_for(context, attempt.store, result)
    if reply is not None:
        deliver(reply, answer)
    else:
        _show(answer.text)
    if answer.exit_code:
        session.error(f"run {result.manifest.run_id} ended as {result.manifest.status} ({result.manifest.outcome})")


def _show(text: str) -> None:
    """Write to stdout. Who closed it has seen enough: nox's exit code is the run's, at the process's exit too."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, sys.stdout.fileno())
            os.close(nothing)
