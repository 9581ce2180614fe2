"""What may be forgotten: small files below the runs folder that only save a later command work.

Nothing here waits for the disk, and nothing here is needed: a file that can't be read counts as none,
and a disk that refuses one only costs the next command time.

What would be believed as it stands there is sealed: an HMAC (RFC 2104) by a key that lies outside of the workspace. A
file that was edited, or made by who can write below the runs folder only (a container, another account, an archive of
records from elsewhere), counts as none.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from orchestrator.base.errors import StorageError
from orchestrator.base.files import Folder, Seam
from orchestrator.base.sha256 import sha256
from orchestrator.base.workspace import Workspace

CACHE_FOLDER = ".cache"
"""Below the runs folder; no task can have that name, since names don't begin with a dot."""

KEY_FILE = "cache.key"
KEY_BYTES = 32

_SEAL = b',"seal":"'
_SEAL_LENGTH = len(_SEAL) + 2 * 32 + len(b'"}')
_INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))
_BLOCK = 64


def read_cached(workspace: Workspace, name: str, limit: int, seam: Seam | None = None) -> bytes | None:
    """Return the bytes of a file, of at most ``limit``, or None where there is none that can be read."""
    with (
        suppress(StorageError, OSError),
        Folder.at(workspace.runs_dir, seam or Seam()) as runs,
        runs.sub(CACHE_FOLDER) as cache,
    ):
        return cache.read(name, limit)
    return None


def write_cached(workspace: Workspace, name: str, data: bytes, seam: Seam | None = None) -> None:
    """Put a file there, whole or not at all, readable by its owner only; another's of that name is replaced."""
    with (
        suppress(StorageError, OSError),
        Folder.at(workspace.runs_dir, seam or Seam()) as runs,
        runs.sub(CACHE_FOLDER, create=True, sync=False) as cache,
    ):
        mark = f".{os.getpid()}-{os.urandom(4).hex()}.new"
        try:
            cache.create(mark, data, mode=0o600, sync=False)
            cache.move_to(mark, cache, name)
        except (StorageError, OSError):
            cache.remove(mark)


def remove_cached(workspace: Workspace, name: str, seam: Seam | None = None) -> None:
    """Remove a file; harmless where there is none. Raises StorageError when the disk refuses."""
    with (
        suppress(FileNotFoundError),
        Folder.at(workspace.runs_dir, seam or Seam()) as runs,
        runs.sub(CACHE_FOLDER) as cache,
    ):
        cache.remove(name)


def read_sealed(workspace: Workspace, name: str, limit: int, seam: Seam | None = None) -> bytes | None:
    """Return what ``write_sealed`` put there, of at most ``limit`` bytes; None of everything else."""
    key = read_key(workspace.state_dir)
    data = read_cached(workspace, name, limit - 1 + _SEAL_LENGTH, seam) if key is not None else None
    if key is None or data is None or len(data) <= _SEAL_LENGTH:
        return None
    content = data[:-_SEAL_LENGTH] + b"}"
    # Who could time this comparison can read the key's file.
    return content if data == sealed(key, name, content) else None


def write_sealed(workspace: Workspace, name: str, data: bytes, seam: Seam | None = None) -> None:
    """Put a JSON object there as ``write_cached`` does; without a key, and a place for one, nothing is written."""
    key = read_key(workspace.state_dir)
    if key is None and workspace.state_dir is not None:
        key = make_key(workspace.state_dir)
    if key is not None:
        write_cached(workspace, name, sealed(key, name, data), seam)


def sealed(key: bytes, name: str, data: bytes) -> bytes:
    """Return a JSON object (its bytes, the last of them ``}``) with the seal of the file ``name`` as last key."""
    # A name holds no NUL.
    return data[:-1] + _SEAL + hmac_sha256(key, name.encode() + b"\0" + data).encode() + b'"}'


def hmac_sha256(key: bytes, message: bytes) -> str:
    """Return HMAC-SHA256 (RFC 2104) in hex; ``key`` has at most 64 bytes.

    The standard library's ``hmac`` loads OpenSSL, which takes 2.5 ms.
    """
    block = key.ljust(_BLOCK, b"\0")
    inner = sha256(block.translate(_INNER_PAD) + message).digest()
    return sha256(block.translate(_OUTER_PAD) + inner).hexdigest()


def read_key(folder: str | None) -> bytes | None:
    """Return the key in ``folder``; None where there is none, it is another account's, or others can read it."""
    if folder is None:
        return None
    with suppress(OSError, ValueError):
        fd = os.open(os.path.join(folder, KEY_FILE), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = os.fstat(fd)
            is_ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077
            key = os.read(fd, KEY_BYTES + 1) if is_ours else b""
        finally:
            os.close(fd)
        return key if len(key) == KEY_BYTES else None
    return None


def make_key(folder: str) -> bytes | None:
    """Return a new key in ``folder``, or another process's that was there first; None where none can be kept.

    One that ``read_key`` refuses, as it was cut or others could read it, is replaced.
    """
    place = os.path.join(folder, KEY_FILE)
    made = os.path.join(folder, f".{KEY_FILE}-{os.urandom(8).hex()}")
    with suppress(OSError, ValueError):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        fd = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:
            file.write(os.urandom(KEY_BYTES))
        try:
            os.link(made, place)
        except OSError:  # it exists, or the file system knows no links
            if read_key(folder) is None:
                os.replace(made, place)
    with suppress(OSError, ValueError):
        os.unlink(made)
    return read_key(folder)
