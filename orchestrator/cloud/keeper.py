"""The submitter's keeper: the only writer of a cloud run's local record, under the run's lock, from claim to close.

It submits, follows the fence and the worker's files, and closes the record by what comes back. The death of a keeper
is not the run's: its notes let another one go on (``attach``).
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress

from orchestrator.base.clock import Clock
from orchestrator.base.errors import DamagedRecord
from orchestrator.cloud.hub_client import CALL_SECONDS, HubClient, HubGone, HubRefused
from orchestrator.cloud.keeper_notes import PACK
from orchestrator.cloud.keeper_terms import Left, Stop, Submission
from orchestrator.cloud.local_record import LocalRecord
from orchestrator.cloud.protocol import fitting_label
from orchestrator.cloud.snapshot import digest_of_file
from orchestrator.config.cloud_policy import CloudPolicy
from orchestrator.config.quantities import written
from orchestrator.model.manifest.document import HEARTBEAT_SECONDS
from orchestrator.model.manifest.engine import EngineClock, EngineSnapshot
from orchestrator.runner.progress import Observer
from orchestrator.runner.run_end import Result, breakdown_detail
from orchestrator.runner.signals import SignalInbox
from orchestrator.store.cancel_request import leave_request, read_request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.model.outcome import Outcome

_TICK_SECONDS = 0.05
_RETRY_SECONDS = 0.25
_PUSH_SECONDS = 0.005
_WAIT_SECONDS = 10.0
_CLOCK_TRIES = 3
_OUTCOMES = frozenset({"success", "failure", "timeout", "cancellation", "error"})
_BY_STAGES = frozenset({"success", "failure", "timeout"})


class Keeper:
    """Keeps one attempt. Without a ``submission`` the hub has it already; ``stop`` is a word to be given at once."""

    def __init__(
        self,
        record: LocalRecord,
        policy: CloudPolicy,
        clock: Clock,
        observer: Observer,
        inbox: SignalInbox,
        submission: Submission | None,
        *,
        stop: Stop | None = None,
    ) -> None:
        self._record, self._policy, self._clock = record, policy, clock
        self._observer, self._inbox, self._submission, self._stop = observer, inbox, submission, stop
        self._hub = HubClient(policy)
        self._fence: Mapping[str, Any] = {"revision": 0, "incarnations": (), "end": None}
        self._is_submitted, self._is_over, self._has_news = asyncio.Event(), asyncio.Event(), asyncio.Event()
        if submission is None:
            self._is_submitted.set()
        self._failed: str | None = None
        self._is_unknown = False
        self._stopped_by: int | None = None
        self._is_stop_known = self._was_stop_in_vain = False

    async def carry_out(self) -> Result:
        """Return the record of the attempt's end. Raises StorageError when it could not be recorded, and Left."""
        async with self._hub:
            beside = [asyncio.ensure_future(part) for part in (self._tick(), self._watch(), self._follow())]
            way = asyncio.ensure_future(self._go(beside[1:]))
            try:
                await asyncio.wait({way, *beside[:1]}, return_when=asyncio.FIRST_COMPLETED)
                if beside[0].done():
                    beside[0].result()
                return await way
            except Left:
                raise
            except Exception as error:
                with suppress(HubGone, HubRefused):
                    await self._call("stop", actor=self._record.manifest.mode.actor, reason=breakdown_detail(error))
                self._record.give_up(error)
                raise
            finally:
                await _ended(way, *beside)

    # The way of an attempt

    async def _go(self, listening: Sequence[asyncio.Future[None]]) -> Result:
        """Submit, wait for the end, take the record in, close."""
        if self._submission is not None:
            self._record.queue()
            await self._submit(self._submission)
        self._is_submitted.set()
        over: asyncio.Future[Any] = asyncio.ensure_future(self._is_over.wait())
        parts: set[asyncio.Future[Any]] = {over, *listening}
        await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        for task in listening:
            if task.done():
                task.result()
        await over
        await _ended(*listening)
        if self._failed is not None:
            return await self._close_failed(self._failed)
        result = await self._close_by(self._fence["end"])
        with suppress(HubGone, HubRefused):
            await self._call("collected")
        return result

    async def _submit(self, submission: Submission) -> None:
        """Pack, send and submit, as long as the queue's limit lasts."""
        place = os.path.join(self._record.run.folder.path, PACK)
        snapshot = await asyncio.to_thread(submission.pack, place)
        entry = EngineSnapshot(snapshot.commit, snapshot.tree, snapshot.pack_sha256, snapshot.bytes)
        self._record.set_engine(self._record.engine._replace(snapshot=entry))
        ticket = self._record.notes.ticket
        while not self._is_over.is_set():
            try:
                await self._hub.send_blob(place, snapshot.pack_sha256, snapshot.bytes, ticket)
                terms = {**submission.terms, "snapshot": snapshot.as_json(), "queue_timeout": self._left_to_wait()}
                self._take(await self._call("submit", ticket=ticket, terms=terms))
                break
            except HubRefused as error:
                self._fail(f"the hub refused the run: {error.message}")
            except HubGone:
                await asyncio.sleep(_RETRY_SECONDS)

    async def _watch(self) -> None:
        """Follow the fence."""
        await self._is_submitted.wait()
        while not self._is_over.is_set():
            try:
                fence = await self._call(
                    "watch", _WAIT_SECONDS + 5.0, revision=self._fence["revision"], wait=_WAIT_SECONDS
                )
                if not fence["revision"]:
                    self._is_unknown = True
                    self._fail(
                        "the hub does not know the run: its disk was emptied, or the run is older than it keeps any"
                    )
                    return
                self._take(fence)
                if (
                    fence["end"] is None
                    and fence["stop"] is None
                    and not fence["is_placed"]
                    and _current(fence) is None
                ):
                    self._take(await self._call("submit", ticket=self._record.notes.ticket, terms=None))
            except (HubGone, HubRefused):
                await asyncio.sleep(_RETRY_SECONDS)

    async def _follow(self) -> None:
        """Take what the worker of the current incarnation writes."""
        while not self._is_over.is_set():
            mirror = self._record.mirror
            if mirror is None or _current(self._fence) is None:
                self._has_news.clear()
                await self._has_news.wait()
                continue
            try:
                if mirror.clock is None:
                    mirror.clock = await self._measured(mirror.n)
                    self._record.set_engine(self._record.engine._replace(clock=mirror.clock))
                asked = {"n": mirror.n, "offsets": mirror.offsets(), "seen": mirror.seen, "wait": _WAIT_SECONDS}
                found = await self._call("tail", _WAIT_SECONDS + 10.0, **asked)
                if mirror is not self._record.mirror:
                    continue
                if found["counts"]:
                    mirror.take(found)
                    await self._let_reader_catch_up()
                else:
                    await asyncio.sleep(_TICK_SECONDS)
            except (HubGone, HubRefused):
                await asyncio.sleep(_RETRY_SECONDS)

    async def _tick(self) -> None:
        """Do what time and signals ask for."""
        beat_at = redrawn_at = self._clock.monotonic()
        while True:
            for number in self._inbox.take():
                self._signalled(number)
            now = self._clock.monotonic()
            if now >= beat_at:
                self._record.run.heartbeat()
                beat_at = now + HEARTBEAT_SECONDS
            self._record.turn()
            if not self._record.has_begun and self._left_to_wait() <= 0:
                self._fail(self._nobody())
            if self._stop is not None and not self._is_stop_known:
                await self._pass_stop_on(self._stop)
            if self._observer.refresh_seconds is not None and now - redrawn_at >= self._observer.refresh_seconds:
                redrawn_at = now
                self._observer.tick()
            self._observer.sink.push()
            await asyncio.sleep(_TICK_SECONDS)

    async def _let_reader_catch_up(self) -> None:
        """Hold output up for a reader that is behind, as long as it may be; what it does not take then is dropped."""
        sink = self._observer.sink
        while (left := sink.held_up(self._clock.monotonic())) is not None:
            sink.push()
            await asyncio.sleep(min(left, _PUSH_SECONDS))

    def _take(self, fence: Mapping[str, Any]) -> None:
        """Take the fence as the hub has it now."""
        self._record.heard()
        if fence["attempt"] != self._record.notes.attempt or fence["revision"] < self._fence["revision"]:
            return
        is_new = fence["revision"] != self._fence["revision"]
        self._fence = fence
        if is_new:
            self._record.take(fence)
            self._has_news.set()
        if fence["end"] is not None:
            self._is_over.set()

    def _signalled(self, number: int) -> None:
        if self._stop is None:
            run = self._record.run
            request = read_request(run.folder, run.manifest.attempt)
            name = f"stopped by {signal.Signals(number).name}"
            self._stopped_by = number
            self._stop = Stop(run.manifest.mode.actor, name, name)
            if request is not None:
                self._stop = Stop(request.actor, request.reason, request.detail)
        elif self._was_stop_in_vain:
            raise Left(self._record.run.where.run_id)

    async def _pass_stop_on(self, stop: Stop) -> None:
        """Give the hub the word, or end by ourselves what it was not given yet."""
        if not self._is_submitted.is_set():
            self._is_stop_known = True
            self._fail(stop.detail)
            return
        self._was_stop_in_vain = True
        with suppress(HubGone, HubRefused):
            await self._call("stop", 2.0, actor=stop.actor, reason=stop.reason)
            self._is_stop_known, self._was_stop_in_vain = True, False
            if stop.request is not None:
                leave_request(self._record.run.folder, stop.request)

    def _fail(self, reason: str) -> None:
        self._failed = self._failed or reason
        self._is_over.set()

    # The end

    async def _close_by(self, end: Mapping[str, Any]) -> Result:
        """Take in what came back and close the record by it."""
        record = self._record
        outcome: Outcome = end["outcome"] if end["outcome"] in _OUTCOMES else "error"
        detail: str | None = None if end["reason"] is None else str(end["reason"])
        if outcome == "cancellation" and self._stop is not None:
            detail = self._stop.detail
        if not end["record"] or record.mirror is None:
            record.lose(detail or "it left no record")
            return record.close(outcome, detail, self._stopped_by)
        record.set_engine(record.engine._replace(state="collecting"))
        with record.scratch() as folder:
            try:
                for _ in record.finish(await self._fetched(end["record"], folder)):
                    await self._let_reader_catch_up()
            except (HubRefused, DamagedRecord) as error:
                reason = f"the record that the worker left is lost: {error.message}"
                record.lose(reason)
                return record.close("error", reason, None)
        by_stages = outcome in _BY_STAGES
        return record.close(None if by_stages else outcome, None if by_stages else detail, self._stopped_by)

    async def _fetched(self, record: Mapping[str, Any], folder: str) -> str:
        place = os.path.join(folder, "record.tar")
        while True:
            try:
                await self._hub.fetch_blob(str(record["sha256"]), int(record["bytes"]), place)
                break
            except HubGone:
                await asyncio.sleep(_RETRY_SECONDS)
        if digest_of_file(place) != (record["bytes"], record["sha256"]):
            raise DamagedRecord("it is not what the worker sent")
        return place

    async def _close_failed(self, reason: str) -> Result:
        """Close the record of an attempt that no worker ended, and have the hub forget it as far as it is there."""
        self._record.lose(reason)
        if self._stop is not None and self._stop.detail == reason:
            return self._record.close("cancellation", reason, self._stopped_by)
        if self._is_unknown:
            return self._record.close("error", reason, None, "lost")
        try:
            fence = await self._call("stop", 2.0, actor=self._record.manifest.mode.actor, reason=reason)
            await self._call("collected", 2.0)
        except (HubGone, HubRefused):
            return self._record.close("error", reason, None, None)
        return self._record.close("error", reason, None, "ended" if fence["end"] or not fence["revision"] else None)

    # Parts

    async def _call(self, operation: str, limit: float = CALL_SECONDS, **arguments: Any) -> Any:
        """Call the hub about this run. Raises HubGone and HubRefused."""
        where: dict[str, Any] = {"run_id": self._record.run.where.run_id}
        if operation not in ("watch", "tail", "clock"):
            where["attempt"] = self._record.notes.attempt
        return await self._hub.call(operation, limit, **where, **arguments)

    async def _measured(self, n: int) -> EngineClock:
        """Return how far the worker's clock is ahead, by the quickest of a few questions."""
        found = []
        for _ in range(_CLOCK_TRIES):
            before = self._clock.now().timestamp()
            there = (await self._call("clock", n=n)).get("time")
            after = self._clock.now().timestamp()
            if there is not None:
                found.append(((after - before) / 2, there - (before + after) / 2))
        if not found:
            raise HubGone("the worker does not say what time it is")
        uncertainty, offset = min(found)
        return EngineClock(round(offset, 3), round(uncertainty + 0.0005, 3))

    def _left_to_wait(self) -> float:
        return self._policy.queue_timeout - self._record.waited()

    def _nobody(self) -> str:
        """Return why an attempt that nobody began is closed, naming what is connected."""
        limit = written(self._policy.queue_timeout)
        if not self._fence["revision"]:
            return f"no worker within {limit}: {self._policy.scheduler} does not answer"
        workers = self._fence.get("workers") or ()
        seen = ", ".join(f"{one['name']} ({' '.join(one['labels']) or 'without an agent'})" for one in workers)
        return f"no worker for {fitting_label()} within {limit}; connected: {seen or 'none'}"


def _current(fence: Mapping[str, Any]) -> Mapping[str, Any] | None:
    held = fence["incarnations"]
    return held[-1] if held and held[-1]["outcome"] is None else None


async def _ended(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks and return when they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
