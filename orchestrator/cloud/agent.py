"""The worker's part (``dask worker --preload orchestrator.cloud.agent``): one incarnation of a run from begin to end.

The agent unpacks the snapshot into a folder of its own, starts the product below it, passes the lease on, serves what
the run writes by (file, offset), and gives the hub the record when the run has ended.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import time
from collections.abc import Mapping
from contextlib import suppress

from distributed import get_worker

from orchestrator import __version__
from orchestrator.base.errors import Refusal
from orchestrator.cloud.lease import BYTE, silence_seconds
from orchestrator.cloud.protocol import PIECE_BYTES, PREFIX, fitting_label
from orchestrator.cloud.record_news import news_of
from orchestrator.cloud.shipment import pack_record
from orchestrator.cloud.snapshot import digest_of_file, is_clean
from orchestrator.cloud.spool import folder_name, is_kept, keep_newest, private_folder, spool_folder
from orchestrator.cloud.unpack import unpack_snapshot
from orchestrator.cloud.worker_process import WorkerProcess, give_request, last_line, read_reply, start_waiting
from orchestrator.git.identity import AccountQuery

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

log = logging.getLogger("distributed.codex_orchestrator.agent")

_BYTE_SECONDS = 0.25
_LOOK_SECONDS = 0.015
_CALL_SECONDS = 5.0
_STOP_AGAIN_SECONDS = 20.0
_KEPT_PACKS = 20
_OUTPUT = "program-"
_ATTRIBUTE = "codex_agent"


async def run_incarnation(run_id: str, attempt: int, ticket: str) -> str:
    """Run an attempt on the worker that dask chose; the engine's result is one word, the record is the hub's."""
    agent: Agent = getattr(get_worker(), _ATTRIBUTE)
    return await agent.run(run_id, attempt, ticket)


class HubSaidNo(OSError):  # noqa: N818 - named by what happened
    """The hub answered that it can't."""


class Lost(Exception):  # noqa: N818 - named by what happened
    """The incarnation counts no more, or the hub can't be reached for as long as the lease lasts."""


class Agent:
    """What a worker does for runs; ``worker`` is dask's, ``folder`` the agent's own."""

    def __init__(self, worker: Any, folder: str) -> None:
        self._worker = worker
        self._folder = folder
        self._packs = private_folder(folder, "packs")
        self._slots: set[int] = set()
        self._running: dict[tuple[str, int], WorkerProcess] = {}
        self._is_ended = False
        self._idle: tuple[asyncio.subprocess.Process, str] | None = None
        for name in os.listdir(folder):
            if name.startswith(_OUTPUT):
                os.unlink(os.path.join(folder, name))

    async def run(self, run_id: str, attempt: int, ticket: str) -> str:
        """Run one incarnation, unless the fence forbids it; return what came of it in a word."""
        account = await asyncio.to_thread(_account, self._folder)
        begun = await self._hub(
            "begin",
            run_id=run_id,
            attempt=attempt,
            ticket=ticket,
            worker=str(self._worker.name),
            address=self._worker.address,
            host=os.uname().nodename,
            account=account,
            python=platform.python_version(),
        )
        if begun["n"] is None:
            return str(begun["why"])
        running = WorkerProcess(run_id, attempt, int(begun["n"]), float(begun["terms"]["lease"]))
        self._running[run_id, running.n] = running
        slot = next(number for number in range(len(self._slots) + 1) if number not in self._slots)
        self._slots.add(slot)
        lease = asyncio.ensure_future(self._hold(running))
        try:
            outcome, reason, record = await self._carry_out(running, slot, begun["terms"], ticket)
            await self._end(running, outcome, reason, record)
        except Lost as lost:
            log.warning("run %s, incarnation %s: %s", run_id, running.n, lost)
            return "lost"
        else:
            return outcome
        finally:
            running.kill()
            running.is_over = True
            lease.cancel()
            self._slots.discard(slot)
            self._running.pop((run_id, running.n), None)
            await self.make_ready()

    async def make_ready(self) -> None:
        """Have a program wait for the next run, with all imported that a run needs; harmless when that can't be."""
        if self._idle is None and not self._is_ended:
            with suppress(OSError):
                output = os.path.join(self._folder, f"{_OUTPUT}{os.urandom(8).hex()}.log")
                self._idle = await start_waiting(output), output

    async def _waiting(self) -> tuple[asyncio.subprocess.Process, str]:
        """Return a program that waits for a request, and the file with what it prints. Raises OSError."""
        idle, self._idle = self._idle, None
        if idle is not None and idle[0].returncode is None:
            return idle
        output = os.path.join(self._folder, f"{_OUTPUT}{os.urandom(8).hex()}.log")
        return await start_waiting(output), output

    async def tail(self, run_id: str, n: int, offsets: Mapping[str, int], seen: str, wait: float) -> dict[str, Any]:
        """Return what the record's files have behind ``offsets``, as soon as there is something, within ``wait`` s.

        ``seen`` is the mark of the manifest that the caller has: another one comes whole, with its mark.
        """
        until = time.monotonic() + wait
        while (running := self._running.get((run_id, n))) is not None:
            found = news_of(running.record, offsets, seen) if running.record else {}
            if found or time.monotonic() >= until:
                return {"files": {}, **found, "time": time.time()}
            await asyncio.sleep(_LOOK_SECONDS)
        return {"files": {}, "time": time.time()}

    async def clock(self) -> dict[str, Any]:
        """Return what time it is here."""
        return {"time": time.time()}

    async def stop(self, run_id: str, n: int) -> dict[str, Any]:
        """End a run as a stop signal does."""
        running = self._running.get((run_id, n))
        if running is not None and not running.is_stopped:
            running.stop()
        return {"found": running is not None}

    def end_all(self) -> None:
        """End what runs, at once: the worker goes."""
        self._is_ended = True
        for running in self._running.values():
            running.kill()
        if self._idle is not None:
            with suppress(ProcessLookupError):
                self._idle[0].kill()

    async def _carry_out(
        self, running: WorkerProcess, slot: int, terms: Mapping[str, Any], ticket: str
    ) -> tuple[str, str | None, dict[str, Any] | None]:
        """Return how the run ended, why, and the blob of its record; what this host can't do is an error of the run."""
        try:
            return await self._run_below(running, slot, terms, ticket)
        except Refusal as error:
            return "error", f"worker {self._worker.name}: {error.message}", None
        except OSError as error:
            return "error", f"worker {self._worker.name}: {error.strerror or error}", None

    async def _run_below(
        self, running: WorkerProcess, slot: int, terms: Mapping[str, Any], ticket: str
    ) -> tuple[str, str | None, dict[str, Any] | None]:
        base = private_folder(self._folder, f"slot-{slot}")
        pack = await self._fetched(running, terms["snapshot"])
        workspace = await asyncio.to_thread(
            unpack_snapshot, terms["snapshot"], pack, os.path.join(base, "tree"), os.environ
        )
        if running.has_stop():
            return "cancellation", None, None
        if running.is_over:
            raise Lost("its lease is over")
        reply = os.path.join(base, "reply.json")
        with suppress(FileNotFoundError):
            os.unlink(reply)
        runs = os.path.join(workspace, ".runs")
        running.record = os.path.join(runs, terms["task_id"], "cli", running.run_id)
        process, output = await self._waiting()
        give_request(process, {**terms, "reply": reply, "workspace": workspace, "is_clean": is_clean(pack)})
        running.process = process
        try:
            await self._until_end(running)
            printed = last_line(output)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(output)
        # One that was killed wrote no reply: what lies there is of somebody else, as its record may be.
        answer = read_reply(reply) if process.returncode == 0 else {}
        if "refused" in answer:
            return "error", f"worker {self._worker.name}: {answer['refused']}", None
        if answer.get("outcome") is None:
            if running.has_stop():
                return "cancellation", None, None  # it had not come to listen to signals
            return "error", f"worker {self._worker.name}: the run's process ended without a record{printed}", None
        place = os.path.join(base, "record.tar")
        await asyncio.to_thread(pack_record, runs, place)
        try:
            record = await self._sent(running, place, ticket)
        finally:
            os.unlink(place)
        return str(answer["outcome"]), answer.get("detail"), record

    async def _until_end(self, running: WorkerProcess) -> None:
        process = running.process
        assert process is not None  # noqa: S101 -- it was started
        again_at = None
        while process.returncode is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(process.wait()), 1.0)
            if running.is_stopped:
                again_at = again_at or time.monotonic() + _STOP_AGAIN_SECONDS
                if time.monotonic() > again_at:
                    running.stop()
                    again_at = None
        if running.is_over:
            raise Lost("its lease is over")

    async def _hold(self, running: WorkerProcess) -> None:
        """Pass the lease on while the hub says that the incarnation counts."""
        heard = asked = time.monotonic()
        every = min(1.0, running.lease_seconds / 10)
        asking: asyncio.Future[dict[str, Any]] | None = None
        while not running.is_over:
            now = time.monotonic()
            if asking is None and now - asked >= every:
                asked = now
                asking = asyncio.ensure_future(
                    self._hub("renew", run_id=running.run_id, attempt=running.attempt, n=running.n)
                )
            if asking is not None and asking.done():
                with suppress(Exception):
                    answer = asking.result()
                    if not answer["counts"]:
                        break
                    heard = asked
                    if answer["is_stopped"] and not running.is_stopped:
                        running.stop()
                asking = None
            if now - heard > running.lease_seconds - silence_seconds(running.lease_seconds):
                break
            process = running.process
            if process is not None and process.stdin is not None and process.returncode is None:
                with suppress(OSError):
                    process.stdin.write(BYTE)
            await asyncio.sleep(min(_BYTE_SECONDS, every))
        running.is_over = True
        running.kill()

    async def _end(self, running: WorkerProcess, outcome: str, reason: str | None, record: Any) -> None:
        """Give the hub the end."""
        where = {"run_id": running.run_id, "attempt": running.attempt, "n": running.n}
        await self._surely(running, "end", **where, outcome=outcome, reason=reason, record=record)

    async def _fetched(self, running: WorkerProcess, snapshot: Mapping[str, Any]) -> str:
        """Return the file of a snapshot, fetched from the hub where this worker does not have it."""
        name = str(snapshot["pack_sha256"])
        place = os.path.join(self._packs, name)
        if is_kept(place):
            return place
        part = f"{place}.{os.urandom(8).hex()}.part"
        try:
            with open(part, "wb") as stream:
                while stream.tell() < int(snapshot["bytes"]):
                    asked = {"name": name, "offset": stream.tell(), "size": PIECE_BYTES}
                    data = (await self._surely(running, "get_blob", **asked))["data"]
                    if not data:
                        break
                    stream.write(data)
            os.rename(part, place)
        except OSError:
            with suppress(FileNotFoundError):
                os.unlink(part)
            raise
        keep_newest(self._packs, _KEPT_PACKS)
        return place

    async def _sent(self, running: WorkerProcess, place: str, ticket: str) -> dict[str, Any]:
        """Give the hub a file as a blob, piece by piece, and return its name and size."""
        size, name = await asyncio.to_thread(digest_of_file, place)
        if not (await self._surely(running, "has_blob", name=name))["found"]:
            offset = 0
            with open(place, "rb") as stream:
                while offset < size:
                    data = stream.read(PIECE_BYTES)
                    piece = {"offset": offset, "data": data, "is_last": offset + len(data) == size}
                    await self._surely(running, "put_blob", name=name, ticket=ticket, **piece)
                    offset += len(data)
        return {"sha256": name, "bytes": size}

    async def _surely(self, running: WorkerProcess, operation: str, **arguments: Any) -> dict[str, Any]:
        """Call the hub, again and again as long as the lease lasts. Raises HubSaidNo, and Lost when it is over."""
        while True:
            try:
                return await self._hub(operation, **arguments)
            except HubSaidNo:
                raise
            except (OSError, TimeoutError) as error:
                if running.is_over:
                    raise Lost(f"the hub does not answer: {error}") from error
                await asyncio.sleep(_BYTE_SECONDS)

    async def _hub(self, operation: str, **arguments: Any) -> dict[str, Any]:
        call = getattr(self._worker.scheduler, PREFIX + operation)
        answer: dict[str, Any] = await asyncio.wait_for(call(**arguments), _CALL_SECONDS)
        if "failed" in answer:
            raise HubSaidNo(answer["failed"])
        return answer


def _account(folder: str) -> dict[str, Any]:
    return AccountQuery.begin(folder, os.environ).answer()


async def dask_setup(worker: Any) -> None:
    """Begin: called by dask in the worker's process, before the worker is registered.

    The label comes last: a worker that has it takes runs, and one that gets it later is never asked again about runs
    that wait.
    """
    folder = private_folder(spool_folder(os.environ), "agent", folder_name(str(worker.name)))
    agent = Agent(worker, folder)
    setattr(worker, _ATTRIBUTE, agent)
    worker.handlers[f"{PREFIX}tail"] = agent.tail
    worker.handlers[f"{PREFIX}stop"] = agent.stop
    worker.handlers[f"{PREFIX}clock"] = agent.clock
    await agent.make_ready()
    for resources in (worker.state.total_resources, worker.state.available_resources):
        resources[fitting_label()] = worker.state.nthreads
    log.info("codex-orchestrator %s: agent at %s, %s slots", __version__, folder, worker.state.nthreads)


async def dask_teardown(worker: Any) -> None:
    """End: called by dask when the worker closes."""
    agent = getattr(worker, _ATTRIBUTE, None)
    if agent is not None:
        agent.end_all()
