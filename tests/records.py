"""Plans and manifests for tests, with everything that a test doesn't care about filled in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from orchestrator.base.clock import stamp
from orchestrator.base.redaction import Redactor
from orchestrator.base.workspace import Workspace
from orchestrator.model.manifest.engine import Engine
from orchestrator.model.manifest.manifest import Lineage, Manifest
from orchestrator.model.plan import Plan, PlannedStage, SessionPlan
from orchestrator.runner.first_record import RunTerms, first_manifest
from orchestrator.store.layout import Location, RunPaths
from orchestrator.store.store import RunStore

START = datetime(2026, 11, 22, 8, 43, 5, 720_000, UTC)
TASK = "1001-hello"
PROJECT = "hello"


class FakeClock:
    """A clock that stands still until it is moved; wall and monotonic time move together."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> datetime:
        """Return the wall time."""
        return START + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        """Return the seconds that have passed."""
        return self.passed

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.passed += seconds


_GUARD = ("codex-orchestrator", "spec-guard", "--project", "hello")


def make_stage(stage_id: str, *, needs: tuple[str, ...] = (), guardrail: bool = False) -> PlannedStage:
    """Return a stage that calls a command of its own name."""
    argv = _GUARD if stage_id == "spec-guard" else (f"do-{stage_id}",)
    return PlannedStage(id=stage_id, title=stage_id, kind="command", argv=argv, needs=needs, guardrail=guardrail)


def make_plan(*stages: PlannedStage, sla_seconds: float = 1800.0) -> Plan:
    """Return a plan of ``stages``, by default build and then spec-guard, which is required."""
    chosen = stages or (make_stage("build"), make_stage("spec-guard", needs=("build",), guardrail=True))
    return Plan(
        project=PROJECT,
        project_path="packages/hello",
        task_id=TASK,
        pipeline="diagnostics",
        title="Diagnostics",
        stages=chosen,
        session=SessionPlan(f"diagnostics-{PROJECT}", "none"),
        sla_seconds=sla_seconds,
        required_guardrails=tuple(stage.id for stage in chosen if stage.guardrail),
    )


def make_run_id(number: int) -> str:
    """Return the id of the ``number``-th run: later ones sort behind earlier ones."""
    return f"2026-11-22T08-43-{number // 1000:02d}-{number % 1000:03d}Z-{number:08x}"


def make_manifest(number: int = 1, plan: Plan | None = None, clock: FakeClock | None = None) -> Manifest:
    """Return the first record of the ``number``-th run."""
    run_id = make_run_id(number)
    folder = f".runs/{TASK}/cli/{run_id}"
    paths = RunPaths(folder, f"{folder}/manifest.json", f"{folder}/runner.ndjson", f".runs/{TASK}/mcp/{run_id}", "")
    manifest = first_manifest(
        plan or make_plan(),
        RunTerms(TASK, "tester"),
        run_id,
        Lineage(None, run_id, 0),
        paths,
        "0" * 64,
        Redactor(()),
        clock or FakeClock(),
    )
    return manifest._replace(started_at=f"2026-11-22T08:43:{number // 1000:02d}.{number % 1000:03d}Z")


def make_engine() -> Engine:
    """Return the engine of a run of mode cloud that was submitted."""
    return Engine("dask.distributed", "tls://scheduler.example:8786", "queued", last_contact_at=stamp(START))


def make_workspace(root: Path) -> Workspace:
    """Return a workspace in ``root`` with its folder of configs."""
    (root / "project_configs").mkdir(parents=True, exist_ok=True)
    return Workspace(str(root), str(root / ".runs"), str(root / "out"), state_dir=str(root / "state"))


def where_is(manifest: Manifest) -> Location:
    """Return the location of a manifest's run."""
    return Location(manifest.task_id, manifest.run_id)


def make_store(root: Path, clock: FakeClock | None = None) -> RunStore:
    """Return a store in ``root`` whose warnings fail the test that didn't expect them."""

    def refuse(message: str) -> None:
        raise AssertionError(message)

    return RunStore(make_workspace(root), clock or FakeClock(), warn=refuse)
