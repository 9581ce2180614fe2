"""Finds and loads the program's own modules: half of what each costs to import, before anything in it is defined.

Python asks three finders for each module; the one for folders looks at the folder's status and then for five kinds of
file. Its loader works out the name of the bytecode file twice, and reads that through a buffer, in ten system calls.
A start imports 150 modules, and all of ours are source files in folders that don't change.
"""

from __future__ import annotations

import marshal
import os
import sys
from _frozen_importlib_external import MAGIC_NUMBER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec, SourceFileLoader
    from types import CodeType, ModuleType
else:
    # ``importlib`` itself would be loaded for these two names; this module was found by a loader and a spec of theirs.
    ModuleSpec, SourceFileLoader = type(__spec__), type(__spec__.loader)

_HEADER_LENGTH = 16
"""Bytes before the code in a bytecode file: magic number, flags, time and size of the source (PEP 552)."""
_UNHASHED = MAGIC_NUMBER + bytes(4)
"""How the bytecode of this Python begins that holds as long as its source has that time and size."""
_CHUNK = 1 << 15
"""As much bytecode as nearly all modules have at most, in bytes: from four times that the C library maps new memory."""


class ModuleLoader(SourceFileLoader):
    """Python's loader of source files, which reads bytecode that is up to date in four system calls.

    All else is Python's: no bytecode, or of another time, source, path or Python, checked by a hash, kept elsewhere,
    or damaged.
    """

    def get_code(self, fullname: str) -> CodeType | None:
        """Return the code of the module; raises what Python's loader does."""
        source = self.path
        bytecode = bytecode_of(source)
        data = b"" if bytecode is None else _bytes_of(bytecode)
        if data.startswith(_UNHASHED) and _is_of_source(data, source):
            try:
                code: CodeType = marshal.loads(memoryview(data)[_HEADER_LENGTH:])  # noqa: S302 -- as Python loads it
                if code.co_filename == source:
                    return code
            except (AttributeError, EOFError, TypeError, ValueError):
                pass  # damaged: Python's loader says so
        return super().get_code(fullname)


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
                spec = _spec(name, file, is_package=True)
                spec.submodule_search_locations = [inner]
                return spec
        return _spec(name, f"{folder}/{last}.py") if f"{last}.py" in files else None


def _spec(name: str, file: str, *, is_package: bool = False) -> ModuleSpec:
    spec = ModuleSpec(name, ModuleLoader(name, file), origin=file, is_package=is_package)
    spec.has_location = True
    spec.cached = bytecode_of(file)  # left None, Python works it out in ten times the time
    return spec


def bytecode_of(source: str) -> str | None:
    """Return the path of the bytecode beside a source file (PEP 3147); None where Python keeps it elsewhere."""
    if _BYTECODE_SUFFIX is None or sys.pycache_prefix is not None:
        return None
    folder, _, file = source.rpartition("/")
    return f"{folder}/__pycache__/{file[:-3]}{_BYTECODE_SUFFIX}"


def _bytecode_suffix() -> str | None:
    """Return how bytecode files of this interpreter end; None where it keeps none."""
    tag, level = getattr(sys.implementation, "cache_tag", None), sys.flags.optimize
    if tag is None:
        return None
    return f".{tag}.opt-{level}.pyc" if level else f".{tag}.pyc"


_BYTECODE_SUFFIX = _bytecode_suffix()


def _bytes_of(file: str) -> bytes:
    """Return a file's bytes; none where it can't be read."""
    try:
        opened = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        data = chunk = os.read(opened, _CHUNK)
        while len(chunk) == _CHUNK:
            chunk = os.read(opened, _CHUNK)
            data += chunk
    except OSError:
        return b""
    finally:
        os.close(opened)
    return data


def _is_of_source(bytecode: bytes, source: str) -> bool:
    """Tell whether bytecode was made of the source file as it is now: by its time, in whole seconds, and size."""
    try:
        status = os.stat(source)
    except OSError:
        return False
    numbers = int.from_bytes(bytecode[8:_HEADER_LENGTH], "little")
    return numbers == (int(status.st_mtime) & 0xFFFFFFFF) | (status.st_size & 0xFFFFFFFF) << 32


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
