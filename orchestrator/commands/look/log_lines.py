"""The last lines of a log, as text that is safe to show: for ``logs --tail`` and ``logs --format json``."""

from __future__ import annotations

import os
from contextlib import closing
from io import FileIO

from orchestrator.base.files import Folder
from orchestrator.base.text.safe_text import safe_text
from orchestrator.base.text.terminal_filter import TerminalFilter
from orchestrator.commands.look.log_output import chunks
from orchestrator.store.legacy.stage_log import decoded_events

DEFAULT_LINES = 200
"""Lines of each stage in the document, unless ``--tail`` says else (contract, section 2)."""

_BLOCK = 1 << 16
_LONGEST = 4000
"""Characters of a line in the document; a longer one is cut, with "…" behind it."""

_MOST = 1 << 24
"""Bytes of a log that are searched for its last lines, from its end."""


def log_size(folder: Folder, name: str) -> int:
    """Return the bytes of a log. Raises FileNotFoundError, or StorageError when it is no regular file."""
    with closing(FileIO(folder.open_read(name))) as file:
        return os.fstat(file.fileno()).st_size


def tail_offset(folder: Folder, name: str, lines: int) -> int:
    """Return where the last ``lines`` lines of a log begin; a last line without its end counts.

    Raises as ``log_size`` does.
    """
    with closing(FileIO(folder.open_read(name))) as file:
        end = os.fstat(file.fileno()).st_size
        position, missing = end, lines
        if lines == 0:
            return end
        while position > max(0, end - _MOST):
            begin = max(0, position - _BLOCK)
            file.seek(begin)
            block = file.read(position - begin)
            if position == end and block.endswith(b"\n"):
                block = block[:-1]
            found = len(block)
            while (found := block.rfind(b"\n", 0, found)) >= 0:
                missing -= 1
                if missing == 0:
                    return begin + found + 1
            position = begin
        return position


def last_lines(folder: Folder, name: str, lines: int) -> list[str]:
    """Return the last ``lines`` lines of a log, without colours or anything that steers a terminal.

    Raises as ``log_size`` does.
    """
    if name.endswith(".ndjson"):
        data = b"".join(decoded_events(folder, name))[-_MOST:]
    else:
        data = b"".join(chunks(folder, name, tail_offset(folder, name, lines)))
    plain = TerminalFilter(color=False)
    text = (plain.feed(data) + plain.flush()).decode("utf-8", "replace")
    shown = text.split("\n")
    if shown[-1] == "":
        shown.pop()
    kept = shown[-lines:] if lines else []
    return [safe_text(line if len(line) <= _LONGEST else line[:_LONGEST] + "…", lines=True) for line in kept]
