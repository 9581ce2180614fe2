"""The files of a new workspace."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from orchestrator.base.files.changes import FileChange, UnfitFileError, current_text
from orchestrator.base.installation import CI_VARIABLE, NAME
from orchestrator.base.workspace import CONFIG_FOLDER
from orchestrator.onboarding.proposal import REPORT
from orchestrator.onboarding.template_text import template

_FILES = {
    f"{CONFIG_FOLDER}/README.md": "workspace/configs.md",
    "tasks/specs/README.md": "workspace/specs.md",
    "tasks/index.json": "workspace/index.json.txt",
    "tasks.py": "workspace/tasks.py.txt",
    "noxfile.py": "workspace/noxfile.py.txt",
}
_ENTRY_POINTS = {
    "tasks.py": ("orchestrator.cli", "invoke", "from orchestrator.cli import namespace as ns"),
    "noxfile.py": (
        "orchestrator.nox_session",
        "a bare nox",
        "from orchestrator.nox_session import register; register()",
    ),
}
CI_FILES = {
    "github": (".github/workflows/diagnostics.yml", "ci/github.yml.txt"),
    "gitlab": (".gitlab-ci.yml", "ci/gitlab.yml.txt"),
}
"""The workflow of each CI system: where it stands, and its template."""

IN_GITLAB_IMAGE = frozenset({"make"})
"""Of the programs that stages call and no environment brings, those of ``python:3.12`` (buildpack-deps)."""

_OTHERWISE = "%OTHERWISE%"
_PLAIN_URL = re.compile(r"[A-Za-z0-9 :/@._~+#=%&?,-]+")
"""What needs no quoting, neither in YAML nor in an expression or a shell's word."""

_IGNORED = (REPORT, "/.runs/", "/out/", "/.nox/")
"""What runs and nox leave at the root of a workspace (contract, section 4), and what proposed tests report."""


@dataclass(frozen=True, slots=True)
class NewWorkspace:
    """The files of a workspace that are missing, and what a person should know of those that are there."""

    changes: tuple[FileChange, ...]
    notes: tuple[str, ...]


def new_workspace(root: str, ci: str | None = None, package: str | None = None) -> NewWorkspace:
    """Return what makes the folder ``root`` a workspace. Files that are there are kept as they are.

    Only ``.gitignore`` gets lines that it lacks; a new one also lists what builds leave, which is no code that a
    spec has to follow. ``ci`` adds the workflow of a CI system (``CI_FILES``), which installs what the system's
    variable ``CI_VARIABLE`` names, or ``package`` (a requirement of pip) where that is known.
    """
    changes, notes = [], []
    if ci is not None:
        path, source = CI_FILES[ci]
        if os.path.lexists(os.path.join(root, path)):
            notes.append(f"{path} was left as it is; a workflow for it is in docs/ci.md")
        else:
            known = package if package and _PLAIN_URL.fullmatch(package) else None
            changes.append(FileChange(path, None, _workflow(ci, source, known)))
            notes.append(_package_note(ci, known))
    for path, source in _FILES.items():
        if not os.path.lexists(os.path.join(root, path)):
            changes.append(FileChange(path, None, template(source)))
        elif path in _ENTRY_POINTS:
            notes += _entry_point_note(root, path)
    try:
        changes.append(_ignoring(current_text(root, ".gitignore")))
    except UnfitFileError as error:
        notes.append(f".gitignore was left as it is ({error}); it should list {' '.join(_IGNORED)}")
    return NewWorkspace(tuple(change for change in changes if change.action != "unchanged"), tuple(notes))


def _workflow(ci: str, source: str, package: str | None) -> str:
    if ci == "github":
        otherwise = f" || '{package}'" if package else ""
    else:
        otherwise = f"-{package}" if package else "?names what to install, see docs/ci.md"
    return template(source).replace(_OTHERWISE, otherwise)


def _package_note(ci: str, package: str | None) -> str:
    place = "repository's variable" if ci == "github" else "project's CI/CD variable"
    if package:
        return f"the workflow installs '{package}'; the {place} {CI_VARIABLE} names another"
    return (
        f"set the {place} {CI_VARIABLE} to what pip installs there, such as "
        f"'{NAME} @ git+https://HOST/REPOSITORY@COMMIT': '{NAME}' alone is another product on the package index"
    )


def _entry_point_note(root: str, path: str) -> list[str]:
    module, entry_point, line = _ENTRY_POINTS[path]
    try:
        text = current_text(root, path) or ""
    except UnfitFileError as error:
        return [f"{path} was left as it is ({error}); for {entry_point} it needs: {line}"]
    return [] if module in text else [f"{path} was left as it is; for {entry_point} it needs: {line}"]


def _ignoring(before: str | None) -> FileChange:
    lines = {line.strip().strip("/") for line in (before or "").splitlines()}
    missing = [line for line in _IGNORED if line.strip("/") not in lines]
    after = before if before is not None else template("workspace/gitignore.txt")
    if missing and after and not after.endswith("\n"):
        after += "\n"
    return FileChange(".gitignore", before, after + "".join(f"{line}\n" for line in missing))
