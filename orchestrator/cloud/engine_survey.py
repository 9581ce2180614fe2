"""Who is there: scheduler and workers as ``cloud check`` reports them."""

from __future__ import annotations

import asyncio
import importlib.metadata
import platform
import shutil
import time

from orchestrator.base.record import Record
from orchestrator.cloud.connect import security_of
from orchestrator.cloud.protocol import fitting_label
from orchestrator.config.cloud_policy import CloudPolicy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import Any

ANSWER_SECONDS = 5.0
"""One question to a scheduler or a worker takes no longer."""

_PACKAGE = "codex-orchestrator"


class Clock(Record):
    """How far another clock is ahead of ours, and the most by which that may be wrong: half the way there and back."""

    offset_seconds: float
    uncertainty_seconds: float


class Worker(Record):
    """One worker; what it did not answer in time is None. ``label`` tells that the agent takes runs of our kind."""

    name: str
    address: str
    version: str | None
    python: str | None
    slots: int
    free_bytes: int | None
    clock: Clock | None
    label: bool


class Engine(Record):
    """The scheduler's clock, None when it did not answer in time, and its workers by name."""

    clock: Clock | None
    workers: tuple[Worker, ...]


def engine_of(policy: CloudPolicy) -> Engine:
    """Return who is connected to the policy's scheduler. Raises OSError and TimeoutError when it does not answer."""
    return asyncio.run(_engine(policy))


async def _engine(policy: CloudPolicy) -> Engine:
    from distributed import Client

    client: Any = Client(  # type: ignore[no-untyped-call]
        policy.scheduler, security=security_of(policy), timeout=ANSWER_SECONDS, asynchronous=True
    )
    async with client:
        known = (await asyncio.wait_for(client.scheduler.identity(), ANSWER_SECONDS))["workers"]
        clock = await _clock(lambda: client.run_on_scheduler(time.time))
        workers = await asyncio.gather(*(_worker(client, address, said) for address, said in known.items()))
    return Engine(clock, tuple(sorted(workers, key=lambda worker: (worker.name, worker.address))))


async def _worker(client: Any, address: str, said: dict[str, Any]) -> Worker:
    async def asked(function: Any, *arguments: object) -> Any:
        found = await _in_time(client.run(function, *arguments, workers=[address], on_error="return"))
        value = (found or {}).get(address)
        return None if isinstance(value, BaseException) else value

    version, python, usage, clock = await asyncio.gather(
        asked(importlib.metadata.version, _PACKAGE),
        asked(platform.python_version),
        asked(shutil.disk_usage, said["local_directory"]),
        _clock(lambda: asked(time.time)),
    )
    free = None if usage is None else int(usage[2])
    has_label = fitting_label() in said.get("resources", {})
    return Worker(str(said["name"]), address, version, python, int(said["nthreads"]), free, clock, has_label)


async def _clock(ask: Any) -> Clock | None:
    before = time.time()
    there = await _in_time(ask())
    after = time.time()
    if not isinstance(there, float):
        return None
    return Clock(round(there - (before + after) / 2, 6), round((after - before) / 2, 6))


async def _in_time(question: Awaitable[Any]) -> Any:
    try:
        return await asyncio.wait_for(question, ANSWER_SECONDS)
    except (OSError, TimeoutError):
        return None
