"""Importing of nox what an empty session needs: the rest is loaded when somebody asks for it.

nox itself marks what it seldom uses as lazy (``__lazy_modules__``, PEP 810); Pythons before 3.15 ignore that and load
all of it, twice as much as the sessions themselves.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LAZY = (
    *("ast", "copy", "datetime", "hashlib", "humanize", "inspect", "json", "locale", "packaging.specifiers"),
    *("packaging.version", "shlex", "shutil", "unicodedata"),
)
"""What the modules of a session mark so, alone or by its package, and import whole (nox 2026.10.20)."""

LAZY_FUNCTIONS = {"socket": ("gethostbyname",)}
"""The same, of which one function is imported by its name."""

_LOGGER = "nox.logger"

_PACKAGE_NAMES = frozenset({"Session", "main", "needs_version", "options", "param", "parametrize", "session"})
"""Names that nox's ``__init__`` defines, submodules apart (nox 2026.10.20, ``nox.__all__``)."""


class LazyModule(ModuleType):
    """A module by name only, until somebody asks for what is in it, or calls one of ``functions``."""

    def __init__(self, name: str, functions: Iterable[str] = ()) -> None:
        super().__init__(name)
        for function in functions:
            vars(self)[function] = self._function(function)

    def __getattr__(self, name: str) -> Any:
        if name == "__path__":  # asked for by the import itself: whether this is a package
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)

    def _function(self, name: str) -> Callable[..., Any]:
        def call(*words: object, **options: object) -> Any:
            return self.__getattr__(name)(*words, **options)

        return call


@contextlib.contextmanager
def imported_lazily(modules: Iterable[LazyModule]) -> Iterator[None]:
    """Let an import of each of ``modules`` that is not loaded yet bind the ``LazyModule`` meanwhile.

    Who imports it afterwards gets the module itself.
    """
    put_off = {module.__name__: module for module in modules if module.__name__ not in sys.modules}
    sys.modules.update(put_off)
    try:
        yield
    finally:
        for name, module in put_off.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


@contextlib.contextmanager
def little_of_nox() -> Iterator[None]:
    """Let nox's modules be imported without its ``__init__``, what they mark as lazy, and its log."""
    _put_off_package()
    logger = LazyModule(_LOGGER)
    vars(logger)["logger"] = _Logger()
    partly = (LazyModule(name, functions) for name, functions in LAZY_FUNCTIONS.items())
    with imported_lazily((*map(LazyModule, LAZY), *partly, logger)):
        yield


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Keep nox's log to itself; without a handler, ``logging`` prints warnings and errors to stderr."""
    if _LOGGER not in sys.modules:
        yield
        return
    import logging

    logger = logging.getLogger("nox")
    handler = logging.NullHandler()
    propagated = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.propagate = propagated
        logger.removeHandler(handler)


class _Logger:
    """nox's logger, which logs nothing before its module is loaded: nobody listens until then.

    That takes 12 ms, with ``logging``, ``traceback`` and the colours of a log that nobody sees.
    """

    def __getattr__(self, name: str) -> Any:
        module = sys.modules.get(_LOGGER)
        return _log_nothing if module is None else getattr(module.logger, name)


def _log_nothing(*_: object, **__: object) -> None:
    pass


def _put_off_package() -> None:
    """Make ``nox`` importable as a package whose ``__init__`` runs when one of its names is first asked for."""
    if "nox" in sys.modules:
        return
    from importlib.util import find_spec, module_from_spec

    spec = find_spec("nox")
    if spec is None or spec.loader is None:
        raise ImportError("nox is not installed")
    package = module_from_spec(spec)
    loader = spec.loader

    def fill(name: str) -> object:
        if name not in _PACKAGE_NAMES:
            raise AttributeError(f"module 'nox' has no attribute {name!r}")
        _execute(package, loader)
        return getattr(package, name)

    vars(package)["__getattr__"] = fill
    sys.modules["nox"] = package


def _execute(package: ModuleType, loader: Any) -> None:
    del vars(package)["__getattr__"]
    loader.exec_module(package)
