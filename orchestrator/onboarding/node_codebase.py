"""Node: the package manager by its lock file, and the scripts of package.json."""

from __future__ import annotations

import re

from orchestrator.onboarding.codebase import Codebase, table
from orchestrator.onboarding.proposal import Proposal, Stage, diagnostics, run, skip

NAME = "node"

_LOCKS = {
    "package-lock.json": "npm",
    "npm-shrinkwrap.json": "npm",
    "pnpm-lock.yaml": "pnpm",
    "yarn.lock": "yarn",
    "bun.lock": "bun",
    "bun.lockb": "bun",
}
_FROZEN = {"npm": "npm ci", "pnpm": "pnpm install --frozen-lockfile", "bun": "bun install --frozen-lockfile"}
_LOOSE = {"npm": "npm install --no-package-lock", "pnpm": "pnpm install --no-lockfile", "bun": "bun install --no-save"}
"""Without a lock file: none is written either, which would be a change of the code that a run is about."""

_LOCAL = {"npm": "npx --no-install", "pnpm": "pnpm exec", "yarn": "yarn", "bun": "bun x --no-install"}
_DEPENDENCIES = ("dependencies", "devDependencies", "optionalDependencies")
_NO_TESTS = re.compile(r"echo .*no test specified", re.I)
"""What ``npm init`` writes for tests that there are none of."""

_ESLINT = tuple(f"eslint.config.{end}" for end in ("js", "mjs", "cjs", "ts")) + tuple(
    f".eslintrc{end}" for end in ("", ".js", ".cjs", ".json", ".yml", ".yaml")
)


def is_strong(codebase: Codebase) -> bool:
    """Tell whether the codebase is a Node package."""
    return codebase.has("package.json")


def propose(codebase: Codebase) -> Proposal:
    """Return what a Node codebase builds, lints and tests with."""
    manager, frozen = _manager(codebase)
    stages = (_build(codebase, manager, frozen), _lint(codebase, manager), _test(codebase, manager))
    notes = []
    if _has_dependencies(codebase):
        notes.append("the build stage installs the dependencies: it needs the network, or a filled cache")
        if not frozen:
            notes.append("there is no lock file: two runs may install different dependencies")
    if "workspaces" in codebase.json("package.json") or codebase.has("pnpm-workspace.yaml"):
        notes.append("this is a repository of many packages: what is proposed are the scripts of its root")
    return Proposal(NAME, diagnostics(*stages), notes=tuple(notes))


def _manager(codebase: Codebase) -> tuple[str, bool]:
    """Return the package manager, and whether it has a lock file."""
    lock = codebase.first(*_LOCKS)
    if lock is not None:
        return _LOCKS[lock], True
    named = str(codebase.json("package.json").get("packageManager", "")).partition("@")[0]
    return (named if named in _LOCAL else "npm"), False


def _scripts(codebase: Codebase) -> dict[str, str]:
    found = table(codebase.json("package.json"), "scripts")
    return {name: line for name, line in found.items() if isinstance(line, str) and line.strip()}


def _script(manager: str, name: str) -> str:
    return f"{manager} test" if name == "test" and manager != "bun" else f"{manager} run {name}"


def _has_dependencies(codebase: Codebase) -> bool:
    document = codebase.json("package.json")
    return any(table(document, key) for key in _DEPENDENCIES) or "workspaces" in document


def _install(codebase: Codebase, manager: str, frozen: bool) -> str:
    if not _has_dependencies(codebase):
        return ""
    if manager == "yarn":
        named = str(codebase.json("package.json").get("packageManager", ""))
        if codebase.has(".yarnrc.yml") or re.match(r"yarn@[2-9]", named) is not None:
            return "yarn install --immutable" if frozen else "yarn install"
        return f"yarn install {'--frozen-lockfile' if frozen else '--no-lockfile'}"
    return (_FROZEN if frozen else _LOOSE)[manager]


def _build(codebase: Codebase, manager: str, frozen: bool) -> Stage:
    """Return the build stage. It installs too: what a project says of ``build`` holds in every pipeline."""
    install, scripts = _install(codebase, manager, frozen), _scripts(codebase)
    build = _script(manager, "build") if "build" in scripts else ""
    if not build and codebase.has("tsconfig.json") and _uses(codebase, "typescript"):
        build = f"{_LOCAL[manager]} tsc --noEmit"
    if not (install or build):
        return skip("build", "package.json has no script 'build' and no dependencies to install")
    why = f"script 'build': {scripts['build']}" if "build" in scripts else "package.json"
    return run("build", " && ".join(filter(None, (install, build))), why, timeout="15m")


def _lint(codebase: Codebase, manager: str) -> Stage:
    scripts = _scripts(codebase)
    name = next((name for name in ("lint", "lint:check", "check:lint", "eslint", "standard") if name in scripts), None)
    if name is not None:
        return run("lint", _script(manager, name), f"script '{name}': {scripts[name]}", timeout="5m")
    if codebase.first(*_ESLINT) is not None and _uses(codebase, "eslint"):
        return run("lint", f"{_LOCAL[manager]} eslint .", f"detected by {codebase.first(*_ESLINT)}", timeout="5m")
    if codebase.first("biome.json", "biome.jsonc") is not None:
        return run("lint", f"{_LOCAL[manager]} biome check .", "detected by biome's settings", timeout="5m")
    return skip("lint", "package.json has no script 'lint', and no linter is configured")


def _test(codebase: Codebase, manager: str) -> Stage:
    scripts = _scripts(codebase)
    name = next((name for name in ("test", "test:ci", "test:unit") if name in scripts), None)
    if name is None:
        return skip("test", "package.json has no script 'test'")
    if _NO_TESTS.search(scripts[name]):
        return skip("test", "the script 'test' is npm's placeholder, which only says that there are no tests")
    return run("test", _script(manager, name), f"script '{name}': {scripts[name]}", timeout="15m")


def _uses(codebase: Codebase, package: str) -> bool:
    document = codebase.json("package.json")
    return any(package in table(document, key) for key in _DEPENDENCIES)
