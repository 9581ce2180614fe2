"""What a selection is asked for, and what is refused before anything is looked at."""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator.base.errors import UsageError
from orchestrator.base.quoting import shown
from orchestrator.base.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LAST_SUCCESS = "last-success"
_SHARD = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")


class SelectionOptions(Record):
    """The options of a selection, as they were given; ``projects`` and ``exclude`` are lists with commas."""

    everything: bool = False
    projects: str | None = None
    affected: bool = False
    base: str | None = None
    no_dependents: bool = False
    owners: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    exclude: str | None = None
    failed: bool = False
    shard: str | None = None

    @property
    def is_given(self) -> bool:
        """Whether any of them was given."""
        return self != SelectionOptions()

    def by(self) -> dict[str, Any]:
        """Return what was given, by the options' names, as plans and records show it."""
        return dict(self._given())

    def _given(self) -> Iterator[tuple[str, Any]]:
        if self.everything:
            yield "all", True
        if self.projects is not None:
            yield "projects", list(listed("projects", self.projects))
        if self.affected:
            yield "affected", True
        if self.base is not None:
            yield "base", self.base
        if self.no_dependents:
            yield "no_dependents", True
        if self.owners:
            yield "owner", list(self.owners)
        if self.tags:
            yield "tag", list(self.tags)
        if self.exclude is not None:
            yield "exclude", list(listed("exclude", self.exclude))
        if self.failed:
            yield "failed", True
        if self.shard is not None:
            yield "shard", self.shard


def check_options(options: SelectionOptions) -> None:
    """Raise UsageError for options that can't be read or make no sense together."""
    if not options.affected:
        for given, flag, hint in (
            (options.base is not None, "--base", "--base origin/main"),
            (options.no_dependents, "--no-dependents", "--no-dependents"),
        ):
            if given:
                raise UsageError(f"{flag} is for --affected", hint=f"--affected {hint}", code="option-conflict")
    if options.everything and options.projects is not None:
        raise UsageError("--all and --projects contradict each other", hint="give one", code="option-conflict")
    if options.base is not None and (not options.base.strip() or options.base.startswith("-")):
        raise UsageError("--base names no commit", hint="--base origin/main", code="bad-base")
    for flag, names in (("owner", options.owners), ("tag", options.tags)):
        if any(not name.strip() for name in names):
            raise UsageError(f"--{flag} is empty", hint=f"--{flag} NAME", code=f"unknown-{flag}")
    if options.shard is not None:
        parsed_shard(options.shard)


def listed(flag: str, value: str) -> tuple[str, ...]:
    """Return the names of a list with commas, each once. Raises UsageError for an empty one."""
    names = tuple(dict.fromkeys(name.strip() for name in value.split(",")))
    if "" in names:
        raise UsageError(
            f"--{flag} {shown(value)} has an empty name", hint=f"--{flag} alpha,beta", code="unknown-project"
        )
    return names


def parsed_shard(value: str) -> tuple[int, int]:
    """Return I and N of ``I/N``. Raises UsageError unless 1 ≤ I ≤ N."""
    match = _SHARD.fullmatch(value)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(
            f"--shard is I/N, the I-th of N parts with 1 ≤ I ≤ N, not {shown(value)}",
            hint="--shard 1/4",
            code="bad-shard",
        )
    return int(match[1]), int(match[2])
