"""The built-in guard: which command is it, and what it reports to the run that starts it (contract, section 7)."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.base import json_codec
from orchestrator.base.errors import DamagedRecord
from orchestrator.base.record import Record
from orchestrator.model.manifest.manifest import Compared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from orchestrator.model.plan import PlannedStage

GUARD = "spec-guard"
"""The id of its stage."""

DEFAULT_BRANCH_VARIABLE = "CODEX_ORCHESTRATOR_DEFAULT_COMMIT"
"""Names the guard the commit that the default branch was when the run began, or ``NO_DEFAULT_BRANCH``."""

NO_DEFAULT_BRANCH = "none"
VERDICT_VARIABLE = "CODEX_ORCHESTRATOR_VERDICT_FILE"
"""Names, to the guard that a run starts, the file in which the run reads its verdict."""

VERDICT_BYTES = 64 * 1024
NO_VERDICT = "guard-verdict-missing"
REPLACED = "guardrail-replaced"

STAGE_KEYS = frozenset({"id", "run", "needs", "timeout", "log_limit", "guardrail"})
"""What a stage may say of it; every other key would soften or redirect it.

That it is a guardrail is asked for in every pipeline that is bound besides ``diagnostics``.
"""

_PROGRAM = "codex-orchestrator"
_SHIM = "scripts/spec-guard.sh"
_OPTIONS = ("--base", "--task", "--sarif")


class ReportedVerdict(Record):
    """What the guard reported of itself: ``outcome``, why, and what it compared."""

    outcome: Literal["passed", "failed", "advisory"]
    reason: str = ""
    compared: Compared | None = None


def guard_options(argv: Sequence[str], project: str) -> tuple[str, ...] | None:
    """Return the options of a command that is the built-in guard of ``project``; None of any other command.

    It is the program's own command or its shim, with no option but ``--base``, ``--task`` and ``--sarif``, and
    ``--project`` with the project itself.
    """
    words = list(argv)
    if words[:2] == [_PROGRAM, GUARD]:
        words = words[2:]
    elif words and (words[0] == _SHIM or words[0].endswith("/" + _SHIM)):
        words = words[1:]
    else:
        return None
    options: list[str] = []
    while words:
        name, separator, value = words.pop(0).partition("=")
        if not separator:
            value = words.pop(0) if words else ""
        if not value or (not separator and value.startswith("-")):
            return None
        if name == "--project" and value == project:
            continue
        if name not in _OPTIONS or name in options:
            return None
        options += [name, value]
    return tuple(options)


def option_in(words: Sequence[str], name: str) -> str | None:
    """Return the value of an option of the guard among the words of its command."""
    for at, word in enumerate(words):
        if word == name and at + 1 < len(words):
            return words[at + 1]
        if word.startswith(name + "="):
            return word[len(name) + 1 :]
    return None


def is_builtin_guard(stage: PlannedStage, project: str) -> bool:
    """Tell whether a stage is the built-in guard, which the orchestrator runs itself."""
    return stage.id == GUARD and stage.kind == "command" and guard_options(stage.argv, project) is not None


def read_verdict(data: bytes) -> ReportedVerdict | None:
    """Return the verdict that the guard left, None where that is none."""
    try:
        return ReportedVerdict.from_json(json_codec.loads(data))
    except (ValueError, RecursionError, DamagedRecord):
        return None
