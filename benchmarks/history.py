"""Histories: many ended runs on disk in a second, cloned as text from one real run with ids and times changed.

What is written is what the program would have written: digests, chain and totals are right, so that ``verify``
passes a whole history (``tests/functional/test_benchmark_history.py``).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from orchestrator.base.canonical import canonical
from orchestrator.model.manifest.document import render
from orchestrator.model.manifest.manifest import NOT_DIGESTED
from orchestrator.store.chain import metrics_digest
from orchestrator.store.layout import LINE_HINT
from orchestrator.store.metrics_line import event_id
from orchestrator.store.state_file import KEPT_RUNS

_WHOLE = 100
"""As many runs as ``runs`` is ever asked to list by a benchmark, and more."""
_STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?=\.\d{3}Z)"


@dataclass(frozen=True, slots=True)
class Model:
    """The one real run that others are cloned from, as texts."""

    run_id: str
    manifest: str
    canonical: str
    pointer: str
    events: str
    metrics: str
    link: str
    entry: str

    @classmethod
    def of(cls, workspace: Path, task: str) -> Model:
        """Read the task's only run."""
        runs = workspace / ".runs" / task
        [folder] = (runs / "cli").iterdir()
        text = (folder / "manifest.json").read_text()
        digested = {key: value for key, value in json.loads(text).items() if key not in NOT_DIGESTED}
        return cls(
            run_id=folder.name,
            manifest=text,
            canonical=canonical(digested).decode(),
            pointer=(runs / "mcp" / folder.name / "manifest.json").read_text(),
            events=(folder / "runner.ndjson").read_text(),
            metrics=(runs / "metrics.json").read_text(),
            link=(runs / "chain.jsonl").read_text(),
            entry=json.dumps(json.loads((workspace / "out" / task / "state.json").read_text())["runs"][0]),
        )


@dataclass(frozen=True, slots=True)
class Clone:
    """A run like the model, begun whole seconds earlier or later; ``stamps`` are its times by those of the model."""

    model: Model
    run_id: str
    shift: timedelta
    stamps: dict[str, str] = field(default_factory=dict)

    def text(self, text: str) -> str:
        """Return a text of the model's as it is of this run."""
        literals, names = _parts(text, self.model.run_id)
        filled = [*literals, *literals[1:]]
        filled[::2] = literals
        filled[1::2] = map(self._named, names)
        return "".join(filled)

    def _named(self, name: str) -> str:
        """Return what stands in this run's texts for the model's run id, or for a time."""
        if name == self.model.run_id:
            return self.run_id
        if name not in self.stamps:
            self.stamps[name] = (datetime.fromisoformat(name) + self.shift).isoformat()
        return self.stamps[name]

    def value(self, text: str) -> dict[str, Any]:
        """Return an object of the model's, given as JSON, as it is of this run."""
        changed: dict[str, Any] = json.loads(self.text(text))
        return changed

    def digest(self) -> str:
        """Return the manifest digest."""
        return hashlib.sha256(self.text(self.model.canonical).encode()).hexdigest()


def write_history(workspace: Path, task: str, starts: list[datetime], *, whole: bool) -> list[str]:
    """Replace the task's only run by clones that begin at ``starts`` (UTC, rising), and return their ids.

    ``whole`` writes every file of each run. Otherwise only the first and the last hundred have all their files, and
    the others the manifest: commands that show a few runs compare their files with the chain, the rest is counted.
    """
    model = Model.of(workspace, task)
    clones = [_clone(model, number, at) for number, at in enumerate(starts)]
    runs = workspace / ".runs" / task
    for number, clone in enumerate(clones):
        folder = runs / "cli" / clone.run_id
        folder.mkdir()
        (folder / "manifest.json").write_text(clone.text(model.manifest))
        if whole or not _WHOLE <= number < len(clones) - _WHOLE:
            _write_rest(workspace, task, folder, clone)
    (workspace / ".runs" / ".claims").write_text("".join(f"{clone.run_id}\n" for clone in clones))
    _forget_model(workspace, task, model)
    _write_lines(runs, clones)
    _write_state(workspace, task, clones)
    return [clone.run_id for clone in clones]


def spread(count: int, end: datetime, step: timedelta) -> list[datetime]:
    """Return ``count`` times, ``step`` apart, the last at ``end``."""
    return [end - step * number for number in reversed(range(count))]


def _clone(model: Model, number: int, at: datetime) -> Clone:
    begun = datetime.strptime(model.run_id[:19], "%Y-%m-%dT%H-%M-%S")
    shift = at.replace(tzinfo=None, microsecond=0) - begun
    stamp = (begun + shift).strftime("%Y-%m-%dT%H-%M-%S")
    return Clone(model, f"{stamp}{model.run_id[19:25]}{number:08x}", shift)


@cache
def _parts(text: str, run_id: str) -> tuple[list[str], list[str]]:
    """Return what stands between ids and times in a text, and these: to look for them costs more than all the rest."""
    found = re.split(f"({re.escape(run_id)}|{_STAMP})", text)
    return found[::2], found[1::2]


def _write_rest(workspace: Path, task: str, folder: Path, clone: Clone) -> None:
    model = folder.parent / clone.model.run_id
    for name in (".lock", ".heartbeat", ".resume-token"):
        (folder / name).write_bytes((model / name).read_bytes())
    (folder / "runner.ndjson").write_text(clone.text(clone.model.events))
    for name in ("commands", "errors"):
        (folder / name).mkdir()
    for log in (model / "commands").iterdir():
        (folder / "commands" / log.name).write_bytes(log.read_bytes())
    pointer = workspace / ".runs" / task / "mcp" / clone.run_id
    pointer.mkdir()
    (pointer / "manifest.json").write_text(clone.text(clone.model.pointer))
    older = workspace / ".runs" / "local-mcp" / clone.run_id
    older.mkdir()
    (older / "manifest.json").symlink_to(f"../../{task}/cli/{clone.run_id}/manifest.json")


def _forget_model(workspace: Path, task: str, model: Model) -> None:
    import shutil

    for parent in (f"{task}/cli", f"{task}/mcp", "local-mcp"):
        shutil.rmtree(workspace / ".runs" / parent / model.run_id)


def _write_lines(runs: Path, clones: list[Clone]) -> None:
    before: tuple[dict[str, Any], bytes] | None = None
    with (runs / "metrics.json").open("w") as metrics, (runs / "chain.jsonl").open("wb") as chain:
        for clone, line, link in _lines(clones):
            link["previous"] = before and {key: before[0][key] for key in ("run_id", "attempt", "manifest_digest")}
            link["previous_line"] = before and hashlib.sha256(before[1]).hexdigest()
            written = json.dumps(link, ensure_ascii=False).encode()
            metrics.write(json.dumps(line, ensure_ascii=False) + "\n")
            # Each run knows where its line is, as those that the program has written do.
            hint = {"attempt": 1, "offset": chain.tell(), "first": chain.tell()}
            (runs / "cli" / clone.run_id / LINE_HINT).write_text(json.dumps(hint) + "\n")
            chain.write(written + b"\n")
            before = link, written
            assert clone.run_id == link["run_id"]


def _lines(clones: list[Clone]) -> Iterator[tuple[Clone, dict[str, Any], dict[str, Any]]]:
    for clone in clones:
        event = event_id(clone.run_id, 1)
        line = clone.value(clone.model.metrics) | {"event_id": event}
        events = clone.text(clone.model.events).encode()
        measured = {"bytes": len(events), "sha256": hashlib.sha256(events).hexdigest()}
        link = clone.value(clone.model.link) | {"manifest_digest": clone.digest(), "events": measured}
        yield clone, line, link | {"metrics_digest": metrics_digest(line), "event_id": event}


def _write_state(workspace: Path, task: str, clones: list[Clone]) -> None:
    path = workspace / "out" / task / "state.json"
    state = json.loads(path.read_text())
    kept = [clone.value(clone.model.entry) | {"manifestDigest": clone.digest()} for clone in clones[-KEPT_RUNS:]]
    totals = {**state["totals"], "runs": len(clones), "succeeded": len(clones)}
    state |= {"totals": totals, "runs": kept, "revision": len(clones), "lastRunAt": kept[-1]["completedAt"]}
    path.write_bytes(render(state))
