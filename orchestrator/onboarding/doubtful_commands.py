"""Commands that are no check: they repair what they should find, publish, or can't fail."""

from __future__ import annotations

import posixpath
import re
import shlex

from orchestrator.model.commands_that_cannot_fail import shell_reason

_PART = re.compile(r"\s*(?:&&|\|\||;|\||&)\s*")
_FIXES = re.compile(r"--(?:write|fix|in-place)(?![\w-])")
_UNLESS = {
    "black": ("--check", "--diff"),
    "isort": ("--check", "--check-only", "-c", "--diff"),
    "oxfmt": ("--check", "--list-different"),
    "rustfmt": ("--check",),
    "stylua": ("--check",),
    "djhtml": ("--check",),
    "ruff format": ("--check", "--diff"),
    "cargo fmt": ("--check",),
    "deno fmt": ("--check",),
    "terraform fmt": ("-check",),
    "mix format": ("--check-formatted", "--dry-run"),
    "dprint fmt": (),
    "go fmt": (),
}
"""Formatters that write, and the options with which they only look."""

_ONLY_WITH = {
    "gofmt": ("-w",),
    "gofumpt": ("-w",),
    "goimports": ("-w",),
    "shfmt": ("-w",),
    "prettier": ("-w",),
    "clang-format": ("-i",),
    "autopep8": ("-i",),
    "autoflake": ("-i",),
    "biome": ("--apply", "--apply-unsafe"),
    "rubocop": ("-a", "-A", "-x"),
}
"""Programs that look, and the options with which they write."""

_STARTERS = ("run", "exec", "-m", "npx", "uvx", "bunx", "x", "dlx", "--", "pnpm", "yarn", "bundle")
_PUBLISHES = re.compile(
    r"\b(?:(?:npm|pnpm|yarn|bun|cargo|poetry|pdm|uv|hatch|flit) publish|twine upload|docker push|git push|gem push"
    r"|gh release create|goreleaser release|semantic-release)\b(?!.*--dry-run)"
)


def repairing(line: str) -> str | None:
    """Return the command of a line that repairs files in place of checking them, None where there is none."""
    return next((part for part in _PART.split(line) if _repairs(part)), None)


def publishing(line: str) -> str | None:
    """Return the command of a line that publishes something, None where there is none."""
    return next((part for part in _PART.split(line) if _PUBLISHES.search(part)), None)


def idle(line: str) -> str | None:
    """Return why a line can't fail, None where it can.

    A dry run is a formatter's or compiler's way of only looking, and fails for what it sees (``clang-format``).
    """
    reason = shell_reason(line)
    return None if reason is None or reason.startswith("'--dry") else reason


def _repairs(part: str) -> bool:
    try:
        words = shlex.split(part, comments=True)
    except ValueError:
        words = part.split()
    while words and re.fullmatch(r"[A-Za-z_]\w*=.*", words[0], re.S):
        words = words[1:]
    if not words or words[0] in ("echo", "printf") or {"install", "add"} & set(words[:4]):
        return False
    if _FIXES.search(part):
        return True
    for place, word in enumerate(words):
        if place and words[place - 1] not in _STARTERS:
            continue
        name, after = posixpath.basename(word), words[place + 1 :]
        looks = _UNLESS.get(name, _UNLESS.get(" ".join([name, *after[:1]])))
        if looks is not None:
            return not set(looks) & set(after)
        if set(_ONLY_WITH.get(name, ())) & set(after):
            return True
    return False
