"""What an ended run leaves to the CI job around it: annotations, the job's summary, and outputs for later steps.

Source: GitHub Docs, "Workflow commands for GitHub Actions" (``GITHUB_OUTPUT``, ``GITHUB_STEP_SUMMARY``). None of it is
part of a run's fate: a file that can't be written is a warning, and none is waited for for long.
"""

from __future__ import annotations

import errno
import os
import select
from collections.abc import Mapping
from contextlib import suppress

from orchestrator.base.errors import Refusal
from orchestrator.base.identifiers import FLEET
from orchestrator.base.quoting import shown
from orchestrator.base.sha256 import sha256
from orchestrator.base.text.workflow_commands import made_harmless
from orchestrator.commands.context import Answer, Context
from orchestrator.config.export_policy import ExportPolicy, read_export_policy
from orchestrator.model.lineage import RUN_VARIABLE
from orchestrator.runner.progress.ci_screen import GITHUB_VARIABLE
from orchestrator.runner.progress.stream import READER_SECONDS, Sink
from orchestrator.store.layout import Location

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orchestrator.store.store import RunStore

SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"
OUTPUT_VARIABLE = "GITHUB_OUTPUT"


def reports_to_ci(context: Context, project: str) -> bool:
    """Tell whether runs of ``project`` show themselves to the CI system: ``[export] github`` switches it off."""
    return _policy(context, project).github


def reported_to_ci(context: Context, store: RunStore, project: str, where: Location, answer: Answer) -> Answer:
    """Report a run of ``project`` that has ended to the GitHub job around it, and return the answer with harmless text.

    A run inside another leaves that to the root run. Raises nothing.
    """
    environ, policy = context.environ, _policy(context, project)
    if environ.get(GITHUB_VARIABLE) != "true":
        return answer
    text = "\n".join(made_harmless(line) for line in answer.text.split("\n"))
    answer = answer._replace(text=text)
    if RUN_VARIABLE in environ or not policy.github:
        return answer
    try:
        _annotate_and_sum_up(context, store, where, policy)
        _append(context, OUTPUT_VARIABLE, _outputs(context, store, where), "the run")
    except Refusal as refusal:
        context.warn(f"the run is not reported to GitHub: {refusal.message}")
    except OSError as error:
        context.warn(f"the run is not reported to GitHub: {error}")
    return answer


def _policy(context: Context, project: str) -> ExportPolicy:
    try:
        return read_export_policy(context.workspace().root, project)
    except Refusal as refusal:
        context.warn(refusal.message)
        return ExportPolicy()


def _annotate_and_sum_up(context: Context, store: RunStore, where: Location, policy: ExportPolicy) -> None:
    from orchestrator.commands.review.exported_runs import exported_runs
    from orchestrator.report.exports.github_annotations import github_annotations
    from orchestrator.report.exports.github_summary import LIMIT, github_summary

    runs = exported_runs(store, where, link=policy.url)
    sink = Sink(context.stderr, context.environ)
    sink.write(github_annotations(runs, _from_checkout(store.workspace.root, context.environ)))
    sink.close()
    path = context.environ.get(SUMMARY_VARIABLE)
    there = os.path.getsize(path) if path and os.path.exists(path) else 0
    if there < LIMIT:
        _append(context, SUMMARY_VARIABLE, github_summary(runs, LIMIT - there), "the run")


def _from_checkout(root: str, environ: Mapping[str, str]) -> str:
    """Return the workspace's folder from the top of the job's checkout; empty where it is not below it."""
    checkout = environ.get("GITHUB_WORKSPACE")
    relative = os.path.relpath(os.path.realpath(root), os.path.realpath(checkout)) if checkout else "."
    return "" if relative == "." or relative.split(os.sep)[0] == ".." else relative


def _outputs(context: Context, store: RunStore, where: Location) -> bytes:
    from orchestrator.commands.look.status import view

    document = view(store, where, context.environ)
    values = {
        "run_id": where.run_id,
        "manifest": document["manifest"],
        "status": document["status"],
        "ready": "true" if document["ready"]["ready"] else "false",
        "artifact_root": document["artifact_root"],
    }
    return "".join(_output(name, str(value)) for name, value in values.items()).encode("utf-8", "surrogateescape")


def _output(name: str, value: str) -> str:
    if "\n" not in value and "\r" not in value:
        return f"{name}={value}\n"
    end = f"end_{sha256(value.encode('utf-8', 'replace')).hexdigest()[:16]}"
    return f"{name}<<{end}\n{value}\n{end}\n"


def _append(context: Context, variable: str, data: bytes, what: str) -> None:
    """Append to the file that ``variable`` names, if it names one; a warning says why ``what`` is not there."""
    path = context.environ.get(variable)
    if not path:
        return
    try:
        _write(path, data)
    except OSError as error:
        cause = "it is a pipe that nobody reads" if error.errno == errno.ENXIO else error.strerror or error
        context.warn(
            f"{what} is not reported to GitHub: {variable} names {shown(path)}, which can't be written: {cause}"
        )


def _write(path: str, data: bytes) -> None:
    """Append to a file, or write into a pipe or device. Raises OSError; TimeoutError when a reader takes nothing."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    fd = os.open(path, flags, 0o666)
    try:
        rest = memoryview(data)
        poll = select.poll()
        poll.register(fd, select.POLLOUT)
        while rest:
            if not poll.poll(READER_SECONDS * 1000):
                raise TimeoutError(f"its reader took nothing for {READER_SECONDS:g} s")
            with suppress(BlockingIOError):  # a pipe with room for less than a block
                rest = rest[os.write(fd, rest) :]
    finally:
        os.close(fd)


def report_nothing(context: Context) -> None:
    """Write the outputs of a start whose selection was empty: no run, and ``status=nothing``. Raises nothing."""
    if not _policy(context, FLEET).github or RUN_VARIABLE in context.environ:
        return
    data = (_output("run_id", "") + _output("status", "nothing")).encode()
    _append(context, OUTPUT_VARIABLE, data, "the empty selection")
