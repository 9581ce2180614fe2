"""What a ``noxfile.py`` runs, read from its syntax tree: calls of ``session.run`` with plain words. Never imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from orchestrator.onboarding.codebase import Codebase

FILE = "noxfile.py"


def nox_commands(codebase: Codebase) -> Iterator[tuple[list[str], str]]:
    """Yield the words of each ``session.run``, and where it stands; a word that only Python knows ends the words."""
    for name, call in _calls(codebase, ("run", "run_always")):
        words = list(_plain_words(call))
        if words:
            yield words, f"the session {name} of {FILE}"


def nox_installs(codebase: Codebase) -> Iterator[str]:
    """Yield the requirements that test sessions install by ``session.install``."""
    for name, call in _calls(codebase, ("install",)):
        if name.startswith(("test", "unit")):
            yield from _plain_words(call)


def _calls(codebase: Codebase, methods: tuple[str, ...]) -> Iterator[tuple[str, ast.Call]]:
    text = codebase.text(FILE)
    if not text or "orchestrator.nox_session" in text:
        return  # a workspace's own entry point says nothing of the codebase
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for function in tree.body:
        if not isinstance(function, ast.FunctionDef) or not function.decorator_list:
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in methods:
                yield function.name, node


def _plain_words(call: ast.Call) -> Iterator[str]:
    for argument in call.args:
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            yield argument.value
        elif not isinstance(argument, ast.Starred):
            return
