"""OTLP over HTTP by OpenTelemetry's own SDK and exporter (the extra ``otel``).

So its variables hold: address, headers, certificates, compression (``OTEL_EXPORTER_OTLP_*``).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence

from orchestrator.base.errors import UsageError
from orchestrator.base.installation import extra_hint, recorded_source
from orchestrator.base.quoting import shown
from orchestrator.report.exports.exported import ExportedRun
from orchestrator.report.exports.spans import SERVER, SERVICE, Span, spans

TYPE_CHECKING = False
if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from requests import Response, Session

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_LONGEST_WORDS = 300
_SESSION_OF_USER = (
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER",
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER",
)
"""Each names what makes the exporter's session, which is used as it is."""


def protobuf(runs: Sequence[ExportedRun]) -> bytes:
    """Return the ``ExportTraceServiceRequest`` of ended runs in protobuf. UsageError without the extra ``otel``."""
    check_installed()
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    return bytes(encode_spans(_readable(runs)).SerializeToString())


def send(runs: Sequence[ExportedRun], url: str | None, timeout: float) -> str | None:
    """Send ended runs, and return why they were not taken, None when they were; ``url`` None: as ``OTEL_*`` says.

    Each wait for the receiver takes at most ``timeout`` seconds. Raises UsageError without the extra ``otel``.
    """
    check_installed()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import SpanExportResult

    # What it says of a receiver that is down is the command's to say, once.
    said = _LastWords()
    logger = logging.getLogger("opentelemetry.exporter")
    logger.handlers, logger.propagate = [said], False
    session = None if any(os.environ.get(name) for name in _SESSION_OF_USER) else _session()
    exporter = OTLPSpanExporter(endpoint=url, timeout=timeout, session=session)
    try:
        taken = exporter.export(_readable(runs)) is SpanExportResult.SUCCESS
    finally:
        exporter.shutdown()  # type: ignore[no-untyped-call]
    return None if taken else said.words or "it gave no reason"


def answered(status: int, elsewhere: str | None) -> str:
    """Return why an answer of HTTP is no delivery; ``elsewhere`` is the address that a redirection names."""
    return f"the receiver answered {status}{f', and names another address: {shown(elsewhere)}' if elsewhere else ''}"


def _session() -> Session:
    """Return what sends, and takes a redirection for a refusal: the exporter takes any answer below 400 for a yes."""
    from requests import RequestException, Session

    def refuse_redirection(response: Response, *_: object, **__: object) -> None:
        if 300 <= response.status_code < 400:
            raise RequestException(answered(response.status_code, response.headers.get("Location")))

    session = Session()
    session.hooks["response"] = [refuse_redirection]
    return session


class _LastWords(logging.Handler):
    """Keeps what was logged last."""

    words = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.words = " ".join(record.getMessage().split())[:_LONGEST_WORDS]


def check_installed() -> None:
    """Raise UsageError without the extra ``otel``."""
    try:
        import opentelemetry.exporter.otlp.proto.http.trace_exporter  # noqa: F401
    except ImportError:
        hint = f"{extra_hint('otel', recorded_source())}, or --as otlp-json"
        raise UsageError("otlp needs OpenTelemetry's packages", hint=hint, code="no-otel") from None


def _readable(runs: Sequence[ExportedRun]) -> list[ReadableSpan]:
    from opentelemetry.sdk.resources import Resource

    resource = Resource({"service.name": SERVICE})
    return [_span(span, resource) for span in spans(runs)]


def _span(span: Span, resource: object) -> ReadableSpan:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
    from opentelemetry.trace.status import Status, StatusCode

    def context(number: str, *, is_remote: bool = False) -> SpanContext:
        return SpanContext(int(span.trace_id, 16), int(number, 16), is_remote, TraceFlags(TraceFlags.SAMPLED))

    attributes: Mapping[str, str | int] = dict(span.attributes)
    return ReadableSpan(
        name=span.name,
        context=context(span.span_id),
        parent=context(span.parent_id) if span.parent_id else None,
        resource=resource,  # type: ignore[arg-type]  # a Resource, which is not imported at the top
        attributes=attributes,
        kind=SpanKind.SERVER if span.kind == SERVER else SpanKind.INTERNAL,
        status=Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.UNSET),
        start_time=span.start,
        end_time=span.end,
        instrumentation_scope=InstrumentationScope(SERVICE),
    )
