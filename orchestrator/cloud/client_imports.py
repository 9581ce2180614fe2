"""Importing of the engine's library what a client of the hub needs: its package loads half as much again.

Scheduler, worker, dashboard and deployment are loaded when somebody asks the package for one of its names.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

_PACKAGE = "distributed"
_NEEDED = ("config", "core", "security")
"""Its defaults come first, as its package has it (distributed 2026.8)."""


def import_client() -> None:
    """Import what a client needs. Raises ImportError where the library, or what it needs, is not installed."""
    if sys.modules.get(_PACKAGE) is not None:
        return
    spec = find_spec(_PACKAGE)
    if spec is None:
        raise ModuleNotFoundError(f"No module named '{_PACKAGE}'", name=_PACKAGE)
    sys.modules[_PACKAGE] = late_package(spec)
    try:
        for name in _NEEDED:
            import_module(f"{_PACKAGE}.{name}")
    except BaseException:
        del sys.modules[_PACKAGE]
        raise


def late_package(spec: ModuleSpec) -> ModuleType:
    """Return a package whose modules can be imported, and whose own code runs when a name of it is asked for."""
    package = module_from_spec(spec)

    def load(name: str) -> Any:
        if name.startswith("__") and name != "__version__":  # the import system's questions, and those of tools
            raise AttributeError(name)
        whole = f"{package.__name__}.{name}"
        try:
            return import_module(whole)
        except ModuleNotFoundError as error:
            if error.name != whole:
                raise
        if vars(package).pop("__getattr__", None) is not None:
            assert spec.loader is not None  # noqa: S101 -- a package that is found has one
            spec.loader.exec_module(package)
        return getattr(package, name)

    vars(package)["__getattr__"] = load
    return package
