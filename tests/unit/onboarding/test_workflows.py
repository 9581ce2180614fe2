"""The workflow that ``init --ci`` writes installs what is known, and says what to set where nothing is."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from orchestrator.onboarding.new_workspace import CI_FILES, NewWorkspace, new_workspace

PACKAGE = "codex-orchestrator @ git+https://host/repo@ab12"


def workflow(made: NewWorkspace, system: str) -> str:
    """Return the workflow's text, which must be YAML."""
    (text,) = [change.after for change in made.changes if change.path == CI_FILES[system][0]]
    assert yaml.safe_load(text)
    return str(text)


@pytest.mark.parametrize(
    ("system", "line"),
    [
        ("github", f"CODEX_ORCHESTRATOR_PACKAGE: ${{{{ vars.CODEX_ORCHESTRATOR_PACKAGE || '{PACKAGE}' }}}}"),
        ("gitlab", f'python -m pip install "${{CODEX_ORCHESTRATOR_PACKAGE:-{PACKAGE}}}"'),
    ],
)
def test_a_known_origin_is_installed(system: str, line: str, tmp_path: Path) -> None:
    """Jobs install from where this program came, unless the system's variable names another place."""
    made = new_workspace(str(tmp_path), system, PACKAGE)
    assert line in workflow(made, system)
    assert any(PACKAGE in note for note in made.notes)


@pytest.mark.parametrize("package", [None, "codex-orchestrator @ https://host/$(id)", "x @ https://host/a'b"])
@pytest.mark.parametrize("system", sorted(CI_FILES))
def test_an_unknown_origin_is_asked_for(system: str, package: str | None, tmp_path: Path) -> None:
    """Where the origin is unknown, or could be read as shell, the workflow names none, and a note what to set."""
    made = new_workspace(str(tmp_path), system, package)
    text = workflow(made, system)
    assert "host" not in text
    assert "install codex-orchestrator" not in text
    assert any(note.startswith("set the ") for note in made.notes)
