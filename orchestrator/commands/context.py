"""What every command gets, and what it gives back."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from orchestrator.base.clock import Clock, SystemClock
from orchestrator.base.record import Record
from orchestrator.base.text.safe_text import safe_text
from orchestrator.base.workspace import Workspace, find_workspace
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO


class Context:
    """Where a command was called: current folder (absolute), environment, streams and clock."""

    def __init__(
        self, cwd: str, environ: Mapping[str, str], stdout: TextIO, stderr: TextIO, clock: Clock | None = None
    ) -> None:
        self.cwd = cwd
        self.environ = environ
        self.stdout = stdout
        self.stderr = stderr
        self.clock = clock or SystemClock()

    @classmethod
    def of_process(cls) -> Context:
        """Return the context of this process."""
        return cls(os.getcwd(), os.environ, sys.stdout, sys.stderr)

    def workspace(self) -> Workspace:
        """Return the workspace that the command was called in; UsageError when there is none."""
        return find_workspace(self.cwd, self.environ)

    def store(self) -> RunStore:
        """Return the store of the workspace; what must be said though nothing fails for it goes to stderr."""
        return RunStore(self.workspace(), self.clock, warn=self.warn)

    def warn(self, message: str) -> None:
        """Say something on stderr, which nobody may be reading: it is waited for a moment, and never for long."""
        from orchestrator.runner.progress.stream import Sink

        sink = Sink(self.stderr, self.environ)
        sink.text(f"codex-orchestrator: {safe_text(message)}\n")
        sink.close()


class Answer(Record):
    """What a command answers: the process's exit code, the document for ``--format json``, the text for people."""

    exit_code: int
    document: Mapping[str, Any] | None
    text: str
