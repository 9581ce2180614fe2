"""The files of hub and agent: blobs by their sha256, and the fence of each run, a line at a time and synced."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import sha256

from orchestrator.base.identifiers import is_run_id
from orchestrator.base.json_values import json_text
from orchestrator.cloud.fence import Line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SPOOL_VARIABLE = "CODEX_ORCHESTRATOR_SPOOL"
_SHA = re.compile(r"[0-9a-f]{64}")
_FENCE = ".fence"
_PART = ".part"
_BUFFER = 1 << 20


def spool_folder(environ: Mapping[str, str]) -> str:
    """Return the folder of hub and agent (contract, section 12). Raises OSError where a user has no place for one."""
    named = environ.get(SPOOL_VARIABLE)
    if named:
        return os.path.abspath(named)
    state = environ.get("XDG_STATE_HOME") or ""
    if not os.path.isabs(state):
        home = os.path.expanduser("~")
        if not os.path.isabs(home):
            raise OSError(f"there is no home folder: let ${SPOOL_VARIABLE} name a folder for blobs and fences")
        state = os.path.join(home, ".local", "state")
    return os.path.join(state, "codex-orchestrator", "cloud")


def private_folder(*parts: str) -> str:
    """Return a folder that is this user's alone, made where it is missing. Raises OSError."""
    path = os.path.join(*parts)
    os.makedirs(path, mode=0o700, exist_ok=True)
    os.chmod(path, 0o700)
    return path


def keep_newest(folder: str, count: int) -> None:
    """Remove all files of a folder but the newest ``count``. Raises OSError."""
    paths = [entry.path for entry in os.scandir(folder) if entry.is_file()]
    with suppress(FileNotFoundError):
        for path in sorted(paths, key=os.path.getmtime)[:-count]:
            os.unlink(path)


def is_kept(path: str) -> bool:
    """Tell whether a file is there; one that is asked for counts as new to ``keep_newest``. Raises OSError."""
    with suppress(FileNotFoundError):
        os.utime(path)
        return True
    return False


def folder_name(name: str) -> str:
    """Return a worker's name as one of a folder."""
    kept = "".join(char if char.isascii() and (char.isalnum() or char in "-_.") else "_" for char in name)
    return kept.strip(".") or "worker"


class Spool:
    """The hub's files below ``folder``. Every method raises OSError, and ValueError for a name that is none."""

    def __init__(self, folder: str) -> None:
        self.folder = private_folder(folder)
        self._blobs = private_folder(folder, "blobs")
        self._runs = private_folder(folder, "runs")

    def has_blob(self, name: str) -> bool:
        """Tell whether a blob is there, whole."""
        return os.path.exists(self._blob(name))

    def put(self, name: str, ticket: str, offset: int, data: bytes, *, is_last: bool) -> int:
        """Write a piece of a blob and return how many bytes are there; the last one makes it whole.

        ``ticket`` keeps two writers of the same blob apart. Raises ValueError when the whole is not what its name says.
        """
        whole = self._blob(name)
        if not _SHA.fullmatch(ticket):
            raise ValueError("the submission's mark is none")
        part = f"{whole}.{ticket}{_PART}"
        if self.has_blob(name):
            return offset + len(data)
        with open(os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600), "r+b") as stream:
            if stream.seek(0, os.SEEK_END) < offset:
                raise ValueError(f"a piece begins at {offset} and {stream.tell()} bytes are there")
            stream.seek(offset)  # one that came before, whose answer was lost, comes again
            stream.truncate()
            stream.write(data)
            stream.flush()
            if is_last:
                os.fsync(stream.fileno())
        if is_last:
            if _digest(part) != name:
                os.unlink(part)
                raise ValueError("what arrived is not what was sent")
            os.rename(part, whole)
            _sync(self._blobs)
        return offset + len(data)

    def get(self, name: str, offset: int, size: int) -> bytes:
        """Return a piece of a blob, empty behind its end."""
        with open(self._blob(name), "rb") as stream:
            stream.seek(offset)
            return stream.read(min(size, _BUFFER))

    def drop(self, name: str) -> None:
        """Remove a blob; harmless when there is none."""
        with suppress(FileNotFoundError):
            os.unlink(self._blob(name))

    def append(self, run_id: str, line: Line) -> None:
        """Add a line to the fence of a run; when this returns it survives a power cut."""
        path = self._fence(run_id)
        is_new = not os.path.exists(path)
        data = json_text(dict(line)).encode() + b"\n"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            size = os.fstat(fd).st_size
            if size and os.pread(fd, 1, size - 1) != b"\n":
                data = b"\n" + data  # a line that a power cut tore stays, and is none
            try:
                while data:
                    data = data[os.write(fd, data) :]
                os.fsync(fd)
            except OSError:
                os.ftruncate(fd, size)
                raise
        finally:
            os.close(fd)
        if is_new:
            _sync(self._runs)

    def lines(self, run_id: str) -> Iterator[Line]:
        """Yield the lines of a run's fence, oldest first; a torn one is left out, and nothing comes of no file."""
        with suppress(FileNotFoundError), open(self._fence(run_id), "rb") as stream:
            for data in stream:
                with suppress(ValueError):
                    line: Any = json.loads(data)
                    if isinstance(line, dict) and data.endswith(b"\n"):
                        yield line

    def run_ids(self) -> list[str]:
        """Return the ids of the runs that have a fence."""
        names = (name.removesuffix(_FENCE) for name in os.listdir(self._runs) if name.endswith(_FENCE))
        return sorted(name for name in names if is_run_id(name))

    def sweep(self, used: set[str], oldest: float, forgotten: set[str]) -> None:
        """Remove blobs that are not ``used`` and were written before ``oldest``, and the fences of ``forgotten``."""
        for name in os.listdir(self._blobs):
            path = os.path.join(self._blobs, name)
            with suppress(FileNotFoundError):
                if name[:64] not in used and os.stat(path).st_mtime < oldest:
                    os.unlink(path)
        for run_id in forgotten:
            with suppress(FileNotFoundError):
                if os.stat(self._fence(run_id)).st_mtime < oldest:
                    os.unlink(self._fence(run_id))

    def free_bytes(self) -> int:
        """Return how many bytes the disk has left."""
        return shutil.disk_usage(self.folder).free

    def touch(self, name: str) -> None:
        """Note that a blob is used now."""
        os.utime(self._blob(name), (time.time(),) * 2)

    def _blob(self, name: str) -> str:
        if not _SHA.fullmatch(name):
            raise ValueError("a blob's name is a sha256")
        return os.path.join(self._blobs, name)

    def _fence(self, run_id: str) -> str:
        if not is_run_id(run_id):
            raise ValueError("this is no run's id")
        return os.path.join(self._runs, run_id + _FENCE)


def _digest(path: str) -> str:
    digest = sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(_BUFFER):
            digest.update(chunk)
    return digest.hexdigest()


def _sync(folder: str) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
