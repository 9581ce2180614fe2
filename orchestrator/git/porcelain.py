"""What git says about a folder, understood."""

from __future__ import annotations

import os
from collections.abc import Mapping

from orchestrator.base.record import Record
from orchestrator.git.process import GitAnswer
from orchestrator.git.tree import Entry

_STATUS = (
    *("status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all", "--no-renames"),
    *("--ignore-submodules=none", "--no-ahead-behind"),
)
STATUS = (*_STATUS, "--ignored=no")
STATUS_AND_IGNORED = (*_STATUS, "--ignored=matching")
LIST = ("ls-files", "-v", "--stage", "--full-name", "-z")
DIFF = ("diff", "-z", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-relative")
"""A comparison with a commit that runs nothing; how it names files and submodules, and the commit, follow."""

UNTRACKED = ("ls-files", "--others", "--full-name", "-z", "--exclude-per-directory=.gitignore")
"""Files that git does not track, by the repository's own rules for what is ignored."""

_CHANGED = {"1": (8, 5), "2": (9, 5), "u": (10, 6)}
"""Records of ``git status --porcelain=v2``: how many fields stand before the path, and which is the mode there."""


_LOOKED_AT = b"\0H "
_SUBMODULE = b"\0H 160000 "
"""How a record of ``LIST`` begins that git looks at on disk, and one of a submodule."""


class Change(Record):
    """A path that differs from HEAD: ``kind`` is git's (``1``, ``u``, ``?``).

    ``staged`` and ``worktree`` are git's two letters: how the index differs from HEAD, the disk from the index.
    """

    kind: str
    staged: str = "."
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


class Listing(Record):
    """The index: ``entries`` by path from the repository's top.

    ``hidden`` are those that git does not look at on disk (git-update-index(1)): ``skip-worktree`` (True: one of a
    sparse checkout, which may be missing) or ``assume-unchanged`` (False).
    """

    entries: dict[bytes, Entry]
    hidden: dict[bytes, bool]


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
            changes[fields[-1]] = _change(kind, fields, mode)
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


def _change(kind: str, fields: list[bytes], mode: int) -> Change:
    letters = fields[1].decode("latin-1")
    return Change(kind, letters[:1], letters[1:2], fields[mode], fields[2][:1] == b"S")


def parse_list(output: bytes) -> Listing:
    """Return what ``LIST`` printed; of an unmerged path, the last entry. ValueError when it is something else."""
    entries: dict[bytes, Entry] = {}
    hidden: dict[bytes, bool] = {}
    for record in output.split(b"\0"):
        if record:
            head, _, path = record.partition(b"\t")
            tag, mode, blob, _ = head.split(b" ")  # the fourth is the stage of a merge
            entries[path] = (mode, blob)
            if tag in (b"S", b"s"):
                hidden[path] = True
            elif tag.islower():
                hidden[path] = False
    return Listing(entries, hidden)


def digested(output: bytes, prefix: bytes) -> bytes | None:
    """Return what ``LIST`` printed as ``tree.digest`` writes it, paths without ``prefix``; None where that takes care.

    That is when an entry is unmerged, is not looked at by git or is a submodule, or a path looks like what stands
    before one. git sorts as ``digest`` does.
    """
    before = b" 0\t" + prefix
    count = output.count(b"\0")
    if output.count(before) != count or output.count(b" 0\t") != count:
        return None
    inner = b"\0" + output
    if inner.count(_LOOKED_AT) != count or inner.count(_SUBMODULE):
        return None
    return inner[:-1].replace(_LOOKED_AT, b"\0").replace(before, b"\t")[1:] + b"\0" if count else b""


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
