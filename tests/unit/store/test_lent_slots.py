"""A child that waits in the queue offers its slot: the fleet takes it, or the child takes the offer back."""

from __future__ import annotations

import os
from pathlib import Path

from orchestrator.model.lineage import child_lineage
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.store.claim import claim
from orchestrator.store.layout import CHILDREN
from orchestrator.store.lent_slots import SlotOffers, keeps_slot, offer_slot
from orchestrator.store.open_run import OpenRun
from orchestrator.store.store import RunStore
from tests.records import FakeClock, make_manifest, make_plan, make_workspace


def family(root: Path) -> tuple[RunStore, OpenRun, Manifest]:
    """Return a live parent, and the record of a child that its stage ``build`` started."""
    store = RunStore(make_workspace(root), FakeClock())
    parent = claim(store, make_manifest(1, make_plan()), "token")
    child = make_manifest(2, make_plan())
    lineage = child_lineage(parent.manifest.as_json(), "build")
    return store, parent, child._replace(lineage=lineage, parent_run_id=lineage.parentRunId)


def test_an_offer_is_accepted_once_or_taken_back(tmp_path: Path) -> None:
    """Whoever is first has the slot: the parent once for each wait, or the child, which then keeps it."""
    store, parent, child = family(tmp_path)
    offers = SlotOffers(parent.folder, lambda: 0)
    assert list(offers.accept(9)) == []
    offer_slot(store, child)
    assert list(offers.accept(0)) == []
    assert list(offers.accept(9)) == ["build"]
    assert list(offers.accept(9)) == []
    assert not keeps_slot(store, child)
    offer_slot(store, child)
    assert keeps_slot(store, child)
    assert list(offers.accept(9)) == []
    parent.close()


def test_what_others_leave_is_no_offer(tmp_path: Path) -> None:
    """Files of other names, and offers of what can't be a stage, free nothing; no parent, no offer."""
    store, parent, child = family(tmp_path)
    with parent.folder.sub(CHILDREN, create=True) as children:
        children.write("x.waits", b"build")
        children.write(f"{child.run_id}.waits", b"../build")
    assert list(SlotOffers(parent.folder).accept(9)) == []
    alone = make_manifest(3, make_plan())
    offer_slot(store, alone)
    assert keeps_slot(store, alone)
    parent.close()


def test_nothing_is_looked_at_twice(tmp_path: Path) -> None:
    """Where the folder has not changed since the last look, it is not read again."""
    store, parent, child = family(tmp_path)
    offer_slot(store, child)
    offers = SlotOffers(parent.folder, lambda: 1 << 62)
    assert list(offers.accept(9)) == ["build"]
    stamp = (tmp_path / ".runs" / parent.where.task_id / "cli" / parent.where.run_id / CHILDREN).stat()
    offer_slot(store, child)
    os.utime(parent.folder.path + f"/{CHILDREN}", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    offers._seen_at = stamp.st_mtime_ns
    assert list(offers.accept(9)) == []
    parent.close()
