"""A run that is recorded under an id which another host gave it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.base.errors import Refused, UsageError
from orchestrator.base.redaction import Redactor
from orchestrator.commands.run.ancestry import Ancestry
from orchestrator.commands.run.create_run import GivenRun, begin_run
from orchestrator.model.manifest.manifest import Lineage
from orchestrator.runner.first_record import RunTerms
from orchestrator.store.open_run import OpenRun
from orchestrator.store.store import RunStore
from tests.records import TASK, FakeClock, make_plan, make_run_id, make_store

GIVEN = make_run_id(5)


def begun(store: RunStore, given: GivenRun) -> OpenRun:
    """Begin a run under a given id."""
    return begin_run(store, make_plan(), RunTerms(TASK, "ann"), Ancestry(None), Redactor(()), FakeClock(), given=given)


def test_a_given_run_has_its_id_and_its_lineage(tmp_path: Path) -> None:
    """The record stands under the given id, below the parent that the other host knows and this one doesn't."""
    store = make_store(tmp_path)
    lineage = Lineage(make_run_id(1), make_run_id(1), 1, TASK, "hello", "deploy")
    with closing(begun(store, GivenRun(GIVEN, lineage))) as run:
        assert run.manifest.run_id == GIVEN
        assert run.manifest.lineage._replace(trace_id=None) == lineage
    with closing(begun(store, GivenRun(make_run_id(6)))) as run:
        assert run.manifest.lineage._replace(trace_id=None) == Lineage(None, make_run_id(6), 0)


def test_an_id_is_begun_once(tmp_path: Path) -> None:
    """A given id that is known here is refused, and the run that has it stays as it is."""
    store = make_store(tmp_path)
    with closing(begun(store, GivenRun(GIVEN))) as run:
        before = run.folder.read("manifest.json", 10**6)
        with pytest.raises(Refused, match="is here already"):
            begun(store, GivenRun(GIVEN))
        assert run.folder.read("manifest.json", 10**6) == before
        with store.run_folder(run.where) as folder:
            assert folder.read("manifest.json", 10**6) == before


@pytest.mark.parametrize("name", ["", "..", "../../elsewhere", "latest", GIVEN[:-1], GIVEN.upper() + "/"])
def test_what_is_no_id_is_refused(tmp_path: Path, name: str) -> None:
    """A given id that is none is a usage error, and nothing is made."""
    with pytest.raises(UsageError, match="no run id"):
        begun(make_store(tmp_path), GivenRun(name))
    assert not list(tmp_path.glob("**/manifest.json"))
