"""What is noted of a failure: the last lines of its output, its error file, the run's summary."""

from __future__ import annotations

from orchestrator.base.text.safe_text import safe_text
from orchestrator.model.manifest.command import Command
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.model.outcome import Ended

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from orchestrator.model.plan import PlannedStage
    from orchestrator.store.store import RunStore

SHOWN_LINES = 20
SHOWN_COLUMNS = 500
ENVIRONMENT_STAGE = "environment"
"""Stands in a note where a stage's id does when the session's environment could not be made."""

UNSUCCESSFUL = frozenset({"failure", "timeout", "error", "cancellation"})
_REFUSAL = "codex-orchestrator: error: "
_REASONS = {"failure": "command-failed"}


def stage_summary(
    store: RunStore, manifest: Manifest, stage: PlannedStage, ended: Ended, lines: list[str]
) -> str | None:
    """Return in one line how an attempt of a stage ended: the last of its ``lines``, or what its child failed by."""
    if ended.detail or stage.kind != "subpipeline":
        return ended.detail or (lines[-1] if lines else None)
    if ended.outcome == "failure":
        from orchestrator.store.failed_stage import cause_below

        # One that was refused left no record: then its last lines say why.
        cause = refusal_in(lines) or cause_below(store, manifest, stage.id)
        if cause is not None:
            return cause
    # A child's last line names its manifest, or what it did before a signal ended it.
    says_nothing = ended.outcome == "success" or ended.signal is not None
    return lines[-1] if lines and not says_nothing else None


def error_note(
    manifest: Manifest, command: Command | None, ended: Ended, lines: list[str], log_path: str | None, at: str
) -> dict[str, Any]:
    """Return the content of an error file: version 1's keys, and what ended it (contract, section 4).

    ``command`` is None for an environment that could not be made; ``lines`` are the last of the output.
    """
    return {
        "run_id": manifest.run_id,
        "task_id": manifest.task_id,
        "command_index": command.index if command else 0,
        "command_id": command.id if command else ENVIRONMENT_STAGE,
        "command": command.command if command else None,
        "reason": _REASONS.get(ended.outcome, ended.outcome) if command else "environment-failed",
        "outcome": ended.outcome if command else "error",
        "exit_code": ended.exit_code,
        "signal": ended.signal,
        "last_lines": lines,
        "details": {"exit_code": ended.exit_code, "detail": ended.detail},
        "log_path": log_path,
        "next_command": f"codex-orchestrator resume {manifest.run_id}",
        "created_at": at,
    }


def last_lines(tail: str, mask: Callable[[str], str]) -> list[str]:
    """Return what tells of some output, in 20 lines of at most 500 characters, without colours and tabs, safe to show.

    These are the last ones; where lines before them name a failure, some of these, with ``…`` at each gap.

    They are masked after they were made safe: what is dropped then joins what stood on both sides of it.
    """
    if not tail:
        return []
    from orchestrator.base.text.terminal_filter import TerminalFilter  # its patterns take 2 ms to compile

    plain = TerminalFilter(color=False)
    text = (plain.feed(tail.encode("utf-8", "replace")) + plain.flush()).decode("utf-8", "replace")
    lines = [safe_text(line.expandtabs())[:SHOWN_COLUMNS] for line in mask(text).rstrip().splitlines()]
    if len(lines) <= SHOWN_LINES:
        return lines
    from orchestrator.model.failure_lines import telling  # its pattern takes a millisecond to compile

    return telling(lines, SHOWN_LINES)


def summary_of(manifest: Manifest, detail: str | None) -> str:
    """Return the record's summary: what failed, then the guardrails, in one line each."""
    lines = [detail] if detail else []
    for command in manifest.commands:
        if command.outcome in UNSUCCESSFUL and command.status == "failed":
            how = command.signal or (f"exit code {command.exit_code}" if command.exit_code is not None else "")
            lines.append(f"Stage '{command.id}': {command.outcome}{f' ({how})' if how else ''}.")
    guardrails = ", ".join(f"{entry.id} {entry.outcome}" for entry in manifest.guardrails)
    lines.append(f"Guardrails: {guardrails or 'none required'}.")
    return "\n".join(lines)


def refusal_in(lines: list[str]) -> str | None:
    """Return in one line what a command of this program refused, by the last lines that it printed; None if nothing."""
    begin = next((at for at, line in enumerate(lines) if line.startswith(_REFUSAL)), None)
    if begin is None:
        return None
    rest = lines[begin + 1 :]
    end = next((at for at, line in enumerate(rest) if line.startswith("hint: ")), len(rest))
    said = [lines[begin].removeprefix(_REFUSAL), *rest[:end]]
    if len(said) > 1 and said[0].startswith("the configuration has "):
        said = said[1:]
    return "; ".join(" ".join(line.split()) for line in said if line.strip())
