"""The outbox: written with a run's end, once, and only where somebody asked for it."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.model.manifest.transitions import interrupted
from orchestrator.store.claim import claim
from orchestrator.store.doctor.undelivered import undelivered
from orchestrator.store.layout import OUTBOX, Location
from orchestrator.store.outbox import WaitingExport, is_published, put, waiting_exports
from orchestrator.store.publish import publish
from orchestrator.store.store import RunStore
from tests.faults.crash_seam import QuickSeam
from tests.records import START, TASK, FakeClock, make_manifest, make_plan, make_run_id, make_workspace

FORMS = ("otlp", "junit")
AT = "2026-11-22T08:43:59.000Z"


def store_in(root: Path, forms: tuple[str, ...], seam: QuickSeam | None = None) -> RunStore:
    """Return a store whose runs are exported in ``forms``."""
    return RunStore(make_workspace(root), FakeClock(), seam=seam, warn=print, on_close=lambda project: forms)


def end_one(store: RunStore) -> Location:
    """Lead a run to its published end."""
    run = claim(store, make_manifest(1, make_plan()), "token")
    run.save(interrupted(run.manifest, AT))
    assert not is_published(store, run.where)
    publish(store, run, certain=True)
    run.close()
    return run.where


def test_an_end_is_put_into_the_outbox_before_it_counts_as_published(tmp_path: Path) -> None:
    """Each form is a file, and the same end again changes nothing."""
    store = store_in(tmp_path, FORMS)
    where = end_one(store)
    expected = [WaitingExport(where, 1, form) for form in sorted(FORMS)]
    assert waiting_exports(store) == expected
    assert is_published(store, where)
    put(store, where, 1, FORMS, certain=False)
    assert waiting_exports(store) == expected


def test_a_workspace_without_exports_pays_nothing(tmp_path: Path) -> None:
    """No operation of the disk more, and no folder; with exports it is a folder, a file each and two syncs."""
    plain, exported = QuickSeam(), QuickSeam()
    end_one(store_in(tmp_path / "plain", (), plain))
    end_one(store_in(tmp_path / "exported", FORMS, exported))
    assert not (tmp_path / "plain/.runs" / OUTBOX).exists()
    assert exported.count - plain.count == len(["mkdir", "sync of its name", "otlp", "junit", "sync of their names"])


def test_what_waits_for_a_week_is_named(tmp_path: Path) -> None:
    """A day less is no finding; one of seven days is a warning that names run, form and days."""
    store = store_in(tmp_path, ("otlp",))
    where = end_one(store)
    file = tmp_path / ".runs" / OUTBOX / WaitingExport(where, 1, "otlp").name
    for days, found in ((6, 0), (7, 1)):
        moment = START.timestamp() - days * 86400
        os.utime(file, (moment, moment))
        findings = list(undelivered(store))
        assert len(findings) == found
    assert "7 days" in findings[0].message
    assert where.run_id in findings[0].message
    assert findings[0].level == "warning"


@given(
    st.sampled_from(FORMS), st.integers(1, 10**6), st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,40}[a-z0-9])?", fullmatch=True)
)
def test_a_name_is_read_back(form: str, attempt: int, task: str) -> None:
    """What a file's name says is what it was made of."""
    from orchestrator.store.outbox import _parsed

    entry = WaitingExport(Location(task, make_run_id(1)), attempt, form)
    assert ".." in task or _parsed(entry.name) == entry
    assert len(entry.name) < 200


def test_what_else_lies_there_is_nothing_that_waits(tmp_path: Path) -> None:
    """Files of other names are left alone."""
    store = store_in(tmp_path, ("otlp",))
    end_one(store)
    folder = tmp_path / ".runs" / OUTBOX
    for name in (
        ".lock",
        "x",
        f"{make_run_id(1)}@{TASK}@one@otlp",
        f"{make_run_id(1)}@../x@1@otlp"[:60].replace("/", "-"),
    ):
        (folder / name).touch()
    assert len(waiting_exports(store)) == 1
