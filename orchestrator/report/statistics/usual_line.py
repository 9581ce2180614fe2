"""A metrics line exactly as this program writes it, read by one pattern: a third of what a JSON reader and writer take.

Of a line that differs in a single byte from that form nothing is said here: ``metrics_record`` reads it as JSON. That
both say the same of each line is shown by ``tests/unit/report/test_usual_line.py``.
"""

from __future__ import annotations

import re

from orchestrator.base.record import Record

_TEXT = rb'"[ !#-\[\]-~]*"'
_SOME = rb'"[ !#-\[\]-~]+"'
_COUNT = rb"0|[1-9]\d{0,11}"
_NUMBER = rb"(?:0|[1-9]\d{0,11})(?:\.(?:0|\d?\d?[1-9]))?"
"""At most three decimals: such a number's text is the one that Python writes, as which it is digested."""
_MOMENT = rb'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"'
_WORD = rb"true|false"
_STAGE = rb'\["[a-z0-9._-]+", (?:true|false), ' + _MOMENT + rb"\]"
_PART = rb'(?:null|"[0-9a-z:]+")'
_TRIED = rb'\{"stages": \[%b(?:, %b)*\], "state": \["[0-9a-z]+", %b, %b\]\}' % (_STAGE, _STAGE, _PART, _PART)

_FORMS = (
    ("run_id", _SOME),
    ("task_id", _SOME),
    ("project", _SOME),
    ("pipeline_id", _SOME),
    ("status", _TEXT),
    ("outcome", _SOME),
    ("attempt", rb"[1-9]\d{0,11}"),
    ("started_at", _MOMENT),
    ("completed_at", _MOMENT),
    ("duration_seconds", _NUMBER),
    ("commands_passed", _COUNT),
    ("commands_failed", _COUNT),
    ("guardrails_present", _WORD),
    ("guardrails_required", _WORD),
    ("guardrails_executed", _WORD),
    ("sla_seconds", _NUMBER),
    ("sla_breached", _WORD),
    ("child_runs", _COUNT),
    ("parent_run_id", rb"null|" + _TEXT),
    ("recorded_at", _MOMENT),
    ("artifact_path", _TEXT),
    ("event_id", _SOME),
    ("began_at", rb"null|" + _MOMENT),
    ("queued_seconds", _NUMBER),
)
_LINE = re.compile(
    rb"\{"
    + b", ".join(b'"%b": (%b)' % (key.encode(), form) for key, form in _FORMS)
    + rb'(?:, "tried": ('
    + _TRIED
    + rb"))?\}"
)
_PLACES = {key: place for place, (key, _) in enumerate(_FORMS)}
_DIGESTED = sorted(set(_PLACES) - {"recorded_at", "child_runs"})
_CANONICAL = b"{" + b",".join(b'"%b":%%b' % key.encode() for key in _DIGESTED)
_DIGESTED_PLACES = tuple(_PLACES[key] for key in _DIGESTED)


class UsualLine(Record):
    """What stands in a line: the JSON text of each value in the order of ``_FORMS``, and that of ``tried`` if any."""

    values: tuple[bytes, ...]
    tried: bytes | None

    def canonical(self) -> bytes:
        """Return what the line's digest is taken of (``chain.metrics_digest``)."""
        values = self.values
        form = _CANONICAL % tuple([values[place] for place in _DIGESTED_PLACES])
        if self.tried is None:
            return form + b"}"
        # No text in it has a blank: they all stand between values.
        return b'%b,"tried":%b}' % (form, self.tried.replace(b" ", b""))


def usual_line(line: bytes) -> UsualLine | None:
    """Return what a line holds; None where it is in any other form than the usual one."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    *values, tried = found.groups()
    return UsualLine(tuple(values), tried)
