"""What of a workspace travels to a worker, and what can't: found before anything is written (contract, section 12)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence

from orchestrator.base.build_artifacts import CACHES
from orchestrator.base.errors import UsageError
from orchestrator.base.globs import paths
from orchestrator.base.quoting import printable, shown
from orchestrator.base.record import Record
from orchestrator.base.workspace import OUT_VARIABLE, RUNS_VARIABLE
from orchestrator.git.porcelain import LIST, UNTRACKED, parse_list
from orchestrator.git.process import GitAnswer, GitProcess
from orchestrator.git.repository import git_folder, repository_top
from orchestrator.git.scope import is_hidden
from orchestrator.git.scratch import GitFailed, Scratch
from orchestrator.git.settings import LFS
from orchestrator.git.tree import FOLDER
from orchestrator.git.work_tree import WorkTree

MOST_BYTES_WITHOUT_GIT = 512 * 1024 * 1024
_GIT_SECONDS = 120.0
_NAMED = 5
_STANDARD = ("ls-files", "--others", "--full-name", "-z", "--exclude-standard")
_NEVER = frozenset((b".git", b".nox"))
"""A repository's own folder, and environments, which each worker makes for itself."""


class Survey(Record):
    """What is packed of a workspace at ``root``, whose files lie below ``top``.

    ``work`` is None without git. ``untracked`` are paths from the top (bytes) that git does not track and that travel;
    ``assumed`` those that git does not look at.
    """

    root: str
    top: str
    work: WorkTree | None
    untracked: tuple[bytes, ...]
    assumed: tuple[bytes, ...] = ()


class SurveyQuery:
    """The question what travels of a workspace, on the way to git: ask for its ``answer``, or ``end`` it."""

    def __init__(self, root: str, environ: Mapping[str, str], include: Sequence[str]) -> None:
        self._root = os.path.realpath(root)
        self._environ = environ
        self._include = include
        self._work: WorkTree | None = None
        self._processes: list[GitProcess] = []

    @classmethod
    def begin(cls, root: str, environ: Mapping[str, str], include: Sequence[str] = ()) -> SurveyQuery:
        """Start git in the workspace at ``root``, and return at once; nothing is written.

        ``include`` are patterns, from the workspace, of ignored files that travel all the same. Raises UsageError
        ``no-snapshot``.
        """
        query = cls(root, environ, include)
        try:
            query._work = WorkTree.around(query._root, environ)
            if query._work is not None:
                commands = [LIST, UNTRACKED, _STANDARD, *([UNTRACKED[:-1]] if include else [])]  # without rules: all
                for command in commands:
                    query._processes.append(query._work.start(command))
        except (OSError, ValueError) as error:
            query.end()
            raise _no_snapshot(query._root, error) from error
        return query

    def answer(self, needed: Iterable[str]) -> Survey:
        """Return what travels.

        ``needed`` are files and folders (absolute) without which a run can't be: each project's folder and config, and
        the noxfile.

        Raises UsageError: ``no-snapshot``, ``has-submodules``, ``has-lfs``, ``has-filters``, ``has-sparse-checkout``,
        ``has-conflicts``, ``nested-repository``, ``outside-repository``, ``too-large`` and ``not-in-snapshot``.
        """
        try:
            if self._work is None:
                return _without_git(self._root, needed, self._environ, self._include)
            _refuse_outside(self._work.top, needed)
            listed = [_output(process.answer(_GIT_SECONDS)) for process in self._processes]
            return _with_git(self._work, self._root, needed, self._environ, self._include, listed)
        except (OSError, ValueError) as error:
            raise _no_snapshot(self._root, error) from error
        finally:
            self.end()

    def end(self) -> None:
        """End git, if it is still at work; harmless when repeated."""
        for process in self._processes:
            process.end()


def _no_snapshot(root: str, error: OSError | ValueError) -> UsageError:
    return UsageError(
        f"the workspace at {root} can't be packed: {getattr(error, 'strerror', None) or error}",
        hint="cloud mode packs it by git: 'git status' says more",
        code="no-snapshot",
    )


def _with_git(
    work: WorkTree,
    root: str,
    needed: Iterable[str],
    environ: Mapping[str, str],
    include: Sequence[str],
    listed: Sequence[bytes],
) -> Survey:
    index, by_rules, usual, *everything = listed
    listing = parse_list(index)
    _refuse_index(index)
    usual_names = frozenset(usual.split(b"\0"))
    own = _own_folders(root, work.top, environ)
    untracked = [
        name
        for name in by_rules.split(b"\0")
        if name and _travels(name, own) and (name in usual_names or not is_hidden(name))
    ]
    for names in everything:
        wanted = paths(tuple(include))
        prefix = _prefix(root, work.top)
        untracked += [
            name
            for name in names.split(b"\0")
            if name.startswith(prefix)
            and _may_be_included(name, own)
            and wanted.match(os.fsdecode(name.removeprefix(prefix)))
        ]
    nested = [name for name in untracked if name.endswith(b"/")]
    if nested:
        raise _refusal("nested-repository", "a repository inside the repository", nested, "move it out, or ignore it")
    missing = sorted(path for path, may_miss in listing.hidden.items() if may_miss and not _is_there(work.top, path))
    if missing:
        raise _refusal(
            "has-sparse-checkout", "files that a sparse checkout left out", missing, "git sparse-checkout disable"
        )
    found = tuple(sorted(set(untracked)))
    _refuse_filters(work, (*listing.entries, *found))
    _refuse_missing(work.top, needed, [*listing.entries, *found])
    return Survey(root, work.top, work, found, tuple(listing.hidden))


def _without_git(root: str, needed: Iterable[str], environ: Mapping[str, str], include: Sequence[str]) -> Survey:
    _refuse_outside(root, needed)
    own = _own_folders(root, root, environ)
    wanted = paths(tuple(include))
    found: list[bytes] = []
    size = 0
    for name, status in _walked(os.fsencode(root), b""):
        if name.endswith(b"/"):
            raise _refusal(
                "nested-repository",
                "a repository in a workspace that is none",
                [name],
                "make the workspace one: git init",
            )
        is_wanted = _may_be_included(name, own) and wanted.match(os.fsdecode(name))
        if not (_travels(name, own) or is_wanted):
            continue
        found.append(name)
        size += status.st_size
        if size > MOST_BYTES_WITHOUT_GIT:
            raise UsageError(
                f"the workspace at {root} has more than {MOST_BYTES_WITHOUT_GIT >> 20} MiB of files and no git, "
                "so that all of them would travel",
                hint="git init, with a .gitignore of what need not travel",
                code="too-large",
            )
    _refuse_missing(root, needed, found)
    return Survey(root, root, None, tuple(sorted(found)))


def _walked(folder: bytes, prefix: bytes) -> Iterator[tuple[bytes, os.stat_result]]:
    """Yield files and links below ``folder``; a folder with a repository of its own by its name with a ``/``."""
    with os.scandir(folder) as entries:
        inner = sorted(entries, key=lambda entry: entry.name)
    for entry in inner:
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            if entry.name in CACHES:
                continue
            if os.path.lexists(os.path.join(entry.path, b".git")):
                yield prefix + entry.name + b"/", status
            yield from _walked(entry.path, prefix + entry.name + b"/")
        elif stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
            yield prefix + entry.name, status


def _travels(name: bytes, own: Sequence[bytes]) -> bool:
    """Tell whether an untracked path is part of the tree: no record of runs, no cache of a tool."""
    parts = name.rstrip(b"/").split(b"/")
    is_cache = not CACHES.isdisjoint(parts) or any(part.endswith((b".egg-info", b".pyc")) for part in parts)
    return not is_cache and not _is_own(name, own)


def _may_be_included(name: bytes, own: Sequence[bytes]) -> bool:
    return _NEVER.isdisjoint(name.split(b"/")) and not name.endswith(b"/") and not _is_own(name, own)


def _is_own(name: bytes, own: Sequence[bytes]) -> bool:
    return any(name == folder or name.startswith(folder + b"/") for folder in own)


def _own_folders(root: str, top: str, environ: Mapping[str, str]) -> tuple[bytes, ...]:
    """Return the folders of records and of what commands write, from the top."""
    places = (environ.get(RUNS_VARIABLE) or ".runs", environ.get(OUT_VARIABLE) or "out")
    inner = (os.path.relpath(os.path.join(root, place), top) for place in places)
    return tuple(os.fsencode(name) for name in inner if name != "." and not name.startswith(".."))


def _prefix(folder: str, top: str) -> bytes:
    inner = os.path.relpath(folder, top)
    return b"" if inner == "." else os.fsencode(inner) + b"/"


def _is_there(top: str, path: bytes) -> bool:
    return os.path.lexists(os.path.join(os.fsencode(top), path))


def _output(answer: GitAnswer) -> bytes:
    if answer.code:
        raise GitFailed(5, answer.complaint.decode("utf-8", "replace").strip()[:300] or "no cause given")
    return answer.output


def _refusal(code: str, what: str, names: Sequence[bytes], hint: str) -> UsageError:
    some = ", ".join(shown(os.fsdecode(name)) for name in names[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return UsageError(f"cloud mode can't send {what}: {some}{more}", hint=hint, code=code)


def _refuse_outside(top: str, needed: Iterable[str]) -> None:
    for place in needed:
        real = os.path.realpath(place)
        own = repository_top(real if os.path.isdir(real) else os.path.dirname(real))
        if (real + "/").startswith(top.rstrip("/") + "/") and own in (None, top):
            continue
        where = "outside the workspace's repository" if own in (None, top) else f"in a repository of its own, {own}"
        raise UsageError(
            f"cloud mode can't send {printable(place)}: it lies {where} ({top} travels)",
            hint="run it in local mode, or move it into the repository",
            code="outside-repository",
        )


def _refuse_index(listed: bytes) -> None:
    heads = [(record.partition(b"\t")[0].split(b" "), record.partition(b"\t")[2]) for record in listed.split(b"\0")]
    submodules = [path for head, path in heads if len(head) == 4 and head[1] == FOLDER]
    if submodules:
        raise _refusal("has-submodules", "submodules", submodules, "run it in local mode")
    conflicts = sorted({path for head, path in heads if len(head) == 4 and head[3] != b"0"})
    if conflicts:
        raise _refusal("has-conflicts", "files of a merge that is not finished", conflicts, "finish the merge: git add")


def _refuse_filters(work: WorkTree, names: Sequence[bytes]) -> None:
    """Refuse files that a filter stores in another form: their bytes on disk are not those of the commit."""
    has_rules = any(name.endswith(b".gitattributes") for name in names) or work.rules([])
    if not (has_rules or work.settings.filters):
        return
    user = Scratch(git_folder(work.top), work.top, work.environ, work.settings.pairs)
    fields = user.run("check-attr", "-z", "--stdin", "filter", given=b"".join(name + b"\0" for name in names)).split(
        b"\0"
    )
    asked = dict(zip(fields[::3], fields[2::3], strict=False))
    lfs = sorted(name for name, value in asked.items() if value == LFS.encode())
    if lfs:
        raise _refusal("has-lfs", "files of Git LFS", lfs, "run it in local mode")
    known = {os.fsencode(name) for name in work.settings.filters}
    others = sorted(name for name, value in asked.items() if value in known)
    if others:
        raise _refusal(
            "has-filters", "files that a filter of git stores in another form", others, "run it in local mode"
        )


def _refuse_missing(top: str, needed: Iterable[str], names: Sequence[bytes]) -> None:
    folders = set()
    for name in names:
        above = name
        while above and above not in folders:
            folders.add(above)
            above = above.rpartition(b"/")[0]
    for place in needed:
        inner = os.path.relpath(os.path.realpath(place), top)
        if inner != "." and os.fsencode(inner) not in folders:
            raise UsageError(
                f"cloud mode would not send {shown(inner)}, which the run needs: git ignores it, or it is empty",
                hint=f"[cloud] include names ignored files that travel, patterns from the workspace: {shown(inner)}",
                code="not-in-snapshot",
            )
