"""Spans of time as they are typed: what is wrong comes with an example of the option's own order of magnitude."""

from __future__ import annotations

import pytest

from orchestrator.base.errors import UsageError
from orchestrator.report.time_window import span


@pytest.mark.parametrize(
    ("given", "example", "hint"),
    [
        ("10", "10m", "--x 10m"),
        ("soon", "10m", "--x 10m"),
        ("7", "7d", "--x 7d"),
        ("0", "7d", "--x 7d"),
        ("", "7d", "--x 7d"),
    ],
)
def test_a_number_without_a_unit_gets_the_examples(given: str, example: str, hint: str) -> None:
    """Only a small whole number is completed; anything else is answered with the example."""
    with pytest.raises(UsageError) as caught:
        span("--x", given, example)
    assert caught.value.hint == hint
