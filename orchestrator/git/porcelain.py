"""What git says about a folder, understood."""

from __future__ import annotations

import os
from collections.abc import Mapping

from orchestrator.base.record import Record
from orchestrator.git.process import GitAnswer
from orchestrator.git.scope import Scope
from orchestrator.git.tree import FOLDER, Entry, Hasher, digest, walk

_STATUS = ("status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all", "--no-renames")
STATUS = (*_STATUS, "--ignored=no")
STATUS_AND_IGNORED = (*_STATUS, "--ignored=matching")
LIST = ("ls-files", "--stage", "--full-name", "-z")

_CHANGED = {"1": (8, 5), "2": (9, 5), "u": (10, 6)}
"""Records of ``git status --porcelain=v2``: how many fields stand before the path, and which is the mode there."""


class Change(Record):
    """A path that differs from HEAD: ``kind`` is git's (``1``, ``u``, ``?``), ``worktree`` its second letter."""

    kind: str
    worktree: str = "."
    mode: bytes = b""
    submodule: bool = False


class Status(Record):
    """Commit (None before the first), branch (None when detached) and changed paths from the repository's top.

    ``ignored`` has the files and, with a ``/``, the folders that git ignores, where it was asked for them.
    """

    commit: str | None
    branch: str | None
    changes: Mapping[bytes, Change]
    ignored: tuple[bytes, ...] = ()


def repository_top(folder: str) -> str | None:
    """Return the top of the working tree that holds ``folder``, None when it is in none; starts no process."""
    top = os.path.realpath(folder)
    while not os.path.lexists(os.path.join(top, ".git")):
        parent = os.path.dirname(top)
        if parent == top:
            return None
        top = parent
    return top


def parse_status(output: bytes) -> Status:
    """Return what ``STATUS`` or ``STATUS_AND_IGNORED`` printed; ValueError when it is something else."""
    headers: dict[str, str] = {}
    changes: dict[bytes, Change] = {}
    ignored: list[bytes] = []
    records = iter(output.split(b"\0"))
    for record in records:
        kind = record[:1].decode("latin-1")
        if kind == "#":
            name, _, value = record[2:].decode("utf-8", "replace").partition(" ")
            headers[name] = value
        elif kind in _CHANGED:
            count, mode = _CHANGED[kind]
            fields = record.split(b" ", count)
            if len(fields) <= count:
                raise ValueError(f"git status said {record[:80]!r}")
            changes[fields[-1]] = Change(kind, fields[1][1:2].decode("latin-1"), fields[mode], fields[2][:1] == b"S")
            if kind == "2":
                next(records, b"")
        elif kind == "?":
            changes[record[2:]] = Change(kind)
        elif kind == "!":
            ignored.append(record[2:])
        elif record:
            raise ValueError(f"git status said {record[:80]!r}")
    commit, branch = headers.get("branch.oid"), headers.get("branch.head")
    return Status(
        None if commit == "(initial)" else commit, None if branch == "(detached)" else branch, changes, tuple(ignored)
    )


def parse_list(output: bytes) -> dict[bytes, Entry]:
    """Return the entries that ``git ls-files --stage -z`` printed; of an unmerged path, the last one."""
    entries: dict[bytes, Entry] = {}
    for record in output.split(b"\0"):
        if record:
            head, _, path = record.partition(b"\t")
            mode, blob, _ = head.split(b" ")  # the third is the stage of a merge
            entries[path] = (mode, blob)
    return entries


def digested(output: bytes, prefix: bytes) -> bytes | None:
    """Return what ``LIST`` printed as ``tree.digest`` writes it, paths without ``prefix``; None where that takes care.

    That is when an entry is unmerged, or a path looks like what stands before one. git sorts as ``digest`` does.
    """
    before = b" 0\t" + prefix
    count = output.count(b"\0")
    if output.count(before) != count or output.count(b" 0\t") != count:
        return None
    return output.replace(before, b"\t")


def prefix_of(top: str, folder: str) -> bytes:
    """Return what the paths of files below ``folder`` begin with, seen from the repository's top."""
    prefix = os.fsencode(os.path.relpath(os.path.realpath(folder), top)) + b"/"
    return b"" if prefix == b"./" else prefix


def ignored_below(top: str, folder: str, status: GitAnswer) -> frozenset[str]:
    """Return the files and folders that git ignores below ``folder``, from there; none where git could not tell.

    ``status`` is the answer to ``STATUS_AND_IGNORED``. What lies in such a folder is not listed.
    """
    try:
        ignored = parse_status(status.output).ignored if status.code == 0 else ()
    except ValueError:
        return frozenset()
    prefix = prefix_of(top, folder)
    names = [os.fsdecode(path.removeprefix(prefix)) for path in ignored if path.startswith(prefix)]
    folders = frozenset(name.rstrip("/") for name in names if name.endswith("/"))
    return frozenset(name.rstrip("/") for name in names if not _lies_in(name.rstrip("/"), folders))


def _lies_in(name: str, folders: frozenset[str]) -> bool:
    above = name.rpartition("/")[0]
    while above:
        if above in folders:
            return True
        above = above.rpartition("/")[0]
    return False


def tree_of(
    top: str, folder: str, status: Status, listed: Mapping[bytes, Entry], scope: Scope, hasher: Hasher
) -> tuple[str, bool]:
    """Return the digest of the tree in ``folder``, and whether it differs from HEAD.

    Files that git takes for unchanged are not read: the index knows their blobs. Two things change the
    digest when they are committed although no file changes: a submodule's new commit, and a file that a
    filter (line endings, LFS) stores in another form. Raises TooMuch.
    """
    prefix = prefix_of(top, folder)
    entries = {}
    for path, entry in listed.items():
        inner = path.removeprefix(prefix)
        if scope.holds(inner):
            entries[inner] = entry
    if listed and len(next(iter(listed.values()))[1]) == 64:
        hasher.algorithm = "sha256"
    dirty = False
    for path, change in status.changes.items():
        inner = path.removeprefix(prefix)
        if not (scope.holds_untracked(inner.rstrip(b"/")) if change.kind == "?" else scope.holds(inner)):
            continue
        dirty = True
        if change.worktree != "." or change.kind == "?":
            entries.pop(inner, None)
            entries.update(_worktree(os.fsencode(top), path, inner, change, scope, hasher))
    return digest(entries), dirty


def _worktree(
    top: bytes, path: bytes, inner: bytes, change: Change, scope: Scope, hasher: Hasher
) -> dict[bytes, Entry]:
    place = os.path.join(top, path)
    if change.submodule and os.path.isdir(place):
        content = digest(walk(place, Scope(), hasher))
        return {inner: (FOLDER, content.encode())}
    if path.endswith(b"/"):
        return walk(place, scope, hasher, inner)
    entry = hasher.entry(place)
    if entry is None:
        return {}
    return {inner: (change.mode if change.kind == "1" and change.mode.strip(b"0") else entry[0], entry[1])}
