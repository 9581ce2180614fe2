"""What ``start`` and ``resume`` are asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping

from orchestrator.base.errors import UsageError
from orchestrator.base.limits import UNNAMED_PIPELINE
from orchestrator.base.person_names import escaped, unfit
from orchestrator.base.record import Record

KEY_VARIABLE = "CODEX_ORCHESTRATOR_KEY"
"""The key of a start, for callers that can't pass options; empty: none."""

ACTOR_VARIABLES = ("GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILDKITE_BUILD_CREATOR_EMAIL", "LOGNAME", "USER")
"""Who started it, from CI systems' documented variables to the login name."""


class StartRequest(Record):
    """The options of ``start``. ``overrides`` are ``K=V`` texts, ``wait`` is a span of time.

    Those from ``everything`` on are a selection; with ``fail_fast`` no project is started after the first failed one.
    ``command`` are the words of ``exec``.
    """

    pipeline: str = UNNAMED_PIPELINE
    project: str | None = None
    task: str | None = None
    parent_run: str | None = None
    jobs: int | None = None
    actor: str | None = None
    approval_policy: str | None = None
    mode: str = "local"
    overrides: tuple[str, ...] = ()
    override_reason: str | None = None
    format: str = "text"
    detach: bool = False
    no_cache: bool = False
    key: str | None = None
    priority: int = 0
    wait: str | None = None
    no_wait: bool = False
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
    fail_fast: bool = False
    command: tuple[str, ...] = ()

    @property
    def selects(self) -> bool:
        """Whether it is for a selection of projects, in one run."""
        return any(
            (self.everything, self.affected, self.no_dependents, self.failed, self.fail_fast, self.owners, self.tags)
        ) or not (self.projects is None and self.base is None and self.exclude is None and self.shard is None)


class ResumeRequest(Record):
    """The options of ``resume``; ``fresh`` is of a fleet: new runs for what did not succeed.

    ``mode`` is left out for that of the attempt before.
    """

    run: str = "latest"
    token: str | None = None
    actor: str | None = None
    reason: str | None = None
    accept_drift: bool = False
    fresh: bool = False
    jobs: int | None = None
    no_cache: bool = False
    format: str = "text"
    mode: str | None = None


def actor_of(environ: Mapping[str, str], named: str | None) -> str:
    """Return who acts: the name given, else what the environment says, else the user id.

    A name that is given with control or format characters is refused; one of the environment is shown escaped.
    """
    if named is not None:
        if not named.strip():
            raise UsageError("--actor is empty", hint="say who acts, or leave the option out", code="bad-actor")
        return _fit(named.strip())
    for variable in ACTOR_VARIABLES:
        if environ.get(variable):
            return _visible(environ[variable])
    return f"uid-{os.getuid()}"


def _fit(name: str) -> str:
    """Return a name that somebody gave. Raises UsageError for one with control or format characters."""
    if _visible(name) == name:
        return name
    raise UsageError(
        f"--actor has the character {unfit(name)}, which nobody can see",
        hint="give the name without it",
        code="bad-actor",
    )


def _visible(name: str) -> str:
    """Return a name with escapes for control and format characters: nobody is stopped by what CI or a login says."""
    if name.isascii() and name.isprintable():
        return name
    return escaped(name)


def overrides_of(request: StartRequest) -> dict[str, str]:
    """Return the overrides as a mapping. Mode and overrides are recorded, never enforced.

    Raises UsageError.
    """
    if request.mode not in ("local", "cloud"):
        raise UsageError(f"--mode is '{request.mode}'; it is local or cloud", code="bad-mode")
    found: dict[str, str] = {}
    for text in request.overrides:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--override '{text}' is not of the form KEY=VALUE", code="bad-override")
        if key in found:
            raise UsageError(f"--override names '{key}' twice", code="bad-override")
        found[key] = value
    if found and not (request.override_reason or "").strip():
        raise UsageError("--override needs --override-reason", hint="say why, for the record", code="no-reason")
    if request.override_reason is not None and not found:
        raise UsageError("--override-reason needs --override", code="no-override")
    return found
