"""Which files of a project changed since a commit."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from orchestrator.git.porcelain import DIFF, prefix_of
from orchestrator.git.scope import Scope
from orchestrator.git.tree_on_disk import differences_unseen
from orchestrator.git.work_tree import WorkTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_WORDS = {b"A": "added", b"D": "deleted", b"M": "changed", b"T": "changed"}
_TIMEOUT_SECONDS = 10.0


def changed_since(folder: str, commit: str, scope: Scope, environ: Mapping[str, str]) -> list[dict[str, Any]] | None:
    """Return ``{"path", "change"}`` of each file below ``folder`` that differs from ``commit``, sorted by path.

    ``change`` is added, changed or deleted; files that git doesn't track count as ``scope`` says. None when
    git can't tell: the commit is not in this clone, or there is no git.
    """
    try:
        work = WorkTree.around(folder, environ)
        if work is None:
            return None
        tracked = _answered(work, (*DIFF, "--name-status", "--ignore-submodules=none", commit), folder)
        others = _answered(work, ("ls-files", "--others", "--exclude-standard", "--full-name", "-z"), folder)
        if tracked is None or others is None:
            return None
        fields = tracked.split(b"\0")
        named = dict(zip(fields[1::2], fields[::2], strict=False))
        unseen = differences_unseen(work, folder, frozenset(named))
    except OSError:  # TimeoutError is one
        return None
    prefix = prefix_of(work.top, folder)
    words = {path: _WORDS.get(word[:1], "changed") for path, word in named.items() if path not in unseen.same}
    words.update(dict.fromkeys(unseen.hidden, "changed"))
    inside = ((path.removeprefix(prefix), word) for path, word in words.items())
    found = {path: word for path, word in inside if scope.holds(path)}
    untracked = (path.removeprefix(prefix) for path in others.split(b"\0") if path)
    found.update({path: "added" for path in untracked if scope.holds_untracked(path)})
    return [{"path": os.fsdecode(path), "change": found[path]} for path in sorted(found)]


def changed_between(folder: str, before: str, after: str, environ: Mapping[str, str]) -> list[dict[str, Any]] | None:
    """Return ``{"path", "change"}`` of each file below ``folder`` that differs between two commits, sorted by path.

    ``change`` is as of ``changed_since``. None when git can't tell: a commit is not in this clone, or there is no git.
    """
    try:
        work = WorkTree.around(folder, environ)
        if work is None:
            return None
        differing = _answered(work, (*DIFF, "--name-status", before, after, "--", "."), folder)
    except OSError:  # TimeoutError is one
        return None
    if differing is None:
        return None
    fields = differing.split(b"\0")
    prefix = prefix_of(work.top, folder)
    named = {path.removeprefix(prefix): word for word, path in zip(fields[::2], fields[1::2], strict=False)}
    words = {path: _WORDS.get(word[:1], "changed") for path, word in named.items()}
    return [{"path": os.fsdecode(path), "change": words[path]} for path in sorted(words)]


def _answered(work: WorkTree, command: Sequence[str], folder: str) -> bytes | None:
    answer = work.start(command, folder).answer(_TIMEOUT_SECONDS)
    return answer.output if answer.code == 0 else None
