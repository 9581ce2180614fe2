"""Which branch or tag a run is of."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.report.head_reference import head_reference


@pytest.mark.parametrize(
    ("branch", "ci", "expected"),
    [
        ("main", [{"ref": "refs/heads/feat"}], ("main", False)),
        (None, [{"ref": "refs/heads/feat/a"}], ("feat/a", True)),
        (None, [{"ref": "refs/tags/v1"}], ("v1", True)),
        (None, [{"ref": "refs/pull/5/merge"}], ("5/merge", True)),
        (None, [{"ref": "feat"}], ("feat", True)),
        (None, [{"ref": None}], (None, False)),
        (None, [None], (None, False)),
        (None, [], (None, False)),
        (None, None, (None, False)),
    ],
)
def test_git_comes_before_ci(branch: str | None, ci: Any, expected: tuple[str | None, bool]) -> None:
    """A branch of git is the branch; of a detached HEAD CI's reference is, by the short name that people know."""
    assert head_reference({"ci": ci}, {"branch": branch, "attempt": 1}) == expected


def test_each_attempt_has_its_own_job() -> None:
    """The reference is that of the job of the same attempt."""
    body = {"ci": [{"ref": "refs/heads/a"}, None, {"ref": "refs/heads/c"}]}
    names = [head_reference(body, {"branch": None, "attempt": attempt})[0] for attempt in (1, 2, 3, 4)]
    assert names == ["a", None, "c", None]
