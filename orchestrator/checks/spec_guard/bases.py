"""Which commit a repository's changes are compared with (contract, section 7, "Guardrails")."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.checks.spec_guard.repository import Git
from orchestrator.checks.spec_guard.values import printable
from orchestrator.model.builtin_guard import NO_DEFAULT_BRANCH

BASE_VARIABLE = "BASE_SHA"

_ZERO_SHA = re.compile(r"0+")
_HISTORY_HINT = "the clone is shallow: fetch the whole history (git fetch --unshallow; fetch-depth: 0 in CI)"


@dataclass(frozen=True, slots=True)
class NamedBase:
    """The commit that somebody named, and where: ``reference`` is empty when nobody did."""

    reference: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Base:
    """The commit to compare with, or why there is none.

    ``commit`` is None with what is wrong as ``rule`` and ``problem`` (a finding), or with ``nothing``: why nothing
    can be compared. Of a root commit (``is_root``) it is the empty tree. ``notes`` go with all of them.
    """

    commit: str | None
    rule: str = ""
    problem: str = ""
    notes: tuple[str, ...] = ()
    nothing: str = ""
    is_root: bool = False


def named_base(named: str, configured: str | None) -> tuple[NamedBase, tuple[str, ...]]:
    """Return what is named by ``$BASE_SHA``, else by the config; and notes.

    All zeros is what GitHub and GitLab send as "before" of a branch that is new.
    """
    notes: tuple[str, ...] = ()
    if named and _ZERO_SHA.fullmatch(named):
        notes = (f"${BASE_VARIABLE} is all zeros (a new branch): the default branch was taken",)
    elif named:
        return NamedBase(named, f"${BASE_VARIABLE}"), ()
    if configured is not None:
        return NamedBase(configured, "spec_guard.base of the project's config"), notes
    return NamedBase(), notes


def is_commit(git: Git, reference: str) -> bool:
    """Tell whether a repository has that commit, branch or tag."""
    if reference.startswith("-"):
        return False
    return git(["rev-parse", "--verify", "--quiet", f"{reference}^{{commit}}"]).code == 0


def default_branch(git: Git, then: str = "") -> str | None:
    """Return the reference of the default branch, None where there is none.

    ``then`` is what it was when a run began (a commit, or ``NO_DEFAULT_BRANCH``), which counts where a stage moved it.
    """
    found = None if then == NO_DEFAULT_BRANCH else _default_branch(git)
    if not then or then == NO_DEFAULT_BRANCH or not is_commit(git, then):
        return found
    return found if found is not None and commit_of(git, found) == then else then


def commit_of(git: Git, reference: str) -> str:
    """Return the commit that a reference is."""
    return git(["rev-parse", f"{reference}^{{commit}}"]).stdout.strip()


def find_base(
    git: Git, wanted: NamedBase, is_clean: Callable[[], bool], default: tuple[str | None] | None = None
) -> Base:
    """Return the commit where HEAD left what was named, else the default branch.

    ``default`` holds ``default_branch``, where the caller knows it already.
    ``is_clean`` tells whether the project has no uncommitted change. Where HEAD is the base itself, those are
    compared with it; without any, HEAD is compared with its first parent.
    """
    shallow = git.shallow()
    (default_reference,) = (_default_branch(git),) if default is None else default
    reference, origin = wanted.reference, wanted.origin
    if not reference:
        if default_reference is None:
            return _without_default(git, shallow)
        reference, origin = default_reference, "the default branch"
    if not is_commit(git, reference):
        return _unknown(f"{origin} '{printable(reference)}' is not a commit of this repository", shallow)
    merge_base = git(["merge-base", reference, "HEAD"])
    if merge_base.code != 0:
        return _unknown(f"HEAD and {origin} '{printable(reference)}' have no common commit", shallow)
    base, head = merge_base.stdout.strip(), head_of(git)
    if base != head:
        return _reached(git, base, reference, shallow)
    if wanted.reference and default_reference is not None:
        left = git(["merge-base", default_reference, "HEAD"])
        if left.code == 0 and left.stdout.strip() != head:
            note = f"{origin} names HEAD itself: it was compared with where it left the default branch"
            found = _reached(git, left.stdout.strip(), default_reference, shallow)
            return Base(found.commit, found.rule, found.problem, (note, *found.notes))
    if not is_clean():
        return Base(head, notes=(f"HEAD is the base itself ({printable(reference)}): only uncommitted changes count",))
    return _first_parent(git, reference, head, shallow)


def head_of(git: Git) -> str:
    """Return the commit that HEAD is."""
    return git(["rev-parse", "HEAD"]).stdout.strip()


def _first_parent(git: Git, reference: str, head: str, shallow: frozenset[str]) -> Base:
    standing = f"HEAD is the base itself ({printable(reference)})"
    if head in shallow:
        return Base(None, "history-shallow", f"{standing}, and what was before it is not here: {_HISTORY_HINT}")
    parents = git(["rev-list", "--parents", "--max-count=1", "HEAD"]).stdout.split()[1:]
    if not parents:
        empty = git(["hash-object", "-t", "tree", "--stdin"]).stdout.strip()
        return Base(empty, notes=("HEAD is a root commit: there is nothing before it",), is_root=True)
    return Base(parents[0], notes=(f"{standing}: it was compared with its first parent",))


def _reached(git: Git, base: str, reference: str, shallow: frozenset[str]) -> Base:
    """Return the base, unless history was cut off on the way to it: then a younger one may be missing."""
    if not shallow:
        return Base(base)
    way = git(["rev-list", "HEAD", reference, f"^{base}"])
    if way.code != 0 or not shallow.isdisjoint(way.stdout.split()):
        return Base(None, "history-shallow", f"commits on the way to the base {base[:12]} are cut off: {_HISTORY_HINT}")
    return Base(base, notes=(_HISTORY_HINT,))


def _without_default(git: Git, shallow: frozenset[str]) -> Base:
    problem = "there is no default branch to compare with"
    if shallow:
        return _unknown(problem, shallow)
    found = _first_parent(git, "HEAD", head_of(git), shallow)
    return found if found.is_root else Base(None, nothing=f"{problem}: name the base by ${BASE_VARIABLE}")


def _unknown(problem: str, shallow: frozenset[str]) -> Base:
    hint = _HISTORY_HINT if shallow else f"name the base by ${BASE_VARIABLE}"
    return Base(None, "base-unknown", f"{problem}: {hint}")


def _default_branch(git: Git) -> str | None:
    remote_head = git(["symbolic-ref", "--quiet", "refs/remotes/origin/HEAD"])
    branches = git(["for-each-ref", "--format=%(refname)", "refs/heads", "refs/remotes"]).stdout.split()
    if remote_head.code == 0 and remote_head.stdout.strip() in branches:
        return remote_head.stdout.strip()
    for place in ("refs/remotes/origin/", "refs/heads/"):
        for name in ("main", "master"):
            if place + name in branches:
                return place + name
    # The only branch is the default one; the only remote reference may be a pull request's, as CI fetches it.
    return branches[0] if len(branches) == 1 and branches[0].startswith("refs/heads/") else None
