"""Events as sentences for people."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base.identifiers import FLEET
from orchestrator.base.text.safe_text import safe_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_VERBS = {
    "success": "succeeded",
    "failure": "failed",
    "timeout": "timed out",
    "cancellation": "was cancelled",
    "error": "broke",
    "skip": "was skipped",
}
_COLOURS = {"success": "32", "skip": "33", "cancellation": "33"}
_RED = "31"


def duration(seconds: object) -> str:
    """Return seconds as ``0.3s``, ``2m 05s`` or ``1h 02m``, whole ones as ``4s``, ``30m``; "" for what is no number."""
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds < 1e12:
        return ""
    if seconds < 60:
        return f"{seconds:.1f}s" if isinstance(seconds, float) and seconds < 9.95 else f"{int(seconds)}s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02d}s" if rest else f"{minutes}m"
    return f"{minutes // 60}h {minutes % 60:02d}m" if minutes % 60 else f"{minutes // 60}h"


def sentence(event: Mapping[str, Any]) -> tuple[str, str]:
    """Return what people are shown of an event, and its SGR colour; both empty for what they are not shown."""
    tell = _SENTENCES.get(str(event.get("type")))
    return tell(event) if tell else ("", "")


def shown(value: object, longest: int = 200) -> str:
    """Return a value of an event on one line, safe for a terminal, at most ``longest`` characters; None is empty."""
    text = "" if value is None else safe_text(str(value))
    return text if len(text) <= longest else text[: longest - 1] + "…"


def ending(event: Mapping[str, Any]) -> str:
    """Return how a stage or run ended, as ``failed with exit code 1`` or ``failed (SIGKILL)``."""
    outcome = str(event.get("outcome") or event.get("status") or "")
    words = _VERBS.get(outcome, shown(outcome) or "ended")
    if event.get("signal"):
        return f"{words} ({shown(event['signal'])})"
    if outcome == "failure" and event.get("exit_code") is not None:
        return f"{words} with exit code {shown(event['exit_code'])}"
    return words


def outcome_color(event: Mapping[str, Any]) -> str:
    """Return the SGR colour of an event's outcome."""
    return _COLOURS.get(str(event.get("outcome")), _RED)


def _run_start(event: Mapping[str, Any]) -> tuple[str, str]:
    attempt = event.get("attempt")
    again = f", attempt {shown(attempt)}" if isinstance(attempt, int) and attempt > 1 else ""
    of = f"{shown(event.get('project'))} for {shown(event.get('task_id'))}"
    if event.get("project") == FLEET:
        count = len(event.get("stages") or ())
        of = f"{count} project{'' if count == 1 else 's'}"
    return f"run {shown(event.get('run_id'))}: {shown(event.get('pipeline_id'))} of {of}{again}", "1"


def _run_queued(event: Mapping[str, Any]) -> tuple[str, str]:
    return f"run {shown(event.get('run_id'))} {shown(event.get('detail')) or 'waits in line'}", "33"


def _environment_end(event: Mapping[str, Any]) -> tuple[str, str]:
    if event.get("outcome") == "success":
        return f"environment ready{_after(event)}", "2"
    return f"the environment could not be made{_after(event)}{_why(event, 'detail')}", _RED


def _stage_start(event: Mapping[str, Any]) -> tuple[str, str]:
    attempt = event.get("attempt")
    again = f" again, attempt {shown(attempt)}" if isinstance(attempt, int) and attempt > 1 else ""
    return f"{shown(event.get('stage'))} started{again}{_why(event, 'command')}", "1"


def _stage_end(event: Mapping[str, Any]) -> tuple[str, str]:
    again = "; it is tried again" if event.get("will_retry") else ""
    external = ", ".join(map(str, event.get("external") or ()))
    elsewhere = f"; not of the session's environment: {shown(external)}" if external else ""
    text = f"{shown(event.get('stage'))} {ending(event)}{_after(event)}{_why(event, 'detail')}{elsewhere}{again}"
    return text, outcome_color(event)


def _stage_skip(event: Mapping[str, Any]) -> tuple[str, str]:
    return f"{shown(event.get('stage'))} skipped{_why(event, 'reason')}", "33"


def _stage_reports(event: Mapping[str, Any]) -> tuple[str, str]:
    problems = [f"{entry['source']} {entry['problem']}" for entry in event.get("reports") or () if entry["problem"]]
    return (f"reports of {shown(event.get('stage'))}: {shown('; '.join(problems))}", "33") if problems else ("", "")


def _child_linked(event: Mapping[str, Any]) -> tuple[str, str]:
    # ``run_id`` is the run that the event belongs to: the parent.
    return f"child run {shown(event.get('child_run_id'))}{_why(event, 'stage')}", "2"


def _breach(event: Mapping[str, Any]) -> tuple[str, str]:
    return f"the run has passed its limit of {duration(event.get('limit_seconds'))} and goes on", "33"


def _cancelling(event: Mapping[str, Any]) -> tuple[str, str]:
    import signal  # 3 ms with ``enum``, for a run that somebody stopped

    number = event.get("signal")
    name = next((each.name for each in signal.Signals if each == number), shown(number))
    return f"stopping the run ({name})", "33"


def _run_end(event: Mapping[str, Any]) -> tuple[str, str]:
    return f"run {ending(event)}{_after(event)}{_why(event, 'status_detail')}", outcome_color(event)


def _after(event: Mapping[str, Any]) -> str:
    took = duration(event.get("duration_seconds"))
    return f" in {took}" if took else ""


def _why(event: Mapping[str, Any], key: str) -> str:
    reason = shown(event.get(key))
    return f": {reason}" if reason and not reason.startswith("stage:") else ""


_SENTENCES = {
    "run:start": _run_start,
    "run:queued": _run_queued,
    "environment:start": lambda _: ("preparing the environment", "2"),
    "environment:end": _environment_end,
    "stage:start": _stage_start,
    "stage:end": _stage_end,
    "stage:skip": _stage_skip,
    "stage:reports": _stage_reports,
    "sla:breach": _breach,
    "child:linked": _child_linked,
    "run:cancelling": _cancelling,
    "run:end": _run_end,
}
