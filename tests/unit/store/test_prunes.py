"""Prunes in the chain: what they name may be gone, and goes on to count; what they can't name is found."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.base.canonical import digest_of
from orchestrator.base.errors import NotFound
from orchestrator.base.files import Folder
from orchestrator.model.manifest.digest import manifest_digest
from orchestrator.store.chain import add_line, last_end, lines_of
from orchestrator.store.doctor.tasks import pruned_of, read_state, state_of
from orchestrator.store.doctor.workspace import inspect_records
from orchestrator.store.find import find_run, read_document, run_ids
from orchestrator.store.layout import PRUNED, Location
from orchestrator.store.line_kinds import KINDS, runs_about
from orchestrator.store.pending_prune import Pending, on_their_way, write_pending
from orchestrator.store.prune_lines import (
    Level,
    NamedAttempt,
    NamedRun,
    PruneLine,
    add_prune,
    find_pruned,
    pruned_runs,
    prunes_in,
)
from orchestrator.store.record_proof import prove
from orchestrator.store.run_index import renew
from orchestrator.store.store import RunStore
from orchestrator.store.verification.alignment import align_task
from orchestrator.store.verification.recent import verify_recent
from orchestrator.store.verification.tasks import verify_all
from tests.records import TASK, make_run_id, make_store
from tests.unit.store.test_verification import codes, edited, ended, resumed, run_of, task_of

AT = "2026-11-22T08:44:00.000Z"


@pytest.fixture(scope="module")
def four_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with four ended runs, the second of them resumed once, to be copied."""
    root = tmp_path_factory.mktemp("four")
    store = make_store(root)
    for number in (1, 2, 3, 4):
        ended(store, number)
    resumed(store, 2)
    return root


@pytest.fixture
def store(tmp_path: Path, four_runs: Path) -> RunStore:
    """A store with four ended runs, the second of them resumed once."""
    shutil.copytree(four_runs, tmp_path, symlinks=True, dirs_exist_ok=True)
    return make_store(tmp_path)


def named(store: RunStore, number: int) -> NamedRun:
    """Return what a prune says of a run that is there."""
    record = read_document(store, Location(TASK, make_run_id(number)))
    with store.task(TASK) as task:
        links = [json.loads(line) for line in lines_of(task)]
    attempts = tuple(
        NamedAttempt(link["attempt"], link["manifest_digest"])
        for link in links
        if link.get("run_id") == record["run_id"] and link.get("kind") is None
    )
    keys = ("status", "outcome", "project", "pipeline_id", "started_at", "completed_at")
    return NamedRun(record["run_id"], attempts, *(record[key] for key in keys))


def written(store: RunStore, *runs: NamedRun, level: Level = "record", lost: bool = False) -> int:
    """Append a prune of runs; return where its line begins."""
    line = PruneLine(level, lost, "ann", "space", {"keep_last": 100}, runs, AT, "")
    with store.task(TASK) as task:
        return add_prune(task, line).offset


def pruned(store: RunStore, *numbers: int) -> int:
    """Prune runs as the command does; return where the line begins."""
    offset = written(store, *(named(store, number) for number in numbers))
    for number in numbers:
        shutil.rmtree(run_of(store, number))
        shutil.rmtree(task_of(store) / "mcp" / make_run_id(number))
        shutil.rmtree(Path(store.workspace.runs_dir) / "local-mcp" / make_run_id(number))
    return offset


def logs_removed(store: RunStore, number: int) -> None:
    """Remove events, logs and error files of a run."""
    for name in ("commands", "errors"):
        shutil.rmtree(run_of(store, number) / name)
    (run_of(store, number) / "runner.ndjson").unlink()


def test_what_a_prune_names_may_be_gone(store: RunStore) -> None:
    """Neither ``verify``, ``verify --state``, the guard's look nor ``doctor`` misses a pruned run, in any attempt."""
    pruned(store, 1, 2)
    assert verify_all(store).findings == ()
    assert align_task(store, TASK).findings == ()
    assert verify_recent(store, TASK, 4).findings == ()
    assert inspect_records(store).findings == ()
    ended(store, 5)
    assert verify_all(store).findings == ()


def test_totals_and_last_runs_are_as_before(store: RunStore) -> None:
    """A state that is made anew from records and chain is the one that was there, lost runs in its list included."""
    before = json.loads((Path(store.workspace.out_dir) / TASK / "state.json").read_text())
    pruned(store, 1, 2, 4)
    documents = [read_document(store, Location(TASK, run_id)) for run_id in run_ids(store, TASK)]
    after = state_of(TASK, documents, pruned_of(store, TASK))
    assert {**after, "revision": 0} == {**before, "revision": 0}
    assert read_state(json.dumps(after).encode(), TASK) == after


def test_a_pruned_run_is_refused_with_when_and_by_whom(store: RunStore) -> None:
    """A whole id and a prefix of it are 6 ``pruned``; a run that never was is ``not-found``."""
    pruned(store, 2)
    for reference in (make_run_id(2), make_run_id(2)[:-4]):
        with pytest.raises(NotFound, match=f"pruned on {AT} by ann: space") as refused:
            find_run(store, reference)
        assert refused.value.code == "pruned"
    with pytest.raises(NotFound) as refused:
        find_run(store, make_run_id(9)[:-4])
    assert refused.value.code == "not-found"


def test_a_whole_id_that_is_not_there_costs_no_listing(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pruned, or never there, which is compared with the newest ids: the index of runs has them."""
    pruned(store, 2)
    with store.task(TASK) as task, task.sub("cli") as cli:
        renew(task, cli)
    monkeypatch.setattr(Folder, "names", lambda folder: pytest.fail(f"{folder.path} was listed"))
    monkeypatch.setattr("orchestrator.store.find.task_ids", lambda _: [TASK])
    with pytest.raises(NotFound, match="pruned"):
        find_run(store, make_run_id(2))
    with pytest.raises(NotFound) as refused:
        find_run(store, make_run_id(9))
    assert refused.value.code == "not-found"
    assert refused.value.hint == f"did you mean '{make_run_id(4)}'?"


def test_logs_may_go_and_the_record_stays_proved(store: RunStore) -> None:
    """Without events, logs and error files a record is altered, and sound once a prune names them; edits are found."""
    where = Location(TASK, make_run_id(2))
    entry = named(store, 2)
    logs_removed(store, 2)
    assert codes(store) >= {"events-missing"}
    assert prove(store, where, read_document(store, where), "logs").altered is not None
    written(store, entry, level="logs")
    assert verify_all(store).findings == ()
    proof = prove(store, where, read_document(store, where), "logs")
    assert (proof.holds, proof.logs_pruned) == (True, True)
    edited(run_of(store, 2) / "manifest.json", "tester", "liar")
    assert codes(store) == {"manifest-edited"}


def test_a_prune_that_is_not_over_has_pruned_its_runs(store: RunStore) -> None:
    """From the line on, folders that are there still belong to nobody: no listing, no finding, no ``status``."""
    runs = (named(store, 1), named(store, 2))
    offset = (task_of(store) / "chain.jsonl").stat().st_size
    pending = Pending("record", tuple(run.run_id for run in runs), offset)
    with store.task(TASK) as task, task.sub(PRUNED, create=True) as place:
        write_pending(place, pending)
        assert on_their_way(task) == {}
    assert len(run_ids(store, TASK)) == 4
    assert written(store, *runs) == offset
    shutil.rmtree(run_of(store, 2))
    assert run_ids(store, TASK) == [make_run_id(3), make_run_id(4)]
    assert verify_all(store).findings == ()
    assert align_task(store, TASK).findings == ()
    assert inspect_records(store).findings == ()
    with pytest.raises(NotFound, match="pruned"):
        find_run(store, make_run_id(1))


def relined(store: RunStore, change: Callable[[dict[str, object]], object]) -> None:
    """Change the last line of the chain."""
    path = task_of(store) / "chain.jsonl"
    *lines, last = path.read_text().splitlines()
    line = json.loads(last)
    change(line)
    path.write_text("".join(f"{line}\n" for line in [*lines, json.dumps(line)]))


def test_an_edited_prune_is_found(store: RunStore) -> None:
    """Also the last line of a chain, on which no other rests, can't name another run, time, reason or status."""
    pruned(store, 1)
    entry = named(store, 3)
    for change in (
        lambda line: line.update(reason="better"),
        lambda line: line["runs"].append(entry.as_json()),
        lambda line: line.update(runs=[]),
        lambda line: line.update(lost=True),
        lambda line: line.update(level="logs"),
        lambda line: line.update(runs=None),
    ):
        honest = (task_of(store) / "chain.jsonl").read_bytes()
        relined(store, change)
        assert "chain-edited" in codes(store)
        (task_of(store) / "chain.jsonl").write_bytes(honest)
    assert codes(store) == set()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("attempts", (NamedAttempt(1, "0" * 64),)),
        ("attempts", (NamedAttempt(1, "0" * 64), NamedAttempt(2, "0" * 64))),
        ("status", "succeeded"),
        ("outcome", "success"),
        ("pipeline_id", "smoke"),
        ("started_at", "2026-11-21T08:43:05.000Z"),
        ("completed_at", "2026-11-21T08:43:05.000Z"),
    ],
)
def test_a_prune_that_says_something_else_than_the_chain_is_found(store: RunStore, key: str, value: object) -> None:
    """Digests, status and times of a run are held against its ends in chain and metrics."""
    run = named(store, 2)._replace(**{key: value})
    written(store, run)
    shutil.rmtree(run_of(store, 2))
    assert codes(store) == {"prune-unproven"}


def test_a_prune_that_is_removed_or_doubled_is_found(store: RunStore) -> None:
    """Removed, its run is missing; copied, the chain is broken; written twice in due form, it is named too."""
    offset = pruned(store, 1)
    path = task_of(store) / "chain.jsonl"
    honest = path.read_bytes()
    path.write_bytes(honest[:offset])
    assert codes(store) == {"run-missing"}
    path.write_bytes(honest + honest[offset:])
    assert codes(store) >= {"chain-broken", "prune-unproven"}
    path.write_bytes(honest)
    with store.task(TASK) as task:
        found = find_pruned(task, make_run_id(1))
    assert found is not None
    written(store, found.run)
    assert codes(store) == {"prune-unproven"}


def test_a_run_that_came_back_is_found_and_counted_once(store: RunStore) -> None:
    """A copy of a pruned run is a finding, and its record counts in place of the line; one that was lost is welcome."""
    shutil.copytree(run_of(store, 1), run_of(store, 9))
    pruned(store, 1)
    run_of(store, 9).rename(run_of(store, 1))
    assert codes(store) == {"run-came-back"}
    documents = [read_document(store, Location(TASK, run_id)) for run_id in run_ids(store, TASK)]
    assert state_of(TASK, documents, pruned_of(store, TASK))["totals"]["runs"] == 4
    written(store, named(store, 3), lost=True)
    assert codes(store) == {"run-came-back"}


def test_a_run_of_another_task_or_no_end_is_no_prune(store: RunStore) -> None:
    """A prune of what never ended is found, whatever it claims."""
    written(store, named(store, 1)._replace(run_id=make_run_id(77)))
    assert codes(store) == {"prune-unproven"}


def test_the_last_end_is_found_before_a_prune(store: RunStore) -> None:
    """The next end names the attempt before it, however many prunes lie between."""
    for number in (1, 2, 3):
        pruned(store, number)
    with store.task(TASK) as task:
        end = last_end(task)
    assert end is not None
    assert (end["run_id"], end["attempt"]) == (make_run_id(2), 2)


def test_one_of_many_is_found_without_parsing_the_rest(store: RunStore) -> None:
    """What is said of one run is the same whether it is looked up alone or with all of the line."""
    offset = pruned(store, 1, 2, 3)
    with store.task(TASK) as task:
        every = pruned_runs(task)
        assert every.keys() == {make_run_id(1), make_run_id(2), make_run_id(3)}
        for run_id, entry in every.items():
            assert find_pruned(task, run_id) == entry == find_pruned(task, run_id, hint=offset)
            assert find_pruned(task, run_id, hint=3) == entry
            assert find_pruned(task, run_id, "logs") is None


def test_every_kind_of_line_is_in_one_table(store: RunStore) -> None:
    """A known kind says which runs it names; one of a later version is noted and breaks nothing."""
    assert {"review", "prune"} <= KINDS.keys()
    assert runs_about({"kind": "prune", "runs": [{"run_id": "a"}, {"run_id": "b"}, 3]}) == ("a", "b")
    assert runs_about({"kind": "review", "run_id": "a"}) == ("a",)
    with store.task(TASK) as task:
        add_line(task, {"kind": "later"}, {"recorded_at": AT})
    seen = verify_all(store)
    assert (seen.findings, [note.code for note in seen.notes]) == ((), ["unknown-kind"])


def test_a_reason_that_is_no_utf_8_leaves_a_sound_line(store: RunStore) -> None:
    """What a Latin-1 terminal typed is in the line with U+FFFD, and the digest is of that."""
    line = PruneLine("record", False, "Andr\udce9", "gel\udcf6scht", {}, (named(store, 1),), AT, "")
    with store.task(TASK) as task:
        add_prune(task, line)
        (read,) = prunes_in(lines_of(task))
    assert (read.actor, read.reason) == ("Andr\ufffd", "gel\ufffdscht")


def test_the_digest_of_a_line_is_of_its_content(store: RunStore) -> None:
    """Anybody can compute it again: sorted keys, no spaces, without what the chain adds."""
    pruned(store, 1)
    line = json.loads(list(lines_of(store.task(TASK)))[-1])
    keys = ("kind", "level", "lost", "actor", "reason", "rules", "runs")
    assert line["digest"] == digest_of({key: line[key] for key in keys})
    record = read_document(store, Location(TASK, make_run_id(3)))
    assert named(store, 3).attempts[-1].manifest_digest == manifest_digest(record)
