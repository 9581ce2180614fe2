"""One config file, from disk to a TOML table, within limits that keep the parser cheap."""

from __future__ import annotations

import os
import re
import stat

from orchestrator.base.errors import ConfigError, UsageError
from orchestrator.base.identifiers import check_name, name_fault, near_hint
from orchestrator.base.record import Record
from orchestrator.base.sha256 import sha256
from orchestrator.base.workspace import CONFIG_FOLDER, refuse_broken
from orchestrator.config.project_names import BRING_IN, config_stems, project_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST_BYTES = 64 * 1024
MOST_LINE_BYTES = 4 * 1024
MOST_LEVELS = 64
"""Limits of a config file. Without them 256 KiB of dotted keys kept the TOML parser busy for 7 to 11 s."""

_DEEP_KEY = re.compile(
    rf"""^[ \t]*\[{{0,2}}[ \t]*(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){{{MOST_LEVELS}}}""", re.M
)
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_COMPLETE = re.compile("Cannot |Duplicate ")
"""How ``tomllib`` begins what it says of a statement that is whole and stands at the end of the file."""


class Source(Record):
    """A config that could be parsed: its project, its path from the workspace, its sha256 and its table."""

    name: str
    file: str
    digest: str
    table: dict[str, Any]


def config_file(name: str) -> str:
    """Return the path of a project's config from the workspace."""
    return f"{CONFIG_FOLDER}/{name}.toml"


def source_of(root: str, name: str) -> Source:
    """Return the parsed config of project ``name``, not validated; raises as ``load_project`` does."""
    if name_fault("project", name) is not None:
        check_name("project", name, project_names(root))
    try:
        return read_source(root, name)
    except FileNotFoundError:
        known = project_names(root)
        hint = _misnamed(root, name) or near_hint(name, known) or BRING_IN
        raise UsageError(f"there is no project '{name}'", hint=hint, code="unknown-project") from None


def _misnamed(root: str, name: str) -> str:
    """Return what to do with a config whose file is called as the project but for capitals; nothing without one."""
    found = next((stem for stem in config_stems(root) if stem != name and stem.casefold() == name), None)
    return "" if found is None else f"rename {config_file(found)} to {name}.toml: names are in lower case"


def read_source(root: str, name: str) -> Source:
    """Return the parsed config of project ``name`` of the workspace at ``root``, not validated.

    Raises as ``raw_source`` does, and ConfigError when it is not a TOML file within the limits.
    """
    return parsed_source(name, raw_source(root, name))


def raw_source(root: str, name: str) -> bytes:
    """Return the bytes of the config of project ``name`` of the workspace at ``root``.

    Raises FileNotFoundError when there is none, ConfigError when it can't be read or is too large, and StorageError
    when the disk fails.
    """
    return _raw(root, config_file(name))


def parsed_source(name: str, raw: bytes) -> Source:
    """Return the parsed config of project ``name`` that ``raw`` holds; ConfigError when it is none."""
    file = config_file(name)
    return Source(name, file, sha256(raw).hexdigest(), toml_of(file, raw))


def read_toml(root: str, file: str) -> dict[str, Any]:
    """Return the table of a TOML file of the workspace at ``root``. Raises what ``read_source`` raises."""
    return toml_of(file, _raw(root, file))


def _raw(root: str, file: str) -> bytes:
    try:
        return _bytes_of(os.path.join(root, file))
    except FileNotFoundError as error:
        if os.path.islink(os.path.join(root, file)):
            raise ConfigError([f"{file}: is a link that leads nowhere"]) from error
        raise
    except OSError as error:
        refuse_broken(os.path.join(root, file), error)
        raise ConfigError([f"{file}: cannot be read: {error.strerror or error}"]) from error
    except _UnfitError as error:
        raise ConfigError([f"{file}: {error}"]) from error


def toml_of(file: str, raw: bytes) -> dict[str, Any]:
    """Return the table of a TOML file's bytes. Raises ConfigError that names ``file``."""
    try:
        return _parsed(_text_of(raw))
    except _UnfitError as error:
        raise ConfigError([f"{file}: {error}"]) from error


class _UnfitError(Exception):
    """The file can't be used; the text says why."""


def _bytes_of(path: str) -> bytes:
    # O_NONBLOCK: opening a FIFO without a writer would otherwise wait for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _UnfitError("is not a regular file")
        raw = b""
        while chunk := os.read(descriptor, MOST_BYTES + 1 - len(raw)):
            raw += chunk
    finally:
        os.close(descriptor)
    if len(raw) > MOST_BYTES:
        raise _UnfitError(f"is larger than {MOST_BYTES // 1024} KiB")
    return raw


def _text_of(raw: bytes) -> str:
    for number, line in enumerate(raw.split(b"\n"), 1):
        if len(line) > MOST_LINE_BYTES:
            raise _UnfitError(f"line {number}: is longer than {MOST_LINE_BYTES} bytes")
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise _UnfitError(f"line {number}: is not UTF-8 text") from error
    text = raw.decode("utf-8")
    if text.startswith("\ufeff"):
        raise _UnfitError("line 1: begins with a byte order mark; save the file as UTF-8 without one")
    return text


def _parsed(text: str) -> dict[str, Any]:
    import tomllib

    deep = _DEEP_KEY.search(text)
    if deep is not None:
        line = text.count("\n", 0, deep.start()) + 1
        raise _UnfitError(f"line {line}: nests keys more than {MOST_LEVELS} levels deep")
    try:
        table = tomllib.loads(text)
    except RecursionError:
        raise _UnfitError(f"nests values more than {MOST_LEVELS} levels deep") from None
    except ValueError as error:  # TOMLDecodeError, and int's refusal of huge numbers
        raise _UnfitError(_syntax_fault(str(error), text)) from error
    if _levels(table) > MOST_LEVELS:
        raise _UnfitError(f"nests values more than {MOST_LEVELS} levels deep")
    return table


def _syntax_fault(message: str, text: str) -> str:
    place = _PLACE.search(message)
    if place is None:
        return f"invalid TOML: {message}"
    words = message[: place.start()]
    if place[1] is None:
        early = "" if _COMPLETE.match(words) else ": the file ends too early"
        return f"line {text.rstrip().count(chr(10)) + 1}: invalid TOML: {words}{early}"
    return f"line {place[1]}, column {place[2]}: invalid TOML: {words}"


def _levels(table: dict[str, Any]) -> int:
    depth, level = 0, [table] if table else []
    while level and depth <= MOST_LEVELS:
        depth += 1
        level = [item for value in level for item in _children(value)]
    return depth


def _children(value: Any) -> list[Any]:
    items = value.values() if isinstance(value, dict) else value
    return [item for item in items if isinstance(item, dict | list)]
