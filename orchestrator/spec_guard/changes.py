"""Did code change without its spec? Commits since the base, and what is not yet committed, count."""

from __future__ import annotations

import os
import re

from orchestrator.spec_guard.repository import Git, GitAnswer
from orchestrator.spec_guard.values import SPEC_FOLDER, TASK_INDEX, Finding, Report, noted

BASE_VARIABLE = "BASE_SHA"

_NOT_CODE = frozenset({"tasks", "docs", ".agent", ".runs", "out", ".nox"})
_LISTED = 10
_ZERO_SHA = re.compile(r"0+")
_HISTORY_HINT = "the clone is shallow: fetch the whole history (git fetch --unshallow; fetch-depth: 0 in CI)"
_REMEDY = f"a change of code goes with one in {SPEC_FOLDER}/ or {TASK_INDEX}"


def compare(root: str, project_path: str, named_base: str, git: Git) -> Report:
    """Return what the change since the base says about one project.

    ``root`` is the workspace's real path, ``project_path`` the project's folder from there (or absolute),
    ``named_base`` the value of ``$BASE_SHA``; empty: the merge base with the default branch is taken.
    """
    top = git(["rev-parse", "--show-toplevel"])
    if top.code != 0:
        return _no_repository(root, top)
    folder = os.path.realpath(os.path.join(root, project_path))
    top_folder = os.path.realpath(top.stdout.rstrip("\n"))
    if _below(folder, top_folder) is None or _another_repository(folder, top_folder):
        return noted(f"'{project_path}' is not in the workspace's git repository: its changes were not compared")
    if git(["rev-parse", "--verify", "--quiet", "HEAD"]).code != 0:
        return noted("the git repository has no commit yet: there is nothing to compare with")
    base, problem, notes = _find_base(git, named_base)
    if base is None:
        return Report((Finding("base-unknown", project_path, 0, problem),), notes, None)
    changed = _changed(git, base)
    if isinstance(changed, GitAnswer):
        return _git_failed(project_path, changed)
    paths = [os.path.join(top_folder, name) for name in changed]
    code = [os.path.relpath(path, folder) for path in paths if _is_code(path, folder, root)]
    if not code or any(_is_spec(path, root) for path in paths):
        return Report((), notes, base)
    return Report((_without_spec(project_path, code),), (*notes, _REMEDY), base)


def _no_repository(root: str, answer: GitAnswer) -> Report:
    folder = root
    while not os.path.lexists(os.path.join(folder, ".git")):
        parent = os.path.dirname(folder)
        if parent == folder:
            return noted("the workspace is not a git repository: code changes were not compared")
        folder = parent
    return _git_failed(".", answer)


def _another_repository(folder: str, top_folder: str) -> bool:
    while folder != top_folder:
        if os.path.lexists(os.path.join(folder, ".git")):
            return True
        folder = os.path.dirname(folder)
    return False


def _find_base(git: Git, named: str) -> tuple[str | None, str, tuple[str, ...]]:
    """Return the commit to compare with, else what is wrong; and notes."""
    notes: tuple[str, ...] = ()
    if named and _ZERO_SHA.fullmatch(named):
        # GitHub's and GitLab's "before" of a branch that is new.
        notes, named = (f"${BASE_VARIABLE} is all zeros (a new branch): the default branch was taken",), ""
    shallow = git(["rev-parse", "--is-shallow-repository"]).stdout.strip() == "true"
    reference, origin = (named, f"${BASE_VARIABLE}") if named else (_default_branch(git), "the default branch")
    if reference is None:
        return None, _with_hint("there is no default branch to compare with", shallow), notes
    missing = reference.startswith("-") or git(["rev-parse", "--verify", "--quiet", f"{reference}^{{commit}}"]).code
    if missing:
        return (
            None,
            _with_hint(f"{origin} '{_printable(reference)}' is not a commit of this repository", shallow),
            notes,
        )
    merge_base = git(["merge-base", reference, "HEAD"])
    if merge_base.code != 0:
        return None, _with_hint(f"HEAD and {origin} '{_printable(reference)}' have no common commit", shallow), notes
    base = merge_base.stdout.strip()
    if base == git(["rev-parse", "HEAD"]).stdout.strip():
        cut = f"; {_HISTORY_HINT}" if shallow else ""
        note = f"HEAD is the base itself ({reference}): only uncommitted changes were compared{cut}"
        notes = (*notes, note)
    return base, "", notes


def _with_hint(problem: str, shallow: bool) -> str:
    return f"{problem}: {_HISTORY_HINT}" if shallow else f"{problem}: name the base by ${BASE_VARIABLE}"


def _default_branch(git: Git) -> str | None:
    remote_head = git(["symbolic-ref", "--quiet", "refs/remotes/origin/HEAD"])
    branches = git(["for-each-ref", "--format=%(refname)", "refs/heads", "refs/remotes"]).stdout.split()
    if remote_head.code == 0 and remote_head.stdout.strip() in branches:
        return remote_head.stdout.strip()
    for place in ("refs/remotes/origin/", "refs/heads/"):
        for name in ("main", "master"):
            if place + name in branches:
                return place + name
    return branches[0] if len(branches) == 1 else None


def _changed(git: Git, base: str) -> list[str] | GitAnswer:
    """Return the files that differ from ``base`` on disk, from the repository's top, or git's failure."""
    tracked = git(["diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", "--no-relative", base, "--"])
    untracked = git(["ls-files", "--others", "--exclude-standard", "--full-name", "-z", "--", ":/"])
    for answer in (tracked, untracked):
        if answer.code != 0:
            return answer
    return sorted({name for name in (tracked.stdout + untracked.stdout).split("\0") if name})


def _is_code(path: str, folder: str, root: str) -> bool:
    inside = _below(path, folder)
    if inside is None or path.endswith(".md"):
        return False
    from_root = _below(path, root) or ""
    return inside.split("/")[0] not in _NOT_CODE and from_root.split("/")[0] not in _NOT_CODE


def _is_spec(path: str, root: str) -> bool:
    # A spec that was deleted describes nothing, so that its removal is no change of the spec.
    inside = _below(path, root)
    known = inside is not None and (inside == TASK_INDEX or inside.startswith(SPEC_FOLDER + "/"))
    return known and os.path.isfile(path)


def _below(path: str, folder: str) -> str | None:
    """Return ``path`` relative to ``folder``, or None when it lies elsewhere; both are absolute."""
    if path == folder:
        return "."
    start = folder.rstrip("/") + "/"
    return path[len(start) :] if path.startswith(start) else None


def _without_spec(project_path: str, code: list[str]) -> Finding:
    listed = ", ".join(map(_printable, code[:_LISTED])) + (
        f" and {len(code) - _LISTED} more" if len(code) > _LISTED else ""
    )
    message = f"code changed and no spec did: {listed}"
    return Finding("code-without-spec", project_path, 0, message)


def _git_failed(path: str, answer: GitAnswer) -> Report:
    said = answer.stderr.strip().splitlines()
    message = f"git can't say what changed: {_printable(said[0]) if said else f'exit code {answer.code}'}"
    return Report((Finding("git-failed", path, 0, message),), (), None)


def _printable(text: str) -> str:
    return "".join(ch if ch.isprintable() else ch.encode("unicode_escape").decode("ascii") for ch in text)
