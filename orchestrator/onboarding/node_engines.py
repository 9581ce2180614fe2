"""``engines.node`` of package.json: whether a version of Node is in its range. Forms that are not known hold."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess

from orchestrator.onboarding.codebase import Codebase, table

_PART = re.compile(r"(>=|<=|>|<|=|\^|~)?\s*v?(\d+)(?:\.(\d+|[x*]))?(?:\.(\d+|[x*])[\w.+-]*)?")


def engine_warning(codebase: Codebase, version: str | None) -> str | None:
    """Return what is wrong with a version of Node (``v20.1.0``, None without Node) for the codebase, or None."""
    said = table(codebase.json("package.json"), "engines").get("node")
    if not isinstance(said, str) or version is None or fits(version, said):
        return None
    return f"package.json asks for node {said}, and {version} is on PATH"


def fits(version: str, wanted: str) -> bool:
    """Tell whether a version is in a range of npm's: ``>=18 <21``, ``^18 || >=20.1``, ``20.x``."""
    numbers = re.match(r"v?(\d+)\.(\d+)\.(\d+)", version)
    if numbers is None:
        return True
    have = (int(numbers[1]), int(numbers[2]), int(numbers[3]))
    return any(_holds(have, choice) for choice in wanted.split("||"))


def _holds(have: tuple[int, int, int], choice: str) -> bool:
    rest = _PART.sub("", choice).strip(" ,*")
    if rest:
        return True
    return all(_part_holds(have, *part.groups()) for part in _PART.finditer(choice))


def _part_holds(have: tuple[int, int, int], sign: str | None, major: str, minor: str | None, patch: str | None) -> bool:
    given = [int(major), *(int(part) for part in (minor, patch) if part is not None and part.isdigit())]
    low = (*given, 0, 0)[:3]
    is_whole = len(given) == 3
    if sign == ">=":
        return have >= low
    if sign == "<":
        return have < low
    if sign == ">":
        return have > low if is_whole else have[: len(given)] > tuple(given)
    if sign == "<=":
        return have[: len(given)] <= tuple(given)
    if sign == "^":
        place = next((at for at, number in enumerate(given) if number), len(given) - 1)
        return have >= low and have[: place + 1] == tuple(given[: place + 1])
    if sign == "~":
        return have >= low and have[: min(2, len(given))] == tuple(given[:2])
    return have[: len(given)] == tuple(given)


@functools.cache
def node_version(path: str) -> str | None:
    """Return what the ``node`` on ``path`` says of its version, None where there is none or it says nothing."""
    node = shutil.which("node", path=path)
    if node is None:
        return None
    try:
        done = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
