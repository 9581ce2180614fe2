"""The process ends at every operation of an import: what is left is swept or finished, and the next import is whole."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from orchestrator.base.files import Seam
from orchestrator.commands.setup.import_runs import take
from orchestrator.model.manifest.transitions import interrupted
from orchestrator.store.import_survey import survey_records
from orchestrator.store.layout import CHAIN
from orchestrator.store.recovery import recover_task
from orchestrator.store.verification.tasks import verify_all
from tests.faults.conftest import Scenes
from tests.faults.crash_seam import Crash, QuickSeam, crash_at
from tests.faults.lives import Told, held_back_life, store_of, task_of
from tests.records import TASK


def import_all(source: Path, root: Path, seam: Seam) -> int:
    """Import all runs of ``source`` into ``root``; how many were taken."""
    there, here = store_of(source, QuickSeam()), store_of(root, seam)
    found = survey_records(there, here, lambda task_id, project: None)
    assert not found.passed
    take(there, here, found.runs)
    return len(found.runs)


def test_every_crash_point_of_an_import_is_recovered(scenes: Scenes) -> None:
    """Whatever an import leaves, records verify after the next command, and a second import takes just the rest."""
    source = scenes.keep()
    held_back_life(source, QuickSeam(), Told())
    counting = QuickSeam()
    whole = scenes.new()
    assert import_all(source, whole, counting) == 2
    original = (task_of(whole) / CHAIN).read_bytes()
    assert counting.count > 60
    for point in range(1, counting.count + 1):
        root = scenes.new()
        seam = QuickSeam(crash_at(point))
        with suppress(Crash):
            import_all(source, root, seam)
        recover_task(store_of(root, QuickSeam()), TASK, interrupted)
        assert verify_all(store_of(root, QuickSeam())).findings == ()
        import_all(source, root, QuickSeam())
        assert import_all(source, root, QuickSeam()) == 0
        lines = [json.loads(line) for line in (task_of(root) / CHAIN).read_bytes().splitlines()]
        assert [line["lines"] for line in lines] == [json.loads(line)["lines"] for line in original.splitlines()]
        assert verify_all(store_of(root, QuickSeam())).findings == ()
        assert not [path for name in (".open", ".staging") for path in (task_of(root) / name).iterdir()]
        state = json.loads((root / "out" / task_of(root).name / "state.json").read_text())
        assert state["totals"]["runs"] == 2
