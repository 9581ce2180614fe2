"""The record on its way home: all of every run, nothing hidden, and nothing that leads elsewhere."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from orchestrator.base.clock import parse_stamp
from orchestrator.base.errors import DamagedRecord
from orchestrator.base.identifiers import make_run_id
from orchestrator.cloud.shipment import pack_record, unpack_record

RUN = make_run_id(parse_stamp("2026-01-01T00:00:00.000Z"), bytes(4))


def test_every_run_travels_without_what_is_hidden(tmp_path: Path) -> None:
    """Files at any depth come, tokens, locks, links and pipes stay."""
    run = tmp_path / "runs/1-x/cli" / RUN
    (run / "commands").mkdir(parents=True)
    (run / "manifest.json").write_text("{}")
    (run / "commands/01-a.log").write_bytes(b"\0" * 5000)
    (run / ".resume-token").write_text("secret")
    (run / "link").symlink_to("/etc/passwd")
    pack_record(str(tmp_path / "runs"), str(tmp_path / "record.tar"))
    (tmp_path / "there").mkdir()
    found = unpack_record(str(tmp_path / "record.tar"), str(tmp_path / "there"))
    assert [(one.task_id, one.run_id) for one in found] == [("1-x", RUN)]
    files = sorted(str(path.relative_to(found[0].path)) for path in Path(found[0].path).rglob("*") if path.is_file())
    assert files == ["commands/01-a.log", "manifest.json"]


def test_two_names_of_one_file_travel_as_two_files(tmp_path: Path) -> None:
    """What a stage linked in its run's folder, as package managers do, comes back under each name."""
    dist = tmp_path / "runs/1-x/cli" / RUN / "dist"
    dist.mkdir(parents=True)
    (dist / "a").write_text("hello")
    (dist / "b").hardlink_to(dist / "a")
    pack_record(str(tmp_path / "runs"), str(tmp_path / "record.tar"))
    (tmp_path / "there").mkdir()
    found = unpack_record(str(tmp_path / "record.tar"), str(tmp_path / "there"))
    assert [(Path(found[0].path) / "dist" / name).read_text() for name in ("a", "b")] == ["hello"] * 2


@pytest.mark.parametrize(
    "name", [f"1-x/{RUN}/../../../x", f"/1-x/{RUN}/x", "x", f"1-x/{RUN}", f"1-x/{RUN}/.lock", f"../{RUN}/x", "1-x/no/x"]
)
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    """An archive with such a name is damaged, and nothing is written outside."""
    with tarfile.open(tmp_path / "record.tar", "w") as archive:
        member = tarfile.TarInfo(name)
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
    (tmp_path / "a/there").mkdir(parents=True)
    with pytest.raises(DamagedRecord):
        unpack_record(str(tmp_path / "record.tar"), str(tmp_path / "a/there"))
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "record.tar"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE])
def test_only_files_are_taken(tmp_path: Path, kind: bytes) -> None:
    """Links, pipes and devices are refused, whatever their names."""
    with tarfile.open(tmp_path / "record.tar", "w") as archive:
        member = tarfile.TarInfo(f"1-x/{RUN}/manifest.json")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    (tmp_path / "there").mkdir()
    with pytest.raises(DamagedRecord):
        unpack_record(str(tmp_path / "record.tar"), str(tmp_path / "there"))


def test_a_torn_archive_is_damaged(tmp_path: Path) -> None:
    """One that ends within a file, is empty or is none is told so."""
    for data in (b"", b"nothing of the kind" * 100):
        (tmp_path / "record.tar").write_bytes(data)
        folder = tmp_path / f"there-{len(data)}"
        folder.mkdir()
        with pytest.raises(DamagedRecord):
            unpack_record(str(tmp_path / "record.tar"), str(folder))
