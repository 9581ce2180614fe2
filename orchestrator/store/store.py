"""The store: a workspace's two roots, opened without following links."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack

from orchestrator.base.clock import Clock
from orchestrator.base.files import Folder, Lock, Seam, usual_patience
from orchestrator.base.text.safe_text import safe_text
from orchestrator.base.workspace import Workspace
from orchestrator.store.layout import CLI, OUTBOX, PENDING, PRUNED, STATE, TASK_LOCK, Location, RunPaths


def _warn_stderr(message: str) -> None:
    print(f"codex-orchestrator: {safe_text(message)}", file=sys.stderr)  # noqa: T201 -- the default of an argument


def is_pruning(task: Folder) -> bool:
    """Tell whether a prune of the task is not over: one look at a name (``pending_prune``)."""
    try:
        os.stat(f"{PRUNED}/{PENDING}", dir_fd=task.fd, follow_symlinks=False)
    except OSError:
        return False
    return True


def _no_exports(project: str) -> tuple[str, ...]:
    return ()


class RunStore:
    """Opens folders of a workspace's runs. ``warn`` takes what must be said though no command fails for it.

    ``on_close`` returns the forms in which each run of a project is exported when it ends; it raises nothing.
    """

    def __init__(
        self,
        workspace: Workspace,
        clock: Clock,
        *,
        seam: Seam | None = None,
        warn: Callable[[str], None] = _warn_stderr,
        on_close: Callable[[str], tuple[str, ...]] = _no_exports,
    ) -> None:
        self.workspace = workspace
        self.clock = clock
        self.seam = seam or Seam()
        self.warn = warn
        self.on_close = on_close
        self.patience: Callable[[], float] = usual_patience
        """How many seconds a task's lock is waited for at most; asked again and again."""

    def runs(self, *, create: bool = False) -> Folder:
        """Open the runs folder; FileNotFoundError when there is none and ``create`` is not set."""
        return Folder.at(self.workspace.runs_dir, self.seam, create=create)

    def task(self, task_id: str, *, create: bool = False) -> Folder:
        """Open a task's folder below the runs folder."""
        with self.runs(create=create) as runs:
            return runs.sub(task_id, create=create)

    def out(self, task_id: str) -> Folder:
        """Open, or make, a task's folder below the snapshots' folder.

        Whoever made the folders may have died before their names were synced; where a state was
        written into them, they are safe.
        """
        with Folder.at(self.workspace.out_dir, self.seam, create=True) as out:
            task = out.sub(task_id, create=True, sync=False)
            if not task.has(STATE):
                out.sync_name()
                out.sync()
            return task

    def run_folder(self, where: Location) -> Folder:
        """Open the folder of a run; FileNotFoundError when there is none."""
        with ExitStack() as stack:
            task = stack.enter_context(self.task(where.task_id))
            cli = stack.enter_context(task.sub(CLI))
            return cli.sub(where.run_id)

    def lock_task(self, task: Folder) -> Lock:
        """Wait for the lock that covers a task's metrics, state and migrations.

        Raises StorageError when somebody holds it for longer than ``patience`` says.
        """
        lock = task.lock(TASK_LOCK, blocking=True, patience=lambda: self.patience())
        assert lock is not None  # noqa: S101 -- a blocking lock is always granted
        return lock

    def has_outbox(self) -> bool:
        """Tell whether exports may wait for their delivery; where none was ever asked for, it costs one look."""
        return os.path.lexists(os.path.join(self.workspace.runs_dir, OUTBOX))

    def paths(self, where: Location) -> RunPaths:
        """Return the paths of a run as the record shows them."""
        return RunPaths.of(self.workspace, where)
