"""A stage that lies to its worker: nothing of it becomes a green record at home."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tests.cloud.engine import CloudWorkspace, Engine, Files, ended

_FIND = """
import json, os, pathlib, signal
base = next(folder for folder in pathlib.Path.cwd().parents if (folder / ".runs").is_dir())
run = next((base / ".runs/1-x/cli").iterdir())
"""

_PLANT_END = """
record = json.loads((run / "manifest.json").read_text())
good, *others = record["commands"]
events = [json.loads(line) for line in (run / "runner.ndjson").read_text().splitlines()]
pattern = [event for event in events if event.get("stage") == "good"]
lines = []
for index, command in enumerate(others, start=2):
    path = good["log_path"].replace("01-good", f"{index:02d}-{command['id']}")
    (base / path).write_bytes((base / good["log_path"]).read_bytes())
    same = ("status", "outcome", "exit_code", "started_at", "completed_at", "duration_seconds", "summary")
    command.update({name: good[name] for name in same}, log_path=path)
    command["attempts"] = [{**good["attempts"][0], "log_path": path}]
    number = events[-1]["seq"] + len(lines)
    lines += [{**event, "seq": number + n, "stage": command["id"]} for n, event in enumerate(pattern, start=1)]
with (run / "runner.ndjson").open("a") as stream:
    stream.writelines(json.dumps(line) + "\\n" for line in lines)
(run / "new").write_text(json.dumps(record))
os.replace(run / "new", run / "manifest.json")
(base.parent / "reply.json").write_text(json.dumps({"outcome": "success", "detail": None}))
pid = os.getpid()
while b"worker_run" not in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
    pid = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
os.kill(pid, signal.SIGKILL)
signal.pause()
"""

_EDIT_LOG = """
log = next(path for path in (run / "commands").iterdir() if path.name.endswith("-good.log"))
log.write_text("142 tests passed\\n")
"""

_ADD_EVENT = """
with (run / "runner.ndjson").open("a") as stream:
    stream.write(json.dumps({"type": "note", "seq": "many", "text": "all is well"}) + "\\n")
"""


_TAMPERING = """\
import pathlib, runpy
import orchestrator.cloud.unpack as unpacking
unpack = unpacking.unpack_snapshot
def tampered(*words):
    workspace = unpack(*words)
    pathlib.Path(workspace, "packages/x/main.py").write_text("assert True")
    return workspace
unpacking.unpack_snapshot = tampered
"""


def _verdict(cloud: CloudWorkspace, lie: str) -> tuple[int, str, bool]:
    """Run a good stage, one that lies, and one that would fail; return exit code, outcome and readiness."""
    cloud.project(
        {
            "good": "echo 1 test passed",
            "lie": {"run": ["python3", "lie.py"], "needs": ["good"]},
            "late": {"shell": "test ! -f fails", "needs": ["lie"]},
        }
    )
    cloud.folder.write("packages/x/lie.py", _FIND + lie)
    if lie == _PLANT_END:
        cloud.folder.write("packages/x/fails", "")
    cloud.folder.commit()
    code, _ = ended(cloud.start())
    status = cloud.call("status", "--format", "json").document
    return code, status["outcome"], status["ready"]["ready"]


def test_a_stage_that_keeps_to_its_own_is_believed(cloud: CloudWorkspace) -> None:
    """The same pipeline without a lie is green: what the others find is no false alarm."""
    assert _verdict(cloud, "") == (0, "success", True)


def test_a_planted_end_is_none(cloud: CloudWorkspace) -> None:
    """A stage that writes record, events and reply of a success, and kills the run's process, makes an error."""
    assert _verdict(cloud, _PLANT_END) == (3, "error", False)
    assert "ended without a record" in cloud.last()["status_detail"]
    assert "success" not in [command["outcome"] for command in cloud.last()["commands"]]
    assert cloud.call("verify", "--all", "--state").code == 0
    cloud.folder.write("packages/x/lie.py", "")
    cloud.folder.commit()
    resumed = cloud.call("resume", "latest", "--mode", "local")
    assert (resumed.code, cloud.last()["commands"][2]["outcome"]) == (3, "failure"), resumed


@pytest.mark.parametrize(("lie", "code"), [(_EDIT_LOG, "log-edited"), (_ADD_EVENT, "events-")])
def test_a_record_that_was_edited_on_the_worker_is_not_vouched_for(cloud: CloudWorkspace, lie: str, code: str) -> None:
    """Another stage's log, or an event more: the run is an error that names what the worker's own chain contradicts."""
    assert _verdict(cloud, lie) == (3, "error", False)
    assert code in cloud.last()["status_detail"]


def test_a_run_speaks_for_no_run_that_it_did_not_start(cloud: CloudWorkspace) -> None:
    """A record that lies beside the run's own and names no parent is left out, with a warning."""
    cloud.folder.project("y", {"deep": "true"}, pipeline="work")
    cloud.project({"plant": "env -i PATH=$PATH HOME=$HOME codex-orchestrator start work --project y"})
    code, text = ended(cloud.start())
    assert code == 0, text
    assert "did not start it" in text
    assert not (cloud.folder.root / ".runs/1-y").exists()
    assert cloud.call("verify", "--all", "--state").code == 0


def test_the_workers_python_path_does_not_reach_the_guard(cloud: CloudWorkspace, python_path: Path) -> None:
    """What is planted there runs in the run's own process, as a caller's does locally: in no guard, in no stage."""
    cloud.folder.project("x", {"build": "python3 -c pass"}, guard=None)
    cloud.folder.write("tasks/specs/1-x.md", f"---\nlast_review: {date.today().isoformat()}\n---\n# spec\n")
    cloud.folder.commit()
    before = (python_path / "seen").read_text()
    code, text = ended(cloud.call.popen("start", "--project", "x", "--mode", "cloud"))
    assert code == 0, text
    assert cloud.last()["guardrails"][0]["outcome"] == "passed", text
    reached = (python_path / "seen").read_text().removeprefix(before).splitlines()
    assert "worker_run" in (before + "".join(reached))
    assert [line for line in reached if "worker_run" not in line] == []


def test_a_tree_changed_before_the_begin_is_no_commit(tmp_path: Path, authority: Files) -> None:
    """Who changes files between unpacking and the begin makes an error, where a commit alone was sent."""
    engine = Engine(tmp_path / "engine", authority)
    try:
        engine.start_scheduler()
        engine.start_worker("w1", limited=_TAMPERING)
        cloud = CloudWorkspace(tmp_path / "ws", engine)
        cloud.folder.write("packages/x/main.py", "assert False")
        cloud.project({"test": "python3 main.py"})
        assert ended(cloud.start())[0] == 3
        assert "it did not run the commit that was sent" in cloud.last()["status_detail"]
    finally:
        engine.close()
