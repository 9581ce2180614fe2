"""Programs that stages call and that are not on PATH: known before a run ends with exit code 127."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping

FROM_OUTSIDE = frozenset(
    (
        *("node", "npm", "npx", "pnpm", "yarn", "bun", "deno", "go", "golangci-lint", "cargo", "rustc", "make", "just"),
        *("task", "gradle", "mvn", "dotnet", "cmake", "ninja", "docker", "podman", "bazel", "swift", "ruby", "php"),
    )
)
"""Tools that no session's environment brings; others may be installed there, which is known only once it is made."""

_BREAK = re.compile(r"&&|\|\||[;|\n]")


def programs_in(command: str) -> Iterator[str]:
    """Yield the first word of each command of a line, variables before it apart."""
    for part in _BREAK.split(command):
        yield from [word for word in part.split() if not re.fullmatch(r"\w+=\S*", word)][:1]


def missing_programs(stages: Iterable[tuple[str, str]], path: str) -> Mapping[str, list[str]]:
    """Return each such program that is not on ``path``, with the stages that call it; ``stages`` are id and command."""
    found: dict[str, list[str]] = {}
    for stage_id, command in stages:
        for program in programs_in(command):
            if program in FROM_OUTSIDE and shutil.which(program, path=path) is None:
                listed = found.setdefault(program, [])
                listed += [] if stage_id in listed else [stage_id]
    return found


def words_of(missing: Mapping[str, list[str]]) -> list[str]:
    """Return a sentence for each missing program."""
    return [
        f"{program} is not on PATH: {', '.join(stages)} {'ends' if len(stages) == 1 else 'end'} with exit code 127"
        for program, stages in missing.items()
    ]
