"""Which commit a repository's changes are compared with."""

from __future__ import annotations

import re
from dataclasses import dataclass

from orchestrator.checks.spec_guard.repository import Git
from orchestrator.checks.spec_guard.values import printable

BASE_VARIABLE = "BASE_SHA"

_ZERO_SHA = re.compile(r"0+")
_HISTORY_HINT = "the clone is shallow: fetch the whole history (git fetch --unshallow; fetch-depth: 0 in CI)"


@dataclass(frozen=True, slots=True)
class Asked:
    """The commit that somebody named, and where: ``reference`` is empty when nobody did."""

    reference: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Base:
    """The commit to compare with; None with what is wrong as ``rule`` and ``problem``. ``notes`` go with both."""

    commit: str | None
    rule: str = ""
    problem: str = ""
    notes: tuple[str, ...] = ()


def asked(named: str, configured: str | None) -> tuple[Asked, tuple[str, ...]]:
    """Return what is asked for by ``$BASE_SHA``, else by the config; and notes.

    All zeros is what GitHub and GitLab send as "before" of a branch that is new.
    """
    notes: tuple[str, ...] = ()
    if named and _ZERO_SHA.fullmatch(named):
        notes = (f"${BASE_VARIABLE} is all zeros (a new branch): the default branch was taken",)
    elif named:
        return Asked(named, f"${BASE_VARIABLE}"), ()
    if configured is not None:
        return Asked(configured, "spec_guard.base of the project's config"), notes
    return Asked(), notes


def is_commit(git: Git, reference: str) -> bool:
    """Tell whether a repository has that commit, branch or tag."""
    if reference.startswith("-"):
        return False
    return git(["rev-parse", "--verify", "--quiet", f"{reference}^{{commit}}"]).code == 0


def find_base(git: Git, wanted: Asked) -> Base:
    """Return the commit where HEAD left what was asked for, else the default branch."""
    shallow = git(["rev-parse", "--is-shallow-repository"]).stdout.strip() == "true"
    reference, origin = wanted.reference, wanted.origin
    if not reference:
        default = _default_branch(git)
        if default is None:
            return _unknown("there is no default branch to compare with", shallow=shallow)
        reference, origin = default, "the default branch"
    if not is_commit(git, reference):
        return _unknown(f"{origin} '{printable(reference)}' is not a commit of this repository", shallow=shallow)
    merge_base = git(["merge-base", reference, "HEAD"])
    if merge_base.code != 0:
        return _unknown(f"HEAD and {origin} '{printable(reference)}' have no common commit", shallow=shallow)
    base = merge_base.stdout.strip()
    if base != git(["rev-parse", "HEAD"]).stdout.strip():
        return Base(base, notes=(_HISTORY_HINT,) if shallow else ())
    standing = f"HEAD is the base itself ({printable(reference)})"
    if shallow:
        # What led to HEAD was cut off, so that nobody can tell what changed: it must not pass for nothing.
        return Base(None, "history-shallow", f"{standing}, and what was before it is not here: {_HISTORY_HINT}")
    return Base(base, notes=(f"{standing}: only uncommitted changes were compared",))


def _unknown(problem: str, *, shallow: bool) -> Base:
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
