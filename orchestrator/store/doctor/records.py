"""Looking at one run: its record, what lies beside it, and what leads to it. Reads only."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from orchestrator.base.clock import CLOCK_TOLERANCE, parse_stamp
from orchestrator.base.errors import DamagedRecord, StorageError
from orchestrator.base.files import Folder
from orchestrator.base.finding import Finding
from orchestrator.model.manifest.document import MANIFEST_LIMIT, VERSION, parse
from orchestrator.model.manifest.engine import is_open_in_cloud
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.store.doctor.finding import repairable
from orchestrator.store.layout import CLI, EVENTS, MANIFEST, MCP, OLD_POINTERS, RESERVE, TOKEN, Location
from orchestrator.store.liveness import sign_of_life
from orchestrator.store.pointers import pointer_document
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

Check: TypeAlias = "Callable[[dict[str, Any], str], Manifest]"
"""The full check of a record of version 2; raises DamagedRecord."""

_TEMPORARY = re.compile(r"\.(?:manifest|cancel|metrics|state|line)[A-Za-z0-9._:-]*\.tmp")

_POINTED = ("redirect_to", "manifest", "status", "completed_at")
"""``updated_at`` is left out: a record is written once more after its pointer."""

_PLACES = frozenset({"redirect_to", "manifest"})


@dataclass(frozen=True, slots=True)
class RunSeen:
    """A run: its record as far as it could be read, and what is wrong with it.

    ``is_busy`` says that a process holds its lock, or that it is open in the cloud, where it goes on without one.
    ``document`` is the record when the program would read it, ``manifest`` when it passes the full check too.
    """

    where: Location
    is_busy: bool
    document: dict[str, Any] | None
    manifest: Manifest | None
    findings: tuple[Finding, ...]


def inspect_run(store: RunStore, where: Location, check: Check, is_marked: Callable[[str], bool]) -> RunSeen | None:
    """Return what a run looks like, None when it is gone. ``is_marked``: whether its end is not published yet.

    What is wrong is looked at again until it stands still: a run may end, or be resumed, between two looks.
    """
    before = None
    while True:
        try:
            with store.run_folder(where) as folder:
                seen = _look(store, folder, where, check, is_marked)
        except FileNotFoundError:
            return None
        if not seen.findings or seen.is_busy or (before is not None and seen.findings == before.findings):
            return seen
        before = seen


def _look(store: RunStore, folder: Folder, where: Location, check: Check, is_marked: Callable[[str], bool]) -> RunSeen:
    place = store.workspace.shown(folder.path)
    busy = _is_alive(folder, store.clock.now())
    document, manifest, findings = _record(folder, where, place, check, is_busy=busy)
    busy = busy or (document is not None and is_open_in_cloud(document))
    if not busy and manifest is not None:
        findings += _state_of(where, manifest, place, is_marked)
        findings += _remains(folder, manifest, place, is_marked)
        findings += pointer_faults(store, manifest)
        findings += _clock(manifest, place, store.clock.now())
    return RunSeen(where, busy, document, manifest, tuple(findings))


def _clock(manifest: Manifest, place: str, now: datetime) -> Iterator[Finding]:
    for moment in (manifest.started_at, manifest.completed_at):
        if moment is not None and parse_stamp(moment) > now + CLOCK_TOLERANCE:
            message = f"its clock was ahead: {moment} lies in the future"
            hint = "set the clock right; until then the run is in no window of time"
            yield Finding("record-in-future", place, message, hint=hint, level="warning")
            return


def _is_alive(folder: Folder, now: datetime) -> bool:
    try:
        return sign_of_life(folder, now) is not None
    except StorageError:
        return False


def _record(
    folder: Folder, where: Location, place: str, check: Check, *, is_busy: bool
) -> tuple[dict[str, Any] | None, Manifest | None, list[Finding]]:
    path = os.path.join(place, MANIFEST)
    try:
        document = _parsed(folder, path)
        version = document.get("version")
        if version not in (1, VERSION) or isinstance(version, bool):
            known = f"version {version!r}; this program knows 1 and {VERSION}"
            return (
                None,
                None,
                [Finding("unknown-version", path, f"it is of {known}", hint="a newer program may read it")],
            )
        if document.get("run_id") != where.run_id:
            raise DamagedRecord(f"it is the record of another run, {document.get('run_id')!r}")
        manifest = check(document, path) if version == VERSION else None
    except StorageError as error:
        return None, None, [Finding(error.code, path, error.message, hint=error.hint)]
    except (DamagedRecord, ValueError) as error:
        message = error.message if isinstance(error, DamagedRecord) else str(error)
        found = repairable("damaged-manifest", path, message)
        return None, None, [Finding(found.code, path, message, hint="its run is alive") if is_busy else found]
    if version == VERSION and document["task_id"] != where.task_id:
        message = f"its task_id is '{document['task_id']}', but it lies under '{where.task_id}'"
        hint = f"move the folder below {document['task_id']}/{CLI}/"
        return document, None, [Finding("wrong-place", path, message, hint=hint)]
    return document, manifest, []


def _parsed(folder: Folder, path: str) -> dict[str, Any]:
    try:
        return parse(folder.read(MANIFEST, MANIFEST_LIMIT), path)
    except FileNotFoundError:
        raise DamagedRecord(f"'{path}' is missing") from None
    except StorageError as error:
        if error.code != "too-large":
            raise
        raise DamagedRecord(error.message) from error


def _state_of(where: Location, manifest: Manifest, place: str, is_marked: Callable[[str], bool]) -> Iterator[Finding]:
    if not manifest.is_terminal:
        yield repairable("died", place, "its process died, and its record is not closed yet")
    elif is_marked(where.run_id) or not manifest.metrics_recorded:
        yield repairable(
            "unpublished", place, "it has ended, but its metrics line, state and pointer are not all written"
        )


def _remains(folder: Folder, manifest: Manifest, place: str, is_marked: Callable[[str], bool]) -> Iterator[Finding]:
    names = folder.names()
    if RESERVE in names and manifest.is_terminal and not is_marked(manifest.run_id):
        yield repairable(
            "leftover-reserve", os.path.join(place, RESERVE), "space is still reserved for a run that ended"
        )
    yield from temp_files(names, place)
    with suppress(FileNotFoundError):
        token = os.stat(TOKEN, dir_fd=folder.fd, follow_symlinks=False)
        mode = stat.S_IMODE(token.st_mode)
        if stat.S_ISREG(token.st_mode) and mode & ~0o200 != 0o400:  # read-only records are as private
            yield repairable(
                "token-mode", os.path.join(place, TOKEN), f"its mode is {mode:04o}; only its owner may read it"
            )
    if torn_tail(folder, EVENTS):
        yield repairable("torn-events", os.path.join(place, EVENTS), "its last line is torn")


def temp_files(names: list[str], place: str) -> Iterator[Finding]:
    """Yield a finding for each temporary file among the names of a folder that nobody writes to now."""
    for name in sorted(names):
        if is_temp(name):
            yield repairable("leftover-temp", os.path.join(place, name), "a write that did not end left it behind")


def is_temp(name: str) -> bool:
    """Tell whether a name is that of a file before it is renamed to its place."""
    return _TEMPORARY.fullmatch(name) is not None


def torn_tail(folder: Folder, name: str) -> bool:
    """Tell whether a file of lines ends without a newline; False when there is no such file."""
    try:
        fd = folder.open_read(name)
    except (FileNotFoundError, StorageError):
        return False
    try:
        size = os.fstat(fd).st_size
        return size > 0 and os.pread(fd, 1, size - 1) != b"\n"
    finally:
        os.close(fd)


def pointer_faults(store: RunStore, manifest: Manifest) -> list[Finding]:
    """Return what is wrong with the two pointers to an ended or died run."""
    where = Location(manifest.task_id, manifest.run_id)
    return [*_pointer(store, where, manifest), *_older_pointer(store, where)]


def _pointer(store: RunStore, where: Location, manifest: Manifest) -> Iterator[Finding]:
    expected = pointer_document(store, manifest)
    place = os.path.join(store.paths(where).pointer_folder, MANIFEST)
    try:
        with store.task(where.task_id) as task, task.sub(MCP) as mcp, mcp.sub(where.run_id) as folder:
            found = parse(folder.read(MANIFEST, MANIFEST_LIMIT), place)
            yield from temp_files(folder.names(), store.paths(where).pointer_folder)
    except FileNotFoundError:
        yield repairable("pointer-missing", place, "there is no pointer to the run")
    except (DamagedRecord, StorageError) as error:
        planted = isinstance(error, StorageError) and error.code != "too-large"
        if not planted:
            yield repairable("pointer-damaged", place, error.message)
    else:
        differs = any(found.get(key) != expected[key] for key in _POINTED if key not in _PLACES)
        inner = os.path.join(where.task_id, CLI, where.run_id)
        elsewhere = not all(_leads_to(found.get(key), store, expected[key], inner) for key in _PLACES)
        if (differs or elsewhere) and manifest.is_terminal:
            yield repairable("pointer-stale", place, "it does not say what the run's record says")


def _leads_to(said: object, store: RunStore, expected: str, inner: str) -> bool:
    """Tell whether a pointer's path is the expected one, or that of another workspace that shares the runs folder.

    A path is relative to the workspace that wrote it, where it lay below that, else absolute; ``inner`` is what it
    has at least.
    """
    absolute = os.path.join(store.workspace.root, expected)
    if not isinstance(said, str) or f"/{inner}/" not in f"/{said}/":
        return False
    return said in (expected, absolute) or absolute.endswith(f"{os.sep}{said}")


def _older_pointer(store: RunStore, where: Location) -> Iterator[Finding]:
    place = store.workspace.shown(os.path.join(store.workspace.runs_dir, OLD_POINTERS, where.run_id, MANIFEST))
    target = older_target(where)
    try:
        with store.runs() as runs, runs.sub(OLD_POINTERS) as pointers, pointers.sub(where.run_id) as folder:
            if redirect_of(folder) != target:
                yield repairable("older-pointer-wrong", place, f"it does not lead to '{target}'")
    except FileNotFoundError:
        yield repairable("older-pointer-missing", place, "there is no older pointer to the run")
    except StorageError:
        return


def older_target(where: Location) -> str:
    """Return what the older pointer of a run holds, as a link or as text."""
    return f"../../{where.task_id}/{CLI}/{where.run_id}/{MANIFEST}"


def is_pointer(folder: Folder) -> bool:
    """Tell whether a folder below ``mcp/`` holds no more than a pointer: the early version kept its records there."""
    with suppress(OSError):
        os.readlink(MANIFEST, dir_fd=folder.fd)
        return True
    try:
        return "redirect_to" in parse(folder.read(MANIFEST, MANIFEST_LIMIT), MANIFEST)
    except FileNotFoundError:
        return True
    except (DamagedRecord, StorageError):
        return False


def redirect_of(folder: Folder) -> str | None:
    """Return where an older pointer leads: a link's target, or the text of the file that stands for one."""
    try:
        return os.readlink(MANIFEST, dir_fd=folder.fd)
    except FileNotFoundError:
        raise
    except OSError:
        with suppress(StorageError):
            return folder.read(MANIFEST, 4096).decode("utf-8", "replace").strip()
    return None
