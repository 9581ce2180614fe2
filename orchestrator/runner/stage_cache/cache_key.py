"""Everything that a stage's result follows from, observed at one moment, and how two observations differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orchestrator.base.canonical import digest_of
from orchestrator.base.record import Record
from orchestrator.base.sha256 import sha256
from orchestrator.model.plan import Plan, PlannedStage, stage_record
from orchestrator.runner.stage_cache.fingerprints import FileState

KEY_VERSION = 2
"""Rises when something else goes into the key."""

_NAMED = 3
"""So many names are listed of each kind of difference."""


class Observation(Record):
    """What a stage's success rests on.

    ``stage`` and ``session`` are digests of what the config says, ``environment`` has a keyed digest of each
    variable's value, ``tools`` what stands for the version of each tool, ``inputs`` the files.
    """

    stage: str
    session: str
    environment: Mapping[str, str]
    tools: Mapping[str, str]
    inputs: Mapping[str, FileState]

    @property
    def key(self) -> str:
        """The sha256 (hex) over all of it: equal keys are the same work on the same files."""
        return digest_of(
            {
                "version": KEY_VERSION,
                "stage": self.stage,
                "session": self.session,
                "environment": dict(self.environment),
                "tools": dict(self.tools),
                "inputs": files_digest(self.inputs),
            }
        )


def contents(files: Mapping[str, FileState]) -> dict[str, str]:
    """Return what stands in each file."""
    return {path: state.content for path, state in files.items()}


def files_digest(files: Mapping[str, FileState]) -> str:
    """Return the digest of files by path, each with what stands in it: neither path nor content has a NUL.

    A third of the work of ``digest_of``, which counts for a thousand files.
    """
    parts = [f"{path}\0{files[path].content}\0" for path in sorted(files)]
    return sha256("".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def stage_digest(stage: PlannedStage) -> str:
    """Return the digest of a stage but for its title; its environment's values are digested elsewhere."""
    return digest_of({**stage_record(stage), "title": None, "env": sorted(stage.env)})


def session_digest(plan: Plan, environment_key: str, project_folder: str) -> str:
    """Return the digest of the session: its config, what its environment was made from, and where the codebase is."""
    session = plan.session
    return digest_of(
        {
            "backend": session.backend,
            "python": session.python,
            "install": list(session.install),
            "made_from": environment_key,
            "folder": project_folder,
        }
    )


def environment_digests(env: Mapping[str, str], salt: str) -> dict[str, str]:
    """Return a digest of each variable's value that says nothing of the value to who doesn't know ``salt``."""
    key = salt.encode() + b"\0"
    return {
        name: sha256(key + value.encode("utf-8", "surrogateescape")).hexdigest()[:32] for name, value in env.items()
    }


def differences(before: Observation, now: Observation) -> Iterator[str]:
    """Yield what differs, a sentence for each kind of thing, for people."""
    if before.stage != now.stage:
        yield "the stage's config changed"
    if before.session != now.session:
        yield "the session's config or environment changed"
    for kind, old, new in (
        ("variables", before.environment, now.environment),
        ("tools", before.tools, now.tools),
        ("inputs", *(({}, {}) if before.inputs == now.inputs else (contents(before.inputs), contents(now.inputs)))),
    ):
        changed = changed_names(old, new)
        if changed:
            yield f"{kind} changed: {changed}"


def changed_names(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """Return the names that were added, removed or changed, the first few of them, or "" when none was."""
    if old == new:
        return ""
    names = [
        *(name if name in new else f"{name} (removed)" for name in sorted(old) if old[name] != new.get(name)),
        *(f"{name} (added)" for name in sorted(new) if name not in old),
    ]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
