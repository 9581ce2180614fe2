"""Reports that stages declare: what is copied, masked and read, and what is only named."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from orchestrator.base.redaction import Redactor
from orchestrator.model.manifest.command import Report
from orchestrator.model.plan import PlannedStage
from orchestrator.runner import stage_reports
from orchestrator.runner.stage_reports import LARGEST, Collected, StageReports
from orchestrator.store.claim import claim
from orchestrator.store.open_run import OpenRun
from tests.records import FakeClock, make_manifest, make_store

JUNIT = b'<testsuite><testcase classname="t" name="a"><failure message="got s3cret-value"/></testcase></testsuite>'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project's folder."""
    folder = tmp_path / "packages" / "hello"
    folder.mkdir(parents=True)
    return folder


class Attempt:
    """One attempt of a stage with reports: ``begin``, then files are written, then ``end``."""

    later_ns = 10**9
    """The attempt begins a second after what was written before it."""

    def now_ns(self) -> int:
        """Return the wall clock when the attempt begins."""
        return time.time_ns() + self.later_ns

    def __init__(self, root: Path, project: Path, *patterns: str) -> None:
        store = make_store(root)
        self.run: OpenRun = claim(store, make_manifest(clock=FakeClock()), "token")
        self.stage = PlannedStage("test", "Test", "command", argv=("x",), reports=patterns)
        self.reports = StageReports(
            self.run, store.workspace, str(project), Redactor(["s3cret-value"]), {}, self.now_ns
        )
        self.reports.begin(self.stage)

    def end(self, attempt: int = 1) -> Collected:
        """Return what is collected."""
        found = self.reports.collect(self.stage, attempt)
        self.folder = Path(self.run.folder.path)
        return found

    def copy(self, report: Report) -> bytes:
        """Return the bytes of a copy."""
        assert report.path is not None
        name = report.path.removeprefix(self.run.manifest.artifact_root)
        return (self.folder / name.lstrip("/")).read_bytes()


def problems(found: Collected) -> dict[str, str | None]:
    """Return the problem of each report by its name."""
    return {report.source: report.problem for report in found.reports}


def test_a_report_is_copied_masked_and_read(tmp_path: Path, project: Path) -> None:
    """The copy is masked as a log is, its digest is the copy's, and its failed tests are masked too."""
    attempt = Attempt(tmp_path, project, "junit.xml")
    (project / "junit.xml").write_bytes(JUNIT)
    found = attempt.end()
    (report,) = found.reports
    assert report.path is not None
    assert report.path.endswith("/reports/test/junit.xml")
    copy = attempt.copy(report)
    assert b"s3cret" not in copy
    assert (report.bytes, report.problem) == (len(copy), None)
    assert attempt.run.digests["reports/test/junit.xml"].sha256 == report.sha256
    (test,) = found.tests.tests
    assert (test.name, "s3cret" in test.message) == ("t.a", False)


def test_each_attempt_has_its_own(tmp_path: Path, project: Path) -> None:
    """A second attempt's copies lie beside the first's, as logs do, also where a dead process left a folder."""
    attempt = Attempt(tmp_path, project, "r/*.txt")
    (project / "r").mkdir()
    paths: list[str] = []
    for number in (1, 2, 2):
        attempt.reports.begin(attempt.stage)
        (project / "r" / "a.txt").write_text(f"{len(paths)}")
        (report,) = attempt.end(number).reports
        paths.append(str(report.path).rpartition("reports/")[2])
    assert paths == ["test/r/a.txt", "test@2/r/a.txt", "test@3/r/a.txt"]


def test_what_was_there_before_is_not_this_attempts(tmp_path: Path, project: Path) -> None:
    """A report that the stage did not write is copied and named, and its tests are not read as this attempt's."""
    (project / "junit.xml").write_bytes(JUNIT)
    attempt = Attempt(tmp_path, project, "junit.xml")
    found = attempt.end()
    assert "not written by this attempt" in str(found.reports[0].problem)
    assert (found.reports[0].path is None, found.tests.total) == (False, 0)
    attempt.later_ns = -(10**9)
    (project / "junit.xml").write_bytes(JUNIT)
    attempt.reports.begin(attempt.stage)
    again = attempt.end(2)
    assert (again.reports[0].problem, again.tests.total) == (None, 1)


def test_what_is_no_regular_file_is_named(tmp_path: Path, project: Path) -> None:
    """Links, to files and in the place of folders, pipes, folders and what is missing are never opened."""
    attempt = Attempt(tmp_path, project, "link.xml", "fifo", "sub/a.xml", "none-*.xml", "folder", "!x.xml", "gone.xml")
    (tmp_path / "secret.xml").write_bytes(JUNIT)
    os.symlink(tmp_path / "secret.xml", project / "link.xml")
    os.mkfifo(project / "fifo")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.xml").write_bytes(JUNIT)
    os.symlink(tmp_path / "elsewhere", project / "sub")
    (project / "folder").mkdir()
    found = attempt.end()
    assert problems(found) == {
        "link.xml": "is a link, a pipe or a device",
        "fifo": "is a link, a pipe or a device",
        "sub/a.xml": "lies behind a link, which is not followed",
        "none-*.xml": "is missing",
        "folder": "is missing",
        "gone.xml": "is missing",
    }
    assert all(report.path is None for report in found.reports)


def test_what_is_no_text_or_too_large_is_named(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A binary report, also one whose first NUL stands late, leaves no copy; one of 100 MB is not read."""
    attempt = Attempt(tmp_path, project, "*")
    (project / "binary").write_bytes(b"text" * 500_000 + b"\0")
    with open(project / "huge.xml", "wb") as file:
        file.truncate(100_000_000)
    found = attempt.end()
    assert problems(found) == {"binary": "is binary", "huge.xml": f"has more than {LARGEST >> 20} MiB"}
    assert not list((attempt.folder / "reports" / "test").iterdir())
    monkeypatch.setattr(stage_reports, "LARGEST", 3)
    attempt.reports.begin(attempt.stage)
    (project / "binary").write_bytes(b"1234")
    assert problems(attempt.end(2))["binary"] == "has more than 0 MiB"


def test_a_cut_report_names_what_failed_before(tmp_path: Path, project: Path) -> None:
    """XML that is cut or has entities is copied and named; what is no XML and not called so is just copied."""
    attempt = Attempt(tmp_path, project, "*")
    (project / "cut.xml").write_bytes(JUNIT[:-10])
    (project / "entities.xml").write_bytes(b'<!DOCTYPE a [<!ENTITY x "y">]><testsuite/>')
    (project / "page.html").write_bytes(b"<!doctype html><br>")
    found = attempt.end()
    named = problems(found)
    assert "no whole XML" in str(named["cut.xml"])
    assert "declares entities" in str(named["entities.xml"])
    assert named["page.html"] is None
    assert found.tests.total == 1


def test_names_that_cannot_be_shown(tmp_path: Path, project: Path) -> None:
    """A name with control characters or lone bytes is shown escaped, and its copy has a plain name."""
    attempt = Attempt(tmp_path, project, "*.txt")
    for name in (b"a\x1b[2J.txt", b"b\xff.txt"):
        with open(os.path.join(os.fsencode(project), name), "wb") as file:
            file.write(b"x")
    found = attempt.end()
    assert len({report.path for report in found.reports}) == 2
    for report in found.reports:
        assert report.source.isprintable()
        assert report.path is not None
        assert report.path.isprintable()
        report.path.encode()
        assert attempt.copy(report) == b"x"


def test_many_reports_are_named_together(tmp_path: Path, project: Path) -> None:
    """Of more than fifty the rest is named, and no more than twenty failed tests are shown of all."""
    attempt = Attempt(tmp_path, project, "**/*.xml")
    for number in range(53):
        (project / f"{number:02}.xml").write_bytes(JUNIT)
    (project / "node_modules").mkdir()
    (project / "node_modules" / "x.xml").write_bytes(JUNIT)
    found = attempt.end()
    assert len(found.reports) == 51
    assert found.reports[-1] == Report("50.xml", None, None, None, "and 2 more are left out: 50 are copied of a stage")
    assert (len(found.tests.tests), found.tests.total) == (20, 50)


def test_the_workspaces_own_records_are_no_reports(tmp_path: Path) -> None:
    """Of a project that is the whole workspace, earlier runs' copies are not collected again."""
    attempt = Attempt(tmp_path, tmp_path, "**/*.xml")
    (tmp_path / "a.xml").write_bytes(JUNIT)
    assert [report.source for report in attempt.end().reports] == ["a.xml"]
    attempt.reports.begin(attempt.stage)
    (tmp_path / "a.xml").write_bytes(JUNIT)
    assert [report.source for report in attempt.end(2).reports] == ["a.xml"]


def test_a_planted_folder_of_copies_is_refused(tmp_path: Path, project: Path) -> None:
    """A link in the place of the run's reports is a refusal of the disk: nothing is written through it."""
    from orchestrator.base.errors import StorageError

    attempt = Attempt(tmp_path, project, "a.txt")
    (project / "a.txt").write_text("x")
    (tmp_path / "target").mkdir()
    os.symlink(tmp_path / "target", Path(attempt.run.folder.path) / "reports")
    with pytest.raises(StorageError):
        attempt.end()
    assert not list((tmp_path / "target").iterdir())


def test_a_stage_that_takes_its_projects_folder_away(tmp_path: Path, project: Path) -> None:
    """Its reports are missing, and that is all: neither before nor after is the folder asked for."""
    attempt = Attempt(tmp_path, project, "junit.xml", "more/*")
    project.rmdir()
    assert problems(attempt.end()) == {"junit.xml": "is missing", "more/*": "is missing"}
    attempt.reports.begin(attempt.stage)
    assert problems(attempt.end(2)) == {"junit.xml": "is missing", "more/*": "is missing"}
