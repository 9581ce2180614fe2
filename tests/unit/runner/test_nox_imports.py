"""Modules that are imported at their first use."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from orchestrator.runner.environment.nox_imports import LAZY, LAZY_FUNCTIONS, LazyModule, imported_lazily

SESSION_MODULES = ("_decorators", "command", "manifest", "popen", "sessions", "virtualenv")
"""Modules of nox that an empty session imports, and that mark some imports as lazy."""

NAME = "seldom_used_module"


@pytest.fixture
def lazy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LazyModule:
    """A module on disk that is not loaded, by name only."""
    (tmp_path / f"{NAME}.py").write_text("VALUE = 5\ndef sum_of(first, *, other): return first + other\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, NAME, ModuleType(NAME))  # put back at the end, whatever was loaded
    del sys.modules[NAME]
    return LazyModule(NAME)


def test_a_lazy_module_is_loaded_at_its_first_use(lazy: LazyModule) -> None:
    """Its import loads nothing; what is asked of it is the module's own, and what it lacks is an error."""
    with imported_lazily([lazy]):
        bound = import_module(NAME)
    assert bound is lazy
    assert NAME not in sys.modules
    assert bound.VALUE == 5
    assert sys.modules[NAME] is not lazy
    with pytest.raises(AttributeError, match="no attribute 'OTHER'"):
        _ = bound.OTHER


def test_a_function_of_a_lazy_module_is_loaded_at_its_call(lazy: LazyModule) -> None:
    """A function that was imported by its name is the module's own once it is called."""
    with imported_lazily([LazyModule(NAME, ("sum_of",))]):
        function = import_module(NAME).sum_of
        assert type(sys.modules[NAME]) is LazyModule
    assert NAME not in sys.modules
    assert function(2, other=3) == 5
    assert type(sys.modules[NAME]) is ModuleType


def test_others_import_the_module_itself(lazy: LazyModule) -> None:
    """Who imports a module after it was put off has all of it."""
    with imported_lazily([lazy]):
        pass
    assert type(import_module(NAME)) is ModuleType


def test_a_module_that_is_used_meanwhile_stays(lazy: LazyModule) -> None:
    """A module that another one needs while it is imported is loaded, and stays."""
    with imported_lazily([lazy]):
        assert import_module(NAME).VALUE == 5
        loaded = sys.modules[NAME]
    assert type(loaded) is ModuleType
    assert sys.modules[NAME] is loaded


def test_a_loaded_module_is_taken(lazy: LazyModule) -> None:
    """What is loaded already is not put off."""
    loaded = import_module(NAME)
    with imported_lazily([lazy]):
        assert import_module(NAME) is loaded
    assert sys.modules[NAME] is loaded


def test_nox_marks_what_is_put_off() -> None:
    """Each module that is put off is one that nox itself marks as lazy, or lies in such a package."""
    marks = [import_module(f"nox.{name}").__lazy_modules__ for name in SESSION_MODULES]
    marked = set().union(*marks)
    assert [name for name in (*LAZY, *LAZY_FUNCTIONS) if not {name, name.partition(".")[0]} & marked] == []
