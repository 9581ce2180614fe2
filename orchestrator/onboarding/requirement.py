"""A requirement of a Python codebase as text: what it names, pins, and whether it is one for this Python."""

from __future__ import annotations

import re
import sys

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_VERSION = re.compile(r"v?(\d+(?:\.\d+)+(?:[-.]?(?:a|b|rc|post|dev)\d*)?)", re.ASCII)


def bare_name(requirement: str) -> str:
    """Return the package that a requirement names, as the packaging standards normalise it (PEP 503)."""
    match = _NAME.match(requirement.strip())
    return re.sub(r"[-_.]+", "-", match[0]).lower().rstrip("-") if match else ""


def applies(requirement: str, python: str | None = None) -> bool:
    """Tell whether a requirement's marker holds on this machine, for ``python`` ("3.13") where it is given.

    What can't be parsed applies: the installer then says what is wrong with it.
    """
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        marker = Requirement(_plain(requirement)).marker
    except InvalidRequirement:
        return True
    return marker is None or marker_holds(str(marker), python)


def marker_holds(marker: str, python: str | None = None) -> bool:
    """Tell whether an environment marker (PEP 508) holds; one that can't be parsed or evaluated does."""
    from packaging.markers import InvalidMarker, Marker, UndefinedComparison, UndefinedEnvironmentName

    version = python or f"{sys.version_info[0]}.{sys.version_info[1]}"
    # Lock files of PDM and pylock.toml have markers on extras and groups too: what is locked for any of them counts.
    environment: dict[str, str] = {"python_version": version, "extra": ""}
    if python is not None:
        environment["python_full_version"] = f"{python}.0"
    try:
        return Marker(marker).evaluate(dict(environment))
    except (InvalidMarker, UndefinedComparison, UndefinedEnvironmentName, KeyError, TypeError, ValueError):
        return True


def exact_version(requirement: str) -> str | None:
    """Return the version that a requirement pins by ``==``, None for a range, a wildcard or none."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        listed = list(Requirement(_plain(requirement)).specifier)
    except InvalidRequirement:
        return None
    pins = {item.version for item in listed if item.operator in ("==", "===") and not item.version.endswith(".*")}
    return pins.pop() if len(pins) == 1 else None


def tag_version(text: str) -> str | None:
    """Return the version that a tag names (``v0.9.10``); None for a commit's sha, a branch, and a bare number."""
    match = _VERSION.fullmatch(text.strip())
    return match[1] if match else None


def requirement_lines(text: str) -> list[str]:
    """Return the requirements of a requirements file, without comments, options, hashes and continuation lines."""
    joined = text.replace("\\\n", " ")
    lines = (re.sub(r"(?:^|\s)#.*", "", line).strip() for line in joined.splitlines())
    return [re.sub(r"\s--hash[= ]\S+", "", line) for line in lines if line and not line.startswith("-")]


def _plain(requirement: str) -> str:
    return re.sub(r"\s--\w.*", "", requirement).strip()
