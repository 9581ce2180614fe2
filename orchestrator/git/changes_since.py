"""Which files of a project changed since a commit."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from orchestrator.git.process import GitProcess
from orchestrator.git.scope import Scope

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
    tracked = _asked(folder, ("diff", "--name-status", "-z", "--no-renames", "--relative", commit), environ)
    others = _asked(folder, ("ls-files", "--others", "--exclude-standard", "-z"), environ)
    if tracked is None or others is None:
        return None
    fields = tracked.split(b"\0")
    pairs = [(path, _WORDS.get(word[:1], "changed")) for word, path in zip(fields[::2], fields[1::2], strict=False)]
    found = {path: word for path, word in pairs if scope.holds(path)}
    found.update({path: "added" for path in others.split(b"\0") if path and scope.holds_untracked(path)})
    return [{"path": os.fsdecode(path), "change": found[path]} for path in sorted(found)]


def _asked(folder: str, command: Sequence[str], environ: Mapping[str, str]) -> bytes | None:
    try:
        answer = GitProcess.start(folder, command, environ).answer(_TIMEOUT_SECONDS)
    except OSError:
        return None
    return answer.output if answer.code == 0 else None
