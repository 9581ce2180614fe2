"""Where results are kept: ``docs/performance.json``, and the table in ``docs/performance.md``."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.peers import NODE_PEERS, PYTHON_PEERS
from benchmarks.results import Result
from benchmarks.table import between, markdown

DOCS = Path(__file__).resolve().parent.parent / "docs"
FIGURES, PAGE = "performance.json", "performance.md"


def publish(results: Sequence[Result], folder: Path = DOCS) -> None:
    """Write the results as JSON, and their table between its markers in the page."""
    document = {"made": conditions(), "rows": {result.row: result.document() for result in results}}
    (folder / FIGURES).write_text(_json(document))
    made = document["made"]
    where = f"{made['date']}, {made['cores']} cores, {made['system']}, Python {made['python']}, commit {made['commit']}"
    page = folder / PAGE
    page.write_text(between(page.read_text(), "benchmark", f"Measured {where}.\n\n{markdown(results)}"))


def kept(folder: Path = DOCS) -> Mapping[str, Any]:
    """Return the rows that were published last, by id."""
    rows: Mapping[str, Any] = json.loads((folder / FIGURES).read_text())["rows"]
    return rows


def conditions() -> dict[str, Any]:
    """Return what was measured, when and on what; nothing that names the machine."""
    words = ["git", "-C", str(DOCS), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
    hosts = [f"{name}=={importlib.metadata.version(name)}" for name in ("nox", "invoke")]
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": commit or "unknown",
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "peers": sorted([*PYTHON_PEERS.values(), *NODE_PEERS.values(), *hosts]),
    }


def _json(document: dict[str, Any]) -> str:
    """Return JSON with a line for each row: short, and a diff tells which rows changed."""
    rows = ",\n".join(
        f"  {json.dumps(key)}: {json.dumps(row, ensure_ascii=False)}" for key, row in document["rows"].items()
    )
    made = json.dumps(document["made"], ensure_ascii=False)
    return f'{{\n "made": {made},\n "rows": {{\n{rows}\n }}\n}}\n'
