"""Programs of a stage that are not the session's: a check by them is not one by what the project installs.

As with nox, a program that a session's environment lacks is found on the user's PATH. Of the system's own (``make``,
``git``, ``node``) that is what was meant; of a Python program it rarely is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping

from orchestrator.git.process import found_on_path
from orchestrator.model.plan import PlannedStage
from orchestrator.runner.environment.allowed import names

_CHECKERS = names(
    """
    bandit basedpyright black coverage codespell deptry docformatter dmypy flake8 interrogate isort mypy pip
    pip-audit py.test pycodestyle pydocstyle pyflakes pylint pyre pyright pyroma pytest refurb ruff safety
    sphinx-build stubtest towncrier trial twine ty unify vulture yapf
    """
)
"""Python programs that are also installed as binaries of their own, so that nothing in the file shows what they are."""

_MANAGERS = names(
    """
    codex-orchestrator nox invoke inv uv uvx poetry pdm hatch pipenv pipx rye pixi tox pre-commit conda mamba
    """
)
"""Programs that make environments of their own, and are meant to be the machine's."""

_INTERPRETER = re.compile(r"(?:python|pypy)[0-9.]*")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=.*", re.S)
_OPERATORS = frozenset((";", "&", "&&", "|", "||", "|&", "("))
_BEFORE_A_COMMAND = frozenset(("if", "then", "elif", "else", "while", "until", "do", "!", "{", "exec", "env", "time"))
_HEAD_BYTES = 256


def external_programs(
    stage: PlannedStage, environ: Mapping[str, str], session_folder: str, project_folder: str
) -> tuple[str, ...]:
    """Return the paths of the Python programs that ``stage`` calls itself, in ``environ``, and that lie elsewhere.

    Elsewhere is outside the session's environment (``session_folder``) and the project. To be asked when the stage has
    ended, since it may have installed them. What the stage names by its path was meant so. What a program of it calls
    in turn (``make``, ``npm test``, ``uv run``) is not seen.
    """
    words = stage.argv if stage.kind == "command" else _words(stage.shell or "")
    called = (name for name in dict.fromkeys(_first_words(words)) if _NAME.fullmatch(name))
    homes = tuple(os.path.join(folder, "") for folder in (session_folder, project_folder))
    paths = (found_on_path(name, environ) for name in called)
    return tuple(path for path in paths if path and not path.startswith(homes) and _is_of_python(path))


def _words(line: str) -> list[str]:
    import shlex

    lexer = shlex.shlex(line.replace("\n", " ; "), posix=True, punctuation_chars=True)
    lexer.commenters = ""
    try:
        return [*lexer]
    except ValueError:
        return []


def _first_words(words: Iterable[str]) -> Iterator[str]:
    begins = True
    for word in words:
        if word in _OPERATORS:
            begins = True
        elif begins and not (word in _BEFORE_A_COMMAND or _ASSIGNMENT.fullmatch(word)):
            yield word
            begins = False


def _is_of_python(path: str) -> bool:
    name = os.path.basename(path)
    if name in _MANAGERS:
        return False
    if name in _CHECKERS or _INTERPRETER.fullmatch(name):
        return True
    real = os.path.realpath(path)
    if os.path.exists(os.path.join(os.path.dirname(os.path.dirname(real)), "pyvenv.cfg")):
        return True
    try:
        with open(real, "rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    # pip begins scripts of a long path with a shell's line, and the interpreter stands in the second one.
    return head.startswith(b"#!") and any(b"python" in line for line in head.split(b"\n")[:2])
