"""The index of a chain answers what a look through all of its lines does."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.base.errors import StorageError
from orchestrator.base.files import Folder
from orchestrator.base.workspace import Workspace
from orchestrator.store import chain, chain_index, decisions
from orchestrator.store.chain import lines_of, parsed
from orchestrator.store.chain_index import PRUNES, Index
from orchestrator.store.decisions import decision_lines
from orchestrator.store.find_pruned import pruned_by_index
from orchestrator.store.prune_lines import PrunedRun, find_pruned
from tests.faults.crash_seam import QuickSeam, fail_from
from tests.generated import examples
from tests.records import TASK, make_run_id
from tests.unit.store import chain_builder

RUNS = [make_run_id(number) for number in range(3)]
OTHERS = ("end", "decision", "prune", "import", "unknown")


class Place:
    """A task's chain in a folder of its own, and the account that reads it."""

    def __init__(self, root: Path, seam: QuickSeam | None = None) -> None:
        self.root = root
        self.workspace = Workspace(str(root), str(root / ".runs"), str(root / "out"), state_dir=str(root / "state"))
        self.chain = root / ".runs" / TASK / "chain.jsonl"
        self.chain.parent.mkdir(parents=True, exist_ok=True)
        self._seam = seam or QuickSeam()
        self._count = 0

    def task(self) -> Folder:
        """Open the task's folder."""
        with Folder.at(self.workspace.runs_dir, self._seam) as runs:
            return runs.sub(TASK)

    def add(self, what: str, run: str) -> None:
        """Append a line about ``run`` by what writes such lines."""
        self._count += 1
        with self.task() as task:
            chain_builder.add(task, what, run, self._count)

    def files(self) -> list[Path]:
        """Return the files of the index."""
        return sorted((self.root / ".runs" / ".cache").glob("chain-*.json"))

    def asked(self, run: str, start: int = 0) -> list[Any]:
        """Return the decisions about a run by the index."""
        with self.task() as task:
            return list(decision_lines(task, run, start, self.workspace))

    def looked_up(self, run: str, start: int = 0) -> list[Any]:
        """Return the decisions about a run by a look at every line."""
        with self.task() as task:
            return list(decision_lines(task, run, start))

    def pruned(self, run: str) -> PrunedRun | None:
        """Return what the chain says of a pruned run, by the index."""
        with self.task() as task:
            return pruned_by_index(task, self.workspace, run)

    def is_intact(self) -> bool:
        """Tell whether each line rests on the one before."""
        before = None
        with self.task() as task:
            for data in lines_of(task):
                line = parsed(data)
                if line is None or line.get("previous_line") != before:
                    return False
                before = hashlib.sha256(data).hexdigest()
        return True

    def differences(self) -> list[str]:
        """Return for which keys the index is not what the chain says."""
        with self.task() as task:
            return list(Index(task, self.workspace).differences())


@pytest.fixture(autouse=True)
def short_chains(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain of some lines counts as a long one, and an index of some keys as a large one."""
    use_index_always(monkeypatch)


def use_index_always(patch: pytest.MonkeyPatch) -> None:
    """Ask the index however short the chain is."""
    patch.setattr(decisions, "_MUCH", -1)
    patch.setattr(chain_index, "_MUCH", 1)
    patch.setattr(chain_index, "_KEYS_IN_A_PART", 2)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A chain in which each run ended and was decided on, and others after them."""
    made = Place(tmp_path)
    for run in RUNS:
        made.add("end", run)
        made.add("decision", run)
    for what in OTHERS:
        made.add(what, RUNS[1])
    made.add("decision", RUNS[0])
    return made


@contextmanager
def counted_lines(patch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Note from where on lines of the chain are looked through."""
    starts: list[int] = []
    honest = chain.lines_with

    def noted(task: Folder, mark: bytes, start: int = 0) -> Iterator[bytes]:
        starts.append(start)
        return honest(task, mark, start)

    with patch.context() as inner:
        inner.setattr(chain_index, "lines_with", noted)
        yield starts


def test_only_what_is_behind_it_is_looked_through(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the index is there, a look at an old run begins at its end; what is asked from later on, not before that."""
    size = place.chain.stat().st_size
    expected = place.looked_up(RUNS[0])
    assert len(expected) == 2
    with counted_lines(monkeypatch) as starts:
        assert place.asked(RUNS[0]) == expected
        assert place.asked(RUNS[0]) == expected
        place.add("decision", RUNS[0])
        assert place.asked(RUNS[0]) == place.looked_up(RUNS[0])
        assert place.asked(RUNS[0], size) == place.looked_up(RUNS[0], size)
    assert starts == [0, size, size, place.chain.stat().st_size]
    assert len(place.files()) > 1
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in place.files())


def test_a_prune_is_found_by_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What became of a pruned run is known without a look at every line."""
    with place.task() as task:
        expected = find_pruned(task, RUNS[1])
        assert expected is not None
        assert pruned_by_index(task, place.workspace, RUNS[1]) == expected
        with counted_lines(monkeypatch) as starts:
            assert pruned_by_index(task, place.workspace, RUNS[1]) == expected
            assert pruned_by_index(task, place.workspace, RUNS[2]) is None
    assert starts == [place.chain.stat().st_size] * 2


def test_a_long_last_line_is_not_read_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the one after it rests on it: a prune of many runs is a line of megabytes."""
    with monkeypatch.context() as covering:
        covering.setattr(chain_index, "_LONG", 1)
        assert place.asked(RUNS[0]) == place.looked_up(RUNS[0])
        end = place.chain.stat().st_size
        covering.setattr(chain_index, "_MUCH", 1 << 20)
        place.add("end", RUNS[2])
        covering.setattr(chain_index, "_digest", None)
        with counted_lines(covering) as starts:
            assert place.asked(RUNS[0]) == place.looked_up(RUNS[0]) != []
        data = place.chain.read_bytes()
        at = data.rindex(b'"previous_line": "') + len(b'"previous_line": "')
        place.chain.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with counted_lines(covering) as again:
            assert place.asked(RUNS[0]) == place.looked_up(RUNS[0])
    assert (starts, again) == ([end], [0])


@pytest.mark.parametrize("state", [None, "file"])
def test_without_a_key_the_chain_is_read(place: Place, state: str | None) -> None:
    """An account that can keep no key has no index, and the same answers."""
    (place.root / "file").write_text("no folder")
    place.workspace = place.workspace._replace(state_dir=None if state is None else str(place.root / state))
    for run in RUNS:
        assert place.asked(run) == place.looked_up(run)
    assert place.files() == []


def test_a_folder_that_can_not_be_written_costs_no_second_look(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no index can be kept, the chain is looked through once, and not once more to make one."""
    (place.root / ".runs" / ".cache").write_text("in the way")
    monkeypatch.setattr(chain_index, "_covering", lambda *_: pytest.fail("it was read to be kept"))
    assert place.asked(RUNS[0]) == place.looked_up(RUNS[0])


def test_two_accounts_have_an_index_each(place: Place) -> None:
    """Neither takes the other's away: they would make it anew in turn."""
    place.asked(RUNS[0])
    mine = {file: file.read_bytes() for file in place.files()}
    other = Place(place.root)
    other.workspace = place.workspace._replace(state_dir=str(place.root / "another"))
    assert other.asked(RUNS[0]) == place.looked_up(RUNS[0])
    assert {file: file.read_bytes() for file in mine} == mine
    assert len(place.files()) == 2 * len(mine) > 2


def edits_of(file: Path) -> Iterator[bytes]:
    """Yield what somebody might make of a file without the key."""
    data = file.read_bytes()
    yield b""
    yield b"{}"
    yield data[:-1]
    for at in range(0, len(data), 11):
        yield data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_an_edited_file_counts_as_none(place: Place) -> None:
    """Whatever byte of the index is another one, the answer is the chain's, and the index is made again."""
    expected = {run: place.looked_up(run) for run in RUNS}
    pruned = place.pruned(RUNS[1])
    honest = {file: file.read_bytes() for file in place.files()}
    for file in place.files():
        for content in edits_of(file):
            file.write_bytes(content)
            assert {run: place.asked(run) for run in RUNS} == expected
            assert place.pruned(RUNS[1]) == pruned
        assert {each: each.read_bytes() for each in place.files()} == honest
    for one, other in zip(place.files(), place.files()[1:], strict=False):
        one.write_bytes(other.read_bytes())
        assert {run: place.asked(run) for run in RUNS} == expected


def test_an_index_of_another_chain_counts_as_none(tmp_path: Path) -> None:
    """One of a workspace that has the same runs, decided on otherwise, says nothing here."""
    here, there = Place(tmp_path / "here"), Place(tmp_path / "there")
    for each in (here, there):
        each.workspace = each.workspace._replace(state_dir=str(tmp_path / "state"))
        each.add("end", RUNS[0])
    there.add("end", RUNS[1])
    here.add("decision", RUNS[0])
    for each in (here, there):
        each.add("end", RUNS[2])
        each.asked(RUNS[0])
    shutil.rmtree(here.files()[0].parent)
    shutil.copytree(there.files()[0].parent, here.root / ".runs" / ".cache")
    assert here.asked(RUNS[0]) == here.looked_up(RUNS[0]) != []


def test_another_line_in_the_place_of_the_last_is_found(tmp_path: Path) -> None:
    """A chain that was cut, and has gone on otherwise at the same length, is another one."""
    place = Place(tmp_path)
    place.add("end", RUNS[0])
    cut = place.chain.read_bytes()
    place.add("decision", RUNS[0])
    assert place.asked(RUNS[1]) == []
    size = place.chain.stat().st_size
    place.chain.write_bytes(cut)
    place.add("decision", RUNS[1])
    assert place.chain.stat().st_size == size
    assert len(place.asked(RUNS[1])) == 1
    assert place.asked(RUNS[0]) == []


def test_a_line_that_rests_on_no_other_is_covered_by_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a chain that was edited before the index was made only what is before the edit is covered."""
    data = place.chain.read_bytes()
    at = data.index(b"rejected", len(data) // 3)
    edited = data[:at] + b"approved" + data[at + 8 :]
    place.chain.write_bytes(edited)
    end = edited.index(b"\n", at) + 1
    for run in RUNS:
        assert place.asked(run) == place.looked_up(run)
    with counted_lines(monkeypatch) as starts:
        assert place.asked(RUNS[0]) == place.looked_up(RUNS[0])
    assert starts == [end]
    before = [file.stat().st_mtime_ns for file in place.files()]
    place.asked(RUNS[0])
    assert [file.stat().st_mtime_ns for file in place.files()] == before
    place.chain.write_bytes(data)
    assert place.asked(RUNS[1]) == place.looked_up(RUNS[1])


def test_a_decision_that_was_written_over_is_looked_for(place: Place) -> None:
    """Where the index names a line that is not about the run any more, all lines are read, as without it."""
    assert len(place.asked(RUNS[0])) == 2
    lines = place.chain.read_bytes().splitlines()
    first = next(number for number, line in enumerate(lines) if b'"kind": "review"' in line)
    lines[first] = chain_builder.planted(RUNS[2], len(lines[first]))
    lines[0] = chain_builder.planted(RUNS[0], len(lines[0]))
    place.chain.write_bytes(b"".join(b"%s\n" % line for line in lines))
    assert place.asked(RUNS[0]) == place.looked_up(RUNS[0])
    assert len(place.asked(RUNS[0])) == 2


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_disk_that_fails_changes_no_answer(place: Place, tmp_path: Path, code: int) -> None:
    """Whichever call for the index fails, once or from then on, what was asked is answered."""
    expected = place.looked_up(RUNS[0])
    counting = QuickSeam()
    Place(place.root, counting).asked(RUNS[0])
    for once in (True, False):
        for number in range(1, counting.count + 2):
            shutil.rmtree(place.root / ".runs" / ".cache", ignore_errors=True)
            failing = Place(place.root, QuickSeam(fail_from(number, code, once=once)))
            assert failing.asked(RUNS[0]) == expected, number
            assert place.asked(RUNS[0]) == expected, number
            assert place.differences() == []


def test_a_chain_that_can_not_be_read_is_a_storage_error(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index doesn't answer for a chain that nobody can read."""
    place.asked(RUNS[0])

    def fails(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "pread", fails)
    with pytest.raises(StorageError, match=r"chain\.jsonl"):
        place.asked(RUNS[0])


def seal_anew(place: Place, change: Callable[[dict[str, Any]], None]) -> None:
    """Change what the index says of places as the account itself can, which has the key."""
    with place.task() as task:
        index = Index(task, place.workspace)
        whole = index.whole()
        assert whole is not None
        places = {key: list(found) for key, found in whole.places.items()}
        change(places)
        index._keep(whole._replace(places=places))


@pytest.mark.parametrize(
    ("change", "keys"),
    [
        (lambda places: places.pop(RUNS[0]), [RUNS[0]]),
        (lambda places: places[RUNS[0]].pop(), [RUNS[0]]),
        (lambda places: places[RUNS[2]].append(places[RUNS[0]][0]), [RUNS[2]]),
        (lambda places: places.update({PRUNES: []}), [PRUNES]),
        (lambda places: places.update({RUNS[0]: places[RUNS[2]], RUNS[2]: places[RUNS[0]]}), [RUNS[0], RUNS[2]]),
    ],
)
def test_what_is_left_out_added_or_moved_is_found(place: Place, change: Any, keys: list[str]) -> None:
    """By a comparison of all of it with the chain; what was added or moved changes no answer in the meantime."""
    place.asked(RUNS[0])
    assert place.differences() == []
    seal_anew(place, change)
    assert place.differences() == keys
    for run in RUNS[1:]:
        assert place.asked(run) == place.looked_up(run)


@pytest.mark.parametrize("places", [None, "x", {}, 7, [-1], [1.5], ["0"], [True], [1 << 80], [[0]], [3, 1 << 62]])
def test_places_that_are_none_are_looked_up(place: Place, places: Any) -> None:
    """Who has the key makes no command fail by what they seal."""
    place.asked(RUNS[0])
    seal_anew(place, lambda held: held.update({RUNS[0]: places}))
    assert place.differences() == [RUNS[0]]
    assert place.asked(RUNS[0]) == place.looked_up(RUNS[0])
    assert place.differences() == []


LINE = st.integers(0, 6)
STEPS = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(OTHERS), st.sampled_from(RUNS)),
    st.just(("check",)),
    st.tuples(st.just("cut"), st.integers(1, 3), st.booleans()),
    st.tuples(st.just("swap"), LINE, LINE),
    st.tuples(st.just("plant"), LINE, st.sampled_from(RUNS)),
    st.just(("keep",)),
    st.tuples(st.just("restore"), st.sampled_from(["chain", "index", "both"])),
)
KEPT = st.tuples(st.just("keep"), st.lists(STEPS, max_size=4), st.sampled_from(["chain", "index", "both"]))
"""Something is kept, what follows is done, and it is put back."""


def steps_of(parts: list[Any]) -> Iterator[tuple[Any, ...]]:
    """Yield single steps, with a check before something is put back."""
    for part in parts:
        if part[0] == "keep" and len(part) == 3:
            yield from (("keep",), *part[1], ("check",), ("restore", part[2]))
        else:
            yield part


class Attacker:
    """Edits a chain in place or anew, and puts chain and index back as they once were."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.kept: tuple[bytes, dict[Path, bytes]] = (b"", {})

    def keep(self) -> None:
        self.kept = self.place.chain.read_bytes(), {file: file.read_bytes() for file in self.place.files()}

    def restore(self, what: str) -> None:
        chain, files = self.kept
        if what != "index":
            self.place.chain.write_bytes(chain)
        for file, data in files.items() if what != "chain" else ():
            file.write_bytes(data)

    def cut(self, count: int, torn: bool) -> None:
        lines = self.place.chain.read_bytes().splitlines(keepends=True)
        rest = b"".join(lines[:-count])
        self.place.chain.write_bytes(rest + lines[-count][:40] if torn and len(lines) >= count else rest)

    def swap(self, one: int, other: int) -> None:
        lines = self.place.chain.read_bytes().splitlines(keepends=True)
        if max(one, other) < len(lines):
            lines[one], lines[other] = lines[other], lines[one]
            self.place.chain.write_bytes(b"".join(lines))

    def plant(self, number: int, run: str) -> None:
        """Write a decision over a line, at its length."""
        lines = self.place.chain.read_bytes().splitlines()
        if number < len(lines):
            planted = chain_builder.planted(run, len(lines[number]))
            self.place.chain.write_bytes(
                b"".join(b"%s\n" % line for line in [*lines[:number], planted, *lines[number + 1 :]])
            )


LAST = [("keep", [("add", "decision", RUNS[2])], "chain"), ("add", "decision", RUNS[0])]
"""The chain goes on otherwise, at the same length."""
HIDDEN = [("plant", 1, RUNS[2]), ("check",), ("restore", "chain")]
"""A decision is written over, an index is made, and the decision is put back."""


@settings(max_examples=examples(100))
@example(parts=LAST, long=1 << 18)
@example(parts=LAST, long=-1)
@example(parts=[*LAST, ("add", "decision", RUNS[0])], long=-1)
@example(parts=HIDDEN, long=1 << 18)
@given(parts=st.lists(st.one_of(STEPS, KEPT), min_size=1, max_size=8), long=st.sampled_from([-1, 1 << 18]))
def test_its_answer_is_that_of_all_lines(parts: list[Any], long: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever is appended, edited, cut or put back: of a chain that ``verify`` takes for whole it is the same answer.

    Of a broken one it names nothing but what stands there, in its order, and without an index all of that.
    """
    place = Place(tmp_path_factory.mktemp("index"))
    for what, number in (("end", 0), ("decision", 0), ("end", 1), ("decision", 1), ("decision", 0), ("end", 2)):
        place.add(what, RUNS[number])
    attacker = Attacker(place)
    with pytest.MonkeyPatch.context() as patch:
        use_index_always(patch)
        patch.setattr(chain_index, "_LONG", long)
        check(place)
        attacker.keep()
        for what, *given_ in steps_of(parts):
            if what == "add":
                place.add(*given_)
            elif what == "check":
                check(place)
            else:
                getattr(attacker, what)(*given_)
        check(place)
        for file in place.files():
            file.unlink()
        for each in RUNS:
            assert place.asked(each) == place.looked_up(each)


def check(place: Place) -> None:
    """Compare the answers with the chain."""
    is_intact = place.is_intact()
    for run in RUNS:
        indexed, expected = place.asked(run), place.looked_up(run)
        if is_intact:
            assert indexed == expected
        else:
            there = iter(expected)
            assert all(line in there for line in indexed)
