"""What every command gets, and what it gives back."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress

from orchestrator.base.clock import Clock, SystemClock
from orchestrator.base.errors import Refusal
from orchestrator.base.files import leave_owner_rights
from orchestrator.base.limits import FORMS_ON_CLOSE
from orchestrator.base.record import Record
from orchestrator.base.text.safe_text import safe_text
from orchestrator.base.workspace import CONFIG_FOLDER, WORKSPACE_FILE, Workspace, find_workspace
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

    from orchestrator.base.text.progress_bar import Progress
    from orchestrator.git.shared_look import SharedLook

_CONFIG_LIMIT = 1 << 20


class Context:
    """Where a command was called: current folder (absolute), environment, streams and clock.

    ``shared_look`` knows what was seen of the folders of several runs.
    """

    def __init__(
        self,
        cwd: str,
        environ: Mapping[str, str],
        stdout: TextIO,
        stderr: TextIO,
        clock: Clock | None = None,
        *,
        shared_look: SharedLook | None = None,
    ) -> None:
        self.cwd = cwd
        self.environ = environ
        self.stdout = stdout
        self.stderr = stderr
        self.clock = clock or SystemClock()
        self.shared_look = shared_look

    @classmethod
    def of_process(cls) -> Context:
        """Return the context of this process, which from now on has the rights of an owner to what it makes."""
        leave_owner_rights()
        return cls(os.getcwd(), os.environ, sys.stdout, sys.stderr)

    def workspace(self) -> Workspace:
        """Return the workspace that the command was called in; UsageError when there is none."""
        return find_workspace(self.cwd, self.environ)

    def store(self) -> RunStore:
        """Return the store of the workspace; what must be said though nothing fails for it goes to stderr."""
        workspace = self.workspace()

        def on_close(project: str) -> tuple[str, ...]:
            try:
                return exports_on_close(workspace.root, project)
            except Refusal as refusal:
                # What is asked for is known again when the config is readable: until then all of it waits.
                self.warn(refusal.message)
                return FORMS_ON_CLOSE

        return RunStore(workspace, self.clock, warn=self.warn, on_close=on_close)

    def progress(self, what: str, form: str, total: int | None = None) -> Progress:
        """Return what shows on stderr how far a long look has come; of a document for programs nothing is shown."""
        from orchestrator.base.text.progress_bar import Progress

        return Progress(self.stderr if form == "text" else None, self.environ, what, total)

    def warn(self, message: str) -> None:
        """Say something on stderr, which nobody may be reading: it is waited for a moment, and never for long."""
        from orchestrator.runner.progress.stream import Sink

        line = f"codex-orchestrator: {safe_text(message)}"
        if self.environ.get("GITHUB_ACTIONS") == "true":
            from orchestrator.base.text.workflow_commands import made_harmless

            line = made_harmless(line)
        sink = Sink(self.stderr, self.environ)
        sink.text(f"{line}\n")
        sink.close()


class Answer(Record):
    """What a command answers: the process's exit code, the document for ``--format json``, the text for people.

    ``after`` is what is left to do once the answer is printed; it raises nothing, and the exit code stands.
    ``is_data`` says that the text is for a program, and passes as it is wherever it goes.
    """

    exit_code: int
    document: Mapping[str, Any] | None
    text: str
    after: Callable[[], None] | None = None
    is_data: bool = False


def exports_on_close(root: str, project: str) -> tuple[str, ...]:
    """Return the forms in which each run of a project is exported when it ends. Raises ConfigError.

    Where no config speaks of exports, nothing is loaded for it.
    """
    files = (WORKSPACE_FILE, os.path.join(CONFIG_FOLDER, f"{project}.toml"))
    if not any(_speaks_of_exports(os.path.join(root, file)) for file in files):
        return ()
    from orchestrator.config.export_policy import read_export_policy

    return read_export_policy(root, project).on_close


def _speaks_of_exports(path: str) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    with open(fd, "rb") as file, suppress(OSError):
        return b"export" in file.read(_CONFIG_LIMIT)
    return False
