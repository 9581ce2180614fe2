"""The scheduler's part (``dask scheduler --preload orchestrator.cloud.hub``): its settings, and the operations."""

from __future__ import annotations

import errno
import functools
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import dask.config
import distributed
import yaml
from distributed import SchedulerPlugin
from tornado.ioloop import PeriodicCallback

from orchestrator import __version__
from orchestrator.cloud.hub_operations import ALLOWED_FAILURES, Hub, failed
from orchestrator.cloud.protocol import PREFIX
from orchestrator.cloud.spool import Spool, private_folder, spool_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

log = logging.getLogger("distributed.codex_orchestrator.hub")

WORKER_TTL_SECONDS = 30.0
"""Contract, section 12: when nothing is configured."""

_SWEEP_SECONDS = 3600.0


def _answering(operation: Callable[..., Awaitable[dict[str, Any]]]) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Return an operation that answers its caller also when a disk is full or a value can't be."""

    @functools.wraps(operation)
    async def answering(**arguments: Any) -> dict[str, Any]:
        try:
            return await operation(**arguments)
        except OSError as error:
            is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            return failed("hub-disk-full" if is_full else "hub-disk", f"the hub's disk: {error.strerror or error}")
        except (KeyError, TypeError, ValueError) as error:
            return failed("bad-call", f"the hub can't make sense of a call: {error}")

    return answering


OPERATIONS = (
    "hub",
    "has_blob",
    "put_blob",
    "get_blob",
    "submit",
    "watch",
    "begin",
    "renew",
    "end",
    "stop",
    "tail",
    "clock",
    "collected",
)


def _is_default(key: str) -> bool:
    """Tell whether nobody configured a setting of dask's: it has the value of the package's own file."""
    with open(Path(distributed.__file__).with_name("distributed.yaml"), encoding="utf-8") as stream:
        packaged: Any = yaml.safe_load(stream)
    for part in key.split("."):
        packaged = packaged[part]
    return bool(dask.config.get(key) == packaged)


def _set_up(scheduler: Any) -> None:
    """Set what runs need of dask's settings, where nobody configured them."""
    if _is_default("distributed.scheduler.worker-ttl"):
        scheduler.worker_ttl = WORKER_TTL_SECONDS
    if scheduler.worker_ttl:
        every = max(0.5, scheduler.worker_ttl / 4)
        scheduler.periodic_callbacks["worker-ttl"] = PeriodicCallback(scheduler.check_worker_ttl, every * 1000)
    if _is_default("distributed.scheduler.allowed-failures"):
        scheduler.allowed_failures = ALLOWED_FAILURES


class _Watcher(SchedulerPlugin):
    """Tells the hub of workers that go."""

    name = "codex-orchestrator-hub"

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def remove_worker(self, scheduler: Any, worker: str, **_: Any) -> None:
        """Note that a worker is gone."""
        self._hub.worker_removed(worker)


async def dask_setup(scheduler: Any) -> None:
    """Begin: called by dask in the scheduler's process."""
    folder = private_folder(spool_folder(os.environ), "hub")
    hub = Hub(scheduler, Spool(folder))
    hub.restarted()
    hub.sweep()
    _set_up(scheduler)
    for name in OPERATIONS:
        scheduler.handlers[PREFIX + name] = _answering(getattr(hub, name))

    scheduler.add_plugin(_Watcher(hub), idempotent=True)
    scheduler.periodic_callbacks["codex-sweep"] = PeriodicCallback(hub.sweep, _SWEEP_SECONDS * 1000)
    scheduler.codex_hub = hub
    log.info("codex-orchestrator %s: hub at %s, worker-ttl %s s", __version__, folder, scheduler.worker_ttl)


async def dask_teardown(scheduler: Any) -> None:
    """End: called by dask when the scheduler closes."""
    hub = getattr(scheduler, "codex_hub", None)
    if hub is not None:
        await hub.close()
