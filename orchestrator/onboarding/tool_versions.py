"""Which version of a tool a codebase uses, and which of its files says so."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.onboarding.codebase import Codebase
from orchestrator.onboarding.declared_commands import Declared
from orchestrator.onboarding.lock_files import Locked, locked
from orchestrator.onboarding.nox_files import FILE as NOX_FILE
from orchestrator.onboarding.nox_files import nox_installs
from orchestrator.onboarding.pre_commit import FILE as HOOKS_FILE
from orchestrator.onboarding.pre_commit import Hook
from orchestrator.onboarding.requirement import applies, bare_name, exact_version, requirement_lines

_MOST_FILES = 40


@dataclass(frozen=True, slots=True)
class Pin:
    """The version of a package, and the file that names it."""

    version: str
    source: str


class ToolVersions:
    """The versions that a codebase names.

    The first of these decides: its lock file, its groups and extras, its requirements files, pre-commit, and what tox
    and nox install or call.
    """

    def __init__(
        self,
        codebase: Codebase,
        *,
        listed: Iterable[str],
        hooks: Iterable[Hook],
        commands: Iterable[Declared],
        python: str | None = None,
    ) -> None:
        """``listed`` are the requirements of the codebase's groups and extras, ``python`` the Python asked for."""
        self.locked: Locked = locked(codebase, python)
        self._sources: list[dict[str, Pin]] = [
            {name: Pin(version, self.locked.file) for name, version in self.locked.versions.items()},
            _exact(listed, "its groups and extras", python),
        ]
        for name in requirement_files(codebase):
            self._sources.append(_exact(requirement_lines(codebase.text(name) or ""), name, python))
        self._sources.append({hook.tool: Pin(hook.version, HOOKS_FILE) for hook in hooks if hook.version is not None})
        self._sources.append(_exact(_tox_deps(codebase), "tox.ini", python))
        self._sources.append(_exact(nox_installs(codebase), NOX_FILE, python))
        self._sources.append(dict(_called(commands)))

    def pin(self, package: str) -> Pin | None:
        """Return the version of ``package`` (a normalised name) that is used, None where no file names one."""
        return next((found for source in self._sources if (found := source.get(package)) is not None), None)

    def others(self, package: str) -> list[Pin]:
        """Return what other files say of ``package`` that is another version than ``pin``'s."""
        pins = [source[package] for source in self._sources if package in source]
        return [pin for pin in pins[1:] if pin.version != pins[0].version]


def requirement_files(codebase: Codebase) -> list[str]:
    """Return the codebase's requirements files: at its top, in ``requirements/`` and beside its tests."""
    top = [name for name in sorted(codebase.names) if re.fullmatch(r"[\w.-]*requirements[\w.-]*\.txt", name)]
    inner = [
        f"{folder}/{name}"
        for folder, pattern in (("requirements", r"[\w.-]+\.txt"), ("tests", r"requirements[\w.-]*\.txt"))
        for name in codebase.listed(folder)
        if re.fullmatch(pattern, name)
    ]
    return [*top, *inner][:_MOST_FILES]


def _exact(requirements: Iterable[str], source: str, python: str | None) -> dict[str, Pin]:
    found: dict[str, Pin] = {}
    for item in requirements:
        version = exact_version(item) if "==" in item else None
        if version is not None and applies(item, python):
            found.setdefault(bare_name(item), Pin(version, source))
    return found


def _tox_deps(codebase: Codebase) -> list[str]:
    sections = (keys for name, keys in codebase.ini("tox.ini").items() if name.startswith("testenv"))
    lines = (line.strip() for keys in sections for line in keys.get("deps", "").splitlines())
    return [re.sub(r"^[\w!,.{}-]+:\s+", "", line) for line in lines if line]


def _called(commands: Iterable[Declared]) -> Iterable[tuple[str, Pin]]:
    """Yield tools that are called in a version: ``uvx ruff@0.9.1 check``."""
    for command in commands:
        name, _, version = command.tool.partition("@")
        if version and re.fullmatch(r"\d+(\.\d+)+", version):
            yield bare_name(name), Pin(version, command.source)
