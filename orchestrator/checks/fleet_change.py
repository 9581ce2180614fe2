"""What a workspace's repository says has changed since a base, for the projects of a fleet (contract, section 8)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from orchestrator.base.build_artifacts import is_build_artifact
from orchestrator.base.errors import UsageError
from orchestrator.base.quoting import printable
from orchestrator.base.record import Record
from orchestrator.checks.spec_guard.bases import NamedBase, default_branch, find_base, head_of, is_commit, named_base
from orchestrator.checks.spec_guard.changed_files import ChangedFiles, GitFailedError, changed_files, names_of
from orchestrator.checks.spec_guard.repository import Git, GitIn
from orchestrator.config.fleet.affected import Change
from orchestrator.git.ownership import remedy

_NAME_ONE = "name one: --base origin/main"
_NAME_ANOTHER = "name one that HEAD came from (git branch --all)"
_HEAD_HINT = "--base HEAD^1 compares with the commit before, --base last-success with what succeeded last"


class Repository(Record):
    """The repository that holds a workspace; ``root`` is the workspace's and ``top`` its own, links followed.

    ``records`` (absolute) are where runs leave files; ``paths`` are the projects' folders from the workspace.
    """

    root: str
    top: str
    git: Git
    records: tuple[str, ...]
    paths: Mapping[str, str]


def repository_of(root: str, git_in: GitIn, records: Sequence[str], paths: Mapping[str, str]) -> Repository:
    """Return the repository that holds the workspace at ``root``. Raises UsageError where there is none to ask."""
    git = git_in(os.path.realpath(root))
    answer = git(["rev-parse", "--show-toplevel"])
    if answer.code != 0:
        said = answer.stderr.strip().splitlines()
        why = f": {printable(said[0])}" if said else ""
        raise UsageError(
            f"--affected: git does not know this workspace{why}",
            hint=remedy(answer.stderr) or "use --all, or make the workspace a repository with a commit",
            code="no-base",
        )
    top = os.path.realpath(answer.stdout.rstrip("\n"))
    places = tuple(os.path.realpath(place) for place in records)
    return Repository(os.path.realpath(root), top, git, places, paths)


class Compared(Record):
    """The base as it was named, where HEAD left it, and what differs from there."""

    named: str
    merge_base: str
    change: Change
    notes: tuple[str, ...]


def compared_with(repository: Repository, asked: str | None, variable: str) -> Compared:
    """Return what differs from the base that was ``asked`` for, else ``variable`` (``BASE_SHA``), else the default.

    Nothing is guessed. Raises UsageError: ``no-base`` where there is none or no common commit, ``base-is-head`` where
    nothing is named and nothing can differ.
    """
    git = repository.git
    if not is_commit(git, "HEAD"):
        raise UsageError("--affected: the repository has no commit yet", hint="commit first, or --all", code="no-base")
    wanted, notes = (NamedBase(asked, "--base"), ()) if asked is not None else named_base(variable, None)
    default = default_branch(git)
    # The tree counts as changed here: of a clean one spec-guard would take HEAD's first parent, which is a guess.
    found = find_base(git, wanted, lambda: False, default)
    if found.commit is None or found.is_root:
        problem = found.problem or found.nothing or "there is no default branch to compare with"
        advice = _NAME_ANOTHER if wanted.reference else _NAME_ONE
        raise UsageError(f"--affected: {problem.replace('name the base by $BASE_SHA', advice)}", code="no-base")
    named = wanted.reference or str(default.reference)
    change = changed_since(repository, found.commit)
    if not wanted.reference and found.commit == head_of(git) and not change.files:
        raise UsageError(
            f"--affected: HEAD is the default branch's own commit ({printable(named)}) and nothing is uncommitted",
            hint=_HEAD_HINT,
            code="base-is-head",
        )
    return Compared(named, found.commit, change, (*notes, *found.notes))


def has_commit(repository: Repository, commit: str) -> bool:
    """Tell whether the repository has a commit."""
    return is_commit(repository.git, commit)


def changed_since(repository: Repository, commit: str) -> Change:
    """Return what differs on disk from a commit; what runs and builds leave behind is left out. Raises UsageError."""
    try:
        found = changed_files(repository.git, repository.top, commit, ignored_in_submodules="none")
    except GitFailedError as failed:
        said = failed.reply.stderr.strip().splitlines()
        raise UsageError(
            f"--affected: git can't say what changed: {printable(said[0]) if said else failed.reply.code}",
            hint=remedy(failed.reply.stderr),
            code="no-base",
        ) from failed
    return Change(tuple(sorted(_from_root(repository, found))), dict(_outside(repository)))


def _from_root(repository: Repository, found: ChangedFiles) -> Iterable[str]:
    """Yield the changed files by their paths from the workspace's root."""
    folders = frozenset(os.path.normpath(path) for path in repository.paths.values())
    for name in {*found.tracked, *found.untracked, *found.nested}:
        path = os.path.join(repository.top, name)
        if any(path == place or path.startswith(place + os.sep) for place in repository.records):
            continue
        from_root = os.path.relpath(path, repository.root)
        if name in found.tracked or not (is_build_artifact(os.fsencode(name)) or _is_left(from_root, folders)):
            yield from_root.replace(os.sep, "/")


def _is_left(path: str, folders: frozenset[str]) -> bool:
    """Tell whether an untracked file is what tools and builds leave in one of the projects' ``folders``."""
    parts = path.split(os.sep)
    return any(
        os.sep.join(parts[:length]) in folders and is_build_artifact(os.fsencode(os.sep.join(parts[length:])))
        for length in range(1, len(parts))
    )


def _outside(repository: Repository) -> Iterable[tuple[str, str]]:
    """Yield the projects whose folder is none of this repository's, with why nobody can say whether it changed."""
    submodules: frozenset[str] | None = None
    real = _RealFolders(repository.root)
    inner_repositories: dict[str, str | None] = {repository.top: None}
    for name, path in repository.paths.items():
        folder = real.folder(os.path.join(repository.root, path))
        if folder != repository.top and not folder.startswith(repository.top + os.sep):
            yield name, "it lies outside the workspace's repository"
            continue
        inner = _inner_repository(repository.top, folder, inner_repositories)
        if inner is None:
            continue
        submodules = _submodules(repository.git) if submodules is None else submodules
        if inner not in submodules:
            yield name, f"it lies in a repository of its own ({printable(inner)})"


class _RealFolders:
    """Folders with their links followed; those that lie in one folder are many, and that one is looked up once."""

    def __init__(self, root: str) -> None:
        self._known = {root: root}

    def folder(self, path: str) -> str:
        """Return ``os.path.realpath(path)``."""
        path = os.path.normpath(path) if os.pardir not in path.split(os.sep) else os.path.realpath(path)
        found = self._known.get(path)
        if found is None:
            above = os.path.dirname(path)
            found = path if above == path else os.path.join(self.folder(above), os.path.basename(path))
            if os.path.islink(found):
                found = os.path.realpath(found)
            self._known[path] = found
        return found


def _inner_repository(top: str, folder: str, known: dict[str, str | None]) -> str | None:
    """Return the path from ``top`` of the repository below it that holds ``folder``, None where there is none.

    ``known`` are the answers that were found already, by folder, that of ``top`` among them.
    """
    if folder not in known:
        known[folder] = (
            os.path.relpath(folder, top)
            if os.path.lexists(os.path.join(folder, ".git"))
            else _inner_repository(top, os.path.dirname(folder), known)
        )
    return known[folder]


def _submodules(git: Git) -> frozenset[str]:
    staged = names_of(git(["ls-files", "--stage", "--full-name", "-z", "--", ":/"]))
    return frozenset(entry.partition("\t")[2] for entry in staged if entry.startswith("160000 "))
