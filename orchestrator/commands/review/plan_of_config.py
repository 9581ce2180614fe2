"""Whether the plan of a run is what its config makes: compared with a fresh compile of the same bytes.

A cache, or whoever wrote into it, decides nothing so (contract, section 7, "Records").
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from orchestrator.base.canonical import digest_of
from orchestrator.base.clock import parse_stamp
from orchestrator.base.errors import GateNotMet, Refusal
from orchestrator.base.finding import Finding
from orchestrator.base.identifiers import name_fault
from orchestrator.base.record import Record
from orchestrator.base.sha256 import sha256
from orchestrator.base.workspace import CONFIG_FOLDER
from orchestrator.config.committed import ConfigHistory, config_at
from orchestrator.config.planning import compile_plan
from orchestrator.model.exec_command import recorded_command
from orchestrator.model.fleet import is_fleet
from orchestrator.model.outcome import TERMINAL
from orchestrator.model.plan import COMPILER, builtin_versions
from orchestrator.model.plan_diff import plan_drift
from orchestrator.store.layout import Location
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

Compiled: TypeAlias = "dict[object, dict[str, Any]]"
"""Records of plans that were compiled, by all that they were made of."""

NOT_OF_CONFIG = "plan-not-of-config"
NOT_COMPARABLE = "plan-not-comparable"
_HINT = "start a new run: its plan is compiled from the config"
_MOST_LINES = 5


class PlanProof(Record):
    """How a run's plan stands to its config: ``code`` None where it is what the config makes, and why not else."""

    code: str | None = None
    message: str = ""


def plan_proof(
    root: str,
    record: Mapping[str, Any],
    environ: Mapping[str, str],
    compiled: Compiled | None = None,
    history: ConfigHistory | None = None,
) -> PlanProof:
    """Return how the plan of a run's ``record`` (version 2) stands to the configs whose digests it names.

    Their bytes are the current files of the workspace at ``root`` or, where these changed, those of the commits that
    the run names, else of any commit of the workspace's repository (``history``). Not comparable where the bytes are
    nowhere, or another version of the compiler made the plan. ``compiled`` holds what was compiled already.
    """
    if is_fleet(record):
        return PlanProof()  # it has no config: its projects' runs are compared with theirs
    plan = record.get("plan")
    if not isinstance(plan, Mapping) or plan.get("compiler") != COMPILER:
        return PlanProof(NOT_COMPARABLE, "another version of this program made the plan")
    wanted = _configs(plan)
    commits = _commits(record)
    history = history or ConfigHistory(root, environ)
    found: dict[str, bytes] = {}
    for project, digest in wanted.items():
        data = _bytes_of(root, project, digest, commits, environ, history)
        if data is None:
            return PlanProof(NOT_COMPARABLE, f"the config of '{project}' that it names is neither here nor in git")
        found[project] = data
    try:
        day = parse_stamp(str(record["started_at"] if record.get("attempt") == 1 else record["updated_at"])).date()
        fresh = _compiled(found, plan, day, {} if compiled is None else compiled)
    except Refusal as refusal:
        return PlanProof(NOT_OF_CONFIG, f"the config that it names is refused: {' '.join(refusal.message.split())}")
    lines = plan_drift(plan, fresh)
    if not lines:
        return PlanProof()
    more = f" and {len(lines) - _MOST_LINES} more" if len(lines) > _MOST_LINES else ""
    return PlanProof(NOT_OF_CONFIG, f"the plan is not what the config makes: {'; '.join(lines[:_MOST_LINES])}{more}")


def refuse_foreign_plan(
    store: RunStore, where: Location, record: Mapping[str, Any], environ: Mapping[str, str]
) -> None:
    """Raise GateNotMet where the plan of a run is not what its config makes."""
    proof = plan_proof(store.workspace.root, record, environ)
    if proof.code == NOT_OF_CONFIG:
        raise GateNotMet(f"run '{where.run_id}': {proof.message}", hint=_HINT, code=NOT_OF_CONFIG)


def with_proof(document: dict[str, Any], proof: PlanProof) -> dict[str, Any]:
    """Return the status document of a run with the reason that its plan is not what its config makes, if so."""
    if proof.code != NOT_OF_CONFIG:
        return document
    reasons = [*document["ready"]["reasons"], {"code": proof.code, "message": proof.message}]
    return {**document, "ready": {"ready": False, "reasons": reasons}}


class PlanProofs:
    """Proofs of many runs: what is compiled of the same bytes is compiled once."""

    def __init__(self, store: RunStore, environ: Mapping[str, str]) -> None:
        self._store = store
        self._environ = environ
        self._known: dict[object, PlanProof] = {}
        self._compiled: Compiled = {}
        self._history = ConfigHistory(store.workspace.root, environ)
        self._found: dict[Location, list[tuple[Finding, bool]]] = {}

    def judge(self, where: Location, record: Mapping[str, Any]) -> None:
        """Note what is found of the plan of a run that has ended; the last word on a run counts."""
        self._found[where] = list(self.findings(where, record)) if record.get("status") in TERMINAL else []

    def found(self) -> list[tuple[Finding, bool]]:
        """Return what ``judge`` found, each with whether it is a note only."""
        return [found for where in sorted(self._found) for found in self._found[where]]

    def of(self, record: Mapping[str, Any]) -> PlanProof:
        """Return ``plan_proof`` of a record."""
        plan = record.get("plan")
        key = None
        if isinstance(plan, Mapping):
            key = (digest_of(plan), *_commits(record), str(record.get("started_at"))[:10], record.get("attempt"))
        if key is None or key not in self._known:
            self._known[key] = plan_proof(
                self._store.workspace.root, record, self._environ, self._compiled, self._history
            )
        return self._known[key]

    def findings(self, where: Location, record: Mapping[str, Any]) -> Iterator[tuple[Finding, bool]]:
        """Yield what is to be reported of a run's plan, and whether it is a note only."""
        if record.get("version") != 2:
            return
        proof = self.of(record)
        if proof.code is not None:
            place = self._store.paths(where).manifest
            yield Finding(proof.code, place, proof.message, hint=_HINT), proof.code == NOT_COMPARABLE


def _configs(plan: Mapping[str, Any]) -> dict[str, str]:
    """Return the digest of the config of each project that a plan reaches."""
    below = plan.get("subpipelines")
    entries = [plan, *(below if isinstance(below, list) else ())]
    return {str(entry.get("project")): str(entry.get("config_digest")) for entry in entries}


def _commits(record: Mapping[str, Any]) -> list[str]:
    """Return the commits that the attempts of a run ran on, the last one first."""
    entries = record.get("provenance")
    attempts = [entry for entry in (entries if isinstance(entries, list) else ()) if isinstance(entry, Mapping)]
    named = [entry.get("commit") for entry in attempts]
    texts = [commit for commit in reversed(named) if isinstance(commit, str) and commit.isalnum()]
    return list(dict.fromkeys(texts))


def _bytes_of(
    root: str,
    project: str,
    digest: str,
    commits: Sequence[str],
    environ: Mapping[str, str],
    history: ConfigHistory,
) -> bytes | None:
    """Return the bytes of a project's config with that sha256, None where they are nowhere."""
    if name_fault("project", project) is not None:
        return None
    with suppress(OSError):
        path = os.path.join(root, CONFIG_FOLDER, f"{project}.toml")
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
            data = stream.read()
        if sha256(data).hexdigest() == digest:
            return data
    for commit in commits:
        kept = config_at(root, commit, project, environ)
        if kept is not None and sha256(kept).hexdigest() == digest:
            return kept
    return history.find(project, digest)


def _compiled(configs: Mapping[str, bytes], plan: Mapping[str, Any], day: Any, known: Compiled) -> dict[str, Any]:
    """Return the record of what the ``configs`` make of the pipeline of ``plan``, of nothing else in the workspace.

    The day matters to waivers alone, which end on one: where no config has any, all days make the same plan.
    """
    project, pipeline = str(plan["project"]), str(plan["pipeline"])
    builtins, command = builtin_versions(plan), recorded_command(plan)
    is_dated = any(word in data for data in configs.values() for word in (b"waiver", b"\\"))
    asked = (project, pipeline, tuple(sorted(configs.items())), day if is_dated else None)
    key = (*asked, tuple(sorted(builtins.items())), command)
    if key in known:
        return known[key]
    with tempfile.TemporaryDirectory(prefix="codex-orchestrator-") as root:
        folder = os.path.join(root, CONFIG_FOLDER)
        os.mkdir(folder)
        for name, data in configs.items():
            with open(os.path.join(folder, f"{name}.toml"), "wb") as file:
                file.write(data)
        made = compile_plan(root, project, pipeline, today=day, builtins=builtins, alone=True, command=command)
    known[key] = made.record()
    return known[key]
