"""docs/environment.md names every variable that the code reads, every one that a stage sees, and no other of ours."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from orchestrator.runner.environment.allowed import (
    ALLOWED,
    ALLOWED_PREFIXES,
    NPM_ALLOWED,
    NPM_ALLOWED_PREFIXES,
)
from tests.harness import REPOSITORY

PAGE = (REPOSITORY / "docs" / "environment.md").read_text(encoding="utf-8")
OURS = re.compile(r"CODEX_ORCHESTRATOR_[A-Z_]*[A-Z]|MCP_RUNNER_[A-Z_]*[A-Z]")
NAME = re.compile(r"[A-Z][A-Z0-9_]{2,}")


def trees() -> Iterator[ast.AST]:
    """Yield the nodes of every module of the package."""
    for path in sorted((REPOSITORY / "orchestrator").rglob("*.py")):
        yield from ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def constants() -> set[str]:
    """Return the texts of the code that are a variable's name of ours."""
    texts = {node.value for node in trees() if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {text for text in texts if OURS.fullmatch(text)}


def asked() -> set[str]:
    """Return the names that the code asks an environment for by a literal: ``environ["X"]``, ``environ.get("X")``."""
    found = set()
    for node in trees():
        place, key = None, None
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "get"
            and node.args
        ):
            place, key = node.func.value, node.args[0]
        elif isinstance(node, ast.Subscript):
            place, key = node.value, node.slice
        if place is not None and ast.unparse(place).endswith("environ") and isinstance(key, ast.Constant):
            found.add(str(key.value))
    return {name for name in found if NAME.fullmatch(name)}


def test_every_variable_that_is_read_is_named() -> None:
    """A variable of ours, or one that the code asks for by name, stands on the page."""
    assert len(asked()) > 10
    missing = {name for name in constants() | asked() if f"`{name}`" not in PAGE}
    assert missing == set()


def test_every_variable_that_a_stage_may_see_is_named() -> None:
    """The allow-list's names and prefixes stand on the page."""
    names = {*ALLOWED, *(f"{prefix}*" for prefix in (*ALLOWED_PREFIXES, *NPM_ALLOWED_PREFIXES)), *NPM_ALLOWED}
    assert {name for name in names if f"`{name}`" not in PAGE} == set()


def test_no_variable_of_ours_is_made_up() -> None:
    """What the page names of ours is in the code."""
    assert set(OURS.findall(PAGE)) - constants() == set()
