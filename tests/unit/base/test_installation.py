"""What installs this program once more: from where it came, and never by its bare name."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest
from packaging.requirements import Requirement

from orchestrator.base.installation import extra_hint, portable_requirement

GIT = {"url": "https://host/repo", "vcs_info": {"vcs": "git", "commit_id": "ab12"}}
WHEEL = {"url": "https://host/codex_orchestrator-1-py3-none-any.whl", "archive_info": {}}
FOLDER = {"url": "file:///src/the%20clone", "dir_info": {"editable": True}}


def recorded(data: dict[str, Any]) -> str:
    return json.dumps(data)


def test_a_repository_is_named_with_its_commit() -> None:
    """What came from a repository is installed from the same commit of it on another machine."""
    requirement = Requirement(portable_requirement(recorded(GIT), "cloud") or "")
    assert (requirement.name, requirement.extras, requirement.url) == (
        "codex-orchestrator",
        {"cloud"},
        "git+https://host/repo@ab12",
    )


def test_a_subfolder_of_a_repository_is_named() -> None:
    """A program in a folder of a repository is found there."""
    named = portable_requirement(recorded({**GIT, "subdirectory": "tools/co"}))
    assert named == "codex-orchestrator @ git+https://host/repo@ab12#subdirectory=tools/co"


def test_a_url_is_named() -> None:
    """A wheel on a server is installed from there."""
    assert portable_requirement(recorded(WHEEL)) == f"codex-orchestrator @ {WHEEL['url']}"


@pytest.mark.parametrize("source", [None, "", "{", "[]", "{}", '{"url": "/src"}', recorded(FOLDER)])
def test_what_another_machine_does_not_have_is_not_named(source: str | None) -> None:
    """A folder of this machine and a copy of unknown origin lead to no requirement, the bare name least of all."""
    assert portable_requirement(source) is None


def test_an_extra_is_added_where_the_program_is() -> None:
    """The hint for a missing extra names the folder, with its spaces, as one word of a shell, and stays editable."""
    words = shlex.split(extra_hint("otel", recorded(FOLDER)))
    assert words == ["python", "-m", "pip", "install", "-e", "/src/the clone[otel]"]
    assert shlex.split(extra_hint("otel", recorded(WHEEL)))[-1] == f"codex-orchestrator[otel] @ {WHEEL['url']}"


def test_an_unknown_origin_is_not_guessed() -> None:
    """Without a recorded origin the hint leaves the place to the user."""
    assert "'FOLDER[otel]'" in extra_hint("otel", None)
