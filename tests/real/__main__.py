"""``python -m tests.real [--table] [--only NAME …]``: bring in each codebase, start it untouched, write what passed.

Archives are taken by pip and npm, and kept in ``--archives`` (left out: a temporary folder), with the results,
a file for each codebase: a second call measures what is missing; ``--table`` writes docs/onboarding.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.real.codebases import CODEBASES, RealCodebase

PAGE = Path(__file__).parents[2] / "docs" / "onboarding.md"
BEGIN, END = "<!-- measured: nox -s real -->", "<!-- end of measured -->"
SECONDS = 1800.0


def main() -> int:
    """Measure, and return 0 when each that did not pass has an explanation."""
    parser = argparse.ArgumentParser(prog="real")
    parser.add_argument("--archives", type=Path, default=None)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--program", nargs="*", default=[sys.executable, "-m", "orchestrator"])
    asked = parser.parse_args()
    archives: Path = asked.archives or Path(tempfile.mkdtemp(prefix="real-"))
    archives.mkdir(parents=True, exist_ok=True)
    results = []
    for codebase in CODEBASES:
        if asked.only and codebase.name not in asked.only:
            continue
        kept = archives / f"{codebase.name}.json"
        if not kept.exists() or codebase.name in asked.only:
            kept.write_text(json.dumps(measured(codebase, archives, asked.program), indent=2))
        result = json.loads(kept.read_text())
        results.append((codebase, result))
        print(f"{codebase.name:<18} {result['verdict']:<8} {result['stages']} {result['seconds']} s", flush=True)
    if asked.table:
        write_table(results)
    failed = [codebase for codebase, result in results if result["verdict"] != "passed"]
    unexplained = [codebase.name for codebase in failed if not codebase.miss]
    print(f"{len(results) - len(failed)} of {len(results)} passed at their first start")
    print(f"without an explanation: {', '.join(unexplained) or 'none'}")
    return 1 if unexplained else 0


def measured(codebase: RealCodebase, archives: Path, program: list[str]) -> dict[str, Any]:
    """Return how the first start of a codebase went, nothing of the proposal changed."""
    with tempfile.TemporaryDirectory(prefix="real-") as folder:
        root = Path(folder, "ws")
        place = root / "packages" / codebase.name
        unpack(archive_of(codebase, archives), place)
        environ = {name: text for name, text in os.environ.items() if not name.startswith(("NOX", "PYTEST"))}
        environ |= {"GIT_AUTHOR_NAME": "t", "GIT_COMMITTER_NAME": "t", "EMAIL": "t@example.org"}

        def call(*words: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                words, cwd=root, env=environ, text=True, capture_output=True, timeout=SECONDS, check=False
            )

        call("git", "init", "-q", "-b", "main")
        call(*program, "init", "--yes")
        proposed = call(*program, "onboard", codebase.name, "--yes", "--format", "json")
        call("git", "add", "-A")
        call("git", "commit", "-qm", "all")
        began = time.monotonic()
        done = call(*program, "start", "--project", codebase.name, "--format", "json")
        seconds = round(time.monotonic() - began)
        started, proposal = _document(done.stdout), _document(proposed.stdout)
        status = _document(call(*program, "status", "latest", "--format", "json").stdout)
        stages = {entry["id"]: entry["outcome"] for entry in status.get("commands", ())}
        stages.pop("spec-guard", None)
        return {
            "verdict": "passed" if done.returncode == 0 else "failed",
            "seconds": seconds,
            "stages": stages,
            "proposed": {
                entry["id"]: entry["skip"] or entry["does"]
                for entry in (proposal.get("pipelines") or {}).get("diagnostics", ())
            },
            "install": proposal.get("install"),
            "warnings": proposal.get("warnings"),
            "failed": started.get("failed") or done.stderr[-2000:],
        }


def archive_of(codebase: RealCodebase, archives: Path) -> Path:
    """Return the archive of a release, taken from its registry by its own client where it is missing."""
    stem = codebase.name if codebase.kind == "node" else codebase.name.replace("-", "[-_]")
    pattern = re.compile(rf"{stem}-{re.escape(codebase.version)}\.(?:tar\.gz|tgz)", re.I)
    wanted = f"{codebase.name}{'@' if codebase.kind == 'node' else '=='}{codebase.version}"
    client = ["npm", "pack", "--silent", wanted]
    if codebase.kind == "python":
        client = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", codebase.name, wanted]
    for _ in range(2):
        found = next((path for path in archives.iterdir() if pattern.fullmatch(path.name)), None)
        if found is not None:
            return found
        subprocess.run(client, cwd=archives, check=True, timeout=SECONDS, stdout=subprocess.DEVNULL)
    raise FileNotFoundError(f"{wanted}: its registry has no source archive")


def unpack(archive: Path, place: Path) -> None:
    """Unpack an archive's only folder as ``place``."""
    with tempfile.TemporaryDirectory() as folder, tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
        (top,) = Path(folder).iterdir()
        place.parent.mkdir(parents=True)
        shutil.move(top, place)


def write_table(results: Iterable[tuple[RealCodebase, dict[str, Any]]]) -> None:
    """Write the results between the marks of the page."""
    lines = [
        "| codebase | proposed besides the build | its own CI runs | at the first start |",
        "| --- | --- | --- | --- |",
    ]
    reasons: list[str] = []
    for codebase, result in results:
        proposed = [
            f"{name}: {_short(text, result, name)}" for name, text in result["proposed"].items() if name != "build"
        ]
        how = f"passed, {result['seconds']} s" if result["verdict"] == "passed" else _failed(result)
        name = f"{codebase.name} {codebase.version}"
        if codebase.miss and result["verdict"] != "passed":
            reasons.append(f"- {codebase.name}: {codebase.miss}.")
        lines.append(f"| {name} | {'; '.join(proposed)} | {codebase.own} | {how} |")
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    reasons = ["", "Those that did not pass:", "", *reasons] if reasons else []
    PAGE.write_text("\n".join([f"{before}{BEGIN}", *lines, *reasons, f"{END}{after}"]))


def _short(text: str, result: dict[str, Any], stage: str) -> str:
    if result["stages"].get(stage) == "skip":
        return "–"
    words = re.sub(r"python -m |npx --no-install |npm run |--no-fix ", "", text).split(" && ")
    tools = (word.split() for word in words)
    return "+".join(dict.fromkeys(" ".join(word[:2]) if word[0] in ("ruff", "npm") else word[0] for word in tools))


def _failed(result: dict[str, Any]) -> str:
    entries = result["failed"] if isinstance(result["failed"], list) else []
    return f"{', '.join(entry['stage'] for entry in entries) or 'the start'} failed"


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


if __name__ == "__main__":
    sys.exit(main())
