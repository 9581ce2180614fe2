"""A submitter's calls of the hub, each with a time limit: a scheduler that restarts may leave one blocked for ever."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from orchestrator.base.errors import Refused, UsageError
from orchestrator.cloud.connect import security_of
from orchestrator.cloud.protocol import PIECE_BYTES, PREFIX, PROTOCOL
from orchestrator.config.cloud_policy import CloudPolicy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CALL_SECONDS = 5.0
_UNREACHABLE_CODES = frozenset({"no-worker"})


class HubGone(OSError):  # noqa: N818 - named by what happened
    """The hub does not answer; it may come back."""


class HubRefused(Refused):
    """The hub answered that it can't or won't; ``code`` says why."""


class HubClient:
    """The way to the hub of a policy's scheduler. Use it in an ``async with`` statement."""

    def __init__(self, policy: CloudPolicy) -> None:
        self._policy = policy
        self._pool: Any = None

    async def __aenter__(self) -> HubClient:
        from distributed.core import ConnectionPool

        security = security_of(self._policy)
        arguments: Any = {}
        if security is not None:
            arguments = security.get_connection_args("client")  # type: ignore[no-untyped-call]
        self._pool = ConnectionPool(limit=8, connection_args=arguments)
        await self._pool.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        with suppress(Exception):
            await asyncio.wait_for(self._pool.close(), CALL_SECONDS)

    async def call(self, operation: str, limit: float = CALL_SECONDS, **arguments: Any) -> dict[str, Any]:
        """Return the hub's answer. Raises HubGone within ``limit`` seconds, and HubRefused."""
        remote = self._pool(self._policy.scheduler)
        try:
            answer = await asyncio.wait_for(getattr(remote, PREFIX + operation)(**arguments), limit)
        except TimeoutError as error:
            raise HubGone(f"{self._policy.scheduler} did not answer within {limit:g} s") from error
        except (OSError, RuntimeError, ValueError) as error:
            raise HubGone(str(error) or type(error).__name__) from error
        except Exception as error:
            # Dask raises here what the scheduler's side raised there, of whatever class.
            raise HubRefused(f"the hub broke: {error}", code="hub-error") from error
        if answer is None:
            raise HubRefused(
                f"{self._policy.scheduler} has no hub",
                hint="start it with: dask scheduler --preload orchestrator.cloud.hub",
                code="no-hub",
            )
        if "failed" in answer:
            if answer.get("code") in _UNREACHABLE_CODES:
                raise HubGone(str(answer["failed"]))
            raise HubRefused(str(answer["failed"]), code=str(answer.get("code")))
        found: dict[str, Any] = answer
        return found

    async def send_blob(self, place: str, name: str, size: int, ticket: str) -> None:
        """Give the hub a file under its sha256 ``name``, unless it has it. Raises as ``call``."""
        if (await self.call("has_blob", name=name))["found"]:
            return
        offset = 0
        with open(place, "rb") as stream:
            while offset < size:
                data = stream.read(PIECE_BYTES)
                is_last = offset + len(data) == size
                await self.call("put_blob", name=name, ticket=ticket, offset=offset, data=data, is_last=is_last)
                offset += len(data)

    async def fetch_blob(self, name: str, size: int, place: str) -> None:
        """Write a blob to the file ``place``. Raises as ``call``, and OSError of the local disk."""
        with open(place, "wb") as stream:
            while stream.tell() < size:
                data = (await self.call("get_blob", name=name, offset=stream.tell(), size=PIECE_BYTES))["data"]
                if not data:
                    break
                stream.write(data)


async def hub_state(policy: CloudPolicy) -> dict[str, Any]:
    """Return what the hub says of itself. Raises UsageError ``engine-unreachable`` when there is none."""
    async with HubClient(policy) as hub:
        try:
            found = await hub.call("hub")
        except (HubGone, HubRefused) as error:
            text = error.message if isinstance(error, HubRefused) else str(error)
            raise UsageError(
                f"{policy.scheduler}: {text}",
                hint="dask scheduler --preload orchestrator.cloud.hub",
                code="engine-unreachable",
            ) from error
    if found.get("protocol") != PROTOCOL:
        raise UsageError(
            f"{policy.scheduler} has a hub of version {found.get('version')}, which this version can't talk to",
            hint="bring both to the same version of codex-orchestrator",
            code="engine-unreachable",
        )
    return found
