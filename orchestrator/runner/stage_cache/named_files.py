"""Files that a stage's command names, in the usual spellings, whatever they are to a shell.

More than what is meant is no harm: what is there counts, and what is not there does not.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping

from orchestrator.model.plan import PlannedStage
from orchestrator.runner.stage_cache.tools import words_of

MOST_MATCHES = 2_000
"""Of one shell glob: more belong into ``inputs``."""

_VARIABLE = r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))"
_GLOB = frozenset("*?[")
_BRACES = r"([^\s{}]*)\{([^{}\s]+,[^{}\s]*)\}([^\s{}]*)"
_MOST_FOLDERS = 8


def named_files(
    stage: PlannedStage, env: Mapping[str, str], project_folder: str, ignored: frozenset[str] = frozenset()
) -> Iterator[str]:
    """Yield the paths, from ``project_folder``, of files that the command of ``stage`` names; some may not be there.

    Besides plain words: ``$NAME/file`` with the value of ``env``, ``file::test`` and ``file:12``, ``@file``,
    ``-cfile``, ``a{b,c}``, the shell's ``*``, ``-m package.module``, and each of them from a folder that the command
    names too, as after ``cd folder`` or ``make -C folder``. What is ``ignored`` counts where no ``*`` names it.
    """
    cwd = os.path.join(project_folder, stage.cwd)
    expanded = _expanded(stage, env)
    words = dict.fromkeys([*words_of(stage), *words_of(expanded), *_braced(expanded)])
    spelled = dict.fromkeys(spelling for word in words for spelling in _spellings(word))
    modules = dict.fromkeys(path for word in _modules(expanded) for path in _module_files(word))
    folders = [word for word in spelled if word not in ("/", ".", "..") and os.path.isdir(os.path.join(cwd, word))]
    for place in ("", *folders[:_MOST_FOLDERS]):
        for word in (*spelled, *modules):
            path = os.path.join(place, word)
            if not _GLOB.isdisjoint(word):
                import glob

                found = itertools.islice(glob.iglob(os.path.join(cwd, path)), MOST_MATCHES)
                matches = (os.path.relpath(match, project_folder) for match in found)
                yield from (match for match in matches if ignored.isdisjoint(_itself_and_above(match)))
            else:
                yield os.path.normpath(os.path.join(stage.cwd, path))


def _itself_and_above(path: str) -> Iterator[str]:
    while path:
        yield path
        path = os.path.dirname(path)


def _expanded(stage: PlannedStage, env: Mapping[str, str]) -> PlannedStage:
    """Return the stage with the variables of its shell line filled in; one that is not set stays as it is."""
    line = stage.shell or ""
    if "$" not in line:
        return stage
    import re

    return stage._replace(shell=re.sub(_VARIABLE, lambda name: env.get(name[1] or name[2], name[0]), line))


def _braced(stage: PlannedStage) -> Iterator[str]:
    line = stage.shell or ""
    if "{" not in line:
        return
    import re

    for before, inner, after in re.findall(_BRACES, line):
        yield from (f"{before}{part}{after}" for part in inner.split(","))


def _spellings(word: str) -> Iterator[str]:
    yield word
    if word.startswith("@"):
        yield word[1:]
    # An option of one letter with its value attached.
    if len(word) > 2 and word[0] == "-" != word[2] and word[1].isascii() and word[1].isalpha():
        yield word[2:]
    for part in word.split(":") if ":" in word else ():
        if part:
            yield part.removeprefix("//")


def _modules(stage: PlannedStage) -> Iterator[str]:
    words = stage.argv if stage.kind != "shell" else (stage.shell or "").split()
    for option, module in itertools.pairwise(words):
        if option == "-m" and all(map(_is_name, module.split("."))):
            yield module


def _is_name(part: str) -> bool:
    return part[:1].isascii() and not part[:1].isdigit() and part.replace("_", "a").isalnum()


def _module_files(module: str) -> Iterator[str]:
    path = module.replace(".", "/")
    for place in ("", "src/"):
        yield from (f"{place}{path}.py", f"{place}{path}/__init__.py", f"{place}{path}/__main__.py")
