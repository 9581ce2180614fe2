"""The engine's package is loaded in part, and behaves as if it had been loaded whole."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from orchestrator.cloud import client_imports
from orchestrator.cloud.client_imports import import_client, late_package

NAME = "made_up_engine"


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield the folder of a package that notes each time that its own code runs."""
    folder = tmp_path / NAME
    folder.mkdir()
    own = (
        f"from {NAME} import core, heavy",
        "RUNS = globals().get('RUNS', 0) + 1",
        "__version__ = '1'",
        f"from {NAME}.heavy import Client",
    )
    (folder / "__init__.py").write_text("\n".join(own))
    (folder / "config.py").write_text("")
    (folder / "security.py").write_text("")
    (folder / "core.py").write_text(f"from {NAME} import config, security\nPool = 1\n")
    (folder / "heavy.py").write_text(f"from {NAME}.core import Pool\nClient = Pool + 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(client_imports, "_PACKAGE", NAME)
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[name]


def test_what_a_client_needs_is_loaded_alone(engine: Path) -> None:
    """Other modules are there for who asks for a name of the package, whose own code runs once then."""
    import_client()
    import_client()
    assert import_module(f"{NAME}.core").Pool == 1
    assert f"{NAME}.heavy" not in sys.modules
    package = import_module(NAME)
    assert not hasattr(package, "__wrapped__")
    assert f"{NAME}.heavy" not in sys.modules
    assert (package.Client, package.__version__, package.RUNS) == (2, "1", 1)
    assert f"{NAME}.heavy" in sys.modules
    assert not hasattr(package, "nothing")
    assert package.RUNS == 1


def test_a_module_that_is_asked_for_as_a_name_is_imported(engine: Path) -> None:
    """As ``from package import module`` does; the package's own code is not run for it."""
    spec = find_spec(NAME)
    assert spec is not None
    package = sys.modules[NAME] = late_package(spec)
    assert package.security is import_module(f"{NAME}.security")
    assert "RUNS" not in vars(package)


def test_a_library_that_lacks_something_leaves_no_half_of_it(engine: Path) -> None:
    """What is missing is named, each time that it is asked for, and the library is no more there than before."""
    (engine / "core.py").write_text("import nothing_of_that_name\n")
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError) as missing:
            import_client()
        assert missing.value.name == "nothing_of_that_name"
        assert NAME not in sys.modules


def test_no_library_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named as any module that is not there."""
    monkeypatch.setattr(client_imports, "_PACKAGE", "no_engine_of_that_name")
    with pytest.raises(ModuleNotFoundError, match="no_engine_of_that_name"):
        import_client()
