"""``artifacts``: the files of a run that may leave the machine."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from orchestrator.base.errors import EXIT_DONE
from orchestrator.base.text.safe_text import safe_text
from orchestrator.commands.context import Answer, Context
from orchestrator.store.find import find_run, read_document
from orchestrator.store.layout import CHILD_START, RESERVE, RUN_LOCK, TOKEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_JOBS = ".jobs"
"""The lock of the run's job slots (``runner.slots``)."""

_STAY_HERE = frozenset({TOKEN, CHILD_START, RUN_LOCK, RESERVE, _JOBS})
"""What resumes the run, a key, its locks, and what is set aside for a full disk."""


def artifacts(
    context: Context,
    *,
    run: str,
    format: str = "text",  # noqa: A002 -- the option's name
) -> Answer:
    """Return the files of a run that may leave the machine: all but its token and locks; sizes in bytes.

    Links, pipes and devices, which nobody of ours makes, are left out. Raises UsageError, NotFound,
    DamagedRecord, StorageError.
    """
    store = context.store()
    where = find_run(store, run)
    read_document(store, where)
    paths = store.paths(where)
    files = sorted(_files(paths.absolute_folder, ""))
    found: list[dict[str, Any]] = [{"path": f"{paths.folder}/{name}", "bytes": size} for name, size in files]
    document = {"run_id": where.run_id, "artifact_root": paths.folder, "files": found}
    return Answer(EXIT_DONE, document, "".join(f"{safe_text(str(entry['path']))}\n" for entry in found))


def _files(folder: str, above: str) -> Iterator[tuple[str, int]]:
    """Yield the regular files below a folder by their names from ``above`` on, with their sizes."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = f"{above}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path, f"{name}/")
                continue
            about = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(about.st_mode) and entry.name not in _STAY_HERE and not entry.name.endswith(".lock"):
                yield name, about.st_size
