"""The record of an ended run on its way home: every run's folder of the worker, in one archive."""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterator

from orchestrator.base.errors import DamagedRecord
from orchestrator.base.identifiers import is_run_id, name_fault
from orchestrator.base.record import Record
from orchestrator.store.layout import CLI

_MOST_FILES = 1_000_000


class RunFolder(Record):
    """A run's folder in a shipment that was taken apart: which run, and where its files lie now."""

    task_id: str
    run_id: str
    path: str


def pack_record(runs_dir: str, place: str) -> None:
    """Write the folders of all runs below ``runs_dir`` to the archive ``place``.

    Left out are hidden files (locks, tokens and the like are a machine's own) and what is neither file nor folder. A
    file of several names travels as several: a link in an archive is refused where it arrives.
    """
    with tarfile.open(place, "w", format=tarfile.PAX_FORMAT) as archive:
        for task_id, run_id, folder in _runs(runs_dir):
            for name in _files(folder, ""):
                member = archive.gettarinfo(os.path.join(folder, name), f"{task_id}/{run_id}/{name}")
                with open(os.path.join(folder, name), "rb") as stream:
                    member.type, member.linkname = tarfile.REGTYPE, ""
                    member.size = os.fstat(stream.fileno()).st_size
                    member.mode, member.uid, member.gid, member.uname, member.gname = 0o600, 0, 0, "", ""
                    archive.addfile(member, stream)


def unpack_record(place: str, folder: str) -> list[RunFolder]:
    """Take an archive apart below ``folder``, which is empty, and return the runs in it.

    Nothing of it is trusted: names lead nowhere else, and only plain files are taken. Raises DamagedRecord, OSError.
    """
    found: dict[tuple[str, str], str] = {}
    try:
        with tarfile.open(place, "r:") as archive:
            for count, member in enumerate(archive):
                parts = member.name.split("/")
                if count >= _MOST_FILES or not member.isreg() or not _is_fit(parts):
                    raise DamagedRecord(f"the record that came back has an entry {member.name[:120]!r}, which is none")
                task_id, run_id, *rest = parts
                top = os.path.join(folder, task_id, run_id)
                found[task_id, run_id] = top
                target = os.path.join(top, *rest)
                os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
                source = archive.extractfile(member)
                assert source is not None  # noqa: S101 -- it is a file
                with source, open(target, "xb") as stream:
                    while chunk := source.read(1 << 20):
                        stream.write(chunk)
    except (tarfile.TarError, EOFError) as error:
        raise DamagedRecord(f"the record that came back can't be read: {error}") from error
    except FileExistsError as error:
        raise DamagedRecord("the record that came back has an entry twice") from error
    return [RunFolder(task_id, run_id, path) for (task_id, run_id), path in found.items()]


def _is_fit(parts: list[str]) -> bool:
    if len(parts) < 3 or name_fault("task", parts[0]) is not None or not is_run_id(parts[1]):
        return False
    return all(part and not part.startswith(".") and "\0" not in part for part in parts[2:])


def _runs(runs_dir: str) -> Iterator[tuple[str, str, str]]:
    for task_id in sorted(_folders(runs_dir)):
        if name_fault("task", task_id) is None:
            cli = os.path.join(runs_dir, task_id, CLI)
            for run_id in sorted(_folders(cli)):
                if is_run_id(run_id):
                    yield task_id, run_id, os.path.join(cli, run_id)


def _folders(path: str) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _files(folder: str, inside: str) -> Iterator[str]:
    """Yield the paths of the plain files below a folder, without hidden ones."""
    for entry in sorted(os.scandir(os.path.join(folder, inside)), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        path = os.path.join(inside, entry.name)
        if entry.is_dir(follow_symlinks=False):
            yield from _files(folder, path)
        elif stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
            yield path
