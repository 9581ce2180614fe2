"""Power cuts at every operation, and a lint of what each acknowledgement rests on (the model: ``power_seam``)."""

from __future__ import annotations

import pytest

from tests.faults.conftest import Scenes
from tests.faults.lives import Life, exported_life, full_life, held_back_life, plain_life
from tests.faults.power_checks import cut_everywhere, kill_then_cut, lint

LIVES = pytest.mark.parametrize(
    "life", [plain_life, full_life, held_back_life, exported_life], ids=["plain", "full", "held back", "exported"]
)


@LIVES
def test_what_is_acknowledged_is_safe(scenes: Scenes, life: Life) -> None:
    """When a claim, an end or its publishing returns, everything that it rests on was fsynced, folders included."""
    assert lint(scenes, life) >= 3


@LIVES
def test_a_power_cut_at_every_operation(scenes: Scenes, life: Life) -> None:
    """Whatever a power cut leaves of what was not synced, the promises hold before and after recovery."""
    assert cut_everywhere(scenes, life) > 200


@LIVES
def test_a_kill_at_every_operation_then_recovery_then_a_power_cut(scenes: Scenes, life: Life) -> None:
    """What a recovery publishes rests on nothing that the dead process did not come to sync."""
    assert kill_then_cut(scenes, life) > 60
