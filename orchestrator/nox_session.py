"""What a noxfile registers: one session for each project and pipeline, tagged with both names."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from orchestrator.base import utf8_mode
from orchestrator.base.clock import SystemClock
from orchestrator.base.errors import Refusal, UsageError
from orchestrator.base.files import leave_owner_rights
from orchestrator.base.identifiers import FLEET
from orchestrator.base.json_values import json_text
from orchestrator.base.workspace import CONFIG_FOLDER, find_workspace
from orchestrator.cli.command_table import COMMANDS
from orchestrator.cli.parser import parse
from orchestrator.cli.streams import escape_unknown
from orchestrator.commands.context import Context
from orchestrator.commands.run.ended_run import answer_seen
from orchestrator.commands.run.nox_process import Delivery, delivered, reply_with
from orchestrator.commands.run.prepare_start import prepare
from orchestrator.commands.run.prepared_run import PreparedRun, observer_for
from orchestrator.commands.run.requests import ResumeRequest, StartRequest
from orchestrator.commands.run.session_run import perform_in
from orchestrator.config.builtin import builtin_names
from orchestrator.config.collisions import pipeline_names, session_name
from orchestrator.config.planning import survey
from orchestrator.runner.progress import Observer
from orchestrator.runner.progress.stream import READER_SECONDS, Sink, is_taken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nox.sessions import Session

    from orchestrator.commands.context import Answer

_SELECTION = ("all", "projects", "affected", "base", "no-dependents", "owner", "tag", "exclude", "failed", "shard")
_NOT_HERE = ("pipeline", "project", "detach", *_SELECTION, "fail-fast")
"""Options of ``start`` that the session's name has answered, or that make no sense in a session."""


def register(root: str | None = None) -> None:
    """Register the projects' sessions of the workspace ``root`` (the current folder's when left out) with nox.

    Sessions are not among nox's default ones: they run when they are named, or by their tags, and at once under
    ``-j``. A project whose config has an error keeps its sessions, by its file's name, and they fail with the error.
    """
    if utf8_mode.is_needed():
        utf8_mode.start_again()
    leave_owner_rights()
    escape_unknown()  # nox prints the noxfile's path, and what sessions are for
    workspace = find_workspace(root or os.getcwd(), os.environ)
    configs, errors = survey(workspace.root, today=SystemClock().now().date())
    if errors:
        context = Context.of_process()
        for error in errors:
            context.warn(error)
    _register(FLEET, "", _runs_fleet(workspace.root))
    for project in sorted(configs):
        for pipeline in pipeline_names(configs[project]):
            _register(pipeline, project, _runs(workspace.root, project, pipeline))
    for stem in _broken(workspace.root, configs):
        own = [error for error in errors if f"{CONFIG_FOLDER}/{stem}.toml" in error] or errors
        for pipeline in _pipelines_of(workspace.root, stem):
            _register(pipeline, stem, _fails(own, stem, pipeline))


def _register(pipeline: str, project: str, body: Callable[[Session], None]) -> None:
    import nox

    nox.session(
        name=session_name(pipeline, project) if project else pipeline,
        venv_backend="none",
        tags=[pipeline, project] if project else [],
        default=False,
        allow_parallel=True,
    )(body)


def _runs(root: str, project: str, pipeline: str) -> Callable[[Session], None]:
    def body(session: Session) -> None:
        run_session(session, root, project, pipeline)

    body.__doc__ = f"Run and record the pipeline '{pipeline}' of project '{project}'."
    return body


def _runs_fleet(root: str) -> Callable[[Session], None]:
    def body(session: Session) -> None:
        run_fleet_session(session, root)

    body.__doc__ = "Run a pipeline of many projects and record it: name them behind --, as in '-- --affected'."
    return body


def _fails(errors: Sequence[str], stem: str, pipeline: str) -> Callable[[Session], None]:
    def body(session: Session) -> None:
        session.error("\n".join(errors) or f"{CONFIG_FOLDER}/{stem}.toml can't be read")

    body.__doc__ = f"The pipeline '{pipeline}' of {CONFIG_FOLDER}/{stem}.toml, which has an error."
    return body


def _broken(root: str, configs: object) -> list[str]:
    """Return the names, without ``.toml``, of the config files that none of ``configs`` came from."""
    known = configs if isinstance(configs, dict) else {}
    names = sorted(os.listdir(os.path.join(root, CONFIG_FOLDER)))
    stems = [name.removesuffix(".toml") for name in names if name.endswith(".toml") and not name.startswith(".")]
    return [stem for stem in stems if stem not in known]


def _pipelines_of(root: str, stem: str) -> list[str]:
    """Return the pipelines that a config with an error may have: the built-in ones, and those that it names."""
    import tomllib

    names = dict.fromkeys(builtin_names())
    try:
        with open(os.path.join(root, CONFIG_FOLDER, f"{stem}.toml"), "rb") as file:
            tables = tomllib.load(file).get("pipelines")
    except (OSError, ValueError):
        tables = None
    return list(names | dict.fromkeys(tables if isinstance(tables, dict) else ()))


def run_session(session: Session, root: str, project: str, pipeline: str) -> None:
    """Run a pipeline in a session that nox started, with the record that ``start`` would leave."""
    context = Context(root, os.environ, sys.stdout, sys.stderr)
    delivery = delivered(context.environ)
    try:
        request = _posargs_request(project, pipeline, session.posargs) if delivery is None else delivery.request
        prepared, observer = _prepared(context, request, delivery)
        if prepared.found is not None and isinstance(request, StartRequest):
            _end(context, session, delivery, _found(context, prepared, request), prepared.found.run_id, request.format)
            return
        try:
            result = perform_in(context, prepared, observer)
        except BaseException:
            prepared.abandon()
            raise
    except Refusal as refusal:
        if delivery is not None:
            reply_with(delivery.reply, refusal)
        session.error(refusal.message + (f"\nhint: {refusal.hint}" if refusal.hint else ""))
    answer = answer_seen(context, prepared.store, result, observer, request.format)
    run_id = f"{result.manifest.run_id} ended as {result.manifest.status} ({result.manifest.outcome})"
    _end(context, session, delivery, answer, run_id, request.format)


def run_fleet_session(session: Session, root: str) -> None:
    """Run a fleet in the session ``fleet``, with the record that ``start`` would leave."""
    from orchestrator.commands.run.fleet_start import fleet_or_nothing

    context = Context(root, os.environ, sys.stdout, sys.stderr)
    try:
        request = _fleet_request(session.posargs)
        prepared = fleet_or_nothing(context, request)
        if not isinstance(prepared, PreparedRun):
            _show(context, prepared, request.format)
            return
        if prepared.found is not None:
            answer = _found(context, prepared, request)
            _end(context, session, None, answer, prepared.found.run_id, request.format)
            return
        observer = observer_for(context, request.format, prepared.plan.project, fleet=True)
        try:
            result = perform_in(context, prepared, observer)
        except BaseException:
            prepared.abandon()
            raise
    except Refusal as refusal:
        session.error(refusal.message + (f"\nhint: {refusal.hint}" if refusal.hint else ""))
    answer = answer_seen(context, prepared.store, result, observer, request.format)
    run_id = f"{result.manifest.run_id} ended as {result.manifest.status} ({result.manifest.outcome})"
    _end(context, session, None, answer, run_id, request.format)


def _fleet_request(words: Sequence[str]) -> StartRequest:
    """Return the request of the session ``fleet``: a selection, and other options of ``start``, behind ``--``."""
    given = _start_options(words)
    if "detach" in given:
        raise UsageError("--detach makes no sense in a nox session", hint="leave it out", code="option-conflict")
    request = StartRequest(**COMMANDS["start"].arguments(given))
    if not request.selects:
        raise UsageError(
            "the session 'fleet' runs a selection of projects, and none is given",
            hint="nox -s fleet -- --all, or -- --affected",
            code="no-selection",
        )
    return request


def _found(context: Context, prepared: PreparedRun, request: StartRequest) -> Answer:
    from orchestrator.commands.run.keyed_answer import found_answer

    assert prepared.found is not None  # noqa: S101 -- the caller looked
    return found_answer(context, prepared, prepared.found, request)


def _end(context: Context, session: Session, delivery: Delivery | None, answer: Answer, run: str, form: str) -> None:
    """Give the answer to who waits for it, and fail the session where the run did not succeed."""
    if delivery is not None:
        reply_with(delivery.reply, answer)
    else:
        _show(context, answer, form)
    if answer.after is not None:
        answer.after()
    if answer.exit_code:
        session.error(f"run {run}")


def _posargs_request(project: str, pipeline: str, words: Sequence[str]) -> StartRequest:
    """Return the request of a session that somebody called by nox, with the options of ``start`` behind ``--``."""
    if not words:
        return StartRequest(project=project, pipeline=pipeline)
    given = _start_options(words)
    for name in _NOT_HERE:
        if name in given:
            raise UsageError(
                f"--{name} makes no sense in the nox session of '{pipeline}' of project '{project}'",
                hint="select another session, or use 'codex-orchestrator start'",
                code="option-conflict",
            )
    return StartRequest(**{**COMMANDS["start"].arguments(given), "project": project, "pipeline": pipeline})


def _start_options(words: Sequence[str]) -> dict[str, object]:
    """Return what is given of the options of ``start`` behind ``--``. Raises UsageError for anything else."""
    found = parse(["start", *words], COMMANDS)
    if found.core or found.command is None:
        raise UsageError(f"'{' '.join(words)}': only options of 'codex-orchestrator start' can follow --")
    return found.given


def _prepared(
    context: Context, request: StartRequest | ResumeRequest, delivery: Delivery | None
) -> tuple[PreparedRun, Observer]:
    if isinstance(request, ResumeRequest):
        from orchestrator.commands.run.resume import prepare_resume

        prepared = prepare_resume(context, request)
    else:
        prepared = prepare(context, request)
    if delivery is None or delivery.announce is None:
        return prepared, observer_for(context, request.format, prepared.plan.project, around=prepared.around)
    from orchestrator.commands.run.detaching import FirstWord

    word = FirstWord(delivery.announce, request.format)
    return word.of(prepared), word


def _show(context: Context, answer: Answer, form: str) -> None:
    """Write the answer to stdout, as far as somebody reads it: nox's exit code is the run's in any case."""
    shown = answer.text if form == "text" or answer.document is None else ""
    text = f"{json_text(answer.document)}\n" if form == "json" else shown
    sink = Sink(context.stdout, context.environ)
    sink.text(text)
    if form == "json":
        sink.close(patience=READER_SECONDS, longest=None)
    sink.close()
    for stream, is_lost in ((sys.stdout, not sink.open), (sys.stderr, False)):
        if is_lost or not is_taken(stream):
            # nox's own words to somebody who is gone, or who reads nothing, would be waited for.
            with suppress(OSError, ValueError), open(os.devnull, "w") as nothing:
                os.dup2(nothing.fileno(), stream.fileno())
