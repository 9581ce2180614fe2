"""A selection in the cloud: each child is placed by itself, and the fleet's record is that of any other."""

from __future__ import annotations

from tests.cloud.engine import CloudWorkspace


def test_each_project_of_a_fleet_is_placed_by_itself(cloud: CloudWorkspace) -> None:
    """The fleet runs here and each child there; what failed is resumed there, what succeeded stays."""
    cloud.folder.project("good", {"a": "echo fine"}, pipeline="work")
    cloud.folder.project("bad", {"a": "test -f fixed"}, pipeline="work")
    cloud.folder.commit()
    done = cloud.call("start", "work", "--all", "--mode", "cloud", "--format", "json")
    assert done.code == 3, done
    fleet = done.document["run_id"]
    document = cloud.call("status", fleet, "--format", "json").document
    children = {child["project"]: child for child in document["child_runs"]}
    assert {name: child["status"] for name, child in children.items()} == {"good": "succeeded", "bad": "failed"}
    for child in children.values():
        found = cloud.call("status", child["run_id"], "--format", "json").document
        assert (found["mode"]["name"], found["engine"]["state"]) == ("cloud", "ended")
        assert found["lineage"]["parentRunId"] == fleet
    cloud.folder.write("packages/bad/fixed", "")
    resumed = cloud.call("resume", fleet, "--format", "json")
    assert resumed.code == 0, resumed
    found = cloud.call("status", children["bad"]["run_id"], "--format", "json").document
    assert (found["status"], found["attempt"], found["mode"]["name"]) == ("succeeded", 2, "cloud")
    assert cloud.call("verify", "--all").code == 0
