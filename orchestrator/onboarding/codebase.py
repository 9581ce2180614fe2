"""A codebase as detection sees it: a folder whose files are read within limits, and never run."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from functools import cached_property

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST_BYTES = 1024 * 1024
"""Far above any file that people write to set up a build; more is not read."""

ENTRY_POINTS = ("tasks.py", "noxfile.py")
"""What Invoke and nox read at a workspace's root."""

_MOST_TEST_FILES = 50
_TEST_FOLDERS = ("tests", "test", "testing", "src")
_TEST_FILE = re.compile(r"(?:test_\w*|\w*_test|tests|conftest)\.py")
_PASSED_OVER = frozenset({"node_modules", "__pycache__", "build", "dist", "venv"})


class Codebase:
    """The folder at ``path``. What can't be read or parsed counts as missing, and is listed in ``faults``."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.faults: list[str] = []
        self._texts: dict[str, str | None] = {}
        self._documents: dict[str, dict[str, Any]] = {}

    @cached_property
    def names(self) -> frozenset[str]:
        """The names at the top of the codebase."""
        try:
            return frozenset(os.listdir(self.path))
        except OSError as error:
            self._fault("the folder", error.strerror or str(error))
            return frozenset()

    def has(self, name: str) -> bool:
        """Tell whether there is a file or folder ``name``, a path from the codebase's top."""
        return os.path.exists(os.path.join(self.path, name))

    def first(self, *names: str) -> str | None:
        """Return the first of ``names`` that is there, or None."""
        return next((name for name in names if self.has(name)), None)

    def is_entry_point(self, name: str) -> bool:
        """Tell whether ``tasks.py`` or ``noxfile.py`` is the workspace's own, and no code of the codebase."""
        if name not in ENTRY_POINTS:
            return False
        return re.search(r"^\s*(?:from|import) orchestrator\b", self.text(name) or "", re.M) is not None

    def text(self, name: str, most: int = MOST_BYTES) -> str | None:
        """Return the text of a regular file of at most ``most`` bytes, None where there is none."""
        if name not in self._texts:
            self._texts[name] = self._read(name, most)
        return self._texts[name]

    def toml(self, name: str, most: int = MOST_BYTES) -> dict[str, Any]:
        """Return a TOML file's table, empty where there is none."""
        if name not in self._documents:
            import tomllib

            self._documents[name] = self._parsed(name, tomllib.loads, most)
        return self._documents[name]

    def yaml(self, name: str) -> Any:
        """Return what a YAML file holds, None where there is none or it can't be parsed."""
        text = self.text(name)
        if text is None:
            return None
        import yaml

        try:
            return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 -- both are safe
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            self._fault(name, str(error))
            return None

    def json(self, name: str) -> dict[str, Any]:
        """Return a JSON file's object, empty where there is none."""
        return self._parsed(name, json.loads)

    def ini(self, name: str) -> dict[str, dict[str, str]]:
        """Return an INI file's sections, empty where there is none."""
        return self.ini_text(name, self.text(name) or "")

    def ini_text(self, name: str, text: str) -> dict[str, dict[str, str]]:
        """Return the sections of INI text that the file ``name`` holds."""
        import configparser

        parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
        try:
            parser.read_string(text)
        except configparser.Error as error:
            self._fault(name, str(error))
            return {}
        return {title: {key: text or "" for key, text in parser.items(title)} for title in parser.sections()}

    def workflow_files(self) -> list[str]:
        """Return the CI files that are known and there, by their paths from the codebase's top."""
        listed = [f".github/workflows/{name}" for name in self.listed(".github/workflows")]
        others = (".gitlab-ci.yml", ".circleci/config.yml", "azure-pipelines.yml", ".travis.yml", "appveyor.yml")
        return [*listed, *(name for name in others if self.has(name))]

    def workflows(self) -> str:
        """Return the text of the CI files that are known, one after the other: hints, not facts."""
        names = [*self.workflow_files(), ".pre-commit-config.yaml"]
        return "\n".join(self.text(name) or "" for name in names)

    def test_files(self) -> Iterator[str]:
        """Yield Python files with tests: at the top, and at most 50 in the usual folders and packages there."""
        count = 0
        yield from (name for name in sorted(self.names) if _TEST_FILE.fullmatch(name) or name == "test.py")
        outside = (name for name in sorted(self.names) if name not in _PASSED_OVER)
        packages = (name for name in outside if self.has(f"{name}/__init__.py"))
        for top in dict.fromkeys((*_TEST_FOLDERS, *packages)):
            for folder, inner, files in os.walk(os.path.join(self.path, top)):
                inner[:] = sorted(name for name in inner if name not in _PASSED_OVER and not name.startswith("."))
                for name in sorted(files):
                    if _TEST_FILE.fullmatch(name):
                        yield os.path.relpath(os.path.join(folder, name), self.path)
                        count += 1
                        if count >= _MOST_TEST_FILES:
                            return

    def listed(self, name: str) -> list[str]:
        """Return the names in a folder of the codebase, sorted; none where it can't be read."""
        try:
            return sorted(os.listdir(os.path.join(self.path, name)))
        except OSError:
            return []

    def _read(self, name: str, most: int) -> str | None:
        path = os.path.join(self.path, name)
        if not os.path.isfile(path):
            return None
        try:
            with open(path, "rb") as stream:
                raw = stream.read(most + 1)
        except OSError as error:
            self._fault(name, error.strerror or str(error))
            return None
        if len(raw) > most:
            self._fault(name, f"larger than {most // 1024} KiB")
            return None
        try:
            return raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            self._fault(name, "not UTF-8 text")
            return None

    def _parsed(self, name: str, parse: Any, most: int = MOST_BYTES) -> dict[str, Any]:
        text = self.text(name, most)
        if text is None:
            return {}
        try:
            document = parse(text)
        except (ValueError, RecursionError) as error:
            self._fault(name, str(error))
            return {}
        return document if isinstance(document, dict) else {}

    def _fault(self, name: str, reason: str) -> None:
        fault = f"{name} could not be read: {' '.join(reason.split())}"
        if fault not in self.faults:
            self.faults.append(fault)


def table(document: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Return the table at ``keys`` of a parsed file, empty when anything else stands there."""
    for key in keys:
        inner = document.get(key)
        document = inner if isinstance(inner, dict) else {}
    return document


def texts(value: object) -> list[str]:
    """Return the texts of a list, without what is not text."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
