"""OTLP over HTTP by OpenTelemetry's own SDK and exporter (the extra ``otel``).

So its variables hold: address, headers, certificates, compression (``OTEL_EXPORTER_OTLP_*``).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from orchestrator.base.errors import UsageError
from orchestrator.base.installation import extra_hint, recorded_source
from orchestrator.report.exports.exported import ExportedRun
from orchestrator.report.exports.spans import SERVER, SERVICE, Span, spans

TYPE_CHECKING = False
if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_LONGEST_WORDS = 300


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
    exporter = OTLPSpanExporter(endpoint=url, timeout=timeout)
    try:
        taken = exporter.export(_readable(runs)) is SpanExportResult.SUCCESS
    finally:
        exporter.shutdown()  # type: ignore[no-untyped-call]
    return None if taken else said.words or "it gave no reason"


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
