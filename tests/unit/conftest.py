"""What only the fast tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def no_syncs() -> Iterator[None]:
    """Don't wait for the disk: what is synced, and in which order, is what ``tests/faults`` are about."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _descriptor: None)
        yield
