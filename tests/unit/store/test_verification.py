"""Verifying records: every kind of tampering is found and named, and nothing else is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.base.files import Folder
from orchestrator.model.manifest.transitions import interrupted, stage_started
from orchestrator.store.chain import last_line, lines_of, lines_with, read_first_hint
from orchestrator.store.claim import claim
from orchestrator.store.decisions import add_decision, decisions_of
from orchestrator.store.layout import Location
from orchestrator.store.publish import publish
from orchestrator.store.store import RunStore
from orchestrator.store.take_over import reopen, take_over
from orchestrator.store.verification.alignment import align_task
from orchestrator.store.verification.recent import verify_recent
from orchestrator.store.verification.tasks import verify_all, verify_run, verify_task
from tests.records import TASK, make_manifest, make_plan, make_run_id, make_store

AT = "2026-11-22T08:43:59.000Z"


def ended(store: RunStore, number: int) -> str:
    """Lead a run with two events and a log to its published end; return its id."""
    run = claim(store, make_manifest(number, make_plan()), "token")
    run.event("run:start", {})
    with open(run.open_log("01-build.log"), "w") as log:
        log.write(f"output of {number}\n")
    log_path = f"{run.manifest.artifact_root}/commands/01-build.log"
    run.save(stage_started(run.manifest, "build", AT, log_path))
    run.save(interrupted(run.manifest, AT))
    run.event("run:end", {})
    publish(store, run, certain=True)
    run.close()
    return run.where.run_id


def resumed(store: RunStore, number: int) -> None:
    """Lead a second attempt of a run to its published end."""
    run = take_over(store, Location(TASK, make_run_id(number)))
    reopen(store, run)
    manifest = run.manifest
    run.save(
        manifest._replace(attempt=2, status="in_progress", completed_at=None, outcome=None, metrics_recorded=False)
    )
    run.event("run:resume", {})
    with open(run.open_log("01-build.2.log"), "w") as log:
        log.write("again\n")
    run.save(interrupted(run.manifest, AT))
    publish(store, run, certain=True)
    run.close()


@pytest.fixture(scope="module")
def three_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with three ended runs, the second of them resumed once, to be copied."""
    root = tmp_path_factory.mktemp("three")
    store = make_store(root)
    for number in (1, 2, 3):
        ended(store, number)
    resumed(store, 2)
    return root


@pytest.fixture
def store(tmp_path: Path, three_runs: Path) -> RunStore:
    """A store with three ended runs, the second of them resumed once."""
    shutil.copytree(three_runs, tmp_path, symlinks=True, dirs_exist_ok=True)
    return make_store(tmp_path)


def codes(store: RunStore) -> set[str]:
    """Return the codes of all that is found."""
    return {finding.code for finding in verify_all(store).findings}


def task_of(store: RunStore) -> Path:
    """Return the task's folder."""
    return Path(store.workspace.runs_dir) / TASK


def run_of(store: RunStore, number: int) -> Path:
    """Return a run's folder."""
    return task_of(store) / "cli" / make_run_id(number)


def edited(path: Path, old: str, new: str) -> None:
    """Replace a text that is there once or more."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def cut_lines(path: Path, keep: slice) -> None:
    """Leave only these lines of a file."""
    path.write_text("".join(path.read_text().splitlines(keepends=True)[keep]))


def copied(store: RunStore, number: int, new: int) -> None:
    """Put a run's folder under another id."""
    shutil.copytree(run_of(store, number), run_of(store, new))
    edited(run_of(store, new) / "manifest.json", make_run_id(number), make_run_id(new))


def swapped(path: Path) -> None:
    """Let the first two lines of a file change places."""
    first, second, *rest = path.read_text().splitlines(keepends=True)
    path.write_text("".join([second, first, *rest]))


def test_what_was_left_alone_is_sound(store: RunStore) -> None:
    """Runs, one of them with two attempts, verify without a finding."""
    seen = verify_all(store)
    assert seen.findings == ()
    assert (seen.tasks, seen.runs, seen.links) == (1, 3, 4)


Lie = Callable[[RunStore], object]
LIES: dict[str, tuple[str, Lie]] = {
    "manifest edited": ("manifest-edited", lambda s: edited(run_of(s, 1) / "manifest.json", "tester", "liar")),
    "manifest taken back to an attempt before": (
        "manifest-edited",
        lambda s: edited(run_of(s, 2) / "manifest.json", '"attempt": 2', '"attempt": 1'),
    ),
    "attempt that never was": (
        "not-in-chain",
        lambda s: edited(run_of(s, 1) / "manifest.json", '"attempt": 1', '"attempt": 2'),
    ),
    "manifest not whole": ("manifest-damaged", lambda s: (run_of(s, 1) / "manifest.json").write_text("{")),
    "key of another type": (
        "manifest-damaged",
        lambda s: edited(run_of(s, 1) / "manifest.json", '"attempt": 1', '"attempt": "1"'),
    ),
    "run removed": ("run-missing", lambda s: shutil.rmtree(run_of(s, 2))),
    "run put in place": (
        "not-in-chain",
        lambda s: copied(s, 1, 9),
    ),
    "event edited": ("events-edited", lambda s: edited(run_of(s, 1) / "runner.ndjson", "run:start", "run:begin")),
    "events reordered": ("events-edited", lambda s: swapped(run_of(s, 1) / "runner.ndjson")),
    "events cut": ("events-cut", lambda s: cut_lines(run_of(s, 1) / "runner.ndjson", slice(0, 1))),
    "events gone": ("events-missing", lambda s: (run_of(s, 1) / "runner.ndjson").unlink()),
    "event added": ("events-added", lambda s: (run_of(s, 2) / "runner.ndjson").open("a").write("{}\n")),
    "log edited": ("log-edited", lambda s: edited(run_of(s, 2) / "commands" / "01-build.log", "output", "Output")),
    "log cut": ("log-cut", lambda s: (run_of(s, 1) / "commands" / "01-build.log").write_text("")),
    "log gone": ("log-missing", lambda s: (run_of(s, 2) / "commands" / "01-build.2.log").unlink()),
    "log added": ("file-added", lambda s: (run_of(s, 1) / "commands" / "02-test.log").write_text("fine")),
    "metrics edited": (
        "metrics-edited",
        lambda s: edited(task_of(s) / "metrics.json", '"status": "failed"', '"status": "succeeded"'),
    ),
    "metrics cut": ("metrics-cut", lambda s: cut_lines(task_of(s) / "metrics.json", slice(0, -1))),
    "metrics gone": ("metrics-cut", lambda s: (task_of(s) / "metrics.json").unlink()),
    "metrics torn": ("metrics-torn", lambda s: (task_of(s) / "metrics.json").open("a").write('{"run')),
    "metrics repeated": (
        "metrics-repeated",
        lambda s: (task_of(s) / "metrics.json").write_text((task_of(s) / "metrics.json").read_text() * 2),
    ),
    "metrics made up": (
        "metrics-unproven",
        lambda s: (task_of(s) / "metrics.json").open("a").write('{"run_id": "x", "event_id": "y"}\n'),
    ),
    "metrics reordered": ("metrics-reordered", lambda s: swapped(task_of(s) / "metrics.json")),
    "chain edited": ("chain-broken", lambda s: edited(task_of(s) / "chain.jsonl", '"failed"', '"succeeded"')),
    "chain reordered": ("chain-broken", lambda s: swapped(task_of(s) / "chain.jsonl")),
    "chain without its middle": (
        "chain-broken",
        lambda s: (task_of(s) / "chain.jsonl").write_bytes(
            b"".join(
                line
                for number, line in enumerate((task_of(s) / "chain.jsonl").read_bytes().splitlines(keepends=True))
                if number != 1
            )
        ),
    ),
    "chain cut": ("not-in-chain", lambda s: cut_lines(task_of(s) / "chain.jsonl", slice(0, -1))),
    "chain gone": ("not-in-chain", lambda s: (task_of(s) / "chain.jsonl").unlink()),
    "chain of noise": ("chain-unreadable", lambda s: (task_of(s) / "chain.jsonl").open("a").write("noise\n")),
}


@pytest.mark.parametrize("lie", LIES)
def test_every_lie_is_found(store: RunStore, lie: str) -> None:
    """Whatever was edited, removed, reordered, cut or made up is named, by a look at the last attempts too."""
    code, tell = LIES[lie]
    tell(store)
    assert code in codes(store)
    assert code in {finding.code for finding in verify_recent(store, TASK, 4).findings}


def test_findings_name_file_and_line(store: RunStore) -> None:
    """A metrics line that was edited is named by its number in its file."""
    path = task_of(store) / "metrics.json"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], lines[1].replace('"sla_breached": false', '"sla_breached": true'), *lines[2:]]))
    (finding,) = verify_all(store).findings
    assert (finding.code, finding.place) == ("metrics-edited", f".runs/{TASK}/metrics.json:2")


def test_one_run_is_verified_by_itself(store: RunStore) -> None:
    """What is wrong with another run is no finding about this one."""
    edited(run_of(store, 1) / "manifest.json", "tester", "liar")
    assert verify_run(store, Location(TASK, make_run_id(3))).findings == ()
    assert {found.code for found in verify_run(store, Location(TASK, make_run_id(1))).findings} == {"manifest-edited"}


def test_decisions_about_a_resumed_run_are_looked_for_from_its_first_line(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lines before that of attempt 1 are not read, by a hint that a resume keeps; a wrong hint is looked up."""
    where = Location(TASK, make_run_id(2))
    starts: list[int] = []

    def noted(task: Folder, start: int = 0) -> Iterator[bytes]:
        starts.append(start)
        return lines_of(task, start)

    def noted_with(task: Folder, mark: bytes, start: int = 0) -> Iterator[bytes]:
        starts.append(start)
        return lines_with(task, mark, start)

    monkeypatch.setattr("orchestrator.store.decisions.lines_with", noted_with)
    monkeypatch.setattr("orchestrator.store.chain.lines_of", noted)
    with store.task(TASK) as task, store.run_folder(where) as folder:
        data = folder.read("manifest.json", 1 << 20)
        first = len(next(lines_of(task))) + 1
        assert read_first_hint(folder) == first
        for hint in (first, 7, None):
            assert decisions_of(task, json.loads(data), hint).altered is None
    assert starts == [first, 0, first, 0, first]


def test_approvals_and_children_do_not_break_the_chain(store: RunStore) -> None:
    """What changes after the end by rights is no part of the digest; a decision has a line of its own."""
    run = take_over(store, Location(TASK, make_run_id(1)))
    entry = {"actor": "somebody", "decision": "approve", "timestamp": "2026-11-22T09:00:00.000Z"}
    with store.task(TASK) as task:
        add_decision(task, run.where.run_id, 1, entry)
    assert codes(store) == set()  # its lock is held: the record may follow any moment
    run.close()
    assert codes(store) == {"decision-missing"}
    run = take_over(store, Location(TASK, make_run_id(1)))
    run.save(run.manifest)
    run.close()
    assert codes(store) == set()
    edited(run_of(store, 1) / "manifest.json", '"approve"', '"comment"')
    assert codes(store) == {"review-altered"}


def test_a_live_run_is_judged_by_what_has_ended(store: RunStore) -> None:
    """A run that was resumed and goes on is no finding; its earlier attempt's events still are."""
    run = take_over(store, Location(TASK, make_run_id(3)))
    reopen(store, run)
    run.save(run.manifest._replace(attempt=2, status="in_progress", completed_at=None, outcome=None))
    run.event("run:resume", {})
    assert codes(store) == set()
    edited(run_of(store, 3) / "runner.ndjson", "run:start", "run:begin")
    assert codes(store) == {"events-edited"}
    run.close()


def test_the_last_line_is_found_without_reading_the_rest(tmp_path: Path) -> None:
    """However long lines are, and with a torn one behind it, the last whole line is returned."""
    store = make_store(tmp_path)
    (tmp_path / ".runs" / TASK).mkdir(parents=True)
    path = tmp_path / ".runs" / TASK / "chain.jsonl"
    for content, last in [(b"", None), (b"torn", None), (b"a\n", b"a"), (b"a\nb\nto", b"b")]:
        path.write_bytes(content)
        with store.task(TASK) as task:
            assert last_line(task) == last
    path.write_bytes(b"a\n" + b"b" * 200_000 + b"\n" + b"c" * 100_000)
    with store.task(TASK) as task:
        assert last_line(task) == b"b" * 200_000
        assert [len(line) for line in lines_of(task)] == [1, 200_000]


def test_a_repaired_metrics_file_verifies(store: RunStore) -> None:
    """Lines of last attempts that ``doctor --repair`` wrote anew say the same, whenever they were written."""
    path = task_of(store) / "metrics.json"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    first = {**lines[0], "recorded_at": "2026-11-22T09:00:00.000Z"}
    path.write_text("".join(json.dumps(line) + "\n" for line in [*lines[1:], first]))
    assert codes(store) == set()


def test_the_last_attempts_are_judged_and_earlier_ones_are_not_read(store: RunStore) -> None:
    """Only the end of chain and metrics is read: what is wrong before it, or with older runs, is not seen."""
    assert verify_recent(store, TASK, 2).findings == ()
    edited(run_of(store, 2) / "manifest.json", "tester", "liar")
    for number in range(4, 40):
        ended(store, number)
    for name in ("chain.jsonl", "metrics.json"):
        path = task_of(store) / name
        path.write_text("x" + path.read_text()[1:])
    seen = verify_recent(store, TASK, 3)
    assert (seen.findings, seen.runs, seen.links) == ((), 3, 3)
    assert {finding.code for finding in verify_task(store, TASK).findings} > {"manifest-edited", "chain-unreadable"}
    edited(run_of(store, 38) / "commands" / "01-build.log", "output", "Output")
    assert [finding.code for finding in verify_recent(store, TASK, 3).findings] == ["log-edited"]


def test_findings_among_the_last_have_the_numbers_of_the_whole_file(store: RunStore) -> None:
    """A line is named by its number from the file's beginning, though that is not read while all is well."""
    for number in range(4, 12):
        ended(store, number)
    path = task_of(store) / "chain.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    lines[-2] = lines[-2].replace('"failed"', '"succeeded"')
    path.write_text("".join(lines))
    (finding,) = verify_recent(store, TASK, 3).findings
    assert (finding.code, finding.place) == ("chain-broken", f".runs/{TASK}/chain.jsonl:12")


def test_an_attempt_whose_earlier_one_is_further_back(store: RunStore) -> None:
    """A run among the last that was resumed is judged with its first attempt, wherever that stands."""
    for number in range(4, 12):
        ended(store, number)
    resumed(store, 5)
    assert verify_recent(store, TASK, 1).findings == ()
    edited(run_of(store, 5) / "commands" / "01-build.log", "output", "Output")
    assert [finding.code for finding in verify_recent(store, TASK, 1).findings] == ["log-edited"]


def test_metrics_that_were_repaired_are_found_wherever_they_stand(store: RunStore) -> None:
    """A line that was written anew is looked for further back, and one of an older attempt is known."""
    for number in range(4, 10):
        ended(store, number)
    path = task_of(store) / "metrics.json"
    first, *rest = path.read_text().splitlines()
    line = {**json.loads(first), "recorded_at": "2026-11-22T09:00:00.000Z"}
    path.write_text("\n".join([*rest, json.dumps(line)]) + "\n")
    assert verify_recent(store, TASK, 2).findings == ()
    last = {**json.loads(rest[-1]), "recorded_at": "2026-11-22T09:00:00.000Z"}
    path.write_text("\n".join([json.dumps(last), first, *rest[:-1]]) + "\n")
    assert verify_recent(store, TASK, 1).findings == ()


def test_a_live_run_among_the_last_is_judged_by_what_has_ended(store: RunStore) -> None:
    """A guard within a run finds nothing about that run, nor about one that was claimed and has no line yet."""
    run = claim(store, make_manifest(7, make_plan()), "token")
    again = take_over(store, Location(TASK, make_run_id(1)))
    reopen(store, again)
    again.save(again.manifest._replace(attempt=2, status="in_progress", completed_at=None, outcome=None))
    assert verify_recent(store, TASK, 1).findings == ()
    assert verify_recent(store, TASK, 4).findings == ()
    run.close()
    again.close()


def test_a_task_without_runs_has_nothing_to_verify(tmp_path: Path) -> None:
    """A task that never ran has no findings, and none are made up."""
    assert verify_recent(make_store(tmp_path), TASK, 5).findings == ()


def test_a_link_in_the_chains_place_is_a_finding(store: RunStore, tmp_path: Path) -> None:
    """What is no file of ours is not followed, and not passed over."""
    chain = task_of(store) / "chain.jsonl"
    chain.rename(tmp_path / "elsewhere")
    chain.symlink_to(tmp_path / "elsewhere")
    (finding,) = verify_recent(store, TASK, 2).findings
    assert finding.path == f".runs/{TASK}"
    assert "chain.jsonl" in finding.message
    assert finding.code == "planted-link"


def test_lines_of_an_earlier_version_lack_what_was_added(store: RunStore) -> None:
    """A metrics line without the keys of a later version agrees with its record; one that says otherwise does not."""
    path = task_of(store) / "metrics.json"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    older = [{key: line[key] for key in line if key not in ("began_at", "queued_seconds")} for line in lines]
    path.write_text("".join(json.dumps(line) + "\n" for line in older))
    assert align_task(store, TASK).findings == ()
    path.write_text("".join(json.dumps({**line, "queued_seconds": 7}) + "\n" for line in lines))
    assert {finding.code for finding in align_task(store, TASK).findings} == {"metrics-differ"}
