"""A snapshot becomes a workspace on a worker, in a folder that belongs to the program (contract, section 12)."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from collections.abc import Mapping

from orchestrator.base.errors import DamagedRecord, StorageError
from orchestrator.cloud.snapshot import Header, Snapshot, digest_of_file, read_header
from orchestrator.git.scratch import Scratch, make_scratch, write_text

KEPT = ".nox"
"""Environments stay between the runs of a folder: to make them takes longer than most runs."""

_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_NAME = re.compile(r"core\.[a-zA-Z]+")
_REFERENCE = re.compile(r"refs/[^\0-\x20\x7f~^:?*\[\\]+")


def unpack_snapshot(
    description: Mapping[str, object] | Snapshot, place: str, folder: str, environ: Mapping[str, str]
) -> str:
    """Make ``folder`` the tree of the snapshot in the file ``place``; return the workspace's folder in it.

    ``description`` is ``engine.snapshot``. Whatever an earlier run left in ``folder`` is removed, its repository first,
    but for environments (``KEPT``): no file, no object and no setting of it is trusted. Commit, branch, what git
    says of the tree and the tree's digest are those of the submitter.

    Raises DamagedRecord when the file is not what ``description`` says, StorageError when the disk is full or git
    can't write.
    """
    said = description.as_json() if isinstance(description, Snapshot) else description
    try:
        size, digest = digest_of_file(place)
        if (size, digest) != (said.get("bytes"), said.get("pack_sha256")):
            raise DamagedRecord(f"the snapshot {place} is not the one that was sent: its sha256 is {digest}")
        with open(place, "rb") as stream:
            header = _checked(read_header(stream), said)
            _unpack(header, stream.tell(), place, folder, environ)
    except ValueError as error:
        raise DamagedRecord(f"the snapshot {place} can't be read: {error}") from error
    except OSError as error:
        full = ": the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        raise StorageError(f"the snapshot can't be unpacked into {folder}{full}: {error.strerror or error}") from error
    return os.path.normpath(os.path.join(folder, header.workspace))


def _checked(header: Header, said: Mapping[str, object]) -> Header:
    """Return the header when its names can stand in files of a repository; ValueError otherwise."""
    if (header.commit, header.tree) != (said.get("commit"), said.get("tree")):
        raise ValueError("its commit and tree are not those that were named")
    if header.workspace.startswith("/") or ".." in header.workspace.split("/") or "\0" in header.workspace:
        raise ValueError("its workspace lies outside of it")
    if header.object_format not in ("sha1", "sha256"):
        raise ValueError("its form of objects is not known")
    if not all(_NAME.fullmatch(name) and "\0" not in value for name, value in header.config):
        raise ValueError("its settings are none of git's")
    trees = (header.tree, header.index_tree, header.commit_tree)
    ids = (*trees, header.commit, *header.shallow, *(name for _, name in header.refs))
    names = (header.branch, *(name for name, _ in header.refs), *(name for pair in header.links for name in pair))
    for text, pattern in (*((text, _ID) for text in ids), *((text, _REFERENCE) for text in names)):
        if text is not None and (pattern.fullmatch(text) is None or ".." in text):
            raise ValueError(f"{text[:80]!r} is no name of git")
    return header


def _unpack(header: Header, offset: int, place: str, folder: str, environ: Mapping[str, str]) -> None:
    os.makedirs(folder, mode=0o700, exist_ok=True)
    git = os.path.join(folder, ".git")
    _remove(git)
    repository = make_scratch(git, folder, environ, object_format=header.object_format)
    _clean(repository)
    with open(place, "rb", buffering=0) as pack:
        os.lseek(pack.fileno(), offset, os.SEEK_SET)
        repository.run("index-pack", "--stdin", given=pack)
    _write_references(git, header)
    repository.run("read-tree", "-u", "--reset", header.tree)
    if header.index_tree is None:
        _remove(git)
        return
    repository.run("read-tree", "-m", header.index_tree)  # while nothing is converted: each file is up to date
    _write_rules(repository, header)
    repository.run("update-index", "-q", "--refresh", "--really-refresh")


def _clean(repository: Scratch) -> None:
    """Remove every file below the top but environments; a folder that nobody may enter is opened first."""
    command = ("clean", "-ffdxq", "-e", KEPT)
    try:
        repository.run(*command)
    except OSError:
        open_folders(repository.top)
        repository.run(*command)


def open_folders(top: str) -> None:
    """Let this user enter and change every folder from ``top`` down; what a link leads to stays as it is."""
    os.chmod(top, 0o700)
    for folder, names, _ in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                os.chmod(path, 0o700)  # before the walk comes to it


def _remove(path: str) -> None:
    if not os.path.lexists(path):
        return
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        os.unlink(path)
        return
    open_folders(path)
    shutil.rmtree(path)


def _write_references(git: str, header: Header) -> None:
    lines = sorted(f"{name} {reference}\n" for reference, name in header.refs)
    lines.sort(key=lambda line: os.fsencode(line.split(" ", 1)[1]))
    write_text(git, "packed-refs", "# pack-refs with: sorted \n" + "".join(lines))
    for reference, target in header.links:
        os.makedirs(os.path.join(git, os.path.dirname(reference)), exist_ok=True)
        write_text(git, reference, f"ref: {target}\n")
    if header.branch is not None:
        write_text(git, "HEAD", f"ref: {header.branch}\n")
    elif header.commit is not None:
        write_text(git, "HEAD", f"{header.commit}\n")
    if header.shallow:
        write_text(git, "shallow", "".join(f"{name}\n" for name in header.shallow))


def _write_rules(repository: Scratch, header: Header) -> None:
    """Convert and ignore files by the submitter's rules, and by none of this machine's user."""
    git = repository.folder
    write_text(git, "info/attributes", header.attributes)
    write_text(git, "info/exclude", header.exclude)
    write_text(git, "info/user-attributes", header.user_attributes)
    settings = {
        "core.autocrlf": "false",
        "core.eol": "native",
        "core.excludesFile": "/dev/null",
        "core.attributesFile": os.path.join(git, "info", "user-attributes"),
        **dict(header.config),
    }
    with open(os.path.join(git, "config"), "a", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        stream.writelines(_setting(name, value) for name, value in settings.items())


def _setting(name: str, value: str) -> str:
    """Return a setting as git reads it from its file (git-config(1), "Syntax"); a process for each takes longer."""
    section, _, key = name.partition(".")
    quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'[{section}]\n\t{key} = "{quoted}"\n'
