"""Things that nobody of ours makes: links, pipes, sockets and devices where files and folders belong."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from orchestrator.base.finding import Finding
from orchestrator.store.layout import (
    CHILDREN,
    CLI,
    COMMANDS,
    ERRORS,
    MANIFEST,
    MCP,
    OLD_POINTERS,
    OPEN,
    OUTBOX,
    REPORTS,
    STAGING,
)
from orchestrator.store.store import RunStore

_HINT = "see who made it, and remove it; nothing is written through it"
_OF_A_RUN = (COMMANDS, ERRORS, CHILDREN, REPORTS)


def planted(store: RunStore) -> Iterator[Finding]:
    """Yield what stands in the place of files and folders of ours below the two roots, the roots included.

    What stages put into folders of their own is theirs.
    """
    workspace = store.workspace
    for root, walk in ((workspace.runs_dir, _runs), (workspace.out_dir, _snapshots)):
        if os.path.islink(root):
            yield planted_finding(store, root, "a symbolic link")
        elif os.path.isdir(root):
            yield from walk(store, root)
        elif os.path.exists(root):
            yield planted_finding(store, root, "a file")


def _runs(store: RunStore, root: str) -> Iterator[Finding]:
    for task in _entries(store, root):
        if isinstance(task, Finding):
            yield task
        elif os.path.basename(task) == OLD_POINTERS:
            yield from _older_pointers(store, task)
        elif os.path.basename(task) == OUTBOX:
            yield from (entry for entry in _entries(store, task) if isinstance(entry, Finding))
        elif not os.path.basename(task).startswith("."):
            yield from _task(store, task)


def _task(store: RunStore, folder: str) -> Iterator[Finding]:
    for inner in _entries(store, folder):
        if isinstance(inner, Finding):
            yield inner
        elif os.path.basename(inner) == CLI:
            yield from _cli(store, inner)
        elif os.path.basename(inner) in (MCP, OPEN, STAGING):
            yield from _folders(store, inner)


def _cli(store: RunStore, folder: str) -> Iterator[Finding]:
    for run in _entries(store, folder):
        if isinstance(run, Finding):
            yield run
            continue
        for inner in _entries(store, run):
            if isinstance(inner, Finding):
                yield inner
            elif os.path.basename(inner) in _OF_A_RUN:
                yield from (item for item in _entries(store, inner) if isinstance(item, Finding))


def _older_pointers(store: RunStore, folder: str) -> Iterator[Finding]:
    """The manifests in there are links; whether they lead to the right place is looked at with the run."""
    links = os.path.join("", MANIFEST)
    for finding in _folders(store, folder):
        if not (finding.place.endswith(f"/{links}") and "symbolic link" in finding.message):
            yield finding


def _snapshots(store: RunStore, root: str) -> Iterator[Finding]:
    yield from _folders(store, root)
    for task in _entries(store, store.workspace.runs_dir):
        path = os.path.join(root, os.path.basename(task)) if isinstance(task, str) else ""
        if os.path.isfile(path) and not os.path.islink(path):
            yield planted_finding(store, path, "a file")


def _folders(store: RunStore, folder: str) -> Iterator[Finding]:
    for entry in _entries(store, folder):
        if isinstance(entry, Finding):
            yield entry
        else:
            yield from (inner for inner in _entries(store, entry) if isinstance(inner, Finding))


def _entries(store: RunStore, folder: str) -> Iterator[Finding | str]:
    """Yield a finding for each odd entry, and the path of each folder; regular files are as they should be."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            yield entry.path
        elif not entry.is_file(follow_symlinks=False):
            yield from _odd(store, entry)


def _odd(store: RunStore, entry: os.DirEntry[str]) -> Iterator[Finding]:
    try:
        mode = entry.stat(follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    kinds = ((stat.S_ISLNK, "a symbolic link"), (stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"))
    yield planted_finding(store, entry.path, next((words for test, words in kinds if test(mode)), "a device"))


def planted_finding(store: RunStore, path: str, kind: str) -> Finding:
    """Return the finding for something of that kind that stands where a file or folder of ours belongs."""
    return Finding("planted", store.workspace.shown(path), f"{kind} stands where a file or folder belongs", hint=_HINT)
