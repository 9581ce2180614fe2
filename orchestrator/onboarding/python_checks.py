"""Python's linter and type checker: which is in use, in which version, with which arguments."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence

from orchestrator.onboarding.codebase import Codebase, table
from orchestrator.onboarding.declared_commands import Declared
from orchestrator.onboarding.pre_commit import FILE as HOOKS_FILE
from orchestrator.onboarding.pre_commit import Hook, excluded_paths
from orchestrator.onboarding.proposal import Stage, run, skip
from orchestrator.onboarding.python_facts import PythonFacts
from orchestrator.onboarding.python_needs import Needs

_MYPY_FILES = ("mypy.ini", ".mypy.ini", "setup.cfg")
_MOST_CALLS = 4
_CHANGING = frozenset(
    [
        "--fix",
        "--fix-only",
        "--unsafe-fixes",
        "--exit-non-zero-on-fix",
        "--show-fixes",
        "--install-types",
        "--non-interactive",
    ]
)
"""Arguments that change files or install something, or go with one that does."""

_CHECKS = (
    *("ruff", "black", "isort", "flake8", "pylint", "mypy", "pyright", "basedpyright", "ty", "pyrefly", "codespell"),
    *("interrogate", "lint-imports", "bandit", "vulture", "pydocstyle", "pydoclint", "zizmor", "check-manifest"),
    *("slotscheck", "validate-pyproject", "yamllint", "vermin", "typos", "deptry"),
)
"""Checks of Python codebases; one that is called and not proposed is worth a note."""


def checks(facts: PythonFacts, needs: Needs) -> list[Stage]:
    """Return the lint stage, and a stage for the type checker where there is one besides."""
    linters = (_ruff, _flake8, _black, _pylint)
    lint = next((stage for propose in linters if (stage := propose(facts, needs)) is not None), None)
    types = _mypy(facts, needs, "typecheck" if lint else "lint")
    found = [stage for stage in (lint, types) if stage is not None]
    if not any(stage.id == "lint" for stage in found):
        found.insert(0, skip("lint", "no linter is configured in the codebase"))
    return found


def also_run(facts: PythonFacts, proposed: Iterable[Stage]) -> list[str]:
    """Return the checks that the codebase's files call, and that no stage has."""
    commands = " ".join(stage.does for stage in proposed if stage.skipped is None)
    found = [name for name in _CHECKS if facts.runs(name) and re.search(rf"\b{name}\b", commands) is None]
    formats = any(item.arguments[:1] == ("format",) for item in facts.calls("ruff", local=False))
    if formats and "ruff format" not in commands:
        found.append("ruff format")
    return found


def _ruff(facts: PythonFacts, needs: Needs) -> Stage | None:
    codebase = facts.codebase
    own = codebase.first("ruff.toml", ".ruff.toml")
    where = own or ("[tool.ruff] in pyproject.toml" if "ruff" in facts.tool else None)
    if where is None and not (needs.mentions("ruff") or facts.runs("ruff")):
        return None
    calls, hook = facts.calls("ruff"), facts.hook("ruff")
    checks = [item for item in calls if item.arguments[:1] == ("check",)]
    formats = [item for item in calls if item.arguments[:1] == ("format",)]
    settings = table(facts.tool, "ruff") if own is None else codebase.toml(own)
    hints = codebase.workflows()
    is_formatted = bool(formats) or "format" in settings or re.search(r"ruff[- ]format", hints) is not None
    if not _is_run(facts, needs, "ruff"):
        return _not_run("lint", "ruff check .", where or "the dependencies", "ruff")
    needs.use("ruff")
    words = _first(codebase, checks, after=1) or (".",)
    line = shlex.join(["ruff", "check", "--no-fix", *_hook_excludes(needs, hook, "--extend-exclude"), *words])
    if is_formatted:
        paths = [word for word in _first(codebase, formats, after=1) if word not in ("--check", "--diff", ".")] or ["."]
        left_out = [*_hook_excludes(needs, hook, "--exclude"), *_unhooked(facts, needs)]
        line += f" && {shlex.join(['ruff', 'format', '--check', *left_out, *paths])}"
    source = (
        checks[0].source if checks else HOOKS_FILE if hook is not None else where or "the dependencies and CI files"
    )
    return run("lint", line, f"detected by {source}", timeout="5m")


def _unhooked(facts: PythonFacts, needs: Needs) -> list[str]:
    """Return the option for what ruff formats and its hook, the only caller, does not show it: Markdown.

    Source: types_or of ruff-format in ruff-pre-commit. Ruff formats Markdown from 0.16 on, which brings the option.
    """
    called = any(item.arguments[:1] == ("format",) for item in facts.calls("ruff", local=False))
    if called or not any(hook.id == "ruff-format" for hook in facts.hooks):
        return []
    pin = needs.pins.get("ruff")
    numbers = re.match(r"(\d+)\.(\d+)", pin.version) if pin is not None else None
    is_known = numbers is not None and (int(numbers[1]), int(numbers[2])) >= (0, 16)
    return ["--extend-exclude", "*.md"] if is_known or "ruff" in needs.loose else []


def _flake8(facts: PythonFacts, needs: Needs) -> Stage | None:
    homes = (".flake8", "setup.cfg", "tox.ini")
    where = next((name for name in homes if "flake8" in facts.codebase.ini(name)), None)
    hook = facts.hook("flake8")
    if where is None and hook is None and not (needs.mentions("flake8") or facts.calls("flake8")):
        return None
    if not _is_run(facts, needs, "flake8"):
        return _not_run("lint", "python -m flake8", where or "the dependencies", "flake8")
    needs.use("flake8")
    needs.add(*(hook.beside if hook is not None else ()))
    calls = facts.calls("flake8")
    needs.add_beside(calls[:1])
    words = _first(facts.codebase, calls)
    line = ["python", "-m", "flake8", *_hook_excludes(needs, hook, "--extend-exclude"), *words]
    if not calls and hook is not None:
        line += hook.arguments
    source = calls[0].source if calls else HOOKS_FILE if hook is not None else where or "the dependencies"
    return run("lint", shlex.join(line), f"detected by {source}", timeout="5m")


def _black(facts: PythonFacts, needs: Needs) -> Stage | None:
    if "black" not in facts.tool and not needs.mentions("black") and not facts.runs("black"):
        return None
    if not _is_run(facts, needs, "black"):
        return _not_run("lint", "python -m black --check .", "black's settings", "black")
    needs.use("black")
    calls = facts.calls("black")
    words = [word for word in _first(facts.codebase, calls) if word not in ("--check", "--diff")]
    named = [word for word in words if facts.codebase.has(word)]
    line = shlex.join(["python", "-m", "black", "--check", *(words if named else ["."])])
    source = calls[0].source if named else "black's settings or dependencies"
    return run("lint", line, f"detected by {source}", timeout="5m")


def _pylint(facts: PythonFacts, needs: Needs) -> Stage | None:
    target = package_folder(facts.codebase)
    if ("pylint" not in facts.tool and not facts.codebase.has(".pylintrc")) or target is None:
        return None
    if not _is_run(facts, needs, "pylint"):
        return _not_run("lint", f"python -m pylint {target}", "pylint's settings", "pylint")
    needs.use("pylint")
    needs.add_beside(facts.calls("pylint")[:1])
    words = _first(facts.codebase, facts.calls("pylint")) or (target,)
    return run("lint", shlex.join(["python", "-m", "pylint", *words]), "detected by pylint's settings", timeout="5m")


def _mypy(facts: PythonFacts, needs: Needs, stage_id: str) -> Stage | None:
    settings = table(facts.tool, "mypy")
    is_set_up = "mypy" in facts.tool
    for name in _MYPY_FILES:
        sections = facts.codebase.ini(name)
        settings, is_set_up = settings or dict(sections.get("mypy", {})), is_set_up or "mypy" in sections
    hook, calls = facts.hook("mypy"), facts.calls("mypy")
    if not is_set_up and hook is None and not calls:
        return None
    lines, source = _mypy_lines(facts, hook, calls, settings)
    if not lines:
        return None
    keys = {"needs": ["build"]} if stage_id == "typecheck" else {}
    if not _is_run(facts, needs, "mypy"):
        return _not_run(stage_id, lines[0], "mypy's settings", "mypy", **keys)
    needs.add_typing_file(facts.codebase)
    needs.use("mypy")
    needs.add_beside(calls)
    if not calls and hook is not None:
        needs.add(*hook.beside)
    return run(stage_id, " && ".join(lines), f"detected by {source}", timeout="10m", **keys)


def _mypy_lines(
    facts: PythonFacts, hook: Hook | None, calls: Sequence[Declared], settings: dict[str, object]
) -> tuple[list[str], str]:
    """Return the commands of the type checker, and what tells them: its calls, its hook, or its settings."""
    called = [words for item in calls if (words := _existing(facts.codebase, item.arguments))]
    plain = [item for item in called if all(map(_is_plain, item))]
    if plain:
        lines = list(dict.fromkeys(shlex.join(["python", "-m", "mypy", *words]) for words in plain))
        return lines[:_MOST_CALLS], calls[0].source
    has_targets = bool({"files", "packages", "modules"} & settings.keys())
    target = package_folder(facts.codebase)
    command = ["python", "-m", "mypy"]
    if hook is not None:
        arguments = [word for word in hook.arguments if word not in _CHANGING]
        named = any(not word.startswith("-") for word in arguments)
        if not (named or has_targets) and target is None:
            return [], ""
        excludes = [] if named or has_targets or not hook.exclude else ["--exclude", "|".join(hook.exclude)]
        targets = [] if named or has_targets else [str(target)]
        return [shlex.join([*command, *arguments, *excludes, *targets])], HOOKS_FILE
    if not has_targets and target is None:
        return [], ""
    return [shlex.join(command if has_targets else [*command, str(target)])], "mypy's settings"


def _is_run(facts: PythonFacts, needs: Needs, tool: str) -> bool:
    """Tell whether something of the codebase runs a tool.

    Where nothing says what is run, or pre-commit does and its file is not here (it is in few source archives), the
    tool has to be among the requirements for work on the codebase. A linter that is set up where no file says what
    is run is run by people, unless this is a source archive: these leave such files out. In one of these a type
    checker that only a group for work names proves nothing either: many a codebase has it for its editors.
    """
    if facts.runs(tool):
        return True
    hidden = not facts.hooks and (facts.runs("pre-commit") or facts.runs("prek"))
    is_archive = facts.codebase.has("PKG-INFO")
    if needs.mentions(tool):
        return hidden or not (facts.has_runner or (is_archive and tool == "mypy"))
    return tool != "mypy" and not facts.has_runner and not is_archive


def _not_run(stage_id: str, command: str, where: str, tool: str, **keys: list[str]) -> Stage:
    stage = skip(stage_id, f"found {where}, but nothing of the codebase runs {tool}; to run it: {command}")
    return Stage(stage.id, {**stage.keys, **keys}, stage.why) if keys else stage


def _first(codebase: Codebase, calls: Sequence[Declared], after: int = 0) -> tuple[str, ...]:
    """Return the arguments of the first call that is made of plain words, without paths that are not there."""
    for item in calls:
        words = _existing(codebase, item.arguments[after:])
        if all(map(_is_plain, words)):
            return words
    return ()


def _existing(codebase: Codebase, words: Sequence[str]) -> tuple[str, ...]:
    kept: list[str] = []
    for place, word in enumerate(words):
        is_value = place > 0 and words[place - 1].startswith("--") and "=" not in words[place - 1]
        if word in _CHANGING or (not word.startswith("-") and not is_value and not codebase.has(word)):
            continue
        kept.append(word)
    return tuple(kept)


def _is_plain(word: str) -> bool:
    return re.search(r"[{}$`|;&<>]", word) is None


def _hook_excludes(needs: Needs, hook: Hook | None, option: str) -> list[str]:
    """Return the option for what a hook leaves out; patterns that say more than paths are noted."""
    if hook is None or not hook.exclude:
        return []
    paths = excluded_paths(hook.exclude)
    if paths is None:
        text = f"{HOOKS_FILE} leaves out files for {hook.tool} that can't be named here: {' '.join(hook.exclude)}"
        if text not in needs.notes:
            needs.notes.append(text)
        return []
    return [option, ",".join(paths)] if paths else []


def package_folder(codebase: Codebase) -> str | None:
    """Return the folder of the code: ``src``, else the package that is called as the project is."""
    if codebase.has("src"):
        return "src"
    name = table(codebase.toml("pyproject.toml"), "project").get("name")
    if isinstance(name, str):
        folder = re.sub(r"[-.]+", "_", name)
        if re.fullmatch(r"\w+", folder) and codebase.has(folder):
            return folder
    found = [name for name in sorted(codebase.names) if codebase.has(f"{name}/__init__.py") and name != "tests"]
    return found[0] if len(found) == 1 and re.fullmatch(r"\w+", found[0]) else None
