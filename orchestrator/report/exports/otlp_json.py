"""OTLP in its JSON encoding, as a collector's ``/v1/traces`` takes it.

Source: OTLP specification 1.x, "JSON Protobuf Encoding".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.base.json_values import json_text
from orchestrator.report.exports.exported import ExportedRun
from orchestrator.report.exports.spans import SERVICE, Span, spans

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ERROR_STATUS = 2


def otlp_json(runs: Sequence[ExportedRun]) -> bytes:
    """Return one ``ExportTraceServiceRequest`` of ended runs: ids are hex, numbers of 64 bits are text."""
    written = [_span(span) for span in spans(runs)]
    request = {
        "resourceSpans": [
            {
                "resource": {"attributes": _attributes({"service.name": SERVICE})},
                "scopeSpans": [{"scope": {"name": SERVICE}, "spans": written}],
            }
        ]
    }
    return json_text(request, ensure_ascii=False).encode() + b"\n"


def _span(span: Span) -> dict[str, Any]:
    return {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        **({"parentSpanId": span.parent_id} if span.parent_id else {}),
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": str(span.start),
        "endTimeUnixNano": str(span.end),
        "attributes": _attributes(span.attributes),
        "status": {"code": _ERROR_STATUS, "message": span.error} if span.error else {},
    }


def _attributes(values: Mapping[str, str | int]) -> list[dict[str, Any]]:
    return [
        {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for key, value in values.items()
    ]
