"""What a Python codebase needs installed: itself, its extras, its groups, requirements files, and tools."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from orchestrator.onboarding.codebase import Codebase, table, texts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_WANTED = ("dev", "develop", "test", "tests", "testing", "lint", "linting", "typing", "types", "mypy")
"""Names that extras and dependency groups for work on a codebase go by, the usual first."""

_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_TEST_FILES = (
    "requirements/tests.txt",
    "requirements/test.txt",
    "requirements-test.txt",
    "requirements-tests.txt",
    "test-requirements.txt",
    "tests/requirements.txt",
    "requirements/dev.txt",
    "requirements-dev.txt",
    "dev-requirements.txt",
    "requirements_dev.txt",
)
"""Requirements files for work on a codebase, the narrowest first: one for tests needs least."""

_TYPING_FILES = (
    "requirements/typing.txt",
    "requirements-typing.txt",
    "requirements/types.txt",
    "requirements/mypy.txt",
)


def bare_name(requirement: str) -> str:
    """Return the package that a requirement names, as the packaging standards normalise it (PEP 503)."""
    match = _REQUIREMENT.match(requirement.strip())
    return re.sub(r"[-_.]+", "-", match[0]).lower() if match else ""


@dataclass(slots=True)
class Needs:
    """The arguments of ``session.install``, as they come together.

    ``known`` are the packages that the codebase itself brings along by what is installed of it, ``loose`` the
    tools whose version nobody names.
    """

    install: list[str] = field(default_factory=list)
    tools: list[str] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    loose: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, codebase: Codebase) -> Needs:
        """Return what the codebase says of itself."""
        needs = cls()
        needs._take_project(codebase)
        needs._take_groups(codebase)
        if not needs.install or needs.install == ["-e", "."]:
            needs._take_files(codebase)
        if needs.install in ([], ["-e", "."]):
            needs._take_tox(codebase)
        return needs

    def arguments(self) -> list[str]:
        """Return the arguments; a tool that the codebase brings along is not named twice."""
        return [*self.install, *self.tools]

    def mentions(self, package: str) -> bool:
        """Tell whether the codebase brings ``package`` along."""
        return package in self.known or package in map(bare_name, self.tools)

    def add(self, *requirements: str) -> None:
        """Ask for requirements that the codebase does not bring along; options among them are left out."""
        for requirement in requirements:
            name = bare_name(requirement)
            if name and name not in self.known and name not in map(bare_name, self.tools):
                self.tools.append(requirement)

    def add_missing(self, package: str, version: str = "") -> None:
        """Ask for a tool unless the codebase brings it along; a version is one that its CI files name."""
        if not version and not self.mentions(package):
            self.loose.append(package)
        self.add(f"{package}{version}")

    def _take_project(self, codebase: Codebase) -> None:
        pyproject = codebase.toml("pyproject.toml")
        poetry = table(pyproject, "tool", "poetry")
        setup = codebase.ini("setup.cfg")
        if not (table(pyproject, "project") or poetry or codebase.has("setup.py") or "metadata" in setup):
            return
        extras: dict[str, list[str]] = {
            name: texts(listed) for name, listed in table(pyproject, "project", "optional-dependencies").items()
        }
        for name, listed in setup.get("options.extras_require", {}).items():
            extras.setdefault(name, listed.split("\n"))
        for name, listed in table(poetry, "extras").items():
            extras.setdefault(name, texts(listed))
        chosen = _chosen(extras)
        self._know(texts(table(pyproject, "project").get("dependencies")))
        for name in chosen:
            self._know(extras[name])
        self.install += ["-e", f".[{','.join(chosen)}]" if chosen else "."]
        if codebase.has("setup.py") and not extras and not table(pyproject, "project"):
            self.notes.append("setup.py is not run here: extras that only it names have to be added to install")

    def _take_groups(self, codebase: Codebase) -> None:
        pyproject = codebase.toml("pyproject.toml")
        groups = table(pyproject, "dependency-groups")
        for name in _chosen(groups):
            self.install += ["--group", name]
            self._know(_of_group(groups, name, 0))
        pdm = table(pyproject, "tool", "pdm", "dev-dependencies")
        for name in _chosen(pdm):
            self.add(*texts(pdm[name]))
        self.add(*texts(table(pyproject, "tool", "uv").get("dev-dependencies")))
        for name in ("default", *_WANTED):
            environment = table(pyproject, "tool", "hatch", "envs", name)
            self.add(*texts(environment.get("dependencies")), *texts(environment.get("extra-dependencies")))
        self._take_poetry(table(pyproject, "tool", "poetry"))

    def _take_poetry(self, poetry: dict[str, Any]) -> None:
        groups = {name: table(poetry, "group", name, "dependencies") for name in table(poetry, "group")}
        groups["dev"] = {**table(poetry, "dev-dependencies"), **groups.get("dev", {})}
        names = [package for name in _chosen(groups) for package in groups[name] if package != "python"]
        if names:
            self.add(*names)
            self.notes.append("poetry's groups are installed by name: add to install what their versions have to be")

    def _take_files(self, codebase: Codebase) -> None:
        wanted = [name for name in (codebase.first(*_TEST_FILES),) if name is not None]
        if not self.install and codebase.has("requirements.txt"):
            wanted.insert(0, "requirements.txt")
        for name in wanted:
            self._add_file(codebase, name)

    def add_typing_file(self, codebase: Codebase) -> None:
        """Ask for the requirements file of the type checker, where the codebase keeps such files."""
        name = codebase.first(*_TYPING_FILES)
        if name is not None and name not in self.install:
            self._add_file(codebase, name)

    def _add_file(self, codebase: Codebase, name: str) -> None:
        self.install += ["-r", name]
        self._know((codebase.text(name) or "").splitlines())

    def _take_tox(self, codebase: Codebase) -> None:
        lines = [line.strip() for line in codebase.ini("tox.ini").get("testenv", {}).get("deps", "").splitlines()]
        for line in lines:
            file = re.fullmatch(r"-r\s*(?:\{toxinidir\}/)?([\w./-]+)", line)
            if file is not None:
                self._add_file(codebase, file[1])
            elif _REQUIREMENT.match(line) and not re.match(r"[\w!,{}-]+:", line):
                self.add(line)

    def _know(self, requirements: Iterable[str]) -> None:
        self.known |= {bare_name(item) for item in requirements} - {""}


def _chosen(groups: dict[str, Any]) -> list[str]:
    return [name for name in _WANTED if groups.get(name)]


def _of_group(groups: dict[str, Any], name: str, level: int) -> list[str]:
    """Return the requirements of a dependency group, with those that it includes (PEP 735)."""
    listed = groups.get(name)
    found = texts(listed)
    for item in listed if isinstance(listed, list) and level < len(groups) else []:
        if isinstance(item, dict) and isinstance(item.get("include-group"), str):
            found += _of_group(groups, item["include-group"], level + 1)
    return found
