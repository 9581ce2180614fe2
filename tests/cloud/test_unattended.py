"""Submitters that die, runs that are attached to, cancelled and resumed in the cloud."""

from __future__ import annotations

import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.cloud.engine import CloudWorkspace, Engine, ended, pids_of, until

_COUNT = "for i in $(seq 1 {times}); do echo mark-{name} $i; sleep 0.2; done"


def _counting(cloud: CloudWorkspace, name: str, times: int = 15) -> None:
    cloud.project({"a": "echo first", "b": {"shell": _COUNT.format(times=times, name=name), "needs": ["a"]}})


def _abandoned(cloud: CloudWorkspace) -> dict[str, Any]:
    """Start a run, kill its submitter while the stage ``b`` runs, and return the record."""
    process = cloud.start()
    cloud.running("b")
    process.kill()
    process.communicate()
    return cloud.last()


def _status(cloud: CloudWorkspace) -> dict[str, Any]:
    found: dict[str, Any] = cloud.call("status", "latest", "--format", "json").document
    return found


def test_a_run_without_its_submitter_goes_on_and_is_attached_to(cloud: CloudWorkspace) -> None:
    """It is shown unattended, left alone by other commands, and its record is whole after attach: one of a kind."""
    _counting(cloud, "orphan")
    record = _abandoned(cloud)
    run_id = record["run_id"]
    seen = _status(cloud)
    assert (seen["status"], seen["alive"], seen["attended"]) == ("in_progress", None, False)
    assert seen["next_argv"] == ["codex-orchestrator", "attach", run_id]
    refused = cloud.call("resume", run_id, "--format", "json")
    assert refused.code == 5, refused
    assert cloud.call("start", "work", "--project", "x", "--no-cache").code == 0  # beside it, on the same task
    attached = cloud.call("attach", run_id, "--format", "json")
    assert attached.code == 0, attached
    record = cloud.folder.manifest(cloud.folder.runs("1-x")[0])
    assert (record["run_id"], record["status"], len(record["engine"]["incarnations"])) == (run_id, "succeeded", 1)
    assert cloud.log(record, "b").splitlines() == [f"mark-orphan {number}" for number in range(1, 16)]
    events = (cloud.folder.root / record["log_path"]).read_text().splitlines()
    assert sum('"stage:start"' in line for line in events) == 2
    assert sum('"stage:end"' in line for line in events) == 2
    assert cloud.call("attach", run_id).code == 0  # ended: its document
    verified = cloud.call("verify", "--all")
    assert verified.code == 0, verified.stdout


def test_attach_goes_by_the_record_where_the_keepers_notes_are_gone(cloud: CloudWorkspace) -> None:
    """With notes that can't be read no success is lost or doubled, and no file of a keeper stays."""
    _counting(cloud, "notes", 15)
    record = _abandoned(cloud)
    folder = cloud.folder.runs("1-x")[0]
    (folder / ".cloud").write_text("[]")
    (folder / ".record-left").mkdir()
    assert cloud.call("attach", record["run_id"]).code == 0
    record = cloud.last()
    assert [[entry["outcome"] for entry in command["attempts"]] for command in record["commands"]] == [["success"]] * 2
    assert cloud.log(record, "b").count("mark-notes") == 15
    hidden = {path.name for path in folder.iterdir() if path.name.startswith(".")}
    assert not hidden & {".cloud", ".cloud-plan", ".snapshot", ".record-left"}
    assert cloud.call("verify", "--all").code == 0


def test_a_local_disk_that_is_full_ends_the_run(cloud: CloudWorkspace) -> None:
    """The submitter that can't write a log has the run ended, and says why; the worker goes on with others."""
    cloud.project({"a": "head -c 3000000 /dev/zero | tr '\\0' x; sleep 60"})
    words = cloud.call.command("start", "work", "--project", "x", "--mode", "cloud")
    limited = ["sh", "-c", 'ulimit -f 2000; exec "$@"', "sh", *words]
    process = subprocess.Popen(
        limited, cwd=cloud.call.cwd, env=dict(cloud.call.environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    code, text = ended(process)
    assert code == 8, text
    record = cloud.last()
    assert record["outcome"] == "error"
    until(lambda: not pids_of("head -c 3000000") or None, 15)


def test_a_run_is_attached_to_once(cloud: CloudWorkspace) -> None:
    """With a keeper it is refused as attended; a local run is none for attach, and an unknown one is not found."""
    _counting(cloud, "twice", 40)
    process = cloud.start()
    run_id = cloud.running("b")["run_id"]
    assert cloud.call("attach", run_id).code == 5
    assert ended(process)[0] == 0
    assert cloud.call("start", "work", "--project", "x").code == 0
    assert cloud.call("attach", cloud.last()["run_id"]).code == 2
    assert cloud.call("attach", "2020-01-01T00-00-00-000Z-00000000").code == 6


def test_cancel_reaches_running_and_unattended_runs(cloud: CloudWorkspace) -> None:
    """The process gets the word, nothing is left of it, and the record tells who asked and why."""
    _counting(cloud, "cancelled", 100)
    process = cloud.start()
    run_id = cloud.running("b")["run_id"]
    done = cloud.call("cancel", run_id, "--reason", "enough", "--actor", "me")
    assert done.code == 0, done
    code, text = ended(process)
    assert code == 3, text
    record = cloud.last()
    assert (record["status"], record["status_detail"]) == ("cancelled", "cancelled by me: enough")
    assert not pids_of("mark-cancelled")
    again = _abandoned(cloud)
    done = cloud.call("cancel", again["run_id"], "--reason", "enough", "--actor", "me")
    assert done.code == 0, done
    record = cloud.last()
    assert (record["status"], record["status_detail"]) == ("cancelled", "cancelled by me: enough")
    assert not pids_of("mark-cancelled")
    assert cloud.call("verify", "--all").code == 0


def test_ctrl_c_cancels(cloud: CloudWorkspace) -> None:
    """SIGINT at the submitter ends the run on the worker, and the exit code is the shell's for it."""
    _counting(cloud, "interrupted", 100)
    process = cloud.start()
    cloud.running("b")
    process.send_signal(signal.SIGINT)
    code, text = ended(process)
    assert code == 130, text
    assert (cloud.last()["status"], cloud.last()["status_detail"]) == ("cancelled", "stopped by SIGINT")
    assert not pids_of("mark-interrupted")


def test_resume_runs_again_what_is_needed(cloud: CloudWorkspace) -> None:
    """A new attempt on a worker runs the failed stage and the successes that it needs, and keeps the others."""
    stages: dict[str, str | dict[str, object]] = {
        "made": "echo made > made.txt",
        "aside": "true",
        "uses": {"shell": "test -f made.txt && test -f fixed", "needs": ["made"]},
    }
    cloud.project(stages)
    assert ended(cloud.start())[0] == 3
    cloud.folder.write("packages/x/fixed", "")
    done = cloud.call("resume", "latest", "--format", "json")
    assert done.code == 0, done
    record = cloud.last()
    outcomes = {command["id"]: [entry["outcome"] for entry in command["attempts"]] for command in record["commands"]}
    assert outcomes == {"made": ["success", "success"], "aside": ["success"], "uses": ["failure", "success"]}
    assert [held["n"] for held in record["engine"]["incarnations"]] == [1, 2]
    assert (record["mode"]["name"], record["attempt"]) == ("cloud", 2)
    assert cloud.call("verify", "--all").code == 0


def test_resume_goes_on_here_when_asked_to(cloud: CloudWorkspace) -> None:
    """With --mode local the new attempt runs on this machine, all that it needs included."""
    cloud.project({"made": "echo made > made.txt", "uses": {"shell": "test -f fixed", "needs": ["made"]}})
    assert ended(cloud.start())[0] == 3
    cloud.folder.write("packages/x/fixed", "")
    assert cloud.call("resume", "latest", "--mode", "local").code == 0
    assert (cloud.folder.root / "packages/x/made.txt").exists()
    assert cloud.last()["mode"]["name"] == "local"
    assert cloud.call("verify", "--all").code == 0


def test_detached_and_keyed(cloud: CloudWorkspace) -> None:
    """--detach leaves a keeper that closes the record by itself; the same key finds the same run."""
    cloud.project({"a": "sleep 1"})
    words = ("start", "work", "--project", "x", "--mode", "cloud", "--key", "k1", "--detach", "--format", "json")
    first = cloud.call(*words)
    assert first.code == 0, first
    second = cloud.call(*words)
    assert second.document["run_id"] == first.document["run_id"]
    until(lambda: cloud.last().get("status") == "succeeded" or None)


def test_nobody_who_reads_holds_nothing_up(cloud: CloudWorkspace) -> None:
    """With a full pipe as stdout the run ends all the same, its log is whole, and the submitter does not grow."""
    cloud.project({"a": "yes 'a line that is some forty bytes long, no more' | head -c 30000000"})
    process = cloud.start()
    largest = 0
    while process.poll() is None and cloud.last().get("status") not in ("succeeded", "failed"):
        with suppress(FileNotFoundError, ProcessLookupError, StopIteration):
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            largest = max(largest, int(next(line for line in lines if line.startswith("VmRSS")).split()[1]))
        time.sleep(0.1)
    assert ended(process)[0] == 0
    record = cloud.last()
    assert (cloud.folder.root / record["commands"][0]["log_path"]).stat().st_size == 30_000_000
    assert 0 < largest < 150_000


def test_events_and_logs_are_seen_while_it_runs(cloud: CloudWorkspace, engine: Engine) -> None:
    """Another process sees a stage's output long before its end."""
    cloud.project({"b": f"echo so far; until test -e {cloud.folder.root}/go; do sleep 0.1; done"})
    process = cloud.start()
    record = cloud.running("b")
    until(lambda: "so far" in cloud.log(cloud.last(), "b") or None)
    assert cloud.last()["status"] == "in_progress"
    assert _status(cloud)["attended"] is True
    cloud.folder.write("go", "")
    assert ended(process)[0] == 0
    assert record["run_id"] == cloud.last()["run_id"]
