"""What a Python codebase says of itself: extras, groups, hooks, commands and versions, read once."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from orchestrator.onboarding.codebase import Codebase, table, texts
from orchestrator.onboarding.declared_commands import Declared, declared_commands, has_runner
from orchestrator.onboarding.poetry_groups import poetry_dependencies, poetry_groups
from orchestrator.onboarding.pre_commit import Hook, hooks
from orchestrator.onboarding.requirement import applies
from orchestrator.onboarding.tool_versions import ToolVersions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WANTED = ("dev", "develop", "test", "tests", "testing", "lint", "linting", "typing", "types", "mypy")
"""Names that extras and dependency groups for work on a codebase go by, the usual first."""

_GROUP_OPTION = re.compile(r"--(?:only-)?group[= ]+([\w.-]+)")
_ALL_EXTRAS = re.compile(r"--all-extras\b")


@dataclass(frozen=True)
class PythonFacts:
    """A Python codebase, and ``python``, the interpreter that is asked for (None: the one that runs this)."""

    codebase: Codebase
    python: str | None = None

    @cached_property
    def pyproject(self) -> dict[str, Any]:
        """The table of pyproject.toml, empty where there is none."""
        return self.codebase.toml("pyproject.toml")

    @cached_property
    def tool(self) -> dict[str, Any]:
        """``[tool]`` of pyproject.toml."""
        return table(self.pyproject, "tool")

    @cached_property
    def hooks(self) -> tuple[Hook, ...]:
        """The hooks of pre-commit."""
        return hooks(self.codebase)

    @cached_property
    def commands(self) -> tuple[Declared, ...]:
        """The calls of tools in the codebase's files, CI's last."""
        return tuple(declared_commands(self.codebase))

    @cached_property
    def extras(self) -> Mapping[str, list[str]]:
        """The requirements of each extra."""
        found = {
            name: texts(listed) for name, listed in table(self.pyproject, "project", "optional-dependencies").items()
        }
        for name, listed in self.codebase.ini("setup.cfg").get("options.extras_require", {}).items():
            found.setdefault(name, [line.strip() for line in listed.split("\n") if line.strip()])
        for name, listed in table(self.tool, "poetry", "extras").items():
            found.setdefault(name, texts(listed))
        return found

    @cached_property
    def dependencies(self) -> list[str] | None:
        """The requirements of the codebase itself; None where only a build would tell them: setup.py, dynamic ones."""
        project, cfg = table(self.pyproject, "project"), self.codebase.ini("setup.cfg").get("options", {})
        if "install_requires" in cfg:
            return [line.strip() for line in cfg["install_requires"].split("\n") if line.strip()]
        poetry = table(self.tool, "poetry")
        if "dependencies" in poetry and "dependencies" not in project:
            return poetry_dependencies(poetry)
        if "dependencies" in texts(project.get("dynamic")) or (not project and self.codebase.has("setup.py")):
            return None
        return texts(project.get("dependencies"))

    @cached_property
    def groups(self) -> Mapping[str, list[str]]:
        """The requirements of each dependency group (PEP 735), with those of the groups that it includes."""
        groups = table(self.pyproject, "dependency-groups")
        return {name: _of_group(groups, name, 0) for name in groups}

    @cached_property
    def other_groups(self) -> Mapping[str, list[str]]:
        """The requirements of groups in older forms, which are installed by name: PDM's, uv's, hatch's, poetry's."""
        found = {name: texts(listed) for name, listed in table(self.tool, "pdm", "dev-dependencies").items()}
        found["dev"] = [*found.get("dev", []), *texts(table(self.tool, "uv").get("dev-dependencies"))]
        for name in ("default", *WANTED, "hatch-test", "hatch-static-analysis"):
            environment = table(self.tool, "hatch", "envs", name)
            own = [*texts(environment.get("dependencies")), *texts(environment.get("extra-dependencies"))]
            key = name if name in WANTED else "dev"
            found[key] = [*found.get(key, []), *own]
        for name, listed in poetry_groups(table(self.tool, "poetry")).items():
            found[name] = [*found.get(name, []), *listed]
        return {name: listed for name, listed in found.items() if listed}

    @cached_property
    def chosen_extras(self) -> list[str]:
        """The extras for work on the codebase: by their usual names, those that its files ask for and tests import."""
        if _ALL_EXTRAS.search(self._runner_text):
            return list(self.extras)
        asked = set(_tox_list(self.codebase, "extras"))
        usual = [name for name in WANTED if self.extras.get(name)]
        groups = [
            *(self.groups.get(name, []) for name in WANTED),
            *(self.other_groups.get(name, []) for name in WANTED),
        ]
        there = [
            *(self.dependencies or ()),
            *(item for group in groups for item in group),
        ]
        there += [item for name in usual for item in self.extras[name]]
        missing = self.test_imports - modules_of(there)
        others = [name for name in self.extras if name not in usual]
        return [*usual, *(name for name in others if name in asked or modules_of(self.extras[name]) & missing)]

    @cached_property
    def chosen_groups(self) -> list[str]:
        """The groups for work on the codebase: by their usual names, and those that its files ask for by them."""
        asked = {*_GROUP_OPTION.findall(self._runner_text), *_tox_list(self.codebase, "dependency_groups")}
        close = {name for name in asked if re.match(r"(?:tests?|dev|lint|typing|types|mypy)\b", name)}
        usual = [name for name in WANTED if self.groups.get(name)]
        return [*usual, *(name for name in self.groups if name in close and name not in usual)]

    @cached_property
    def test_imports(self) -> frozenset[str]:
        """The names of the modules that test files import at their top, but those of Python itself."""
        found: set[str] = set()
        for name in self.codebase.test_files():
            found |= set(re.findall(r"^(?:import|from) ([A-Za-z_]\w*)", self.codebase.text(name) or "", re.M))
        return frozenset(found - set(sys.stdlib_module_names))

    @cached_property
    def versions(self) -> ToolVersions:
        """The resolver: which version of a tool the codebase uses."""
        listed = [
            item
            for group in (self.groups, self.extras, self.other_groups)
            for items in group.values()
            for item in items
        ]
        return ToolVersions(self.codebase, listed=listed, hooks=self.hooks, commands=self.commands, python=self.python)

    def hook(self, tool: str) -> Hook | None:
        """Return the hook of pre-commit that runs ``tool``, None where there is none."""
        return next((hook for hook in self.hooks if hook.tool == tool), None)

    def calls(self, tool: str, *, local: bool = True) -> list[Declared]:
        """Return the calls of ``tool`` in the codebase's files; those that only CI has too unless ``local``."""
        return [item for item in self.commands if item.tool.partition("@")[0] == tool and (item.is_local or not local)]

    def runs(self, tool: str) -> bool:
        """Tell whether anything of the codebase runs ``tool``: a task runner, pre-commit or CI."""
        return bool(self.calls(tool, local=False)) or self.hook(tool) is not None

    @cached_property
    def has_runner(self) -> bool:
        """Whether the codebase has any file that says what it runs."""
        return has_runner(self.codebase)

    def names(self, package: str) -> bool:
        """Tell whether the groups, extras or requirements that are installed name ``package``."""
        return any(
            applies(item, self.python) and re.match(rf"{re.escape(package)}\b(?!-)", item.strip(), re.I)
            for item in (
                *(item for name in self.chosen_groups for item in self.groups[name]),
                *(item for name in self.chosen_extras for item in self.extras[name]),
                *(item for name in WANTED for item in self.other_groups.get(name, ())),
            )
        )

    @cached_property
    def _runner_text(self) -> str:
        names = [
            name for name in self.codebase.names if name.lower() in ("justfile", ".justfile", "makefile", "noxfile.py")
        ]
        return "\n".join([self.codebase.workflows(), *(self.codebase.text(name) or "" for name in sorted(names))])


_MODULE_OF = {
    "pyyaml": "yaml",
    "pymongo": "bson",
    "beautifulsoup4": "bs4",
    "pillow": "PIL",
    "python-dateutil": "dateutil",
    "scikit-learn": "sklearn",
    "protobuf": "google",
}
"""Packages whose module is called otherwise."""


def modules_of(requirements: Iterable[str]) -> set[str]:
    """Return the modules that requirements bring, by the usual rule that a package's module is called as it is."""
    names = (re.match(r"[A-Za-z0-9][\w.-]*", item.strip()) for item in requirements)
    bare = (match[0].lower() for match in names if match)
    return {_MODULE_OF.get(name, re.sub(r"[-.]+", "_", name)) for name in bare}


def _tox_list(codebase: Codebase, key: str) -> list[str]:
    """Return what tox's test environments list under ``key``, without factors."""
    sections = [keys for name, keys in codebase.ini("tox.ini").items() if name.startswith("testenv")]
    found = [
        re.sub(r"^[\w!,.{}-]+:\s*", "", line.strip())
        for keys in sections[:1]
        for line in keys.get(key, "").splitlines()
    ]
    base = table(codebase.toml("tox.toml"), "env_run_base")
    native = table(codebase.toml("pyproject.toml"), "tool", "tox", "env_run_base")
    found += [*texts(base.get(key)), *texts(native.get(key))]
    return [name for item in found for name in re.split(r"[,\s]+", item) if name]


def _of_group(groups: dict[str, Any], name: str, level: int) -> list[str]:
    listed = groups.get(name)
    found = texts(listed)
    for item in listed if isinstance(listed, list) and level < len(groups) else []:
        if isinstance(item, dict) and isinstance(item.get("include-group"), str):
            found += _of_group(groups, item["include-group"], level + 1)
    return list(dict.fromkeys(found))
