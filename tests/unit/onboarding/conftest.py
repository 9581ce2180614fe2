"""Codebases made of a few files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from orchestrator.onboarding.codebase import Codebase
from orchestrator.onboarding.proposal import Proposal

Make = Callable[[Mapping[str, str]], Codebase]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make a codebase of files by their paths."""

    def write(files: Mapping[str, str]) -> Codebase:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Codebase(str(tmp_path))

    return write


def does(proposal: Proposal) -> dict[str, str]:
    """Return what each stage of ``diagnostics`` does; ``-`` for one that is skipped."""
    return {stage.id: "-" if stage.skipped else stage.does for stage in proposal.diagnostics.stages}
