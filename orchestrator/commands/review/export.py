"""``export``: a run in a form that other tools verify."""

from __future__ import annotations

import os
from collections.abc import Sequence

from orchestrator.base.errors import EXIT_DONE, Refused, UsageError
from orchestrator.base.identifiers import near_hint
from orchestrator.base.quoting import shown
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.review.exported_runs import exported_runs, refuse_altered_runs
from orchestrator.commands.review.output_file import write_named
from orchestrator.commands.review.post import check_url, not_delivered, post, within
from orchestrator.commands.review.waiting_exports import deliver_all
from orchestrator.config.export_policy import read_export_policy
from orchestrator.model.outcome import TERMINAL
from orchestrator.report.exports.forms import FORMS
from orchestrator.report.exports.otlp_http import ENDPOINTS, check_installed, protobuf, send
from orchestrator.store.find import find_run, read_document

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orchestrator.report.exports.exported import ExportedRun

IN_TOTO = "in-toto"
OTLP = "otlp"
KINDS = ("junit", OTLP, "otlp-json", "chrome-trace", "github-summary", "github-annotations", IN_TOTO)


def export(
    context: Context,
    *,
    run: str = "latest",
    kind: str = IN_TOTO,
    sign: str | None = None,
    output: str | None = None,
    to: str | None = None,
    no_children: bool = False,
    pending: bool = False,
) -> Answer:
    """Return a run in a form that other programs read: on stdout, in the file ``output``, or sent to ``to`` by HTTP.

    With ``pending``, what waits in the outbox is delivered, and nothing else. ``kind`` is a form
    (``report.exports.forms``), ``otlp``, or ``in-toto``: a Statement about an ended run, in a DSSE envelope when a key
    is given to ``sign`` with. Raises GateNotMet when a record was altered, and for ``in-toto`` when ``verify`` finds
    something in the run, it is of no clean commit or is not ready; Refused for a run that goes on where the form needs
    its end or that is of version 1; UsageError, NotFound, DamagedRecord, StorageError.
    """
    if pending:
        _check_alone(run, kind, sign, output, to, no_children=no_children)
        return deliver_all(context, context.store())
    _check(kind, sign, output, to)
    if kind == IN_TOTO:
        from orchestrator.commands.review.attest import attested  # what verifies a run: 50 ms that no other form needs

        return _delivered(context, attested(context, run, sign), output)
    store = context.store()
    where = find_run(store, run)
    project = read_document(store, where).get("project")
    policy = read_export_policy(store.workspace.root, str(project) if project else None)
    runs = exported_runs(store, where, link=policy.url, children=not no_children)
    refuse_altered_runs(store, runs)
    if kind == OTLP:
        return _otlp(context, runs, output, to, policy.timeout)
    form = FORMS[kind]
    if form.needs_end:
        _check_ended(runs)
    data = form.render(runs)
    if to is not None:
        post(to, data, form.media_type, policy.timeout)
        return Answer(EXIT_DONE, None, f"sent to {to}\n")
    return _delivered(context, data, output)


def _check(kind: str, sign: str | None, output: str | None, to: str | None) -> None:
    if kind not in KINDS:
        raise UsageError(f"--as is {shown(kind)}, which is no form", hint=near_hint(kind, KINDS), code="bad-form")
    if sign is not None and kind != IN_TOTO:
        raise UsageError(f"--sign is for --as {IN_TOTO} only", hint="leave --sign out", code="option-conflict")
    if to is None:
        return
    if output is not None:
        raise UsageError("--output and --to don't go together", hint="leave one of them out", code="option-conflict")
    if kind == IN_TOTO:
        raise UsageError(f"--to is not for --as {IN_TOTO}", hint="--output FILE", code="option-conflict")
    check_url(to)


def _check_alone(
    run: str, kind: str, sign: str | None, output: str | None, to: str | None, *, no_children: bool
) -> None:
    if (run, kind, sign, output, to, no_children) != ("latest", IN_TOTO, None, None, None, False):
        raise UsageError(
            "--pending sends what waits, and goes with no other option or run",
            hint="codex-orchestrator export --pending",
            code="option-conflict",
        )


def _check_ended(runs: Sequence[ExportedRun]) -> None:
    for each in runs:
        if each.body["status"] not in TERMINAL:
            raise Refused(
                f"run '{each.body['run_id']}' has not ended",
                hint=f"codex-orchestrator wait {each.body['run_id']}",
                code="not-ended",
            )


def _otlp(context: Context, runs: Sequence[ExportedRun], output: str | None, to: str | None, timeout: float) -> Answer:
    _check_ended(runs)
    if output is not None:
        return _delivered(context, protobuf(runs), output)
    if to is None and not any(context.environ.get(name) for name in ENDPOINTS):
        raise UsageError(
            "--as otlp is sent or written to a file, and neither is named",
            hint=f"--to URL, --output FILE, or set {ENDPOINTS[-1]}; --as otlp-json is text",
            code="no-address",
        )
    check_installed()
    why = within(timeout, lambda: send(runs, to, timeout))
    if why is not None:
        raise not_delivered(f"'{to or 'the address of ' + ENDPOINTS[-1]}' did not take the run: {why}")
    return Answer(EXIT_DONE, None, f"sent to {to or 'the address of ' + ENDPOINTS[-1]}\n")


def _delivered(context: Context, data: bytes, output: str | None) -> Answer:
    if output is None:
        return Answer(EXIT_DONE, None, data.decode(), is_data=True)
    write_named(os.path.join(context.cwd, output), data, "--output")
    return Answer(EXIT_DONE, None, f"wrote {output}\n")
