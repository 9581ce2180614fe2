"""Standard streams inside a job of GitHub, whose log takes some lines for commands: what is text stays text."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping

from orchestrator.base.text.workflow_commands import made_harmless

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)")
_LONGEST = 64 * 1024
"""Characters of an unfinished line that are withheld."""


class JobStream:
    """A text stream whose whole lines give no workflow command; ``raw`` takes text as it is.

    Who writes to its descriptor, as the screen of a run does, answers for what it writes.
    """

    def __init__(self, raw: TextIO) -> None:
        self.raw = raw
        self._rest = ""
        self._goes_on = False

    def write(self, text: str) -> int:
        """Write the whole lines of what came so far; an unfinished one is withheld until its end."""
        text, size = self._rest + text, len(text)
        end = max(text.rfind("\n"), text.rfind("\r")) + 1
        if text.endswith("\r"):
            end = max(text.rfind("\n"), text.rfind("\r", 0, -1)) + 1  # a newline may follow
        ready, self._rest = text[:end], text[end:]
        if ready:
            self.raw.write(_LINE.sub(lambda line: self._shown(line[0]), ready))
        while len(self._rest) > _LONGEST:
            # A command of the older form begins with two of these, and is known by what follows.
            ready = self._rest[:_LONGEST].rstrip("#") or self._rest[:_LONGEST]
            self._rest = self._rest[len(ready) :]
            self.raw.write(self._shown(ready))
            self._goes_on = True
        return size

    def flush(self) -> None:
        """Flush what was written."""
        self.raw.flush()

    def finish(self) -> None:
        """Write what is withheld: nothing comes after it."""
        rest, self._rest = self._rest, ""
        if rest:
            self.raw.write(self._shown(rest))
        self.raw.flush()

    def _shown(self, line: str) -> str:
        if not self._goes_on:
            return made_harmless(line)
        self._goes_on = False
        return made_harmless(f"x{line}")[1:]

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":  # bytes that are written there would pass unseen
            raise AttributeError(name)
        return getattr(self.raw, name)


def in_job(stream: TextIO, environ: Mapping[str, str]) -> TextIO:
    """Return the stream as it is to be written to: in a job of GitHub one of its log, unless it leads to a file."""
    if environ.get("GITHUB_ACTIONS") != "true":
        return stream
    try:
        if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            return stream
    except (OSError, ValueError):
        return stream
    wrapped: Any = JobStream(stream)
    text: TextIO = wrapped
    return text
