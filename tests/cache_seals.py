"""Edits of cached files as the account itself can make them: with a new seal, by its own key."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.base.files.cache_dir import read_key, sealed


def state_of(environ: Mapping[str, str]) -> Path:
    """Return where commands with this environment keep what is the account's own."""
    return Path(environ["HOME"]) / ".local" / "state" / "codex-orchestrator"


def edit_cached(path: Path, change: Callable[[dict[str, Any]], object], state: Path | None = None) -> None:
    """Change a cached JSON file; with ``state`` (the account's folder) it is sealed anew, else its seal stays."""
    document = json.loads(path.read_text())
    change(document)
    if state is None:
        path.write_text(json.dumps(document))
        return
    key = read_key(str(state))
    assert key is not None
    del document["seal"]
    path.write_bytes(sealed(key, path.name, json.dumps(document).encode()))
