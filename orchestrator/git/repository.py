"""Where a repository lies, found without starting git."""

from __future__ import annotations

import os
from contextlib import suppress

_POINTER_BYTES = 4096


def repository_top(folder: str) -> str | None:
    """Return the top of the working tree that holds ``folder`` (links followed), None when it is in none.

    A folder ``.git`` counts when it holds what git asks of a repository: ``HEAD``, ``objects`` and ``refs``
    (``is_git_directory`` in git's ``setup.c``); an empty one that a bind mount left is passed over, as git does.
    """
    top = os.path.realpath(folder)
    while not _is_top(top):
        parent = os.path.dirname(top)
        if parent == top:
            return None
        top = parent
    return top


def git_folder(top: str) -> str:
    """Return the folder with the index and ``HEAD`` of the working tree at ``top``."""
    place = os.path.join(top, ".git")
    if os.path.isdir(place):
        return place
    pointer = _pointer(place)
    return place if pointer is None else os.path.normpath(os.path.join(top, pointer.removeprefix("gitdir:").strip()))


def common_folder(top: str) -> str:
    """Return the folder with what all working trees of the repository at ``top`` share: config, refs, objects."""
    folder = git_folder(top)
    pointer = _pointer(os.path.join(folder, "commondir"))
    return folder if pointer is None else os.path.normpath(os.path.join(folder, pointer.strip()))


def _pointer(place: str) -> str | None:
    """Return what stands in a file of git's that names a folder; None where it can't be read, or names none."""
    with suppress(OSError):
        fd = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # no wait for a pipe's writer
        try:
            said = os.fsdecode(os.read(fd, _POINTER_BYTES))
        finally:
            os.close(fd)
        return None if "\0" in said else said
    return None


def _is_top(folder: str) -> bool:
    place = os.path.join(folder, ".git")
    if not os.path.isdir(place):
        return os.path.lexists(place)
    return os.path.lexists(os.path.join(place, "HEAD")) and all(
        os.path.isdir(os.path.join(place, name)) for name in ("objects", "refs")
    )
