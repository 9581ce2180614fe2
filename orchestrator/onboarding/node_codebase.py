"""Node: the package manager by package.json and its lock file, and the scripts of package.json."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping

from orchestrator.onboarding.codebase import Codebase, table
from orchestrator.onboarding.doubtful_commands import idle, publishing
from orchestrator.onboarding.node_manager import Manager, has_dependencies, manager_of, uses
from orchestrator.onboarding.node_scripts import changing, circle, programs, reached, scripts_of
from orchestrator.onboarding.proposal import REPORT, Proposal, Stage, diagnostics, is_inside, run, skip

NAME = "node"

_NO_TESTS = re.compile(r"echo .*no test specified", re.I)
"""What ``npm init`` writes for tests that there are none of."""

_WATCHES = re.compile(r"--watch(?:All)?(?:=true)?(?![\w=-])")

_LINT = ("lint", "lint:check", "check:lint", "lint:ci", "eslint", "standard", "xo", "biome")
_TEST = ("test", "test:ci", "test:unit", "test:spec", "unit", "spec")
_TYPES = (
    *("typecheck", "type-check", "types:check", "check:types", "check:type", "test:types", "test:typescript"),
    *("check-types", "typescript", "types", "tsc", "test-types"),
)
_FORMATS = ("format", "fmt", "prettier")
"""Names of scripts that usually change files."""

_FORMAT = (
    *("format:check", "check:format", "fmt:check", "check:fmt", "format-check", "prettier:check", "format:ci"),
    *("test:format", *_FORMATS),
)
_CHECKS_ONLY = re.compile(r"--check\b|--list-different\b|(?:^|\s)-[cl]\b")

_LINTERS = ("xo", "eslint", "oxlint", "standard", "biome", "semistandard", "neostandard", "tslint", "jshint")
_SETTINGS = {
    "eslint": (
        *(f"eslint.config.{end}" for end in ("js", "mjs", "cjs", "ts", "mts", "cts")),
        *(f".eslintrc{end}" for end in ("", ".js", ".cjs", ".json", ".yml", ".yaml")),
    ),
    "biome": ("biome.json", "biome.jsonc"),
    "oxlint": (".oxlintrc.json", "oxlint.json"),
    "xo": ("xo.config.js", "xo.config.ts", ".xo-config.json", ".xo-config.js"),
}
_JEST = re.compile(r"(?:npx )?jest(?: [^|&;<>]*)?")
_JEST_SETTINGS = tuple(f"jest.config.{end}" for end in ("js", "cjs", "mjs", "ts", "json"))
_JEST_JUNIT = (("outputDirectory", "."), ("outputName", REPORT))
"""Where jest-junit writes, by its settings in package.json."""

_CALLS = {"eslint": "eslint .", "biome": "biome check .", "oxlint": "oxlint", "xo": "xo"}


def is_strong(codebase: Codebase) -> bool:
    """Tell whether the codebase is a Node package."""
    return codebase.has("package.json")


def propose(codebase: Codebase) -> Proposal:
    """Return what a Node codebase builds, lints and tests with."""
    manager = manager_of(codebase)
    lint = _lint(codebase, manager)
    test = _test(codebase, manager)
    stages = [_build(codebase, manager), lint, test]
    done = _done(codebase, stages)
    stages += filter(None, (_extra(codebase, manager, "typecheck", _TYPES, done),))
    stages += filter(None, (_extra(codebase, manager, "format", _FORMAT, done),))
    notes, warnings = list(manager.notes), (*manager.warnings, *_repairs(scripts_of(codebase)))
    if has_dependencies(codebase):
        notes.append("the build stage installs the dependencies: it needs the network, or a filled cache")
        if not manager.locked:
            notes.append("there is no lock file: two runs may install different dependencies")
    if "workspaces" in codebase.json("package.json") or codebase.has("pnpm-workspace.yaml"):
        notes.append("this is a repository of many packages: what is proposed are the scripts of its root")
    return Proposal(NAME, diagnostics(*stages), warnings=warnings, notes=tuple(notes))


def _build(codebase: Codebase, manager: Manager) -> Stage:
    """Return the build stage. It installs too: what a project says of ``build`` holds in every pipeline."""
    install, scripts = manager.install(codebase), scripts_of(codebase)
    endless = circle(scripts, "build") if "build" in scripts else []
    build = manager.script("build") if "build" in scripts and not endless else ""
    if not build and codebase.has("tsconfig.json") and uses(codebase, "typescript"):
        build = manager.local("tsc --noEmit")
    if not (install or build):
        if endless:
            return _endless("build", endless)
        return skip("build", "package.json has no script 'build' and no dependencies to install")
    why = f"script 'build': {scripts['build']}" if "build" in scripts and not endless else "package.json"
    return run("build", " && ".join(filter(None, (install, build))), why, timeout="15m")


def _lint(codebase: Codebase, manager: Manager) -> Stage:
    scripts = scripts_of(codebase)
    name = next((name for name in _LINT if name in scripts and _doubt(scripts, name) is None), None)
    if name is not None:
        endless = circle(scripts, name)
        if endless:
            return _endless("lint", endless)
        return run("lint", manager.script(name), f"script '{name}': {scripts[name]}", timeout="5m")
    tested = programs(scripts, "test") & set(_LINTERS)
    if tested:
        return skip("lint", f"the script 'test' runs {' and '.join(sorted(tested))}: the stage test lints too")
    for linter, files in _SETTINGS.items():
        settings = codebase.first(*files) or ("xo in package.json" if linter == "xo" and uses(codebase, "xo") else None)
        if settings is not None and (linter in ("biome", "xo") or uses(codebase, linter)):
            if not _is_run(codebase, linter):
                why = f"found {settings}, but nothing of the codebase runs {linter}"
                return skip("lint", f"{why}; to run it: {manager.local(_CALLS[linter])}")
            return run("lint", manager.local(_CALLS[linter]), f"detected by {settings}", timeout="5m")
    named = next((name for name in _LINT if name in scripts), None)
    if named is not None:
        return skip("lint", f"the script '{named}' {_doubt(scripts, named)}")
    return skip("lint", "package.json has no script 'lint', and no linter is configured")


def _is_run(codebase: Codebase, linter: str) -> bool:
    """Tell whether a script, a hook or CI runs a linter that is set up. Without any CI files people do."""
    if not codebase.workflow_files():
        return True
    hooks = (
        *codebase.listed(".husky"),
        *(name for name in codebase.names if "lint-staged" in name or "lefthook" in name),
    )
    said = (*scripts_of(codebase).values(), codebase.workflows())
    is_said = any(re.search(rf"(?<![\w-]){linter}(?![\w-])", text) for text in said)
    return is_said or bool(hooks) or "lint-staged" in codebase.json("package.json")


def _test(codebase: Codebase, manager: Manager) -> Stage:
    scripts = scripts_of(codebase)
    names = [name for name in _TEST if name in scripts]
    if not names:
        return skip("test", "package.json has no script 'test'")
    doubts = {name: doubt for name in names if (doubt := _unfit(scripts, name)) is not None}
    name = next((name for name in names if name not in doubts), None)
    if name is None:
        return skip("test", f"the script '{names[0]}' {doubts[names[0]]}")
    endless = circle(scripts, name)
    if endless:
        return _endless("test", endless)
    written, added = _report(codebase, scripts[name])
    reports = {"reports": [written]} if written else {}
    line = manager.script(name) + (f"{' --' if manager.name == 'npm' else ''} {added}" if added else "")
    return run("test", line, f"script '{name}': {scripts[name]}", timeout="15m", **reports)


def _report(codebase: Codebase, script: str) -> tuple[str | None, str]:
    """Return the report that jest-junit writes, where it is there, and the arguments that have the script write it."""
    if not uses(codebase, "jest-junit"):
        return None, ""
    package = codebase.json("package.json")
    settings = table(package, "jest-junit")
    folder, name = (str(settings.get(key) or usual) for key, usual in _JEST_JUNIT)
    path = posixpath.normpath(posixpath.join(folder, name))
    if not is_inside(path):
        return None, ""
    named = [script, str(package.get("jest", "")), *(codebase.text(file) or "" for file in _JEST_SETTINGS)]
    if any("jest-junit" in text for text in named):
        return path, ""
    return (path, "--reporters=default --reporters=jest-junit") if _JEST.fullmatch(script) else (None, "")


def _extra(codebase: Codebase, manager: Manager, stage_id: str, names: tuple[str, ...], done: set[str]) -> Stage | None:
    """Return a stage for a check of types or format that no other stage's script runs already."""
    scripts = scripts_of(codebase)
    usable = (name for name in names if name in scripts and _only_checks(stage_id, name, scripts))
    name = next(usable, None)
    if name is None or name in done or circle(scripts, name):
        return None
    return run(stage_id, manager.script(name), f"script '{name}': {scripts[name]}", timeout="10m", needs=["build"])


def _only_checks(stage_id: str, name: str, scripts: Mapping[str, str]) -> bool:
    """Tell whether a script changes nothing: by its options, or, where they say neither, by its name."""
    if _doubt(scripts, name) is not None:
        return False
    return stage_id != "format" or name not in _FORMATS or _CHECKS_ONLY.search(scripts[name]) is not None


def _doubt(scripts: Mapping[str, str], name: str) -> str | None:
    """Return why a script is no check of the code, None where nothing speaks against it."""
    command = changing(scripts, name)
    return _unfit(scripts, name) if command is None else f"runs '{command}', which repairs what it should find"


def _unfit(scripts: Mapping[str, str], name: str) -> str | None:
    """Return why a script is called by no stage at all: it does not end, publishes, or can't fail."""
    if _NO_TESTS.search(scripts[name]):
        return "is npm's placeholder, which only says that there are no tests"
    lines = [scripts[other] for other in (name, *sorted(reached(scripts, name))) if other in scripts]
    if any(map(_WATCHES.search, lines)):
        return "watches files, and does not end"
    published = next(filter(None, map(publishing, lines)), None)
    if published is not None:
        return f"runs '{published}', which publishes"
    reason = idle(scripts[name])
    is_alone = not {f"pre{name}", f"post{name}"} & scripts.keys()
    return f"can't fail: {reason}" if reason is not None and is_alone else None


def _repairs(scripts: Mapping[str, str]) -> Iterator[str]:
    """Yield a warning of a test script that repairs files: nothing else can stand in its place."""
    name = next((name for name in _TEST if name in scripts), None)
    command = None if name is None else changing(scripts, name)
    if command is not None:
        yield (
            f"the script '{name}' runs '{command}', which repairs what it should find: a run in which files changed is "
            "not ready; let 'test' in the config call the check alone"
        )


def _done(codebase: Codebase, stages: list[Stage]) -> set[str]:
    """Return the scripts that the stages run, one by another."""
    scripts = scripts_of(codebase)
    named = [
        name
        for stage in stages
        for name in scripts
        if re.search(rf"(?:run | )(?:{re.escape(name)})(?: |$)", stage.does)
    ]
    return {*named, *(other for name in named for other in reached(scripts, name))}


def _endless(stage_id: str, scripts: list[str]) -> Stage:
    return skip(stage_id, f"scripts of package.json call each other in a circle: {', '.join(scripts)}")
