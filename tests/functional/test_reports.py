"""``reports`` of a stage: copies in the record, and the failed tests wherever a failed stage is shown."""

from __future__ import annotations

import subprocess
from html import escape
from pathlib import Path

from tests.functional.test_ci_screen import commands, job
from tests.functional.test_schema import check
from tests.harness import Orchestrator, WorkspaceFolder

__all__ = ["job"]

JSON = ("--format", "json")
SUITE = """<testsuites><testsuite>{}</testsuite></testsuites>"""
BAD = '<testcase classname="tests.test_a" name="{}"><failure message="got 1">tests/test_a.py:3: E</failure></testcase>'


def write(workspace: WorkspaceFolder, *names: str) -> None:
    """Have the next run's report name these failed tests; none: one that passes."""
    cases = "".join(BAD.format(escape(name)) for name in names) or '<testcase name="ok"/>'
    workspace.write("packages/x/next.xml", SUITE.format(cases))


def project(workspace: WorkspaceFolder, **stage: object) -> None:
    """Make a project whose tests write a report and fail when the report names a failure."""
    workspace.project("x", {"test": {"shell": "cat next.xml > junit.xml; ! grep -q failure junit.xml", **stage}})
    workspace.write("packages/x/tests/test_a.py", "1\n2\n3\n")


def test_failed_tests_are_shown_wherever_a_failed_stage_is(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, job: dict[str, str]
) -> None:
    """Documents, digest, status, packet, annotations and summary name them; the copies are proved by the chain."""
    project(workspace, reports=["junit.xml", "none.xml"])
    write(workspace, "test_one", "test_<two>")
    done = orchestrate("start", *JSON, env={**job, "GITHUB_WORKSPACE": str(workspace.root.parent)})
    assert done.code == 3, done.stderr
    check(orchestrate, "run", done.document)
    (entry,) = done.document["failed"]
    place = {"message": "got 1", "file": "packages/x/tests/test_a.py", "line": 3}
    assert entry["tests"] == [{"name": f"tests.test_a.{name}", **place} for name in ("test_one", "test_<two>")]
    assert entry["tests_failed"] == 2
    annotations = [line for line in commands(done.stderr) if line.startswith("::error")]
    assert annotations[0].startswith("::error title=x.diagnostics%3A test failed::exit 1")
    file = f"{workspace.root.name}/packages/x/tests/test_a.py"
    assert annotations[1] == f"::error file={file},line=3,title=tests.test_a.test_one::got 1"
    summary = Path(job["GITHUB_STEP_SUMMARY"]).read_text()
    assert "\n- tests.test&#95;a.test&#95;&#60;two&#62; (packages/x/tests/test&#95;a.py&#58;3): got 1\n" in summary

    status = orchestrate("status", *JSON).document
    check(orchestrate, "status", status)
    assert status["failed"] == done.document["failed"]
    report, missing = status["commands"][2]["attempts"][0]["reports"]
    assert (missing["source"], missing["path"], missing["problem"]) == ("none.xml", None, "is missing")
    shown = orchestrate("status").stdout
    assert "2 tests failed in test" in shown
    assert "- tests.test_a.test_one (packages/x/tests/test_a.py:3): got 1" in shown
    assert "reports of test: none.xml is missing" in shown
    packet = orchestrate("review", "latest", *JSON).document
    check(orchestrate, "review", packet)
    assert packet["failures"][0]["tests"] == entry["tests"]
    listed = orchestrate("artifacts", "latest", *JSON).document["files"]
    assert report["path"] in [file["path"] for file in listed]

    assert orchestrate("verify", *JSON).document["findings"] == []
    copy = workspace.root / report["path"]
    before = copy.read_bytes()
    copy.write_bytes(before.replace(b"test_one", b"test_two"))
    assert [one["code"] for one in orchestrate("verify", *JSON).document["findings"]] == ["report-edited"]
    copy.write_bytes(b"")
    reasons = orchestrate("status", *JSON).document["ready"]["reasons"]
    assert "record-altered" in [reason["code"] for reason in reasons]
    copy.write_bytes(before)
    added = copy.with_name("added.xml")
    added.write_bytes(b"")
    assert [one["code"] for one in orchestrate("verify", *JSON).document["findings"]] == ["file-added"]
    added.unlink()

    write(workspace, "test_one")
    text = orchestrate("resume", "latest").stdout
    assert "  - tests.test_a.test_one\n    packages/x/tests/test_a.py:3: got 1\n" in text
    kept = sorted(str(path.relative_to(copy.parent.parent)) for path in copy.parent.parent.rglob("*.xml"))
    assert kept == ["test/junit.xml", "test@2/junit.xml"]
    assert orchestrate("verify", *JSON).document["findings"] == []


def test_compare_names_tests_that_failed_newly_or_no_longer(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """By the reports in both records, of a stage that is cached by the record that it cites."""
    project(workspace, reports=["junit.xml"], inputs=["next.xml"])
    write(workspace)
    first = orchestrate("start", *JSON)
    assert first.code == 0, first.stderr
    cached = orchestrate("start", *JSON).document["run_id"]
    assert orchestrate("status", cached, *JSON).document["commands"][2]["reused"]["run_id"] == first.document["run_id"]
    write(workspace, "test_one", "test_two")
    assert orchestrate("start", *JSON).code == 3
    document = orchestrate("compare", "latest", "--with", cached, *JSON).document
    check(orchestrate, "compare", document)
    names = ["tests.test_a.test_one", "tests.test_a.test_two"]
    assert document["tests"] == [
        {"stage": "test", "newly": names, "newly_total": 2, "no_longer": [], "no_longer_total": 0}
    ]
    write(workspace, "test_two", "test_three")
    before = document["run_id"]
    orchestrate("start", *JSON)
    shown = orchestrate("compare", "latest", "--with", before).stdout.split()
    assert "newly in test: tests.test_a.test_three" in " ".join(shown)
    assert "no longer failed in test: tests.test_a.test_one" in " ".join(shown)


def test_a_sub_pipelines_failed_tests_are_its_causes(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """The stage that a sub-pipeline failed by brings its failed tests with it."""
    shell = "cat next.xml > junit.xml; exit 1"
    workspace.project("x", {"build": {"pipeline": "smoke"}}, extra=_SMOKE.format(shell))
    workspace.write("packages/x/tests/test_a.py", "1\n2\n3\n")
    write(workspace, "test_one")
    done = orchestrate("start", *JSON)
    (entry,) = (one for one in done.document["failed"] if one["stage"] == "build")
    assert (entry["tests"], entry["cause"]["tests_failed"]) == ([], 1)
    assert entry["cause"]["tests"][0]["name"] == "tests.test_a.test_one"
    assert "tests.test_a.test_one" in orchestrate("status").stdout
    alone = orchestrate("export", "latest", "--as", "github-annotations", "--no-children").stdout
    whole = orchestrate("export", "latest", "--as", "github-annotations").stdout
    assert alone.count("file=packages/x/tests/test_a.py,line=3") == whole.count("line=3") == 1


_SMOKE = """
[[pipelines.smoke.stages]]
id = "build"
run = "true"

[[pipelines.smoke.stages]]
id = "test"
shell = "{}"
reports = ["junit.xml"]
"""


def test_a_report_is_no_change_of_the_tree(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Runs of a committed project stay ready, though each writes its report anew beside the code."""
    project(workspace, reports=["junit.xml"])
    write(workspace)
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(workspace.root))
    for words in (("init", "-q"), ("add", "packages"), ("commit", "-qm", "one")):
        subprocess.run([*git, *words], check=True)
    for _ in range(2):
        run = orchestrate("start", *JSON)
        assert run.code == 0, run.stderr
        status = orchestrate("status", *JSON).document
        codes = [reason["code"] for reason in status["ready"]["reasons"]]
        assert "tree-moved-while-running" not in codes
        assert status["provenance"][-1]["dirty"] is False


def test_patterns_that_lead_out_are_refused(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Absolute paths, '..' and what takes everything are faults of the config, each with its key; nothing is run."""
    for pattern in ("/etc/passwd", "../x.xml", "a/../../x.xml", "!../x", "", "**", "."):
        project(workspace, reports=[pattern])
        done = orchestrate("plan", *JSON)
        assert done.code == 2, pattern
        assert "pipelines.diagnostics.stages[test].reports[#1]" in done.document["error"]["message"]
    assert not (workspace.root / ".runs").exists()
