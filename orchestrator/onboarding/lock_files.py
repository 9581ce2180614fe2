"""Lock files of Python: uv.lock, poetry.lock, pdm.lock and pylock.toml say which version of a package is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.onboarding.codebase import Codebase, table
from orchestrator.onboarding.requirement import bare_name, marker_holds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LOCK_FILES = ("uv.lock", "poetry.lock", "pdm.lock", "pylock.toml")
"""In this order: the first that can be read decides."""

_MOST_BYTES = 8 * 1024 * 1024
"""The largest lock files known have some thousand packages, 3 MB; more takes too long to parse."""

_KNOWN_MAJOR = {"uv.lock": 1, "poetry.lock": 2, "pdm.lock": 4, "pylock.toml": 1}


@dataclass(frozen=True, slots=True)
class Locked:
    """What a lock file says: a version for each package, by normalised name. ``file`` is empty where there is none."""

    file: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def locked(codebase: Codebase, python: str | None = None) -> Locked:
    """Return what the first lock file that can be read says for this machine, and for ``python`` where it is given.

    A file that is cut, too large or of a newer format is noted, and says nothing.
    """
    notes: list[str] = []
    for name in LOCK_FILES:
        if not codebase.has(name):
            continue
        document = codebase.toml(name, most=_MOST_BYTES)
        if not document:
            notes.append(f"{name} could not be read: the versions that it locks are not installed")
            continue
        form = _form(name, document)
        if form is not None and form > _KNOWN_MAJOR[name]:
            notes.append(
                f"{name} is of format {form}, newer than {_KNOWN_MAJOR[name]}, which is known: it was not read"
            )
            continue
        return Locked(name, _versions(document, python), tuple(notes))
    return Locked(notes=tuple(notes))


def _form(name: str, document: Mapping[str, Any]) -> int | None:
    said = {
        "uv.lock": document.get("version"),
        "poetry.lock": table(dict(document), "metadata").get("lock-version"),
        "pdm.lock": table(dict(document), "metadata").get("lock_version"),
        "pylock.toml": document.get("lock-version"),
    }[name]
    digits = str(said).partition(".")[0] if said is not None else ""
    return int(digits) if digits.isdecimal() and len(digits) < 10 else None


def _versions(document: Mapping[str, Any], python: str | None) -> dict[str, str]:
    """Return the version of each package. Of several, the one whose markers hold; where that is not one: none."""
    found: dict[str, set[str]] = {}
    listed = document.get("package") or document.get("packages")
    for entry in listed if isinstance(listed, list) else ():
        if not isinstance(entry, dict):
            continue
        name, version = entry.get("name"), entry.get("version")
        if not isinstance(name, str) or not isinstance(version, str) or not _is_released(entry):
            continue
        if _holds(entry, python):
            found.setdefault(bare_name(name), set()).add(version)
    return {name: versions.pop() for name, versions in found.items() if len(versions) == 1}


def _is_released(entry: Mapping[str, Any]) -> bool:
    """Tell whether a package is from an index: a checkout, a folder and the codebase itself have no pin."""
    source = entry.get("source")
    local = ("git", "editable", "virtual", "directory", "path", "vcs", "url", "file")
    if any(key in entry for key in ("vcs", "directory", "git", "path")):
        return False
    if isinstance(source, dict):
        return not any(key in source for key in local) and source.get("type") not in local
    return True


def _holds(entry: Mapping[str, Any], python: str | None) -> bool:
    marks = entry.get("resolution-markers")
    if isinstance(marks, list) and marks:
        return any(isinstance(mark, str) and marker_holds(mark, python) for mark in marks)
    mark = entry.get("marker") or entry.get("markers")
    return not isinstance(mark, str) or "in groups" in mark or "in extras" in mark or marker_holds(mark, python)
