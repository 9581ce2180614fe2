"""Finds the program's own modules: half of what each costs to import, before anything in it is defined.

Python asks three finders for each module; the one for folders looks at the folder's status and then for five kinds of
file. A start imports more than a hundred modules, and all of ours are source files in folders that don't change.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec, SourceFileLoader
    from types import ModuleType
else:
    # ``importlib`` itself would be loaded for these two names; this module was found by a loader and a spec of theirs.
    ModuleSpec, SourceFileLoader = type(__spec__), type(__spec__.loader)


class ModuleFinder:
    """A finder of the modules below one package (``sys.meta_path``); what it doesn't know is left to the next."""

    def __init__(self, package: str) -> None:
        self._head = f"{package}."
        self._files: dict[str, frozenset[str]] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where the module ``name`` is, below the first folder of its package's ``path``; None if unknown."""
        if not path or not name.startswith(self._head):
            return None
        folder, last = path[0], name.rpartition(".")[2]
        files = self._files.get(folder)
        if files is None:
            files = self._files[folder] = _files_in(folder)
        if last in files:
            inner = f"{folder}/{last}"
            file = f"{inner}/__init__.py"
            if os.path.isfile(file):
                spec = ModuleSpec(name, SourceFileLoader(name, file), origin=file, is_package=True)
                spec.submodule_search_locations = [inner]
                spec.has_location = True
                return spec
        if f"{last}.py" not in files:
            return None
        file = f"{folder}/{last}.py"
        spec = ModuleSpec(name, SourceFileLoader(name, file), origin=file)
        spec.has_location = True
        return spec


def _files_in(folder: str) -> frozenset[str]:
    """Return the names in a folder; none where it is no folder, as in an archive."""
    try:
        return frozenset(os.listdir(folder))
    except OSError:
        return frozenset()


def install(package: str) -> None:
    """Have the modules below ``package`` found so from now on; the same where they were loaded in another way."""
    if SourceFileLoader.__name__ == "SourceFileLoader":
        sys.meta_path.insert(0, ModuleFinder(package))
