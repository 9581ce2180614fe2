"""Canaries: what a recorded run of the reserved pipeline ``canary`` proves of a guardrail (contract, section 7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orchestrator.base.canonical import digest_of
from orchestrator.base.record import Record
from orchestrator.model.builtin_guard import GUARD
from orchestrator.model.manifest.manifest import Manifest, Proof

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.model.plan import Plan, PlannedStage

CANARY = "canary"
"""The reserved pipeline; its runs are never ``latest``, and in no coverage."""

UNPROVEN = "unproven"
_COMMAND_KEYS = ("kind", "argv", "shell", "cwd", "env")


class CanaryResult(Record):
    """How a guard ended: on the tracked tree as it is, and with each canary's files; outcome words, None: not run."""

    guardrail: str
    clean: str | None
    planted: tuple[str | None, ...]

    @property
    def fault(self) -> str | None:
        """Why this proves nothing; None of a proof."""
        if self.clean != "success":
            return f"it must succeed on the tracked tree as it is, and ended with {self.clean or 'nothing'} there"
        for number, outcome in enumerate(self.planted, start=1):
            if outcome == "success":
                return f"it passed with the files of canary {number}, which it must reject"
            if outcome != "failure":
                return f"with the files of canary {number} it ended with {outcome or 'nothing'}, which is no rejection"
        return None if self.planted else "it has no canary"


def clean_stage(guardrail: str) -> str:
    """Return the id of the stage that runs a guard on the tree as it is."""
    return f"{guardrail}-clean"


def planted_stage(guardrail: str, number: int) -> str:
    """Return the id of the stage that runs a guard with the files of its canary ``number`` (from 1)."""
    return f"{guardrail}-canary-{number}"


def results(record: Mapping[str, Any], guardrails: Mapping[str, int]) -> Iterator[CanaryResult]:
    """Yield what the recorded run of ``canary`` shows of each guardrail, given how many canaries each has."""
    outcomes = {str(command.get("id")): _ending(command) for command in record["commands"]}
    for guardrail, count in guardrails.items():
        planted = tuple(outcomes.get(planted_stage(guardrail, number)) for number in range(1, count + 1))
        yield CanaryResult(guardrail, outcomes.get(clean_stage(guardrail)), planted)


def _ending(command: Mapping[str, Any]) -> str | None:
    """Return a stage's outcome; a signal and a command that is not found are no verdict, and have words of their own.

    126 and 127 are a shell's codes for what it can't start, those from 129 on for a signal (POSIX, 2.8.2).
    """
    outcome, code = command.get("outcome"), command.get("exit_code")
    if outcome == "failure" and command.get("signal") is not None:
        return f"signal {command['signal']}"
    if outcome == "failure" and isinstance(code, int) and code in (126, 127):
        return f"exit code {code} (a command was not found, or can't be started)"
    if outcome == "failure" and isinstance(code, int) and 129 <= code <= 192:
        return f"exit code {code} (signal {code - 128})"
    return None if outcome is None else str(outcome)


def canaries_of(plan: Mapping[str, Any]) -> dict[str, int]:
    """Return the guardrails of a recorded plan of ``canary``, and how many canaries each has."""
    ids = [str(stage["id"]) for stage in plan["stages"]]
    found = {}
    for stage_id in ids:
        guardrail = stage_id.removesuffix("-clean")
        if guardrail != stage_id:
            found[guardrail] = sum(1 for number in range(1, len(ids)) if planted_stage(guardrail, number) in ids)
    return found


def command_digest(stage: Mapping[str, Any]) -> str:
    """Return the sha256 of what a recorded stage starts: its command, its folder and its own environment."""
    return digest_of({key: stage[key] for key in _COMMAND_KEYS})


def own_guards(plan: Plan) -> Iterator[PlannedStage]:
    """Yield the stages of ``plan`` that are required guardrails of the project's own."""
    for stage in plan.stages:
        if stage.id in plan.required_guardrails and stage.id != GUARD and stage.kind != "skip":
            yield stage


def with_proofs(manifest: Manifest, proofs: Mapping[str, Proof]) -> Manifest:
    """Return the manifest with the proofs of its guardrails, by their ids; one that has none loses what it had."""
    entries = tuple(entry._replace(proof=proofs.get(entry.id)) for entry in manifest.guardrails)
    return manifest._replace(guardrails=entries)


def unproven(record: Mapping[str, Any]) -> list[str]:
    """Return the required guardrails of the project's own, in a record's order, that no canary proves."""
    return [
        str(entry["id"])
        for entry in record.get("guardrails") or ()
        if entry.get("required") and entry.get("id") != GUARD and entry.get("proof") is None
    ]
