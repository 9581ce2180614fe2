"""The system calls that write the records of up-to-date runs, and nothing else: what no way of writing them is below.

``python -I -S record_calls.py TASKS PROCESSES`` writes one record for each of so many tasks below the current folder:
the files, folders, renames and syncs of ``orchestrator/store/claim.py``, ``child_links.py``, ``open_run.py`` and
``publish.py`` for a run that is seen when it has ended, with as many bytes. Nothing is read, looked for or locked.
"""

from __future__ import annotations

import os
import sys

_NEW = os.O_CREAT | os.O_EXCL | os.O_WRONLY
_MORE = os.O_CREAT | os.O_APPEND | os.O_WRONLY
_RUN = "run"


def _write(path: str, size: int, *, sync: bool = True, flags: int = _NEW) -> None:
    fd = os.open(path, flags, 0o664)
    os.write(fd, bytes(size))
    if sync:
        os.fsync(fd)
    os.close(fd)


def _replace(folder: str, name: str, size: int, *, sync: bool = True) -> None:
    _write(f"{folder}/.tmp", size, sync=sync)
    os.rename(f"{folder}/.tmp", f"{folder}/{name}")


def _sync(*folders: str) -> None:
    for folder in folders:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(fd)
        os.close(fd)


def record(task: str) -> None:
    """Write the record of one run of ``task``, as it would be on disk once it is published."""
    staged, run, name = f"{task}/.staging/{_RUN}", f"{task}/cli/{_RUN}", task.rpartition("/")[2]
    os.mkdir(staged)
    for file, size in ((".lock", 118), (".resume-token", 65), (".heartbeat", 25)):
        _write(f"{staged}/{file}", size, sync=False)
    os.mkdir(f"{staged}/commands")
    os.mkdir(f"{staged}/errors")
    _write(f"fleet/children/{name}.json", 120)
    _sync("fleet/children", "fleet")
    _write(f"{staged}/runner.ndjson", 1400)
    _write(f"{staged}/manifest.json", 5200)
    _sync(staged)
    _write(f"{task}/.open/{_RUN}", 0, sync=False)
    _sync(f"{task}/.open")
    os.rename(staged, run)
    _sync(f"{task}/cli")
    _write(f"{task}/metrics.json", 1800, flags=_MORE)
    _write(f"{task}/chain.jsonl", 740, flags=_MORE)
    _sync(task)
    _replace(task, "state.json", 3400)
    _sync(task)
    _replace(run, ".line", 46, sync=False)
    pointer, older = f"{task}/mcp/{_RUN}", f"local-mcp/{name}"
    os.mkdir(pointer)
    os.mkdir(older)
    os.symlink(f"../../{run}/manifest.json", f"{older}/manifest.json")
    _replace(pointer, "manifest.json", 271)
    _sync(pointer, f"{task}/mcp", older, "local-mcp")
    _replace(run, "manifest.json", 5200)
    _sync(run)
    os.unlink(f"{task}/.open/{_RUN}")


def folders(tasks: int) -> list[str]:
    """Return the folders that stand before the records are written; tasks are ``t0``, ``t1``, and so on."""
    inside = (".staging", ".open", "cli", "mcp")
    return ["fleet/children", "local-mcp", *(f"t{number}/{name}" for number in range(tasks) for name in inside)]


def main() -> None:
    """Write the records, shared among the processes."""
    tasks, processes = int(sys.argv[1]), int(sys.argv[2])
    copies = []
    for part in range(processes):
        copy = os.fork()
        if copy == 0:
            for number in range(part, tasks, processes):
                record(f"t{number}")
            os._exit(0)
        copies.append(copy)
    for copy in copies:
        os.waitpid(copy, 0)


if __name__ == "__main__":
    main()
