"""``.pre-commit-config.yaml``: which tools it runs, in which version, on what, and with which packages beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.onboarding.codebase import Codebase, texts
from orchestrator.onboarding.requirement import exact_version, tag_version

FILE = ".pre-commit-config.yaml"

_FROZEN = re.compile(r"rev:\s*[\"']?([0-9a-fA-F]{7,40})[\"']?\s*#\s*frozen:\s*(\S+)")
"""What ``pre-commit autoupdate --freeze`` writes: the tag stands in a comment beside the commit."""

_TOOL_OF = {"ruff-check": "ruff", "ruff-format": "ruff", "black-jupyter": "black", "mypy": "mypy", "flake8": "flake8"}
_PLAIN_PATH = re.compile(r"[\w./-]+")


@dataclass(frozen=True, slots=True)
class Hook:
    """A hook: its tool, the tool's version (None where the file names none), and what it is run with.

    ``exclude`` are the patterns of the hook and of the whole file, regular expressions that are searched in paths.
    """

    id: str
    tool: str
    version: str | None
    arguments: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


def hooks(codebase: Codebase) -> tuple[Hook, ...]:
    """Return the hooks of the codebase's pre-commit configuration, without those that people start by hand."""
    document = codebase.yaml(FILE)
    repos = document.get("repos") if isinstance(document, dict) else None
    if not isinstance(repos, list):
        return ()
    frozen = {sha.lower(): version for sha, version in _FROZEN.findall(codebase.text(FILE) or "")}
    whole = document.get("exclude")
    return tuple(
        hook
        for repo in repos[:200]
        if isinstance(repo, dict)
        for hook in _hooks_of(repo, frozen, (whole,) if isinstance(whole, str) else ())
    )


def _hooks_of(repo: dict[str, object], frozen: dict[str, str], whole: tuple[str, ...]) -> Iterator[Hook]:
    rev = str(repo.get("rev", ""))
    version = tag_version(frozen.get(rev.lower(), rev))
    listed = repo.get("hooks")
    for entry in listed[:200] if isinstance(listed, list) else ():
        if not isinstance(entry, dict) or "manual" in texts(entry.get("stages")):
            continue
        name = str(entry.get("id", ""))
        exclude = entry.get("exclude")
        beside = tuple(texts(entry.get("additional_dependencies")))
        tool = _TOOL_OF.get(name, name)
        if repo.get("repo") == "local":
            # A hook of the codebase's own: its tool may be among the packages that it brings along.
            words = str(entry.get("entry", "")).split()
            tool = next((word for word in words if word in ("mypy", "ruff", "flake8", "black", "pylint")), tool)
            own = (exact_version(item) for item in beside if re.match(rf"{re.escape(tool)}\b", item))
            version = next(filter(None, own), None)
        yield Hook(
            name,
            tool,
            version,
            tuple(texts(entry.get("args"))),
            tuple(item for item in beside if not re.match(rf"{re.escape(tool)}\s*==", item)),
            (*whole, *((exclude,) if isinstance(exclude, str) else ())),
        )


def excluded_paths(patterns: tuple[str, ...]) -> tuple[str, ...] | None:
    r"""Return the paths that patterns stand for (``^(a/b/|c\.py)$``); None where they say more than paths."""
    found: list[str] = []
    for pattern in patterns:
        text = re.sub(r"\s+", "", pattern.replace("(?x)", ""))
        text = text.removeprefix("^")
        group = re.fullmatch(r"\(\??:?(.*)\)(/?)\$?", text)
        inner, end = (group[1], group[2]) if group else (text, "")
        for part in inner.split("|"):
            path = part.removeprefix("^").removesuffix("$").removesuffix(".*") + end
            path = re.sub(r"\\([.\-/_])", r"\1", path)
            if _PLAIN_PATH.fullmatch(path) is None:
                return None
            found.append(path.rstrip("/"))
    return tuple(dict.fromkeys(found))
