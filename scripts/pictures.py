"""Makes the pictures of the documents from a real run: its screen, its status, and its Chrome trace.

``python scripts/pictures.py`` writes ``docs/images/*.svg``. Ids, times and the commit are replaced by fixed ones;
durations are those of the machine.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
COLUMNS = 96
CONFIG = """schema_version = 1
[project]
name = "shop"
path = "packages/shop"
task_id = "1001-shop"
[session]
backend = "none"
"""
STAGES = {
    "build": "sleep 0.3; echo built shop 1.4.0",
    "lint": "sleep 0.2; echo no findings",
    "test": "sleep 0.5; echo 'FAILED tests/test_cart.py::test_total - assert 41 == 42'; exit 1",
}
FIXED = (
    (r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d{3}Z-[0-9a-f]{8}", "2026-11-22T08-43-05-720Z-5087869c"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "2026-11-22 08:43:05"),
    (r"(?<=ended )\d\d:\d\d:\d\d", "08:43:07"),
)
ROW, LEFT, WIDTH = 26, 120, 760
COLORS = {"success": "#7fb77e", "failure": "#d9534f", None: "#8fa8c8"}


def main() -> None:
    """Run, look, and write the pictures."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        prepare(root)
        screen("start", call(root, "start", "--project", "shop", "--actor", "ann"))
        screen("status", call(root, "status"))
        trace = json.loads(call(root, "export", "--as", "chrome-trace"))
        (IMAGES / "chrome-trace.svg").write_text(drawn(trace["traceEvents"]), encoding="utf-8")


def prepare(root: Path) -> None:
    """Make a workspace with one project, under git."""
    stages = "".join(
        f'[[pipelines.diagnostics.stages]]\nid = "{name}"\nshell = {json.dumps(line)}\n'
        for name, line in STAGES.items()
    )
    for path, text in (("project_configs/shop.toml", CONFIG + stages), ("packages/shop/cart.py", "TOTAL = 41\n")):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    spec = "---\nlast_review: 2026-11-20\n---\n# Cart\n"
    (root / "tasks/specs").mkdir(parents=True)
    (root / "tasks/specs/1001-shop.md").write_text(spec, encoding="utf-8")
    (root / ".gitignore").write_text("/.runs/\n/out/\n", encoding="utf-8")
    who = {f"GIT_{role}_{what}": "ann@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    dates = dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), "2026-11-22T08:00:00Z")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "shop")):
        subprocess.run(["git", *words], cwd=root, env={**os.environ, **who, **dates}, check=True)


def call(root: Path, *words: str) -> str:
    """Return what a command prints, in colour."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(root), "FORCE_COLOR": "1", "COLUMNS": str(COLUMNS)}
    command = [sys.executable, "-m", "orchestrator", *words]
    done = subprocess.run(command, cwd=root, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    text = done.stdout.decode()
    for pattern, fixed in FIXED:
        text = re.sub(pattern, fixed, text)
    return text


def screen(name: str, text: str) -> None:
    """Write a picture of a terminal that shows ``text``."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True, color_system="truecolor")
        console.print(Text.from_ansi(text.rstrip()))
        svg = console.export_svg(title=f"codex-orchestrator {name}", theme=MONOKAI, unique_id=name)
    # Readers have fonts of their own: the picture loads none.
    svg = re.sub(r"\s*@font-face \{.*?\}\n", "\n", svg, flags=re.S)
    (IMAGES / f"{name}.svg").write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n", encoding="utf-8")


def drawn(events: list[dict[str, Any]]) -> str:
    """Return a drawing of a trace as viewers show it: a row for each lane, a slice for each stage."""
    names = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    slices = [event for event in events if event["ph"] == "X"]
    whole = max(event["ts"] + event["dur"] for event in slices) or 1
    rows = {tid: number for number, tid in enumerate(sorted(names))}
    parts = [f'<text x="8" y="{ROW * number + 18}">{escape(names[tid])}</text>' for tid, number in rows.items()]
    for event in slices:
        left, width = LEFT + event["ts"] / whole * WIDTH, max(2.0, event["dur"] / whole * WIDTH)
        top, color = ROW * rows[event["tid"]] + 3, COLORS.get(event["args"].get("outcome"), COLORS[None])
        label = escape(f"{event['name']} {event['dur'] / 1e6:.2f} s") if width > 60 else ""
        parts.append(f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{ROW - 6}" fill="{color}"/>')
        parts.append(f'<text x="{left + 4:.1f}" y="{top + 15}">{label}</text>')
    size = f'width="{LEFT + WIDTH + 8}" height="{ROW * len(rows) + 4}"'
    style = 'font-family="monospace" font-size="12"'
    body = "\n".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n{body}\n</svg>\n'


if __name__ == "__main__":
    main()
