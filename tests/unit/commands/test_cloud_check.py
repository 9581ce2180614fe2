"""``cloud check`` of an engine that answers in every way: what it finds, and that its document is as its schema."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from orchestrator.base.errors import UsageError
from orchestrator.cloud.connect import Unreachable
from orchestrator.cloud.engine_survey import Clock, Engine, Worker
from orchestrator.commands.context import Context
from orchestrator.commands.maintain import cloud as command
from orchestrator.commands.maintain.schema import schema

FITTING = Worker("w1", "tls://h1:1", "1.0", "3.12.1", 4, 2**33, Clock(0.01, 0.02), label=True)
MUTE = Worker("w2", "tls://h2:1", None, None, 1, None, None, label=False)


def checked(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    engine: Engine | Exception,
    probed: Unreachable | None = None,
    hub: dict[str, Any] | UsageError | None = None,
) -> tuple[int, dict[str, Any], str]:
    """Return exit code, document and text of the check of an engine, or of what it answers with."""

    def answer(policy: object) -> Engine:
        if isinstance(engine, Exception):
            raise engine
        return engine

    async def hub_answer(policy: object) -> dict[str, Any]:
        if isinstance(hub, UsageError):
            raise hub
        return {"version": "1.0", "free_bytes": 2**33, "worker_ttl": 30.0, **(hub or {})}

    monkeypatch.setattr(command, "hub_state", hub_answer)
    monkeypatch.setattr(command, "require_distributed", lambda: None)
    monkeypatch.setattr(command, "probe", lambda policy: probed)
    monkeypatch.setattr(command, "engine_of", answer)
    table = '[cloud]\nscheduler = "tcp://127.0.0.1:8786"\ninsecure = true\nlease = "10s"\n'
    (tmp_path / "workspace.toml").write_text(f"schema_version = 1\n{table}")
    (tmp_path / "project_configs").mkdir(exist_ok=True)
    context = Context(str(tmp_path), {}, io.StringIO(), io.StringIO())
    done = command.cloud(context, words=("check",), format="json")
    document: dict[str, Any] = dict(done.document or {})
    published: dict[str, Any] = dict(schema(context, name="cloud-check").document or {})
    assert list(jsonschema.Draft202012Validator(published).iter_errors(document)) == []
    assert set(document) == set(published["properties"])
    return done.exit_code, document, done.text


def codes(document: dict[str, Any]) -> list[str]:
    """Return the codes of the problems."""
    return [problem["code"] for problem in document["problems"]]


def test_all_is_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that fits and clocks that agree within what is known of them: exit code 0."""
    code, document, text = checked(tmp_path, monkeypatch, Engine(Clock(-9.5, 0.1), (FITTING,)))
    assert (code, document["ok"], codes(document)) == (0, True, [])
    assert "w1: fits" in text


@pytest.mark.parametrize(
    ("clock", "is_off"),
    [
        (Clock(10.1, 0.1), True),
        (Clock(-10.1, 0.1), True),
        (Clock(9.9, 0.1), False),
        (Clock(30.0, 31.0), False),
        (Clock(32.0, 31.0), True),
    ],
)
def test_a_clock_is_off_beyond_its_uncertainty_and_the_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock, is_off: bool
) -> None:
    """Of scheduler and worker alike: what lies within the lease of 10 s, or within what was measured, is no finding."""
    good = Clock(0.0, 0.01)
    code, document, text = checked(tmp_path, monkeypatch, Engine(clock, (FITTING,)))
    assert (code, codes(document)) == ((4, ["clock"]) if is_off else (0, []))
    assert ("the clock of the scheduler is" in text) is is_off
    _, document, text = checked(tmp_path, monkeypatch, Engine(good, (FITTING._replace(clock=clock),)))
    assert codes(document) == (["clock"] if is_off else [])
    assert ("the clock of worker w1 is" in text) is is_off


def test_what_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler without a clock, a mute worker, and one that greets and says no more: 4, each by its name."""
    code, document, text = checked(tmp_path, monkeypatch, Engine(None, (FITTING, MUTE)))
    assert (code, codes(document)) == (4, ["no-answer", "no-answer"])
    assert "the scheduler does not answer" in text
    assert "worker w2 does not answer" in text
    assert "w2: does not fit: version unknown, Python unknown" in text
    code, document, _ = checked(tmp_path, monkeypatch, TimeoutError())
    assert (code, document["reachable"], codes(document)) == (4, True, ["no-answer"])
    assert "greets and does not answer: no reason given" in document["problems"][0]["message"]


def test_nobody_fits_and_nobody_is_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker with the label, and a scheduler that is not there: 4, with the reason's code."""
    code, document, _ = checked(tmp_path, monkeypatch, Engine(Clock(0.0, 0.1), ()))
    assert (code, codes(document), document["workers"]) == (4, ["no-worker"], [])
    away = Unreachable("certificate-refused", "it refuses our certificate")
    code, document, _ = checked(tmp_path, monkeypatch, Engine(None, ()), away)
    assert (code, document["reachable"], document["certificate"]) == (4, False, "refused")
    assert codes(document) == ["certificate-refused"]


def test_a_scheduler_without_a_hub_and_a_lease_too_long_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ``start`` would refuse is found before it: no hub, and a lease that outlasts the scheduler's worker-ttl."""
    engine = Engine(Clock(0.0, 0.1), (FITTING,))
    code, document, _ = checked(tmp_path, monkeypatch, engine, hub=UsageError("has no hub", hint="start it with one"))
    assert (code, codes(document), document["hub"]) == (4, ["no-hub"], None)
    code, document, text = checked(tmp_path, monkeypatch, engine, hub={"worker_ttl": 10.0})
    assert (code, codes(document)) == (4, ["lease"])
    assert "hub: 1.0, 8.0 GiB free, worker-ttl 10.0 s" in text
    assert checked(tmp_path, monkeypatch, engine, hub={"worker_ttl": None})[0] == 0
