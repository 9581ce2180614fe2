"""What uv must be asked to build again: local projects that are installed as copies, by their names.

uv takes a folder's wheel from its cache while ``pyproject.toml``, ``setup.py`` and ``setup.cfg`` are unchanged, and an
installed package of the same version as it is (uv 0.9, "Caching", "Dynamic metadata"); only a folder that stands in the
arguments themselves is built anew. pip builds every local folder anew.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator, Mapping, Sequence

from orchestrator.runner.environment.installation_files import PROJECT_FILES, copied_projects

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
"""A distribution's name (PyPA, "Names and normalization")."""


def reinstall_arguments(arguments: Sequence[str], project_folder: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return what ``uv pip install`` needs besides ``arguments``, so that no copy of a local project is an old one.

    That is ``--reinstall-package NAME`` for each of the projects, whatever names them and at any depth. Where a
    project's name can't be known without running its code, it is ``--reinstall``, which takes longer: everything.
    """
    names: dict[str, None] = {}
    for folder in copied_projects(arguments, project_folder, environ):
        if not any(os.path.isfile(os.path.join(folder, name)) for name in PROJECT_FILES):
            continue
        found = dict.fromkeys(project_names(folder))
        if not found:
            return ("--reinstall",)
        names.update(found)
    return tuple(word for name in sorted(names) for word in ("--reinstall-package", name))


def project_names(folder: str) -> Iterator[str]:
    """Yield the names that the project files of ``folder`` give its distribution; usually one, none when unknown.

    All of them count: a name that nothing has does no harm. Files that can't be read give none.
    """
    for file, reader in (("pyproject.toml", _of_pyproject), ("setup.cfg", _of_setup_cfg), ("setup.py", _of_setup_py)):
        try:
            with open(os.path.join(folder, file), encoding="utf-8-sig") as stream:
                text = stream.read()
        except (OSError, ValueError):
            continue
        yield from (name for name in reader(text) if isinstance(name, str) and _NAME.fullmatch(name))


def _of_pyproject(text: str) -> Iterator[object]:
    import tomllib

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    # PEP 621, Poetry before 2.0, flit before PEP 621.
    for keys in (("project", "name"), ("tool", "poetry", "name"), ("tool", "flit", "metadata", "dist-name")):
        value: object = document
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        yield value


def _of_setup_cfg(text: str) -> Iterator[object]:
    import configparser

    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return
    yield parser.get("metadata", "name", fallback=None)


def _of_setup_py(text: str) -> Iterator[object]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "setup":
            for keyword in node.keywords:
                if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
                    yield keyword.value.value
