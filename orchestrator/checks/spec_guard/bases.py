"""Which commit a repository's changes are compared with (contract, section 7, "Guardrails")."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from orchestrator.base.quoting import printable
from orchestrator.base.record import Record
from orchestrator.checks.spec_guard.repository import Git
from orchestrator.model.builtin_guard import NO_DEFAULT_BRANCH

BASE_VARIABLE = "BASE_SHA"

_REMOTE_HEAD = "refs/remotes/origin/HEAD"
_BRANCH_FORM = "%(refname) %(objectname) %(symref)"

_EMPTY_TREES = {
    40: "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    64: "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}
"""Ids of the tree without files, by the length of an id: ``git hash-object -t tree --stdin`` of nothing, in either
format of objects."""

_ZERO_SHA = re.compile(r"0+")
_HISTORY_HINT = "the clone is shallow: fetch the whole history (git fetch --unshallow; fetch-depth: 0 in CI)"

_NAME_ONE = f"name the base by ${BASE_VARIABLE}"


class NamedBase(Record):
    """The commit that somebody named, and where: ``reference`` is empty when nobody did."""

    reference: str = ""
    origin: str = ""


class Base(Record):
    """The commit to compare with, or why there is none.

    ``commit`` is None with what is wrong as ``rule`` and ``problem`` (a finding), or with ``nothing``: why nothing
    can be compared. Of a root commit (``is_root``) it is the empty tree. ``is_parent``: nobody named a base, and HEAD,
    the default branch's own commit, is compared with its first parent. ``notes`` go with all of them.
    """

    commit: str | None
    rule: str = ""
    problem: str = ""
    notes: tuple[str, ...] = ()
    nothing: str = ""
    is_root: bool = False
    is_parent: bool = False


def named_base(
    named: str, configured: str | None, origin: str = f"${BASE_VARIABLE}"
) -> tuple[NamedBase, tuple[str, ...]]:
    """Return what is ``named`` by ``origin`` (an option, or ``$BASE_SHA``), else by the config; and notes.

    All zeros is what GitHub and GitLab send as "before" of a branch that is new.
    """
    notes: tuple[str, ...] = ()
    if named and _ZERO_SHA.fullmatch(named):
        notes = (f"{origin} is all zeros (a new branch): the default branch was taken",)
    elif named:
        return NamedBase(named, origin), ()
    if configured is not None:
        return NamedBase(configured, "spec_guard.base of the project's config"), notes
    return NamedBase(), notes


def is_commit(git: Git, reference: str) -> bool:
    """Tell whether a repository has that commit, branch or tag."""
    if reference.startswith("-"):
        return False
    return git(["rev-parse", "--verify", "--quiet", f"{reference}^{{commit}}"]).code == 0


class DefaultBranch(Record):
    """The default branch: its ``reference``, None where there is none, and the commit that it is."""

    reference: str | None = None
    commit: str = ""


def default_branch(git: Git, then: str = "") -> DefaultBranch:
    """Return the default branch of a repository.

    ``then`` is what it was when a run began (a commit, or ``NO_DEFAULT_BRANCH``), which counts where a stage moved it.
    """
    found = DefaultBranch() if then == NO_DEFAULT_BRANCH else _default_branch(git)
    if not then or then == NO_DEFAULT_BRANCH or found.commit == then or not is_commit(git, then):
        return found
    return DefaultBranch(then, then)


def find_base(
    git: Git,
    wanted: NamedBase,
    is_clean: Callable[[], bool],
    default: DefaultBranch | None = None,
    head_and_parents: Sequence[str] | None = None,
) -> Base:
    """Return the commit where HEAD left what was named, else the default branch.

    ``default`` is ``default_branch`` and ``head_and_parents`` are HEAD's commit and its parents' (none before the
    first commit), where the caller knows them already.
    ``is_clean`` tells whether the project has no uncommitted change. Where HEAD is the base itself, those are
    compared with it; without any, HEAD is compared with its first parent.
    """
    shallow = git.shallow()
    known = _default_branch(git) if default is None else default
    standing = known.reference
    reference, origin = wanted.reference, wanted.origin
    if head_and_parents is None:
        head_and_parents = _head_and_parents(git)
    head, *parents = head_and_parents or [""]
    if not reference:
        if standing is None:
            return _without_default(git, shallow, head, parents)
        reference, origin = standing, "the default branch"
    elif not is_commit(git, reference):
        text = f"{origin} '{printable(reference)}' is not a commit of this repository"
        return _unknown(text, shallow, "name a commit, branch or tag that 'git rev-parse' knows there")
    base: str | None = head
    if wanted.reference or not head or known.commit != head:
        base = _merge_base(git, reference)
    if base is None:
        text = f"HEAD and {origin} '{printable(reference)}' have no common commit"
        return _unknown(
            text, shallow, "name a base from which HEAD's branch was made" if wanted.reference else _NAME_ONE
        )
    if base != head:
        return _reached(git, base, reference, shallow)
    if wanted.reference and standing is not None:
        left = _merge_base(git, standing)
        if left is not None and left != head:
            note = f"{origin} names HEAD itself: it was compared with where it left the default branch"
            found = _reached(git, left, standing, shallow)
            return Base(found.commit, found.rule, found.problem, (note, *found.notes))
    if not is_clean():
        return Base(head, notes=(f"HEAD is the base itself ({printable(reference)}): only uncommitted changes count",))
    return _first_parent(git, reference, head, parents, shallow)


def as_of(git: Git, other: Git) -> str | None:
    """Return the commit at which a repository stood when HEAD of another one was committed.

    It is the empty tree where there was none yet, and None where that can't be known, as in a shallow clone, or of a
    HEAD that says that it is older than what it stands on.
    """
    lines = other(["rev-list", "--max-count=2", "--first-parent", "--timestamp", "HEAD"]).stdout.splitlines()
    dates = [line.partition(" ")[0] for line in lines]
    if not dates or not all(date.isdecimal() for date in dates) or git.shallow():
        return None
    when, *before = map(int, dates)
    if before and before[0] > when:
        return None
    found = git(["rev-list", "--max-count=1", "--first-parent", f"--min-age={when}", "HEAD"])
    if found.code != 0:
        return None
    return found.stdout.strip() or _empty_tree(git, head_of(git))


def head_of(git: Git) -> str:
    """Return the commit that HEAD is."""
    return git(["rev-parse", "HEAD"]).stdout.strip()


def _head_and_parents(git: Git) -> list[str]:
    """Return the commit that HEAD is, and its parents; nothing before the first commit."""
    return git(["rev-list", "--parents", "--max-count=1", "HEAD"]).stdout.split()


def _merge_base(git: Git, reference: str) -> str | None:
    found = git(["merge-base", reference, "HEAD"])
    return found.stdout.strip() if found.code == 0 else None


def _empty_tree(git: Git, head: str) -> str:
    """Return the id of the tree without files, which git knows in every repository of that hash function."""
    return _EMPTY_TREES.get(len(head)) or git(["hash-object", "-t", "tree", "--stdin"]).stdout.strip()


def _first_parent(git: Git, reference: str, head: str, parents: Sequence[str], shallow: frozenset[str]) -> Base:
    standing = f"HEAD is the base itself ({printable(reference)})"
    if head in shallow:
        return Base(None, "history-shallow", f"{standing}, and what was before it is not here: {_HISTORY_HINT}")
    if not parents:
        return Base(_empty_tree(git, head), notes=("HEAD is a root commit: there is nothing before it",), is_root=True)
    return Base(parents[0], notes=(f"{standing}: it was compared with its first parent",), is_parent=True)


def _reached(git: Git, base: str, reference: str, shallow: frozenset[str]) -> Base:
    """Return the base, unless history was cut off on the way to it: then a younger one may be missing."""
    if not shallow:
        return Base(base)
    way = git(["rev-list", "HEAD", reference, f"^{base}"])
    if way.code != 0 or not shallow.isdisjoint(way.stdout.split()):
        return Base(None, "history-shallow", f"commits on the way to the base {base[:12]} are cut off: {_HISTORY_HINT}")
    return Base(base, notes=(_HISTORY_HINT,))


def _without_default(git: Git, shallow: frozenset[str], head: str, parents: Sequence[str]) -> Base:
    problem = "there is no default branch to compare with"
    if shallow:
        return _unknown(problem, shallow, _NAME_ONE)
    found = _first_parent(git, "HEAD", head, parents, shallow)
    return found if found.is_root else Base(None, nothing=f"{problem}: {_NAME_ONE}")


def _unknown(problem: str, shallow: frozenset[str], hint: str) -> Base:
    return Base(None, "base-unknown", f"{problem}: {_HISTORY_HINT if shallow else hint}")


def _default_branch(git: Git) -> DefaultBranch:
    listed = git(["for-each-ref", f"--format={_BRANCH_FORM}", "refs/heads", "refs/remotes"]).stdout
    branches: dict[str, tuple[str, str]] = {}
    for line in listed.splitlines():
        name, _, rest = line.partition(" ")
        commit, _, target = rest.partition(" ")
        branches[name] = commit, target
    known = [branches.get(_REMOTE_HEAD, ("", ""))[1]]
    known += [place + name for place in ("refs/remotes/origin/", "refs/heads/") for name in ("main", "master")]
    found = next((name for name in known if name in branches), None)
    if found is None and len(branches) == 1:
        # The only branch is the default one; the only remote reference may be a pull request's, as CI fetches it.
        [only] = branches
        found = only if only.startswith("refs/heads/") else None
    return DefaultBranch() if found is None else DefaultBranch(found, branches[found][0])
