"""The shape of a selection of projects as ``plan`` shows it, and of the answer where it is empty."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class SelectedProject(Record):
    """A project of a selection, and why it is one."""

    project: str
    reasons: tuple[str, ...]


class LeftOutProject(Record):
    """A project that a selection left out, and why."""

    project: str
    reason: str


class SelectionDocument(Record):
    """What ``by`` the given options selected; ``files`` are those that changed since ``base``, 200 at most."""

    by: Mapping[str, Any]
    base: str | None
    merge_base: str | None
    files: tuple[str, ...]
    projects: tuple[SelectedProject, ...]
    left_out: tuple[LeftOutProject, ...]
    notes: tuple[str, ...]


class NothingSelected(Record):
    """The answer of ``start`` and ``plan`` where a change, failures or a shard left nothing: there is no run."""

    run_id: None
    selection: SelectionDocument
    next_command: None
    next_argv: None
