"""Node's package managers: which one a codebase is installed with, also a member of a repository of many packages."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from orchestrator.onboarding.codebase import Codebase, table, texts

LOCKS = {
    "package-lock.json": "npm",
    "npm-shrinkwrap.json": "npm",
    "pnpm-lock.yaml": "pnpm",
    "yarn.lock": "yarn",
    "bun.lock": "bun",
    "bun.lockb": "bun",
}
MANAGERS = ("npm", "pnpm", "yarn", "bun")

_FROZEN = {"npm": "npm ci", "pnpm": "pnpm install --frozen-lockfile", "bun": "bun install --frozen-lockfile"}
_LOOSE = {"npm": "npm install --no-package-lock", "pnpm": "pnpm install --no-lockfile", "bun": "bun install --no-save"}
"""Without a lock file: none is written either, which would be a change of the code that a run is about."""

_LOCAL = {"npm": "npx --no-install", "pnpm": "pnpm exec", "yarn": "yarn", "bun": "bun x --no-install"}
_INSTALLS = re.compile(r"\b(npm|pnpm) (?:ci|i|install)((?:\s+-[\w=-]+)*)\s*(?=[\"'&|;#)]|$)", re.M)
"""An install of the dependencies, and not of a tool by its name, with its options."""

_DEPENDENCIES = ("dependencies", "devDependencies", "optionalDependencies")
_HIGHEST = 6
"""So many folders above a codebase the root of a repository of many packages is looked for."""


@dataclass(frozen=True, slots=True)
class Manager:
    """A package manager, ``version`` as ``packageManager`` names it ("" where it does not), and whether it is locked.

    ``root`` is the folder with the lock file where the codebase is a member of a repository of many packages, from
    the codebase (``../..``); None where it is one of its own.
    """

    name: str
    version: str = ""
    locked: bool = False
    root: str | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def install(self, codebase: Codebase) -> str:
        """Return the command that installs the dependencies, empty where there are none."""
        if not has_dependencies(codebase) and self.root is None:
            return ""
        home = codebase if self.root is None else Codebase(os.path.join(codebase.path, self.root))
        return self._install(home) + (" --ignore-scripts" if _ignores_scripts(home, self.name) else "")

    def _install(self, home: Codebase) -> str:
        if self.name == "yarn":
            if home.has(".yarnrc.yml") or re.match(r"[2-9]", self.version) is not None:
                return "yarn install --immutable" if self.locked else "yarn install"
            return f"yarn install {'--frozen-lockfile' if self.locked else '--no-lockfile'}"
        return (_FROZEN if self.locked else _LOOSE)[self.name]

    def script(self, name: str) -> str:
        """Return the command that runs a script of package.json."""
        return f"{self.name} test" if name == "test" and self.name != "bun" else f"{self.name} run {name}"

    def local(self, program: str) -> str:
        """Return the command that runs an installed program."""
        return f"{_LOCAL[self.name]} {program}"


def manager_of(codebase: Codebase) -> Manager:
    """Return the package manager of a codebase, or of the repository of many packages that it is a member of."""
    root = _root_of(codebase)
    home = codebase if root is None else Codebase(os.path.join(codebase.path, root))
    named, version, warnings = _named(codebase)
    if not named and root is not None:
        named, version, warnings = _named(home)
    locks = {LOCKS[name]: name for name in reversed(LOCKS) if home.has(name)}
    chosen = named or (next(LOCKS[name] for name in LOCKS if home.has(name)) if locks else "npm")
    notes = []
    if len(locks) > 1:
        why = f"packageManager says {chosen}" if named else f"{locks[chosen]} is taken"
        notes.append(f"there are several lock files, {', '.join(sorted(locks.values()))}: {why}")
    elif named and locks and named not in locks:
        notes.append(f"packageManager says {named}, and {', '.join(locks.values())} is another's lock file: not used")
    if root is not None:
        notes.append(f"a member of the repository of many packages at {root}: its {chosen} installs them all")
    return Manager(chosen, version, chosen in locks, root, tuple(warnings), tuple(notes))


def has_dependencies(codebase: Codebase) -> bool:
    """Tell whether there is anything to install for the codebase."""
    document = codebase.json("package.json")
    return any(table(document, key) for key in _DEPENDENCIES) or "workspaces" in document or _has_members(codebase)


def uses(codebase: Codebase, package: str) -> bool:
    """Tell whether the codebase names a package among its dependencies."""
    document = codebase.json("package.json")
    return any(package in table(document, key) for key in _DEPENDENCIES)


def _ignores_scripts(codebase: Codebase, manager: str) -> bool:
    """Tell whether the codebase's CI installs by that manager without ever running the scripts of packages."""
    calls = [options for name, options in _INSTALLS.findall(codebase.workflows()) if name == manager]
    return bool(calls) and all("--ignore-scripts" in options.split() for options in calls)


def _named(codebase: Codebase) -> tuple[str, str, list[str]]:
    """Return the manager that package.json names, its version, and a warning of one that is not known."""
    document = codebase.json("package.json")
    said = document.get("packageManager")
    if not isinstance(said, str):
        said = str(table(document, "devEngines", "packageManager").get("name") or "")
    name, _, version = said.partition("@")
    if name and name not in MANAGERS:
        return "", "", [f"packageManager names '{name}', which is not known here: say what installs and runs"]
    return name, version.partition("+")[0], []


def _root_of(codebase: Codebase) -> str | None:
    """Return the way up to the repository of many packages that has the codebase as a member, None without one."""
    real = os.path.realpath(codebase.path)
    above = real
    for level in range(1, _HIGHEST + 1):
        above = os.path.dirname(above)
        home = Codebase(above)
        patterns = _members(home)
        if patterns and _matches(os.path.relpath(real, above), patterns):
            return "/".join([".."] * level)
        if home.has(".git"):
            return None
    return None


def _has_members(codebase: Codebase) -> bool:
    return bool(_members(codebase))


def _members(codebase: Codebase) -> list[str]:
    said = codebase.json("package.json").get("workspaces")
    patterns = texts(said.get("packages")) if isinstance(said, dict) else texts(said)
    if codebase.has("pnpm-workspace.yaml"):
        document = codebase.yaml("pnpm-workspace.yaml")
        patterns += texts(document.get("packages")) if isinstance(document, dict) else []
    return patterns


def _matches(path: str, patterns: list[str]) -> bool:
    taken = False
    for pattern in patterns:
        plain = pattern.removeprefix("!").removeprefix("./").rstrip("/")
        # "**" is any depth, "*" one folder.
        parts = (".*" if part == "**" else re.escape(part).replace(r"\*", "[^/]*") for part in plain.split("/"))
        regex = "/".join(parts)
        if re.fullmatch(regex, path):
            taken = not pattern.startswith("!")
    return taken
