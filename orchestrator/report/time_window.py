"""Spans of time and moments as they are typed: ``7d``, ``36h``, ``2026-11-15``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from orchestrator.base.errors import UsageError
from orchestrator.base.quoting import shown
from orchestrator.config.quantities import duration


def span(flag: str, given: str, example: str = "7d") -> float:
    """Return the seconds that ``given`` means (``7d``, ``36h``, ``1h30m``; at most 366 days); UsageError otherwise.

    The refusal has the ``example``; a number without a unit gets the example's.
    """
    try:
        return duration(given)
    except ValueError as error:
        hint = f"{flag} {_near(given, example)}"
        raise UsageError(f"{flag} {error}, not {shown(given)}", hint=hint, code="bad-period") from None


def _near(given: str, example: str) -> str:
    is_bare = given.isascii() and given.isdigit() and len(given) < 5 and int(given) > 0
    return f"{given}{example[-1]}" if is_bare else example


def since(flag: str, given: str, now: datetime) -> datetime:
    """Return the moment (UTC) that a span before ``now``, a date or a moment in ISO 8601 means.

    A date is its first moment in UTC; a moment without a time zone is taken as UTC. Raises UsageError.
    """
    try:
        moment = datetime.fromisoformat(given)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    try:
        return now - timedelta(seconds=span(flag, given))
    except UsageError:
        raise UsageError(
            f"{flag} is a span of time such as '7d' or '36h', or a date such as '2026-11-15', not {shown(given)}",
            hint=f"{flag} 7d",
            code="bad-period",
        ) from None
