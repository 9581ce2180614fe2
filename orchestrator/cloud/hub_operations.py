"""What a scheduler knows of runs: blobs, fences, the engine's work for each, and the way to the worker that runs one.

Each public coroutine of ``Hub`` is an operation that submitters and agents call. What a caller can do something about
comes back as ``{"failed": …, "code": …}``; anything else is an error of the engine's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime

from distributed import Client, Security, fire_and_forget

from orchestrator import __version__
from orchestrator.base.clock import stamp
from orchestrator.cloud.agent import run_incarnation
from orchestrator.cloud.fence import (
    BEGIN,
    COLLECTED,
    END,
    LOST,
    STOP,
    SUBMIT,
    Fence,
    Line,
    added,
    folded,
    follow_up,
    is_late,
    why_not,
)
from orchestrator.cloud.protocol import PROTOCOL, STATES_OF_WORK
from orchestrator.cloud.spool import Spool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ALLOWED_FAILURES = 100
"""Every queued task on a worker that dies counts as a failure of its own; incarnations are counted here instead."""

_CALL_SECONDS = 5.0
_LONGEST_WAIT_SECONDS = 20.0
_KEPT_SECONDS = 7 * 24 * 3600.0


class Hub:
    """What a scheduler knows of runs; ``scheduler`` is dask's, ``spool`` its files."""

    def __init__(self, scheduler: Any, spool: Spool) -> None:
        self._scheduler = scheduler
        self._spool = spool
        self._fences: dict[str, Fence] = {}
        self._changed: dict[str, asyncio.Event] = {}
        self._client: Any = None
        for run_id in spool.run_ids():
            fence = folded(spool.lines(run_id))
            if fence.is_open or not fence.is_collected:
                self._fences[run_id] = fence

    async def hub(self) -> dict[str, Any]:
        """Return what a submitter has to know before it writes anything."""
        return {
            "protocol": PROTOCOL,
            "version": __version__,
            "time": time.time(),
            "free_bytes": self._spool.free_bytes(),
            "worker_ttl": self._scheduler.worker_ttl,
            "workers": self._connected(),
        }

    async def has_blob(self, name: str) -> dict[str, Any]:
        """Tell whether a blob is there; one that is asked for is not swept."""
        found = self._spool.has_blob(name)
        if found:
            self._spool.touch(name)
        return {"found": found}

    async def put_blob(self, name: str, ticket: str, offset: int, data: bytes, is_last: bool) -> dict[str, Any]:
        """Take a piece of a blob."""
        return {"size": self._spool.put(name, ticket, offset, data, is_last=is_last)}

    async def get_blob(self, name: str, offset: int, size: int) -> dict[str, Any]:
        """Return a piece of a blob."""
        return {"data": self._spool.get(name, offset, size)}

    async def submit(self, run_id: str, attempt: int, ticket: str, terms: Mapping[str, Any] | None) -> dict[str, Any]:
        """Have an attempt run, or have it run again where the engine forgot it; the fence bears the repetition.

        ``terms`` are None where the hub has them.
        """
        fence = self._fence(run_id)
        if fence.revision and (attempt < fence.attempt or (attempt == fence.attempt and ticket != fence.ticket)):
            return failed("known-run", f"the hub knows attempt {fence.attempt} of run {run_id} from somebody else")
        if attempt > fence.attempt:
            if terms is None:
                return failed("unknown-run", f"the hub does not know attempt {attempt} of run {run_id}")
            if fence.is_open:
                return failed("unended", f"attempt {fence.attempt} of run {run_id} has not ended")
            if not self._spool.has_blob(str(terms["snapshot"]["pack_sha256"])):
                return failed("no-blob", "the snapshot is not here")
            line = {"kind": SUBMIT, "attempt": attempt, "ticket": ticket, "terms": _plain(terms), "at": _now()}
            fence = self._add(run_id, line)
        if fence.is_open and fence.stop is None and not self._is_known(run_id, fence):
            await self._place(run_id, fence)
        return self._state(run_id, fence)

    async def watch(self, run_id: str, revision: int, wait: float) -> dict[str, Any]:
        """Return the fence once it has more lines than ``revision``, or after ``wait`` seconds as it is."""
        fence = self._fence(run_id)
        if fence.revision <= revision:
            event = self._changed.setdefault(run_id, asyncio.Event())
            with suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), min(wait, _LONGEST_WAIT_SECONDS))
            fence = self._fence(run_id)
        return self._state(run_id, fence)

    async def begin(
        self, run_id: str, attempt: int, ticket: str, worker: str, address: str, host: str, account: Any, python: str
    ) -> dict[str, Any]:
        """Let an agent begin an incarnation, or tell it why not; at once one that still counted counts no more."""
        fence = self._fence(run_id)
        refusal = why_not(fence, attempt, ticket)
        if refusal is None and is_late(fence, _now()):
            reason = "no worker was there in time, and its submitter has gone on without it"
            end = {"kind": END, "attempt": attempt, "n": None, "at": _now(), "record": None}
            self._add(run_id, {**end, "outcome": "error", "reason": reason})
            refusal = "late"
        if refusal is None and fence.current is not None:
            held = fence.current
            self._add(run_id, _lost(fence, held.n, f"the engine moved the work from worker {held.worker}"))
            fence = self._fence(run_id)
            refusal = why_not(fence, attempt, ticket)
        if refusal is not None:
            return {"n": None, "why": refusal}
        line = {"kind": BEGIN, "attempt": attempt, "worker": worker, "address": address, "host": host, "at": _now()}
        fence = self._add(run_id, {**line, "account": _plain(account), "python": python})
        return {"n": fence.incarnations[-1].n, "terms": fence.terms}

    async def renew(self, run_id: str, attempt: int, n: int) -> dict[str, Any]:
        """Tell an agent whether its incarnation still counts, and whether somebody asked for its end."""
        fence = self._fence(run_id)
        current = fence.current
        counts = current is not None and fence.attempt == attempt and current.n == n
        return {"counts": counts, "is_stopped": counts and fence.stop is not None}

    async def end(
        self, run_id: str, attempt: int, n: int, outcome: str, reason: str | None, record: Any
    ) -> dict[str, Any]:
        """Take the end of an incarnation; ``record`` names the blob with what it left, and its size in bytes."""
        fence = self._fence(run_id)
        if fence.attempt != attempt or fence.current is None or fence.current.n != n:
            return {"taken": False}
        line = {"kind": END, "attempt": attempt, "n": n, "at": _now(), "outcome": outcome, "reason": reason}
        self._add(run_id, {**line, "record": _plain(record)})
        return {"taken": True}

    async def stop(self, run_id: str, attempt: int, actor: str, reason: str) -> dict[str, Any]:
        """Note who wants the end of an attempt and why, and pass it on to the worker that runs it."""
        fence = self._fence(run_id)
        if fence.attempt == attempt and fence.is_open and fence.stop is None:
            line = {"kind": STOP, "attempt": attempt, "actor": actor, "reason": reason, "at": _now()}
            fence = self._add(run_id, line)
        if fence.current is not None and fence.stop is not None:
            with suppress(OSError, TimeoutError):
                await self._ask_worker(fence, "codex_stop", run_id=run_id, n=fence.current.n)
        return self._state(run_id, fence)

    async def tail(self, run_id: str, n: int, offsets: Mapping[str, int], seen: str, wait: float) -> dict[str, Any]:
        """Return what the incarnation's files have more than ``offsets``, as its agent reads them, within ``wait``."""
        fence = self._fence(run_id)
        if fence.current is None or fence.current.n != n:
            return {"counts": False, "files": {}}
        wait = min(wait, _LONGEST_WAIT_SECONDS)
        asked = {"run_id": run_id, "n": n, "offsets": dict(offsets), "seen": seen, "wait": wait}
        try:
            answer = await self._ask_worker(fence, "codex_tail", _CALL_SECONDS + wait, **asked)
        except (OSError, TimeoutError) as error:
            return failed("no-worker", f"worker {fence.current.worker} does not answer: {error}")
        return {"counts": True, **answer}

    async def clock(self, run_id: str, n: int) -> dict[str, Any]:
        """Return what time it is on the worker of an incarnation; no time when it counts no more."""
        fence = self._fence(run_id)
        if fence.current is None or fence.current.n != n:
            return {"time": None}
        try:
            return dict(await self._ask_worker(fence, "codex_clock"))
        except (OSError, TimeoutError) as error:
            return failed("no-worker", f"worker {fence.current.worker} does not answer: {error}")

    async def collected(self, run_id: str, attempt: int) -> dict[str, Any]:
        """Note that the submitter has the record; the hub's copy of it goes."""
        fence = self._fence(run_id)
        if fence.end is not None and fence.attempt == attempt and not fence.is_collected:
            fence = self._add(run_id, {"kind": COLLECTED, "attempt": attempt, "at": _now()})
            record = (fence.end or {}).get("record")
            if record:
                self._spool.drop(str(record["sha256"]))
        return self._state(run_id, fence)

    def worker_removed(self, address: str) -> None:
        """Note that a worker is gone: what it ran is lost."""
        for run_id, fence in list(self._fences.items()):
            held = fence.current
            if held is not None and held.address == address:
                with suppress(OSError):
                    self._add(run_id, _lost(fence, held.n, f"worker {held.worker} was lost"))

    def restarted(self) -> None:
        """Note that the scheduler began anew: workers end with a scheduler, so what they ran is lost."""
        for run_id, fence in list(self._fences.items()):
            held = fence.current
            if held is not None:
                self._add(run_id, _lost(fence, held.n, f"worker {held.worker} was lost: the scheduler ended"))

    def sweep(self) -> None:
        """Remove what nobody asked for within a week."""
        used = {str((fence.terms or {})["snapshot"]["pack_sha256"]) for fence in self._fences.values() if fence.is_open}
        used |= {
            str(fence.end["record"]["sha256"])
            for fence in self._fences.values()
            if fence.end is not None and fence.end.get("record") and not fence.is_collected
        }
        done = {run_id for run_id in self._spool.run_ids() if self._fence(run_id).is_collected}
        self._spool.sweep(used, time.time() - _KEPT_SECONDS, done)

    async def close(self) -> None:
        """Give the client back by which work is placed."""
        if self._client is not None:
            with suppress(Exception):
                await asyncio.wait_for(self._client.close(), _CALL_SECONDS)

    def _fence(self, run_id: str) -> Fence:
        if run_id not in self._fences:
            fence = folded(self._spool.lines(run_id))
            if not fence.revision or fence.is_collected:
                return fence
            self._fences[run_id] = fence
        return self._fences[run_id]

    def _add(self, run_id: str, line: Line) -> Fence:
        """Write a line, and what has to follow it by itself; wake who watches."""
        fence = self._fence(run_id)
        next_line: Line | None = line
        while next_line is not None:
            self._spool.append(run_id, next_line)
            fence = added(fence, next_line)
            self._fences[run_id] = fence
            next_line = follow_up(fence, _now())
        if fence.is_collected:
            del self._fences[run_id]
        event = self._changed.pop(run_id, None)
        if event is not None:
            event.set()
        return fence

    async def _place(self, run_id: str, fence: Fence) -> None:
        """Give the engine the work of an attempt: one task, by a reference to our own function."""
        if self._client is None:
            ours = self._scheduler.security
            security = None
            if ours is not None and ours.require_encryption:
                security = Security(  # type: ignore[no-untyped-call]
                    tls_ca_file=ours.tls_ca_file,
                    require_encryption=True,
                    tls_client_cert=ours.tls_scheduler_cert,
                    tls_client_key=ours.tls_scheduler_key,
                )
            client: Any = Client(  # type: ignore[no-untyped-call]
                self._scheduler.address, security=security, asynchronous=True, timeout=_CALL_SECONDS
            )
            self._client = await client
        terms = fence.terms or {}
        future = self._client.submit(
            run_incarnation,
            run_id,
            fence.attempt,
            fence.ticket,
            key=next((key for key in _keys(run_id, fence) if key not in self._scheduler.tasks), None),
            resources={str(terms["label"]): 1},
            pure=False,
            retries=ALLOWED_FAILURES,
        )
        fire_and_forget(future)  # type: ignore[no-untyped-call]

    def _is_known(self, run_id: str, fence: Fence) -> bool:
        """Tell whether the engine still has work for the attempt: waiting for a worker, or on one."""
        tasks = (self._scheduler.tasks.get(key) for key in _keys(run_id, fence))
        return any(task is not None and task.state in STATES_OF_WORK for task in tasks)

    def _state(self, run_id: str, fence: Fence) -> dict[str, Any]:
        is_open = fence.is_open
        return {
            **fence.as_json(),
            "is_placed": is_open and self._is_known(run_id, fence),
            "time": time.time(),
            "workers": self._connected() if is_open and not fence.incarnations else [],
        }

    def _connected(self) -> list[dict[str, Any]]:
        found = []
        for worker in self._scheduler.workers.values():
            labels = sorted(name for name in worker.resources if name.startswith("codex-"))
            found.append({"name": str(worker.name), "address": worker.address, "labels": labels})
        return found

    async def _ask_worker(self, fence: Fence, operation: str, limit: float = _CALL_SECONDS, **arguments: Any) -> Any:
        assert fence.current is not None  # noqa: S101 -- callers look
        call = getattr(self._scheduler.rpc(fence.current.address), operation)
        return await asyncio.wait_for(call(**arguments), limit)


def _keys(run_id: str, fence: Fence) -> list[str]:
    """Return the names that the engine's work for an attempt may have, the next one last."""
    base = f"codex-{run_id}-{fence.attempt}-{fence.ticket[:8]}"
    return [f"{base}-{number}" for number in range(len(fence.incarnations) + 1)]


def _lost(fence: Fence, n: int, reason: str) -> Line:
    return {"kind": LOST, "attempt": fence.attempt, "n": n, "at": _now(), "reason": reason}


def failed(code: str, text: str) -> dict[str, Any]:
    """Return the answer for a caller who can do something about it."""
    return {"failed": text, "code": code}


def _now() -> str:
    return stamp(datetime.now(UTC))


def _plain(value: Any) -> Any:
    """Return what JSON can hold of a message: msgpack makes tuples of lists."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
