"""Three codebases of the table in docs/onboarding.md, brought in and started untouched, as ``nox -s real`` does all."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.real.__main__ import measured
from tests.real.codebases import CODEBASES

pytestmark = [pytest.mark.network, pytest.mark.slow]


@pytest.mark.parametrize("name", ["installer", "toolz", "reusify"])
def test_a_real_codebase_passes_at_its_first_start(name: str, tmp_path: Path) -> None:
    """Nothing of what ``onboard`` proposes for it is changed, and its own tests are among what passes."""
    codebase = next(entry for entry in CODEBASES if entry.name == name)
    if codebase.kind == "node" and shutil.which("npm") is None:
        pytest.skip("npm is not on PATH")
    result = measured(codebase, tmp_path, [sys.executable, "-m", "orchestrator"])
    assert result["verdict"] == "passed", result["failed"]
    assert result["stages"]["test"] == "success"
