"""Names of the files of a run (contract, section 4)."""

from __future__ import annotations

from orchestrator.base.record import Record
from orchestrator.base.workspace import Workspace

MANIFEST = "manifest.json"
EVENTS = "runner.ndjson"
HEARTBEAT = ".heartbeat"
CHILD_START = ".child-start"
"""In the folder of a fleet's run: what its start asked for each child's. The key stands in no record."""
TOKEN = ".resume-token"  # noqa: S105 -- a file's name
RUN_LOCK = ".lock"
RESERVE = ".reserve"
LINE_HINT = ".line"
"""Notes where in the task's chain the line of the run's last ended attempt begins."""
LOGS_PRUNED = ".logs-pruned"
"""Notes where in the task's chain the prune of the run's logs stands."""
IMPORTED = "imported.json"
"""In the folder of a run of another machine: where it comes from, and its lines of that chain and those metrics."""
IMPORT_LOCK = ".import.lock"
"""Beside the tasks: held by who imports."""
COMMANDS = "commands"
ERRORS = "errors"
REPORTS = "reports"
CHILDREN = "children"
ENVIRONMENT = "environment"
"""Stands where a stage's id does in the logs and errors of making the session's environment (index 0)."""

CLI = "cli"
MCP = "mcp"
OLD_POINTERS = "local-mcp"
STAGING = ".staging"
OPEN = ".open"
"""Holds an empty file for each run whose end is not fully published: what recovery looks at."""

PRUNED = ".pruned"
"""Beside ``cli``: runs on their way out, and the names of those that a prune is about."""

PENDING = "pending.json"
"""In there: what a prune that is not over is about."""

DAMAGED = ".damaged"
"""Beside ``cli``: runs that the doctor set aside, whose record could not be read."""

CLAIMS = ".claims"
"""Beside the tasks: a line with the id of each run, in the order in which they were claimed."""

INDEX = ".index"
"""Beside ``cli``: the names of the runs in there, sorted (``run_index``)."""

KEYS = ".keys"
"""Beside the tasks: which run a start's key stands for."""

QUEUE = ".queue"
"""Beside the tasks: which runs hold a place of those that may run at once, and which wait for one."""

OUTBOX = ".outbox"
"""Beside the tasks: an empty file for each export of an ended run that was not delivered yet."""

TASK_LOCK = ".lock"
METRICS = "metrics.json"
CHAIN = "chain.jsonl"
STATE = "state.json"

RESERVE_BYTES = 128 * 1024
"""Set aside at the start, so that a full disk leaves room for the terminal record."""


class Location(Record):
    """Which run, and of which task."""

    task_id: str
    run_id: str


class RunPaths(Record):
    """The paths of a run as the record shows them: relative to the workspace where they lie below it."""

    folder: str
    manifest: str
    events: str
    pointer_folder: str
    absolute_folder: str

    @classmethod
    def of(cls, workspace: Workspace, where: Location) -> RunPaths:
        """Return the paths of the run ``where`` in ``workspace``."""
        task = f"{workspace.runs_dir}/{where.task_id}"
        folder = f"{task}/{CLI}/{where.run_id}"
        shown = workspace.shown(folder)
        return cls(
            folder=shown,
            manifest=f"{shown}/{MANIFEST}",
            events=f"{shown}/{EVENTS}",
            pointer_folder=workspace.shown(f"{task}/{MCP}/{where.run_id}"),
            absolute_folder=folder,
        )


def log_name(index: int, stage_id: str, attempt: int) -> str:
    """Return the name of a stage's log below ``commands/``: ``01-build.log``, then ``01-build.2.log``."""
    middle = "" if attempt == 1 else f".{attempt}"
    return f"{index:02d}-{stage_id}{middle}.log"


def reports_name(stage_id: str, attempt: int) -> str:
    """Return the name of the folder of a stage's reports below ``reports/``: ``test``, then ``test@2``."""
    return stage_id if attempt == 1 else f"{stage_id}@{attempt}"


def error_name(index: int, stage_id: str) -> str:
    """Return the name of a stage's error file below ``errors/``."""
    return f"{index:02d}-{stage_id}.json"
