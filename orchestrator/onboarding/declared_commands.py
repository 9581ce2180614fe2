"""Commands that a codebase's own files call its tools with: tox, nox, hatch, just, make, scripts and CI.

Nothing is run and no shell is imitated: a line is taken word by word where it is plain, and left out where it is not.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from orchestrator.onboarding.codebase import Codebase, table, texts
from orchestrator.onboarding.nox_files import nox_commands
from orchestrator.onboarding.task_files import MAKEFILES, justfile, recipes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MOST = 500
"""Commands of one codebase that are looked at; far above what people write."""

_FORGIVEN = re.compile(r"[^;&|]*\|\|\s*(?:true|:|exit 0)\s*(?=[;&|]|$)")
_FACTORS = re.compile(r"[\w!,.{}-]+:\s+")
_PYTHON = re.compile(r"(?:\S*/)?python[\d.]*")
_WRAPPERS = frozenset(
    {"uv", "hatch", "poetry", "pdm", "pipenv", "rye", "pixi", "tox", "xvfb-run", "uvx", "npx", "time"}
)
_USUAL = re.compile(r"(?:^|[^a-z])(?:testenv|env_run_base|tests?|unit|pytest)(?:[^a-z]|$)")
_OTHER = re.compile(r"(?:^|[^a-z])(?:bench\w*|docs?|codspeed|cov\w*|mutation|fuzz)(?:[^a-z]|$)")
_WITH_VALUE = frozenset(
    [
        "-p",
        "--python",
        "--group",
        "--only-group",
        "--no-group",
        "--with",
        "--extra",
        "--package",
        "--from",
        "-e",
        "--env",
    ]
)
"""Options of ``uv run`` and its like that are followed by a value."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A call of a tool: its name, its arguments, and the file (and section) that has it.

    ``is_local`` is False for what only CI files have: hints, and no source of commands.
    """

    tool: str
    arguments: tuple[str, ...]
    source: str
    is_local: bool = True


def declared_commands(codebase: Codebase) -> list[Declared]:
    """Return the calls of tools in a codebase's files, those of its test tools first, CI's last."""
    lines = (*_tox(codebase), *_hatch(codebase), *_justfile(codebase), *_makefile(codebase), *_scripts(codebase))
    local = [
        *(command for line, source in lines for command in _of_line(line, source)),
        *(command for words, source in nox_commands(codebase) for command in _of_words(words, source)),
    ]
    order = ("tox", "noxfile.py", "[tool.hatch", "[tool.")
    local.sort(key=lambda item: next((place for place, word in enumerate(order) if word in item.source), len(order)))
    remote = (command for line, source in _ci_lines(codebase) for command in _of_line(line, source, is_local=False))
    return list(islice((*local, *remote), _MOST))


def usual_call(calls: Iterable[Declared]) -> Declared | None:
    """Return the call that means all tests: of the environment, session or recipe with the most usual name."""
    return next((item for item in calls if _USUAL.search(item.source) and not _OTHER.search(item.source)), None)


def has_runner(codebase: Codebase) -> bool:
    """Tell whether the codebase has any file that says what it runs."""
    own = ("tox.ini", "tox.toml", "noxfile.py", ".pre-commit-config.yaml", *MAKEFILES)
    tool = table(codebase.toml("pyproject.toml"), "tool")
    return bool(
        codebase.first(*own)
        or justfile(codebase)
        or codebase.workflow_files()
        or {"tox", "poe", "taskipy"} & tool.keys()
    )


def _of_line(line: str, source: str, *, is_local: bool = True) -> Iterator[Declared]:
    line = line.strip().lstrip("@+ ")
    if line.startswith("-"):
        return  # make's and tox's mark of a command that may fail, as is "|| true" of a shell
    for part in re.split(r"\s*(?:&&|\|\||;|\|)\s*", _FORGIVEN.sub("", line)):
        try:
            words = shlex.split(part, comments=True)
        except ValueError:
            continue
        yield from _of_words(words, source, is_local=is_local)


def _of_words(words: list[str], source: str, *, is_local: bool = True) -> Iterator[Declared]:
    words = _unwrapped(words)
    if words and re.fullmatch(r"[A-Za-z][\w.@=<>-]*", words[0]):
        yield Declared(words[0], tuple(words[1:]), source, is_local)


def _unwrapped(words: list[str]) -> list[str]:
    """Return the words without what only starts the tool: variables, ``uv run``, ``python -m``, ``coverage run -m``."""
    for _ in range(10):
        while words and re.fullmatch(r"[A-Za-z_]\w*=.*", words[0], re.S):
            words = words[1:]
        if not words:
            return []
        if words[0] in _WRAPPERS and len(words) > 1:
            words = _after_options([word for word in words[1:] if word != "tool"])
        elif "-m" in words and (_PYTHON.fullmatch(words[0]) or words[:2] == ["coverage", "run"]):
            words = words[words.index("-m") + 1 :]
        else:
            return words
    return words


def _after_options(words: list[str]) -> list[str]:
    place = 1 if words[:1] in (["run"], ["exec"], ["x"]) else 0
    while place < len(words) and words[place].startswith("-"):
        if words[place] == "--":
            return words[place + 1 :]
        place += 2 if words[place] in _WITH_VALUE else 1
    return words[place:]


def _tox(codebase: Codebase) -> Iterator[tuple[str, str]]:
    sections = {("tox.ini", name): table for name, table in codebase.ini("tox.ini").items()}
    sections |= {
        ("setup.cfg", name): table for name, table in codebase.ini("setup.cfg").items() if name.startswith("testenv")
    }
    legacy = table(codebase.toml("pyproject.toml"), "tool", "tox").get("legacy_tox_ini")
    if isinstance(legacy, str):
        sections |= {
            ("pyproject.toml", name): table for name, table in codebase.ini_text("pyproject.toml", legacy).items()
        }
    ordered = sorted(sections.items(), key=lambda item: item[0][1] != "testenv")
    for (file, name), keys in ordered:
        if name.startswith("testenv"):
            for key in ("commands_pre", "commands"):
                for line in keys.get(key, "").replace("\\\n", " ").splitlines():
                    if line.strip():
                        yield _tox_filled(_FACTORS.sub("", line.strip(), count=1)), f"[{name}] of tox in {file}"
    for file, document in (
        ("tox.toml", codebase.toml("tox.toml")),
        ("pyproject.toml", table(codebase.toml("pyproject.toml"), "tool", "tox")),
    ):
        yield from _tox_toml(file, document)


def _tox_toml(file: str, document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    environments = table(document, "env")
    named = [("env_run_base", table(document, "env_run_base"))]
    named += [(f"env.{name}", table(environments, name)) for name in environments]
    for name, keys in named:
        listed = keys.get("commands")
        for command in listed if isinstance(listed, list) else ():
            words = [_tox_word(word) for word in command] if isinstance(command, list) else []
            if words:
                yield " ".join(word for word in words if word), f"[{name}] of tox in {file}"


def _tox_word(word: object) -> str:
    """Return a word of tox's TOML form: a text, or the default of its replacement (``{replace = "posargs", …}``)."""
    if isinstance(word, str):
        return shlex.quote(_tox_filled(word)) if _tox_filled(word) else ""
    default = word.get("default") if isinstance(word, dict) and word.get("replace") in ("posargs", "env") else None
    words = [default] if isinstance(default, str) else texts(default)
    return " ".join(shlex.quote(_tox_filled(item)) for item in words)


def _tox_filled(line: str) -> str:
    """Return a line of tox with the defaults of its substitutions."""
    line = re.sub(r"\{posargs:((?:[^{}]|\{[^{}]*\})*)\}|\[\]", lambda match: match[1] or "", line)
    line = re.sub(r"\{(?:posargs|tty:[^{}]*)\}", "", line)
    line = re.sub(r"\{env:\w+:([^{}]*)\}", r"\1", line)
    line = re.sub(r"\{(?:toxinidir|tox_root)\}/?", "./", line).replace("././", "./")
    line = re.sub(r"\{env_?python\}", "python", line)
    return line.replace("\\#", "#").replace("{/}", "/").strip()


def _hatch(codebase: Codebase) -> Iterator[tuple[str, str]]:
    environments = table(codebase.toml("pyproject.toml"), "tool", "hatch", "envs")
    for name in environments:
        for script, said in table(environments, name, "scripts").items():
            for line in [said] if isinstance(said, str) else texts(said):
                filled = re.sub(r"\{args(?::((?:[^{}]|\{[^{}]*\})*))?\}", lambda match: match[1] or "", line)
                yield filled, f"[tool.hatch.envs.{name}.scripts] {script} in pyproject.toml"


def _justfile(codebase: Codebase) -> Iterator[tuple[str, str]]:
    name = justfile(codebase)
    for recipe in recipes(codebase.text(name) or "") if name is not None else ():
        for line in recipe.lines:
            yield _just_filled(line, recipe.defaults), f"the recipe {recipe.name} of {name}"


def _just_filled(line: str, defaults: Mapping[str, str]) -> str:
    """Return a line of a recipe with its parameters' defaults; what else just computes is left out."""
    return re.sub(r"\{\{-?\s*(.*?)\s*-?\}\}", lambda match: defaults.get(match[1], ""), line)


def _makefile(codebase: Codebase) -> Iterator[tuple[str, str]]:
    name = codebase.first(*MAKEFILES)
    text = (codebase.text(name) or "").replace("\\\n", " ") if name is not None else ""
    target = ""
    for line in text.splitlines():
        rule = re.match(r"([\w./-]+)[^:=]*::?(?!=)", line)
        target = rule[1] if rule else target
        if line.startswith("\t"):
            yield re.sub(r"\$[({](?:PYTHON|PY)[)}]", "python", line), f"the target {target} of {name}"


def _scripts(codebase: Codebase) -> Iterator[tuple[str, str]]:
    """Yield the commands of the task tables of pdm, poe and taskipy, and of the scripts in ``scripts/``."""
    tool = table(codebase.toml("pyproject.toml"), "tool")
    for keys in (("pdm", "scripts"), ("poe", "tasks"), ("taskipy", "tasks")):
        for name, said in table(tool, *keys).items():
            line = (said.get("cmd") or said.get("shell")) if isinstance(said, dict) else said
            if isinstance(line, str):
                yield line, f"[tool.{'.'.join(keys)}] {name} in pyproject.toml"
    for name in codebase.listed("scripts")[:50]:
        text = codebase.text(f"scripts/{name}") or ""
        if text.startswith("#!") and "python" not in text.partition("\n")[0]:
            for line in text.splitlines():
                # What is passed on to a script is nothing when it is called bare.
                yield re.sub(r"\$\{?PREFIX\}?|\"?\$[@*]\"?", "", line), f"scripts/{name}"


def _ci_lines(codebase: Codebase) -> Iterator[tuple[str, str]]:
    for name in codebase.workflow_files():
        document = codebase.yaml(name)
        for line in islice(_run_lines(document, 0), _MOST):
            yield line, name


def _run_lines(document: object, level: int) -> Iterator[str]:
    """Yield the lines of what a CI file runs, wherever in it: ``run`` of GitHub, ``script`` of GitLab and others."""
    if level > 8:
        return
    if isinstance(document, dict):
        for key, value in document.items():
            if key in ("run", "script", "before_script", "command", "bash"):
                for text in [value] if isinstance(value, str) else texts(value):
                    yield from text.replace("\\\n", " ").splitlines()
            if isinstance(value, dict | list):
                yield from _run_lines(value, level + 1)
    elif isinstance(document, list):
        for item in document[:200]:
            yield from _run_lines(item, level + 1)
