"""A file that somebody named by a flag, for a command's answer."""

from __future__ import annotations

import os

from orchestrator.base.errors import UsageError
from orchestrator.base.files import Folder, Seam


def write_named(path: str, data: bytes, flag: str) -> None:
    """Write a file that somebody named by a flag, whole or not at all; UsageError when it can't be one."""
    above, name = os.path.split(path)
    try:
        folder = Folder.at(os.path.realpath(above), Seam())
    except FileNotFoundError:
        raise UsageError(f"there is no folder '{above}'", hint="make it, then run the command again") from None
    with folder:
        if not name or folder.has_folder(name):
            raise UsageError(f"{flag} '{path}' is a folder", hint="name a file", code="bad-output")
        folder.write(name, data)
