"""Scripts of package.json: which there are, which call which, and which checks they run."""

from __future__ import annotations

import re
from collections.abc import Mapping

from orchestrator.onboarding.codebase import Codebase, table

_PART = re.compile(r"\s*(?:&&|\|\||;|\||&)\s*")
_RUN = re.compile(r"(?:npm|pnpm|yarn|bun)(?:\s+-\S+)*(?:\s+(run|run-script|test|t))?(?:\s+-\S+)*(?:\s+([\w:.-]+))?")
_FIXES = re.compile(r"--(?:write|fix)(?![\w-])")
_WRITES = re.compile(r"(?:^|\s)-w\b")
"""Prettier's; of ``npm run`` it names a package."""

_RUN_ALL = re.compile(r"(?:run-s|run-p|npm-run-all2?)\s+(.*)")


def scripts_of(codebase: Codebase) -> dict[str, str]:
    """Return the scripts of package.json by name."""
    found = table(codebase.json("package.json"), "scripts")
    return {name: line for name, line in found.items() if isinstance(line, str) and line.strip()}


def reached(scripts: Mapping[str, str], name: str) -> set[str]:
    """Return the scripts that ``name`` calls, one by another, ``pre`` and ``post`` too; itself in a circle only."""
    found: set[str] = set()
    waiting = _called(scripts, name)
    while waiting:
        other = waiting.pop()
        if other not in found:
            found.add(other)
            waiting |= _called(scripts, other) - found
    return found


def circle(scripts: Mapping[str, str], name: str) -> list[str]:
    """Return the scripts among which ``name`` comes back to itself, or reaches some that do; none of them ends."""
    every = {name, *reached(scripts, name)}
    return sorted(other for other in every if other in reached(scripts, other))


def programs(scripts: Mapping[str, str], name: str) -> set[str]:
    """Return the first words of all commands that a script runs, also by other scripts."""
    lines = [scripts[other] for other in (name, *sorted(reached(scripts, name))) if other in scripts]
    words = (part.split() for line in lines for part in _PART.split(line))
    return {next((word for word in part if "=" not in word and word not in ("npx", "cross-env")), "") for part in words}


def changing(scripts: Mapping[str, str], name: str) -> str | None:
    """Return the command of a script, or of one that it calls, that repairs files in place of checking them."""
    for other in (name, *sorted(reached(scripts, name))):
        for part in _PART.split(scripts.get(other, "")):
            if _FIXES.search(part) or (_WRITES.search(part) and not _RUN.match(part)):
                return part.strip()
    return None


def _called(scripts: Mapping[str, str], name: str) -> set[str]:
    found = {f"{place}{name}" for place in ("pre", "post")}
    for part in _PART.split(scripts.get(name, "")):
        if part.startswith("cd "):
            break  # what follows are another package's scripts
        every = _RUN_ALL.match(part)
        if every is not None:
            for word in every[1].split():
                pattern = re.escape(word).replace(r"\*", "[^:]*")
                found |= {other for other in scripts if re.fullmatch(pattern, other)}
            continue
        call = _RUN.match(part)
        if call is not None:
            found.add("test" if call[1] in ("test", "t") else call[2] or "")
    return found & scripts.keys()
