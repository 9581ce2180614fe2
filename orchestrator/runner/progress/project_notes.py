"""What the projects of a fleet are doing, read from the lines that their runs print."""

from __future__ import annotations

import re

from orchestrator.runner.progress.event_text import shown

_LONGEST_PARTIAL = 8 * 1024
_MARK = b"==> "
_REFUSAL = b"codex-orchestrator: error: "
_STARTED = re.compile(r"(\S+) started")
_FAILED = re.compile(r"(?!run )\S+ (?:failed|timed out|broke|was cancelled)\b")


class ProjectNotes:
    """The stage that each project is at, and what failed in it first. Other output is passed over."""

    def __init__(self) -> None:
        self._partial: dict[str, bytes] = {}
        self._doing: dict[str, str] = {}
        self._failed: dict[str, str] = {}

    def begin(self, project: str) -> None:
        """Forget what was known of a project: its run begins."""
        for known in (self._partial, self._doing, self._failed):
            known.pop(project, None)

    def feed(self, project: str, data: bytes) -> None:
        """Take the next bytes of a project's output."""
        *lines, rest = (self._partial.get(project, b"") + data).split(b"\n")
        self._partial[project] = rest[-_LONGEST_PARTIAL:]
        for line in lines:
            if line.startswith(_MARK):
                self._event(project, line[len(_MARK) :].decode("utf-8", "replace"))
            elif line.startswith(_REFUSAL):
                self._failed.setdefault(project, shown(line[len(_REFUSAL) :].decode("utf-8", "replace")))
            elif self._failed.get(project, "").endswith(":") and line.strip():
                # A headline, and its first line.
                self._failed[project] = shown(line.strip().decode("utf-8", "replace"))

    def doing(self, project: str) -> str:
        """Return the stage that was started last, and what failed so far, in few words."""
        return "; ".join(filter(None, (self._doing.get(project, ""), self._failed.get(project, ""))))

    def failure(self, project: str) -> str:
        """Return what failed first in a project, empty where nothing did."""
        return self._failed.get(project, "")

    def _event(self, project: str, text: str) -> None:
        started = _STARTED.match(text)
        if started is not None:
            self._doing[project] = shown(started[1])
        elif _FAILED.match(text) is not None:
            self._failed.setdefault(project, shown(text))
