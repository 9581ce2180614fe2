"""The finder of the program's own modules finds what Python's own finders do."""

from __future__ import annotations

import os
import py_compile
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import cache_from_source, find_spec
from pathlib import Path

import pytest

from orchestrator.base.module_finder import ModuleFinder, ModuleLoader

FINDER = ModuleFinder("orchestrator")


def said_of(spec: ModuleSpec | None) -> object:
    """Return what an import goes by."""
    if spec is None:
        return None
    folders = None if spec.submodule_search_locations is None else list(spec.submodule_search_locations)
    assert isinstance(spec.loader, SourceFileLoader)
    return spec.name, spec.origin, spec.cached, spec.has_location, folders, spec.loader.path


@pytest.mark.parametrize("name", ["orchestrator.git", "orchestrator.git.process", "orchestrator.base.files.locks"])
def test_modules_and_packages_are_found_as_by_python(name: str) -> None:
    """Name, file, stored bytecode, folders and the file that is loaded are the same."""
    above = find_spec(name.rpartition(".")[0])
    assert above is not None
    path = list(above.submodule_search_locations or ())
    assert said_of(FINDER.find_spec(name, path)) == said_of(PathFinder.find_spec(name, path)) != None  # noqa: E711


@pytest.mark.parametrize("name", ["orchestrator", "orchestrators.git", "json.decoder", "git"])
def test_modules_of_others_are_left_to_the_next_finder(name: str) -> None:
    """Only what lies below the package is looked for."""
    assert FINDER.find_spec(name, ["/nowhere"]) is None


@pytest.mark.parametrize("name", ["orchestrator.none", "orchestrator.data", "orchestrator.fast", "orchestrator.folder"])
def test_what_is_no_source_file_is_left_to_the_next_finder(tmp_path: Path, name: str) -> None:
    """Neither a missing module, nor a compiled one, nor a folder without __init__.py is found."""
    (tmp_path / "data.txt").write_text("")
    (tmp_path / "fast.so").write_text("")
    (tmp_path / "folder").mkdir()
    assert ModuleFinder("orchestrator").find_spec(name, [str(tmp_path)]) is None
    assert ModuleFinder("orchestrator").find_spec(name, [str(tmp_path / "program.zip")]) is None


def test_the_program_runs_from_an_archive(tmp_path: Path) -> None:
    """In an archive, whose folders can't be listed, Python's own finder is asked."""
    package = Path(__file__).parents[3] / "orchestrator"
    program = (
        "import sys, zipfile, pathlib\n"
        "package, archive = map(pathlib.Path, sys.argv[1:])\n"
        "with zipfile.ZipFile(archive, 'w') as packed:\n"
        "    for file in [*package.glob('*.py'), *package.glob('base/**/*.py')]:\n"
        "        packed.write(file, file.relative_to(package.parent))\n"
        "sys.path.insert(0, str(archive))\n"
        "import orchestrator.base.module_finder as finder\n"
        "finder.install('orchestrator')\n"
        "import orchestrator.base.clock as found\n"
        "print(found.__file__)\n"
    )
    archive = tmp_path / "program.zip"
    said = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, package, archive],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    assert said.strip() == f"{archive}/orchestrator/base/clock.py"


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module whose bytecode is up to date, in an interpreter that writes bytecode."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = tmp_path / "made.py"
    path.write_text("VALUE = 1\n")
    py_compile.compile(str(path), doraise=True)
    return path


def value_of(source: Path) -> object:
    """Return what the module's code says, by the loader."""
    code = ModuleLoader("made", str(source)).get_code("made")
    assert code is not None
    assert code.co_filename == str(source)
    scope: dict[str, object] = {}
    exec(code, scope)
    return scope["VALUE"]


def test_bytecode_that_is_up_to_date_is_read_directly(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's loader is not asked, and the code is what it would return; that is so of much bytecode too."""
    source.write_text(f"VALUE = 1\nTEXT = {'x' * 100_000!r}\n")
    py_compile.compile(str(source), doraise=True)
    expected = SourceFileLoader("made", str(source)).get_code("made")
    monkeypatch.delattr(SourceFileLoader, "path_stats")
    assert ModuleLoader("made", str(source)).get_code("made") == expected


def newer(source: Path) -> None:
    """Change the source to another of the same size, a minute later."""
    at = source.stat().st_mtime + 60
    source.write_text("VALUE = 2\n")
    os.utime(source, (at, at))


def longer(source: Path) -> None:
    """Change the source to a longer one of the same time."""
    at = source.stat().st_mtime
    source.write_text("VALUE = 1 + 1\n")
    os.utime(source, (at, at))


def hashed(source: Path) -> None:
    """Change the source beneath bytecode that is checked by a hash."""
    py_compile.compile(str(source), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)
    longer(source)


@pytest.mark.parametrize("change", [newer, longer, hashed])
def test_bytecode_of_an_earlier_source_is_not_believed(source: Path, change: Callable[[Path], None]) -> None:
    """What the source says now is loaded, and loaded again from the bytecode that was written then."""
    assert value_of(source) == 1
    change(source)
    assert value_of(source) == 2
    assert value_of(source) == 2


def of_another_python(bytecode: Path) -> None:
    """Put another magic number in front."""
    bytecode.write_bytes(b"\0\0\r\n" + bytecode.read_bytes()[4:])


def empty(bytecode: Path) -> None:
    """Leave nothing of the bytecode."""
    bytecode.write_bytes(b"")


def gone(bytecode: Path) -> None:
    """Remove the bytecode and its folder."""
    shutil.rmtree(bytecode.parent)


@pytest.mark.parametrize("damage", [of_another_python, empty, gone])
def test_bytecode_that_is_none_is_made_anew(source: Path, damage: Callable[[Path], None]) -> None:
    """The source is compiled, and its bytecode written, as by Python's loader."""
    bytecode = Path(cache_from_source(str(source)))
    whole = bytecode.read_bytes()
    damage(bytecode)
    assert value_of(source) == 1
    assert bytecode.read_bytes() == whole


def test_code_that_is_cut_off_is_refused_as_by_python(source: Path) -> None:
    """Behind a right header Python believes what follows, and so does this loader: the error is the same."""
    bytecode = Path(cache_from_source(str(source)))
    bytecode.write_bytes(bytecode.read_bytes()[:20])
    with pytest.raises(EOFError):
        SourceFileLoader("made", str(source)).get_code("made")
    with pytest.raises(EOFError):
        value_of(source)


def test_code_of_a_moved_module_names_where_it_is_now(source: Path, tmp_path: Path) -> None:
    """A traceback names the file that was loaded, not the one that was compiled."""
    moved = tmp_path / "elsewhere" / "made.py"
    (moved.parent / "__pycache__").mkdir(parents=True)
    shutil.copy2(source, moved)
    shutil.copy2(cache_from_source(str(source)), cache_from_source(str(moved)))
    assert value_of(moved) == 1


def test_nothing_is_written_with_dont_write_bytecode(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With PYTHONDONTWRITEBYTECODE a changed source is compiled, and its bytecode stays as it was."""
    bytecode = Path(cache_from_source(str(source)))
    before = bytecode.read_bytes()
    newer(source)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert value_of(source) == 2
    assert bytecode.read_bytes() == before


def test_bytecode_is_found_with_a_cache_prefix(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With PYTHONPYCACHEPREFIX what lies beside the source counts no more."""
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "kept"))
    at = source.stat()
    source.write_text("VALUE = 3\n")
    os.utime(source, ns=(at.st_atime_ns, at.st_mtime_ns))
    assert value_of(source) == 3
    assert Path(cache_from_source(str(source))).is_file()
