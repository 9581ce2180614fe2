"""What a Python codebase needs installed: itself, its extras, its groups, requirements files, and tools."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from orchestrator.onboarding.codebase import Codebase, table, texts
from orchestrator.onboarding.declared_commands import Declared
from orchestrator.onboarding.python_facts import WANTED, PythonFacts
from orchestrator.onboarding.requirement import applies, bare_name, exact_version, requirement_lines
from orchestrator.onboarding.tool_versions import Pin, requirement_files

_TOOLS = frozenset({"pytest", "ruff", "flake8", "mypy", "black", "pylint", "tox", "coverage", "nose", "unittest2"})
_OWN = re.compile(r"^(?:-e|--editable)\s+\.(?:\[([\w,\s.-]*)\]|\s*$)", re.M)
"""A line of a requirements file that installs the codebase itself, with extras."""

_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_TEST_FILES = (
    "requirements/tests.txt",
    "requirements/test.txt",
    "requirements-test.txt",
    "requirements-tests.txt",
    "test-requirements.txt",
    "tests/requirements.txt",
    "requirements/dev.txt",
    "requirements/development.txt",
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


@dataclass(slots=True)
class Needs:
    """The arguments of ``session.install``, as they come together.

    ``known`` are the requirements that the codebase itself brings along by what is installed of it, ``sources`` where
    they stand, ``pins`` the versions taken from its files, ``loose`` the tools whose version nobody names, ``extras``
    those of the codebase that are installed.
    """

    facts: PythonFacts
    install: list[str] = field(default_factory=list)
    tools: list[str] = field(default_factory=list)
    known: dict[str, list[str]] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    pins: dict[str, Pin] = field(default_factory=dict)
    loose: list[str] = field(default_factory=list)
    extras: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, facts: PythonFacts) -> Needs:
        """Return what the codebase says of itself."""
        needs = cls(facts)
        needs._take_project(facts)
        needs._take_groups(facts)
        if not any(map(needs.mentions, _TOOLS)):
            needs._take_files(facts.codebase)
        if needs.install in ([], ["-e", "."]) and not needs.tools:
            needs._take_tox(facts.codebase)
        needs._note_extras()
        needs._pin_known()
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
            if name and not self.mentions(name) and applies(requirement, self.facts.python):
                self.tools.append(" ".join(requirement.split()))

    def use(self, package: str) -> None:
        """Ask for a tool in the version that the codebase's files name; what nobody names is the newest."""
        package = bare_name(package)
        own = next(filter(None, map(exact_version, self.known.get(package, ()))), None)
        pin = Pin(own, self.sources[package]) if own is not None else self.facts.versions.pin(package)
        if pin is None:
            if self._is_loose(package):
                self.loose.append(package)
            self.add(package)
        elif package not in self.pins and self._allowed(package, pin):
            self.pins[package] = pin
            if own is None:
                self.tools = [item for item in self.tools if bare_name(item) != package or "[" in item]
                self.tools.append(f"{package}=={pin.version}")

    def _is_loose(self, package: str) -> bool:
        """Tell whether nothing of the codebase limits a package's version."""
        listed = (*self.known.get(package, ()), *(tool for tool in self.tools if bare_name(tool) == package))
        return not any(re.search(r"[<>=~]", item.partition(";")[0]) for item in listed)

    def _allowed(self, package: str, pin: Pin) -> bool:
        """Tell whether the codebase's own ranges allow a pin; two that contradict each other can't be installed."""
        from packaging.requirements import InvalidRequirement, Requirement

        for item in (*self.known.get(package, ()), *(tool for tool in self.tools if bare_name(tool) == package)):
            try:
                allows = Requirement(item).specifier.contains(pin.version, prereleases=True)
            except InvalidRequirement:
                continue
            if not allows:
                self.notes.append(
                    f"{pin.source} names {package} {pin.version}, and what is installed asks for '{item}'"
                )
                return False
        return True

    def _take_project(self, facts: PythonFacts) -> None:
        codebase, project = facts.codebase, table(facts.pyproject, "project")
        poetry = table(facts.tool, "poetry")
        is_package = project or poetry or codebase.has("setup.py") or "metadata" in codebase.ini("setup.cfg")
        if not is_package or poetry.get("package-mode") is False:
            return
        self._know(facts.dependencies or (), "pyproject.toml" if project or poetry else "setup.cfg")
        self._take_extras(facts.chosen_extras)
        chosen = ",".join(facts.chosen_extras)
        self.install += ["-e", f".[{chosen}]" if chosen else "."]
        if codebase.has("setup.py") and not facts.extras and not project:
            self.notes.append("setup.py is not run here: extras that only it names have to be added to install")

    def _take_extras(self, names: Iterable[str]) -> None:
        self.extras = {name for name in names if name in self.facts.extras}
        for name in sorted(self.extras):
            self._know(self.facts.extras[name])

    def _note_extras(self) -> None:
        left = [name for name, listed in self.facts.extras.items() if listed and name not in self.extras]
        if left and self.install:
            self.notes.append(
                f"extras that are not installed: {', '.join(left)}; tests that need one fail or are skipped"
            )

    def _take_groups(self, facts: PythonFacts) -> None:
        for name in facts.chosen_groups:
            self.install += ["--group", name]
            self._know(facts.groups[name])
        for name in WANTED:
            self.add(*facts.other_groups.get(name, ()))

    def _take_files(self, codebase: Codebase) -> None:
        wanted = [name for name in (codebase.first(*_TEST_FILES),) if name is not None]
        named = [name for name in requirement_files(codebase) if _TOOLS & set(map(bare_name, _lines(codebase, name)))]
        whole = any(re.search(r"^\s*(?:-r|--requirement)\b", codebase.text(name) or "", re.M) for name in wanted)
        lacks = not self.install and not whole
        if codebase.has("requirements.txt") and (lacks or (not wanted and "requirements.txt" in named)):
            wanted.insert(0, "requirements.txt")
        for name in wanted or named[:1]:
            self._add_file(codebase, name)

    def add_typing_file(self, codebase: Codebase) -> None:
        """Ask for the requirements file of the type checker, where the codebase keeps such files."""
        name = codebase.first(*_TYPING_FILES)
        if name is not None and name not in self.install:
            self._add_file(codebase, name)

    def _add_file(self, codebase: Codebase, name: str) -> None:
        text = codebase.text(name) or ""
        own = _OWN.search(text)
        if own is not None and self.install[:1] == ["-e"]:
            del self.install[:2]  # the file installs the codebase, with the extras that are needed
            self._take_extras(re.split(r"[,\s]+", own[1] or ""))
        self.install += ["-r", name]
        self._know(requirement_lines(text), name)

    def add_beside(self, calls: Iterable[Declared]) -> None:
        """Ask for what tox installs beside the tools that these calls of its environments are of."""
        for call in calls:
            section = re.fullmatch(r"\[(testenv:[^\]]+)\] of tox in tox\.ini", call.source)
            if section is not None:
                self._take_section(self.facts.codebase, section[1])

    def _take_section(self, codebase: Codebase, section: str) -> None:
        lines = [line.strip() for line in codebase.ini("tox.ini").get(section, {}).get("deps", "").splitlines()]
        for line in lines:
            file = re.fullmatch(r"-r\s*(?:\{toxinidir\}/)?([\w./-]+)", line)
            if file is not None and file[1] not in self.install:
                self._add_file(codebase, file[1])
            elif _REQUIREMENT.match(line) and not re.match(r"[\w!,.{}-]+:", line):
                self.add(line)

    def _take_tox(self, codebase: Codebase) -> None:
        self._take_section(codebase, "testenv")
        for key in ("tox.toml", "pyproject.toml"):
            document = codebase.toml(key) if key == "tox.toml" else table(codebase.toml(key), "tool", "tox")
            self.add(*(item for item in texts(table(document, "env_run_base").get("deps")) if item[:1].isalnum()))

    def _pin_known(self) -> None:
        """Ask for what the codebase brings along for work on it in the versions that its lock file has."""
        locked = self.facts.versions.locked
        self.notes += locked.notes
        own = {bare_name(item) for item in self.facts.dependencies or ()}
        for package in (*self.known, *map(bare_name, self.tools)):
            if package in locked.versions and package not in own:
                self.use(package)

    def _know(self, requirements: Iterable[str], source: str = "pyproject.toml") -> None:
        for item in requirements:
            name = bare_name(item)
            if name and applies(item, self.facts.python):
                self.known.setdefault(name, []).append(item)
                self.sources.setdefault(name, source)


def _lines(codebase: Codebase, name: str) -> list[str]:
    return requirement_lines(codebase.text(name) or "")
