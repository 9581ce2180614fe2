"""What the configs of a workspace say of their projects, in one file: to parse five hundred takes a tenth second.

An entry holds for the bytes that it was read from, by their sha256, and for the program that read them. It decides
which projects a fleet has, and nothing of what becomes of them: each child reads its own config.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from orchestrator.base.files.cache_dir import read_cached, write_cached
from orchestrator.base.workspace import Workspace
from orchestrator.config.fleet.members import Member
from orchestrator.config.plan_cache import program_mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NAME = "fleet-members.json"
_LIMIT = 4 * 1024 * 1024
_TEXTS = ("path", "task_id")
_LISTS = ("owners", "tags", "depends_on", "also", "pipelines")


class MembersCache:
    """The projects that were read before, by the sha256 of their configs. ``store`` writes what was read anew."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._program = program_mark()
        self._known = self._read()
        self._used: dict[str, Any] = {}
        self._is_changed = False

    def member(self, name: str, digest: str, read: Callable[[], Member]) -> Member:
        """Return the project of a config with that digest: as it is known, else as ``read`` finds it."""
        entry = self._known.get(name)
        found = _member(name, digest, entry)
        if found is None:
            found, self._is_changed = read(), True
            entry = {"digest": digest, **{key: getattr(found, key) for key in (*_TEXTS, *_LISTS)}}
        self._used[name] = entry
        return found

    def store(self) -> None:
        """Write the entries, where one is new or one was not asked for; a disk that refuses only costs time."""
        if self._is_changed or self._used.keys() != self._known.keys():
            document = {"program": self._program, "members": self._used}
            data = json.dumps(document, separators=(",", ":")).encode("utf-8", "backslashreplace")
            write_cached(self._workspace, _NAME, data)

    def _read(self) -> Mapping[str, Any]:
        data = read_cached(self._workspace, _NAME, _LIMIT)
        try:
            document = json.loads(data) if data is not None else None
        except (ValueError, RecursionError):
            return {}
        if not isinstance(document, dict) or document.get("program") != self._program:
            return {}
        members = document.get("members")
        return members if isinstance(members, dict) else {}


def _member(name: str, digest: str, entry: object) -> Member | None:
    """Return the project of an entry, None where it is of other bytes, or none of ours."""
    if not isinstance(entry, dict) or entry.get("digest") != digest:
        return None
    texts = [entry.get(key) for key in _TEXTS]
    lists = [entry.get(key) for key in _LISTS]
    if not all(text is None or isinstance(text, str) for text in texts):
        return None
    if not all(isinstance(each, list) and all(isinstance(word, str) for word in each) for each in lists):
        return None
    path, task_id = texts
    owners, tags, depends_on, also, pipelines = (tuple(each or ()) for each in lists)
    return Member(name, path, task_id, owners, tags, depends_on, also, pipelines, digest=digest)
