"""Files are shown before they are written: who agrees, and what is said when nobody does."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from orchestrator.base.errors import EXIT_DONE, EXIT_USAGE
from orchestrator.base.files.changes import FileChange, diff_text
from orchestrator.base.files.writing import write_files
from orchestrator.base.text.appearance import is_terminal
from orchestrator.base.text.safe_text import safe_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from orchestrator.commands.context import Context

WRITTEN, SHOWN, DECLINED, UNASKED, NOTHING = "written", "dry-run", "declined", "unasked", "nothing-to-do"
"""What became of a proposal; ``unasked`` is nobody at a terminal and no ``--yes``."""

_VERDICTS = {
    WRITTEN: "",
    SHOWN: "Nothing was written: --dry-run.",
    DECLINED: "Nothing was written: it was declined.",
    UNASKED: "Nothing was written: there is no terminal to ask at. Agree with --yes; --dry-run only looks.",
    NOTHING: "Nothing to do: every file is there already.",
}


def settle(
    context: Context,
    root: str,
    changes: Sequence[FileChange],
    *,
    yes: bool,
    dry_run: bool,
    stdin: TextIO | None = None,
) -> str:
    """Write ``changes`` below ``root`` when they are agreed to, and return what became of them.

    Before anything is written the difference is shown on stderr; in a terminal (``stdin`` and the context's
    stderr) it is asked about, unless ``yes``. Raises what ``write_files`` raises.
    """
    if all(change.action == "unchanged" for change in changes):
        return NOTHING
    if dry_run:
        return SHOWN
    asked = stdin or sys.stdin
    if not yes and not (is_terminal(asked) and is_terminal(context.stderr)):
        return UNASKED
    context.stderr.write(safe_text(diff_text(changes), lines=True))
    if not yes and not _agrees(context, asked, root):
        return DECLINED
    write_files(root, changes)
    return WRITTEN


def _agrees(context: Context, asked: TextIO, root: str) -> bool:
    context.stderr.write(safe_text(f"\nWrite this below {root}? [y/N] ", lines=True))
    context.stderr.flush()
    return asked.readline().strip().lower() in ("y", "yes")


def verdict(became: str) -> str:
    """Return the sentence for people, empty when the files were written."""
    return _VERDICTS[became]


def exit_code(became: str) -> int:
    """Return the exit code: 2 when the files were wanted and nobody agreed to them."""
    return EXIT_USAGE if became in (DECLINED, UNASKED) else EXIT_DONE


def error_of(became: str) -> dict[str, object]:
    """Return the ``error`` that a document gets when nobody agreed, else nothing."""
    if became not in (DECLINED, UNASKED):
        return {}
    return {"error": {"code": became, "message": _VERDICTS[became], "hint": "--yes"}}


def listed(changes: Sequence[FileChange]) -> list[dict[str, str]]:
    """Return the files of a proposal for a document."""
    return [{"path": change.path, "action": change.action} for change in changes]
