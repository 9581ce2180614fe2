"""How many cases hypothesis makes: few for who works on the code, all of them in CI (``CI`` is set)."""

from __future__ import annotations

import os

FEW = 10
"""Examples of a test that names no number, outside of CI; hypothesis' own default is 100."""


def in_ci() -> bool:
    """Tell whether the tests run in CI, as GitHub, GitLab and ``.ci/run`` say it."""
    return bool(os.environ.get("CI"))


def examples(wanted: int) -> int:
    """Return how many examples a test makes that wants so many in CI."""
    return wanted if in_ci() else max(1, wanted // 10)
