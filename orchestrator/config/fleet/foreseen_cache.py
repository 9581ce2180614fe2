"""What is known of the projects' plans, stored in one file: to read five hundred plans takes seconds.

An entry says the digest of a plan, the time allowed, and the sha256 of each config that it was compiled from; it holds
under the same conditions as a stored plan. It decides nothing: each child compiles its own plan, and one whose digest
is another refuses to start.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from orchestrator.base.files.cache_dir import read_sealed, write_sealed
from orchestrator.base.sha256 import sha256
from orchestrator.base.workspace import Workspace
from orchestrator.config.fleet.plan import Foreseen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LIMIT = 4 * 1024 * 1024
_DIGEST = 64


class ForeseenCache:
    """The entries of one pipeline; ``digests`` are the sha256 of the current configs, by project."""

    def __init__(
        self, workspace: Workspace, pipeline: str, conditions: Mapping[str, Any], digests: Mapping[str, str]
    ) -> None:
        self._workspace = workspace
        self._name = f"fleet-{sha256(pipeline.encode('utf-8', 'replace')).hexdigest()[:24]}.json"
        self._conditions = conditions
        self._digests = digests
        self._is_changed = False
        self._entries = self._read()

    def get(self, project: str) -> Foreseen | None:
        """Return what was known of a project, if everything that it rests on is as it was."""
        entry = self._entries.get(project)
        if not isinstance(entry, dict):
            return None
        read, digest, seconds = entry.get("read"), entry.get("digest"), entry.get("sla_seconds")
        if not isinstance(read, dict) or project not in read or not isinstance(seconds, int | float):
            return None
        is_current = all(self._digests.get(name) == known for name, known in read.items())
        is_whole = isinstance(digest, str) and len(digest) == _DIGEST
        return Foreseen(digest, float(seconds)) if is_current and is_whole else None

    def put(self, project: str, known: Foreseen, read: Mapping[str, str] | None) -> None:
        """Note what is known of a project; None: of what it rests on nobody can say whether it changed."""
        if known.digest is not None and read is not None:
            self._is_changed = True
            self._entries[project] = {"read": dict(read), "digest": known.digest, "sla_seconds": known.sla_seconds}

    def store(self) -> None:
        """Write the entries, where one is new; a disk that refuses only costs the next fleet time."""
        if self._is_changed:
            document = {"conditions": self._conditions, "entries": self._entries}
            write_sealed(self._workspace, self._name, json.dumps(document).encode("utf-8", "backslashreplace"))

    def _read(self) -> dict[str, Any]:
        data = read_sealed(self._workspace, self._name, _LIMIT)
        try:
            document = json.loads(data) if data is not None else None
        except (ValueError, RecursionError):
            return {}
        if not isinstance(document, dict) or document.get("conditions") != self._conditions:
            return {}
        entries = document.get("entries")
        return dict(entries) if isinstance(entries, dict) else {}
