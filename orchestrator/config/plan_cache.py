"""A compiled and validated plan, stored beside the digests of what it was compiled from.

Compiling costs about 100 ms, most of it for importing the validator; a stored plan is read in less than
one. An entry holds the sha256 of every config that was read and of ``workspace.toml``, the names of all configs,
the day (waivers end), and what stands for this program's version; when any of them differs, the plan is compiled anew,
as it is when the entry's guardrails, waivers or flags are not those of the configs. A plan with a secret in its
environment is not stored.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType

from orchestrator import __version__
from orchestrator.base import json_codec
from orchestrator.base.clock import date
from orchestrator.base.errors import ConfigError, DamagedRecord
from orchestrator.base.files import Seam
from orchestrator.base.files.cache_dir import read_sealed, write_sealed
from orchestrator.base.json_values import plain
from orchestrator.base.redaction import Redactor, looks_secret
from orchestrator.base.sha256 import sha256
from orchestrator.base.workspace import CONFIG_FOLDER, WORKSPACE_FILE, Workspace
from orchestrator.config.plan_policy import policy_in, policy_of
from orchestrator.model.plan import Plan, redacted
from orchestrator.model.plan_flags import with_flags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LIMIT = 4 * 1024 * 1024
_SOURCES = ("base", "config", "git", "model", "process")
"""This package and every one below it (``layers`` in pyproject.toml): what a plan says can't come from another one."""


class PlanCache:
    """Compiles plans of a workspace, or finds them stored. ``store`` writes what was compiled."""

    def __init__(self, workspace: Workspace, seam: Seam | None = None) -> None:
        self._workspace = workspace
        self._seam = seam or Seam()
        self._fresh: dict[str, bytes] = {}
        self._known: tuple[date, dict[str, Any]] | None = None
        self._found: dict[tuple[str, str], Plan | None] = {}
        self._sources: dict[tuple[str, str], dict[str, str]] = {}

    def plan(
        self,
        project: str,
        pipeline: str,
        *,
        today: date,
        builtins: Mapping[str, int] = MappingProxyType({}),
        command: tuple[str, ...] = (),
    ) -> Plan:
        """Return the plan, as ``planning.compile_plan`` does, which also says what is raised.

        One that is made of older built-in pipelines (``builtins``), or of the ``command`` of ``exec``, is compiled each
        time.
        """
        if command:
            from orchestrator.config.planning import compile_plan

            return compile_plan(self._workspace.root, project, pipeline, today=today, command=command)
        if builtins:
            from orchestrator.config.builtin import NEWEST

            if any(NEWEST.get(name) != version for name, version in builtins.items()):
                from orchestrator.config.planning import compile_plan

                return compile_plan(self._workspace.root, project, pipeline, today=today, builtins=builtins)
        stored = self.stored(project, pipeline, today=today)
        if stored is not None:
            return stored
        from orchestrator.config.planning import compile_with_sources

        name, conditions = _entry_name(project, pipeline), self.conditions(today)

        plan, read = compile_with_sources(self._workspace.root, project, pipeline, today=today)
        if read is not None and not _holds_secrets(plan):
            entry = {"conditions": conditions, "read": read, "plan": plain(plan)}
            self._sources[project, pipeline] = read
            self._fresh[name] = json_codec.dumps(entry).encode("utf-8", "backslashreplace")
        return plan

    def sources(self, project: str, pipeline: str) -> Mapping[str, str] | None:
        """Return the sha256 of each config, by project, that a plan rests on that may be stored; None of any other."""
        return self._sources.get((project, pipeline))

    def store(self) -> None:
        """Write the plans that were compiled, if any was; a disk that refuses only costs the next start time."""
        for name, data in self._fresh.items():
            write_sealed(self._workspace, name, data, self._seam)

    def stored(self, project: str, pipeline: str, *, today: date) -> Plan | None:
        """Return the stored plan if everything that it rests on is as it was; a damaged entry counts as none."""
        if (project, pipeline) not in self._found:
            self._found[project, pipeline] = self._read(project, pipeline, today)
        return self._found[project, pipeline]

    def conditions(self, today: date) -> dict[str, Any]:
        """Return what all entries rest on, which is looked at once: a fleet compiles hundreds of plans."""
        if self._known is None or self._known[0] != today:
            root = self._workspace.root
            self._known = (
                today,
                {
                    "program": program_mark(),
                    "day": today.isoformat(),
                    "names": _config_names(root),
                    "workspace": _workspace_digest(root),
                },
            )
        return self._known[1]

    def _read(self, project: str, pipeline: str, today: date) -> Plan | None:
        data = read_sealed(self._workspace, _entry_name(project, pipeline), _LIMIT, self._seam)
        if data is None:
            return None
        try:
            entry = json_codec.loads(data)
            if entry["conditions"] != self.conditions(today):
                return None
            configs = {name: _config_bytes(self._workspace.root, name) for name in entry["read"]}
            if {name: sha256(data).hexdigest() for name, data in configs.items()} != entry["read"]:
                return None
            plan = with_flags(plan_of(entry["plan"]))
            if not _is_of(plan, project, pipeline, configs):
                return None
            self._sources[project, pipeline] = dict(entry["read"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ConfigError, DamagedRecord):
            return None
        return plan


def plan_of(document: object) -> Plan:
    """Return the plan that ``plain`` made ``document`` of, also after a round through JSON. Raises DamagedRecord."""
    return Plan.from_json(document, exact=True)


def _entry_name(project: str, pipeline: str) -> str:
    return f"plan-{sha256(f'{pipeline}/{project}'.encode('utf-8', 'replace')).hexdigest()[:24]}.json"


def _holds_secrets(plan: Plan) -> bool:
    if redacted(plan, Redactor(()).text) != plan:  # a token, or the password of a URL
        return True
    environments = [plan.session.set_env, *(stage.env for stage in plan.stages)]
    if any(looks_secret(name) for environment in environments for name in environment):
        return True
    return any(_holds_secrets(below) for below in plan.subplans)


def _workspace_digest(root: str) -> str | None:
    try:
        return sha256(_file_bytes(os.path.join(root, WORKSPACE_FILE))).hexdigest()
    except OSError:  # none, or none that can be read: who compiles says so
        return None


def _config_names(root: str) -> list[str]:
    with suppress(OSError):
        return sorted(os.listdir(os.path.join(root, CONFIG_FOLDER)))
    return []


def _is_of(plan: Plan, project: str, pipeline: str, configs: Mapping[str, bytes]) -> bool:
    """Tell whether a plan is of that project's pipeline, and each part of it asks what its config's policy asks."""
    return (plan.project, plan.pipeline) == (project, pipeline) and all(
        part.config_digest == sha256(configs[part.project]).hexdigest()
        and policy_of(part) == policy_in(part.project, configs[part.project], part.pipeline)
        for part in (plan, *plan.subplans)
    )


def _config_bytes(root: str, project: str) -> bytes:
    return _file_bytes(os.path.join(root, CONFIG_FOLDER, f"{project}.toml"))


def _file_bytes(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        return file.read(_LIMIT)


def source_files() -> Iterator[tuple[str, int]]:
    """Yield the path and the time of change (ns) of every file that may decide what a plan says, and of its folders."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    folders = [os.path.join(package, name) for name in _SOURCES]
    while folders:
        folder = folders.pop()
        yield folder, os.stat(folder).st_mtime_ns
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name == "__pycache__":
                    continue
                if entry.is_dir():
                    folders.append(entry.path)
                else:
                    yield entry.path, entry.stat().st_mtime_ns


_MARK: list[Any] = []


def program_mark() -> list[Any]:
    """Return what changes when this program does: its version and Python's, and when its sources were written.

    The sources are looked at once: what a process has loaded of them stays as it is.
    """
    if not _MARK:
        _MARK.extend((__version__, sys.version, max(written for _, written in source_files())))
    return _MARK
