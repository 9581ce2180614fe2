"""Which account and which CI job ran an attempt, as frozen values of the manifest."""

from __future__ import annotations

from orchestrator.base.kinds import Count
from orchestrator.base.record import Record


class AttemptAccount(Record):
    """The account that ran an attempt, as the system, git (``name``, ``email``) and the CI system name it."""

    attempt: Count
    uid: int | None
    host: str | None
    login: str | None
    name: str | None
    email: str | None
    ci_actor: str | None


class CiJob(Record):
    """The CI job that an attempt ran in, from the system's documented variables; null what it does not say."""

    attempt: Count
    system: str
    job_url: str | None
    job_id: str | None
    event: str | None
    ref: str | None
    pull_request: str | None
