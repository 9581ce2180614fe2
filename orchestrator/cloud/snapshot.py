"""A workspace as one file: commit, history, branches and the working tree as it is (contract, section 12, promise 6).

The file has a line that names its form, a line of JSON (``Header``) and a pack (gitformat-pack(5)). It is written from
a temporary repository with the user's as alternate: the user's repository gets no object, and its index is not touched.

Two trees travel. ``tree`` has the bytes of every file on disk, untracked ones too; ``index`` is what git's index says.
The worker writes the first to its disk and sets its index to the second, so that git says there what it says here.
A workspace without git has a ``tree`` alone; git serves as the archive, and the worker removes it when it has unpacked.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping

from orchestrator.base.errors import StorageError, UsageError
from orchestrator.base.record import Record
from orchestrator.cloud.repository_facts import RepositoryQuery, text_of
from orchestrator.cloud.snapshot_survey import Survey
from orchestrator.git.repository import common_folder, git_folder
from orchestrator.git.scratch import GitFailed, Scratch, make_scratch
from orchestrator.git.settings import tree_settings
from orchestrator.git.work_tree import WorkTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any

FORM = b"codex-orchestrator snapshot 1\n"
_BUFFER = 1 << 20


class Snapshot(Record):
    """What a run's record says of its snapshot (``engine.snapshot``).

    ``commit`` is None before the first one and without git, ``tree`` git's id of the tree of all files that travel,
    ``pack_sha256`` and ``bytes`` are the whole file's.
    """

    commit: str | None
    tree: str
    pack_sha256: str
    bytes: int

    def as_json(self) -> dict[str, Any]:
        """Return the keys of ``engine.snapshot``."""
        return {"commit": self.commit, "tree": self.tree, "pack_sha256": self.pack_sha256, "bytes": self.bytes}


class Header(Record):
    """The second line of a snapshot: all that is no object of git.

    ``workspace`` is the workspace's folder from the top; ``index_tree`` is None without git; ``refs`` are names with
    commits or tags, ``links`` references with the one that they mean, ``shallow`` commits whose parents are not here;
    ``config`` and the files of rules are those by which git converts and ignores files; ``commit_tree`` is the tree of
    ``commit``.
    """

    object_format: str
    workspace: str
    tree: str
    index_tree: str | None = None
    commit: str | None = None
    branch: str | None = None
    refs: tuple[tuple[str, str], ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    shallow: tuple[str, ...] = ()
    config: tuple[tuple[str, str], ...] = ()
    attributes: str = ""
    user_attributes: str = ""
    exclude: str = ""
    commit_tree: str | None = None

    @property
    def is_clean(self) -> bool:
        """Whether every file that travels is the commit's, on disk and in the index."""
        return self.commit_tree is not None and self.tree == self.index_tree == self.commit_tree


def pack_snapshot(found: Survey, place: str, environ: Mapping[str, str], bases: Iterable[str] = ()) -> Snapshot:
    """Write the snapshot of what was surveyed to the file ``place``, and return what it is.

    ``bases`` are revisions that the run compares with (``$BASE_SHA``): they travel with their history, and one that
    git does not know is left out. The file is whole when this returns, and none is left when it raises: StorageError
    when the disk is full, UsageError ``no-snapshot`` when git can't pack (objects that are missing, files that can't
    be read).
    """
    folder = tempfile.mkdtemp(prefix=".snapshot-", dir=os.path.dirname(place))
    try:
        header, roots, scratch = _prepared(found, os.path.join(folder, "git"), environ, tuple(bases))
        with open(os.path.join(folder, "file"), "xb", opener=_private) as stream:
            stream.write(FORM + _line_of(header))
            stream.flush()
            options = ("--revs", "--stdout", "-q", "--delta-base-offset", "--no-include-tag")
            scratch.run("pack-objects", *options, given="".join(f"{root}\n" for root in roots).encode(), output=stream)
            stream.flush()
            os.fsync(stream.fileno())
        size, digest = digest_of_file(os.path.join(folder, "file"))
        os.replace(os.path.join(folder, "file"), place)
        return Snapshot(header.commit, header.tree, digest, size)
    except OSError as error:
        raise _refused(error, place) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def digest_of_file(path: str) -> tuple[int, str]:
    """Return the size and the sha256 (hex) of a file. Raises OSError."""
    import hashlib

    state, size = hashlib.sha256(), 0
    with open(path, "rb") as stream:
        while chunk := stream.read(_BUFFER):
            state.update(chunk)
            size += len(chunk)
    return size, state.hexdigest()


def read_header(stream: IO[bytes]) -> Header:
    """Return the header of a snapshot and leave ``stream`` where the pack begins; ValueError when it is none."""
    if stream.readline(len(FORM)) != FORM:
        raise ValueError("the file is no snapshot of a form that this version knows")
    values = json.loads(stream.readline())
    if not isinstance(values, dict):
        raise ValueError("the header of the snapshot is no object")  # noqa: TRY004 - as bad as any other text
    for name in ("refs", "links", "config"):
        values[name] = tuple((str(key), str(value)) for key, value in values.get(name, ()))
    values["shallow"] = tuple(map(str, values.get("shallow", ())))
    try:
        return Header(**values)
    except TypeError as error:
        raise ValueError(f"the header of the snapshot has other keys: {error}") from error


def is_clean(place: str) -> bool:
    """Tell whether the snapshot in the file ``place`` is of a commit alone. Raises OSError, ValueError."""
    with open(place, "rb") as stream:
        return read_header(stream).is_clean


def _line_of(header: Header) -> bytes:
    # ASCII with escapes: a path may hold bytes that are no text.
    return json.dumps(dict(zip(type(header)._fields, header, strict=True)), separators=(",", ":")).encode() + b"\n"


def _prepared(
    found: Survey, folder: str, environ: Mapping[str, str], bases: tuple[str, ...]
) -> tuple[Header, list[str], Scratch]:
    """Return the header, the objects to pack with all that they need, and the repository that has them."""
    workspace = os.path.relpath(found.root, found.top)
    if found.work is None:
        scratch = make_scratch(folder, found.top, environ, settings=tree_settings(found.top, environ).pairs)
        tree = _tree_with(scratch, found.untracked)
        return Header("sha1", workspace, tree), [tree], scratch
    asked = RepositoryQuery(found.work, bases)
    try:
        return _prepared_by_git(found, found.work, workspace, folder, environ, asked)
    finally:
        asked.end()


def _prepared_by_git(
    found: Survey, work: WorkTree, workspace: str, folder: str, environ: Mapping[str, str], asked: RepositoryQuery
) -> tuple[Header, list[str], Scratch]:
    common, object_format = common_folder(found.top), asked.object_format()
    scratch = make_scratch(
        folder,
        found.top,
        environ,
        object_format=object_format,
        settings=(*work.settings.pairs, ("core.splitIndex", "false")),
        borrowed=os.path.join(common, "objects"),
    )
    shallow = tuple(text_of(os.path.join(common, "shallow")).split())
    if shallow:
        shutil.copyfile(os.path.join(common, "shallow"), os.path.join(folder, "shallow"))
    rules = asked.rules()
    _copy_index(git_folder(found.top), folder, looks_again=rules.converts)
    index = scratch.run("write-tree").decode().strip()
    if found.assumed:
        given = b"".join(path + b"\0" for path in found.assumed)
        for flag in ("--no-assume-unchanged", "--no-skip-worktree"):
            scratch.run("update-index", flag, "-z", "--stdin", given=given)
    scratch.run("add", "--update", "--", ":/")
    tree = _tree_with(scratch, found.untracked)
    head = asked.head()
    references = asked.references(has_commits=head.commit is not None)
    header = Header(
        object_format,
        workspace,
        tree,
        index,
        head.commit,
        head.branch,
        references.refs,
        references.links,
        shallow,
        rules.config,
        rules.attributes,
        rules.user_attributes,
        rules.exclude,
        head.tree,
    )
    commits = (*([head.commit] if head.commit else ()), *dict.fromkeys(name for _, name in references.refs))
    return header, [tree, index, *commits], scratch


def _tree_with(scratch: Scratch, untracked: Iterable[bytes]) -> str:
    """Return the id of the tree of the repository's index and these files, whatever rules would ignore them."""
    given = b"".join(path + b"\0" for path in untracked)
    if given:
        scratch.run("update-index", "--add", "--remove", "--replace", "-z", "--stdin", given=given)
    return scratch.run("write-tree").decode().strip()


def _copy_index(user: str, folder: str, *, looks_again: bool) -> None:
    """Give the repository in ``folder`` the ``user``'s index, with what git knows of each file there.

    git looks again at a file that is not older than the index, so the copy keeps its time. ``looks_again``: it gets a
    time before any file's, where files may be stored in another form.
    """
    source, copy = os.path.join(user, "index"), os.path.join(folder, "index")
    if not os.path.lexists(source):
        return
    shutil.copy2(source, copy)
    for name in os.listdir(user):
        if name.startswith("sharedindex."):
            shutil.copy2(os.path.join(user, name), os.path.join(folder, name))
    if looks_again:
        os.utime(copy, (1, 1))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _refused(error: OSError, place: str) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS) or not isinstance(error, GitFailed):
        return StorageError(f"the snapshot can't be written to {place}: {error.strerror or error}")
    return UsageError(
        f"the workspace can't be packed: {error.strerror}",
        hint="'git status' and 'git fsck' say more; of a partial or broken clone, fetch the rest",
        code="no-snapshot",
    )
