"""Scripts of package.json: which there are, which call which, and which checks they run."""

from __future__ import annotations

import re
from collections.abc import Mapping

from orchestrator.onboarding.codebase import Codebase, table
from orchestrator.onboarding.doubtful_commands import repairing

_PART = re.compile(r"\s*(?:&&|\|\||;|\||&)\s*")
_MANAGERS = ("npm", "pnpm", "yarn", "bun")
_ELSEWHERE = re.compile(
    r"(?:-r|--recursive|-F|--filter|--filter-prod|-ws|--workspaces?|-C|--dir|--cwd|--prefix)(?:=.*)?"
)
"""Options of package managers that make a call mean the scripts of other packages."""

_FIXES = re.compile(r"--(?:write|fix)(?![\w-])")
_WRITES = re.compile(r"(?:^|\s)-w\b")
"""Prettier's; before a script's name, and of npm anywhere, it is the package manager's."""

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
            own = _own_part(part)
            if _FIXES.search(part) or _WRITES.search(own) or repairing(own) is not None:
                return part.strip()
    return None


def _own_part(part: str) -> str:
    """Return a command without what of it is the package manager's: of npm what stands before ``--``."""
    words = part.split()
    if words[:1] == ["npm"]:
        return part.partition(" -- ")[2]
    if words and words[0] in _MANAGERS:
        words = words[1:]
        while words and (words[0].startswith("-") or words[0] in ("run", "exec", "x", "dlx")):
            words = words[1:]
    return " ".join(words)


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
        found.add(_script_of(part.split()))
    return found & scripts.keys()


def _script_of(words: list[str]) -> str:
    """Return the script of this package that a command calls by a package manager, empty where it calls none."""
    if not words or words[0] not in _MANAGERS:
        return ""
    own = words[1 : words.index("--")] if "--" in words else words[1:]
    is_npms = words[0] == "npm"
    if any(_ELSEWHERE.fullmatch(word) or (is_npms and re.fullmatch(r"-w(?:=.*)?", word)) for word in own):
        return ""
    plain = [word for word in own if not word.startswith("-")]
    if plain[:1] in (["run"], ["run-script"]):
        return plain[1] if len(plain) > 1 else ""
    if words[0] == "bun" and plain[:1] == ["test"]:
        return ""  # the runner that bun has itself
    return "test" if plain[:1] == ["t"] else plain[0] if plain else ""
