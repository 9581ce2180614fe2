"""The last of a task's ended attempts: as ``tasks`` verifies all of them, at a cost that history does not raise.

Read are the ends of the chain and of the metrics, and the records of the runs that they speak of; besides, the
names of the task's runs are listed once. More is read only where these ends don't tell enough: an earlier
attempt of a run that they speak of, or a metrics line that `doctor --repair` put elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass

from orchestrator.base.errors import StorageError
from orchestrator.base.files import Folder
from orchestrator.base.finding import Finding
from orchestrator.store.chain import has_link, last_lines, parsed
from orchestrator.store.doctor.tasks import shared_lock
from orchestrator.store.doctor.workspace import full_check
from orchestrator.store.find import run_ids
from orchestrator.store.layout import CHAIN, METRICS, Location
from orchestrator.store.store import RunStore
from orchestrator.store.verification.chain_lines import Chain, EndLine, read_chain
from orchestrator.store.verification.metrics_lines import metrics_findings
from orchestrator.store.verification.prunes import pruned_by_level
from orchestrator.store.verification.runs import run_findings
from orchestrator.store.verification.tasks import Verified, holds_lock, marked_runs

_MORE = 4
_COUNTED_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class _Tail:
    """The end of a file of lines: the bytes, the number of their first line, and the line before (None: none)."""

    data: bytes = b""
    first: int = 1
    before: bytes | None = None
    is_whole: bool = True


def verify_recent(
    store: RunStore, task_id: str, last: int, is_cited: Callable[[str], bool] = lambda run_id: True
) -> Verified:
    """Verify the ``last`` ended attempts of a task, and its newest runs. What was found is looked at again.

    A task that never had a run has no findings. Runs that are alive are judged by their earlier attempts only. What
    would hold up every later run for the past of another is left to ``verify``: that a run is gone which nothing
    cites, by ``is_cited``, and that a clock went back.
    """
    seen = _look(store, task_id, last, is_cited, counted=False)
    if not seen.findings:
        return seen
    # Lines are numbered only now: that takes reading all that is before them.
    seen, again = (_look(store, task_id, last, is_cited, counted=True) for _ in range(2))
    return Verified(
        again.tasks, again.runs, again.links, tuple(each for each in again.findings if each in seen.findings)
    )


def _look(store: RunStore, task_id: str, last: int, is_cited: Callable[[str], bool], *, counted: bool) -> Verified:
    try:
        with store.task(task_id) as task:
            return _look_into(store, task, task_id, last, is_cited, counted=counted)
    except FileNotFoundError:
        return Verified(0, 0, 0, ())
    except StorageError as error:
        place = store.workspace.shown(os.path.join(store.workspace.runs_dir, task_id))
        return Verified(1, 0, 0, (Finding(error.code, place, error.message, hint=error.hint),))


def _look_into(
    store: RunStore, task: Folder, task_id: str, last: int, is_cited: Callable[[str], bool], *, counted: bool
) -> Verified:
    moving = marked_runs(task)
    newest = run_ids(store, task_id)[-last:]
    moving |= {run_id for run_id in newest if holds_lock(store, Location(task_id, run_id))}
    shown = store.workspace.shown(task.path)
    chain_path, metrics_path = os.path.join(shown, CHAIN), os.path.join(shown, METRICS)
    with shared_lock(task):
        tail, chain = _chain(task, chain_path, last, set(newest) - moving, counted=counted)
        metrics = _metrics(task, chain, counted=counted)
    # What began or ended since the first look is on its way, too.
    moving |= marked_runs(task)
    recent = chain.links[-last:]
    wanted = sorted({link.run_id for link in recent}.union(newest))
    moving |= {run_id for run_id in wanted if holds_lock(store, Location(task_id, run_id))}
    findings = [each for each in chain.findings if each.code != "clock-went-back"]

    def older(event: str) -> bool:
        return not tail.is_whole and has_link(task, event)

    findings += metrics_findings(metrics.data, metrics_path, chain, moving, first=metrics.first, older=older)
    pruned = pruned_by_level(chain)
    for run_id in wanted:
        links = chain.of_run(run_id)
        where = Location(task_id, run_id)
        found = run_findings(
            store,
            where,
            links,
            chain_path,
            full_check,
            is_moving=run_id in moving,
            decisions=chain.decisions_about(run_id),
            pruned={level: found[run_id] for level, found in pruned.items() if run_id in found},
        )
        findings += (each for each in found if each.code != "run-missing" or is_cited(run_id))
    return Verified(1, len(wanted), len(recent), tuple(findings))


def _chain(task: Folder, path: str, last: int, settled: Collection[str], *, counted: bool) -> tuple[_Tail, Chain]:
    """Return as much of the chain's end as tells everything about its ``last`` attempts and ``settled`` runs."""
    count = last
    while True:
        tail = _tail(task, CHAIN, count, counted=counted)
        chain = read_chain(tail.data, path, first=tail.first, before=tail.before)
        if tail.is_whole or _tells_enough(chain, last, settled):
            return tail, chain
        count *= _MORE


def _tells_enough(chain: Chain, last: int, settled: Collection[str]) -> bool:
    first_of: dict[str, EndLine] = {}
    for link in chain.links:
        first_of.setdefault(link.run_id, link)
    spoken_of = {link.run_id for link in chain.links[-last:]}
    return set(settled) <= first_of.keys() and all(first_of[run_id].attempt == 1 for run_id in spoken_of)


def _metrics(task: Folder, chain: Chain, *, counted: bool) -> _Tail:
    """Return the end of the metrics that begins with the first line of an attempt in ``chain``."""
    events = {str(link.content.get("event_id")) for link in chain.links}
    count = len(chain.links) + 1
    while True:
        tail = _tail(task, METRICS, count, counted=counted)
        found: dict[str, int] = {}
        for at, line in enumerate(tail.data.split(b"\n")[:-1]):
            content = parsed(line)
            if content is not None and content.get("event_id") in events:
                found.setdefault(str(content["event_id"]), at)
        if tail.is_whole:
            return tail
        if found.keys() == events:
            skipped = min(found.values(), default=0)
            data = tail.data.split(b"\n", skipped)[-1]
            return _Tail(data, tail.first + skipped, None, is_whole=False)
        count *= _MORE


def _tail(task: Folder, name: str, count: int, *, counted: bool) -> _Tail:
    """Return the last ``count`` lines of a file; their number is known where it is ``counted``, else it is one."""
    try:
        begin, data = last_lines(task, name, count + 1)
    except FileNotFoundError:
        return _Tail()
    if begin == 0 and data.count(b"\n") <= count:
        return _Tail(data)
    before, _, rest = data.partition(b"\n")
    first = 2 + (_lines_before(task, name, begin) if counted else 0)
    return _Tail(rest, first, before, is_whole=False)


def _lines_before(task: Folder, name: str, end: int) -> int:
    fd = task.open_read(name)
    try:
        lines, at = 0, 0
        while at < end and (chunk := os.pread(fd, min(_COUNTED_CHUNK, end - at), at)):
            lines, at = lines + chunk.count(b"\n"), at + len(chunk)
        return lines
    finally:
        os.close(fd)
