"""The record of a cloud run: what a local run's is, but for what the contract names."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tests.cloud.engine import CloudWorkspace, Engine, ended
from tests.harness import Done

_OWN = {"run_id", "mode", "engine", "revision", "resume_token", "dedup_key"}
_TIMES = {"started_at", "completed_at", "updated_at", "heartbeat_at", "began_at", "queued_seconds", "deadline_at"}
_AMOUNTS = {"active_seconds", "duration_seconds", "cpu_seconds", "max_rss_bytes", "slowest_stage"}
_PLACES = {
    "artifact_root",
    "compat_path",
    "log_path",
    "error_file",
    "rootRunId",
    "trace_id",
    "host",
    "tools",
    "platform",
}


def _comparable(value: Any, run_id: str) -> Any:
    """Return a record without what may differ (contract, section 12)."""
    if isinstance(value, dict):
        left_out = _OWN | _TIMES | _AMOUNTS | {"host", "tools", "platform", "rootRunId", "trace_id"}
        return {key: _comparable(item, run_id) for key, item in value.items() if key not in left_out}
    if isinstance(value, list):
        return [_comparable(item, run_id) for item in value]
    return value.replace(run_id, "RUN") if isinstance(value, str) else value


def _both(cloud: CloudWorkspace) -> tuple[dict[str, Any], dict[str, Any], Done]:
    ended(cloud.start())  # first: what stages make of the tree stays on the worker
    there = cloud.last()
    local = cloud.call("start", "work", "--project", "x", "--no-cache")
    return cloud.last(), there, local


def test_the_record_is_that_of_a_local_run(cloud: CloudWorkspace) -> None:
    """Success, failure, an allowed failure, a skipped stage, error file, reports: the same in both, of a dirty tree."""
    junit = '<testsuite><testcase name="t" classname="c"><failure message="no">why</failure></testcase></testsuite>'
    cloud.project(
        {
            "good": "echo fine",
            "soft": {"shell": "echo soft; exit 4", "allow_failure": True},
            "bad": {"shell": f"echo broken; echo '{junit}' > r.xml; exit 3", "reports": ["r.xml"], "needs": ["good"]},
            "late": {"shell": "echo never", "needs": ["bad"]},
        }
    )
    root = cloud.folder.root
    (root / "packages/x/main.py").write_bytes(b"\0\xff changed")
    (root / "packages/x/new").symlink_to("main.py")
    (root / "packages/x/tool").write_text("#!/bin/sh\n")
    (root / "packages/x/tool").chmod(0o755)
    here, there, local = _both(cloud)
    assert local.code == 3
    assert there["mode"]["name"] == "cloud"
    assert there["provenance"][0]["tree_digest"] == here["provenance"][0]["tree_digest"] is not None
    assert _comparable(there, there["run_id"]) == _comparable(here, here["run_id"])
    for stage in ("good", "soft", "bad"):
        assert cloud.log(there, stage) == cloud.log(here, stage)
    assert cloud.call("verify", "--all").code == 0
    assert cloud.call("doctor").code == 0


@pytest.mark.parametrize("is_fresh", [True, False])
def test_the_guards_verdict_is_that_of_a_local_run(cloud: CloudWorkspace, is_fresh: bool) -> None:
    """The built-in spec guard compares the same commits on a worker, and comes to the same verdict."""
    review = date.today().isoformat() if is_fresh else "1999-01-01"
    cloud.folder.project("x", guard=None)
    cloud.folder.write("tasks/specs/1-x.md", f"---\nlast_review: {review}\n---\n# spec\n")
    cloud.folder.commit()
    cloud.folder.git("checkout", "-q", "-b", "topic")
    cloud.folder.write("packages/x/code.py", "print(2)\n")
    cloud.folder.write("tasks/specs/1-x.md", f"---\nlast_review: {review}\n---\n# spec, and more\n")
    cloud.folder.commit("code")
    cloud.call("start", "--project", "x", "--no-cache")
    here = cloud.last()
    cloud.call("start", "--project", "x", "--mode", "cloud")
    there = cloud.last()
    assert there["mode"]["name"] == "cloud"
    assert there["guardrails"] == here["guardrails"]
    assert there["guardrails"][0]["outcome"] == ("passed" if is_fresh else "failed")
    assert there["status"] == here["status"]


def test_runs_inside_come_back_with_the_record(cloud: CloudWorkspace) -> None:
    """A sub-pipeline and a nested start run on the worker; their records, logs and lineage are here afterwards."""
    cloud.folder.project("y", {"deep": "echo deep"}, pipeline="work")
    program = "codex-orchestrator start work --project y"
    cloud.project({"below": {"pipeline": "work", "project": "y"}, "nested": program})
    code, text = ended(cloud.start())
    assert code == 0, text
    record = cloud.last()
    children = {child["stage_id"]: child for child in record["child_runs"]}
    assert set(children) == {"below", "nested"}
    assert {child["status"] for child in children.values()} == {"succeeded"}
    assert record["commands"][0]["sub_run_id"] == children["below"]["run_id"]
    for child in children.values():
        found = cloud.call("status", child["run_id"], "--format", "json").document
        assert found["lineage"]["parentRunId"] == record["run_id"]
        logs = cloud.call("logs", child["run_id"])
        assert "deep" in logs.stdout
    assert cloud.call("verify", "--all").code == 0
    assert cloud.call("doctor").code == 0


def test_a_secret_that_a_worker_lacks_is_named(cloud: CloudWorkspace, engine: Engine) -> None:
    """The run ends as an error that names it, and nothing of the submitter's value is on the hub's or agent's disk."""
    cloud.project({"a": "echo $DEPLOY_KEY"})
    config = cloud.folder.root / "project_configs/x.toml"
    config.write_text(config.read_text().replace('backend = "none"', 'backend = "none"\nsecret_env = ["DEPLOY_KEY"]'))
    cloud.folder.commit()
    code, _ = ended(cloud.start(environ={"DEPLOY_KEY": "hush-hush-value-1"}))
    record = cloud.last()
    assert (code, record["outcome"]) == (3, "error")
    assert "DEPLOY_KEY" in record["status_detail"]
    files = [path for path in (engine.folder / "spool").rglob("*") if path.is_file()]
    assert files
    assert not any(b"hush-hush-value-1" in path.read_bytes() for path in files)


def test_the_submitters_secrets_are_masked_again(cloud: CloudWorkspace) -> None:
    """A value that the worker does not know is masked by who records it: log, screen, summary and error file."""
    cloud.project({"a": "printf hush-hush-; echo value-2; exit 3"})
    code, text = ended(cloud.start(environ={"DEPLOY_TOKEN": "hush-hush-value-2"}))
    assert code == 3
    files = [path for path in cloud.folder.runs("1-x")[0].rglob("*") if path.is_file()]
    assert len(files) > 4
    assert "hush-hush-value-2" not in text
    assert not [path.name for path in files if b"hush-hush-value-2" in path.read_bytes()]
    assert cloud.call("verify", "--all").code == 0


def test_nothing_of_the_repository_changes(cloud: CloudWorkspace) -> None:
    """The user's repository has no object, reference or index entry more after a run."""
    cloud.project({"a": "true"})

    def seen() -> tuple[str, bytes, list[str]]:
        git = cloud.folder.root / ".git"
        return (
            cloud.folder.git("count-objects", "-v"),
            (git / "index").read_bytes(),
            sorted(str(path) for path in git.rglob("*")),
        )

    before = seen()
    assert ended(cloud.start())[0] == 0
    assert seen() == before
