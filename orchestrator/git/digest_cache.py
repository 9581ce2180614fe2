"""The digest of a commit's tree, stored so that git need not list the index again while nothing differs from it."""

from __future__ import annotations

import os

from orchestrator.base import json_codec
from orchestrator.base.files.cache_dir import read_sealed, write_sealed
from orchestrator.base.sha256 import sha256
from orchestrator.base.workspace import Workspace
from orchestrator.git.tree import status_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LIMIT = 4096
_DIGEST_LENGTH = 64


class TreeMemory:
    """What is stored for one folder: a commit, the digest of its tree, and the status of the index that was listed.

    The digest of a tree in which nothing differs from a commit follows from that commit; the index's status
    stands for what could make it another tree of the same name (git-replace(1)).
    """

    def __init__(self, workspace: Workspace, index: str, folder: str) -> None:
        self._workspace = workspace
        self._name = f"tree-{sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:24]}.json"
        self._index = status_of(index)
        self._kept = self._read()

    @property
    def is_likely(self) -> bool:
        """Whether the index is the one that was listed, so that it probably need not be listed again."""
        return self._index is not None and self._kept.get("index") == self._index

    def digest_at(self, commit: str) -> str | None:
        """Return the digest (sha256, hex) of the tree of ``commit``, or None where it is not stored."""
        digest = self._kept.get("digest")
        known = self.is_likely and self._kept.get("commit") == commit
        return digest if known and isinstance(digest, str) and len(digest) == _DIGEST_LENGTH else None

    def store(self, commit: str, digest: str) -> None:
        """Store the digest of the tree of ``commit`` in the place of the one before."""
        if self._index is not None:
            entry = {"commit": commit, "digest": digest, "index": self._index}
            write_sealed(self._workspace, self._name, json_codec.dumps(entry).encode())

    def _read(self) -> dict[str, Any]:
        data = read_sealed(self._workspace, self._name, _LIMIT)
        try:
            stored = json_codec.loads(data) if data is not None else {}
        except (ValueError, RecursionError):
            return {}
        return stored if isinstance(stored, dict) else {}
