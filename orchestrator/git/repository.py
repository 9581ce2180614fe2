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
    with suppress(OSError), open(place, encoding="utf-8", errors="surrogateescape") as stream:
        pointer = stream.read(_POINTER_BYTES).removeprefix("gitdir:").strip()
        return os.path.normpath(os.path.join(top, pointer))
    return place


def common_folder(top: str) -> str:
    """Return the folder with what all working trees of the repository at ``top`` share: config, refs, objects."""
    folder = git_folder(top)
    with suppress(OSError), open(os.path.join(folder, "commondir"), encoding="utf-8") as stream:
        return os.path.normpath(os.path.join(folder, stream.read(_POINTER_BYTES).strip()))
    return folder


def _is_top(folder: str) -> bool:
    place = os.path.join(folder, ".git")
    if not os.path.isdir(place):
        return os.path.lexists(place)
    return os.path.lexists(os.path.join(place, "HEAD")) and all(
        os.path.isdir(os.path.join(place, name)) for name in ("objects", "refs")
    )
