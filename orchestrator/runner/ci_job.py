"""The CI job that an attempt runs in, captured when the attempt begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from orchestrator.model.manifest.account import CiJob
from orchestrator.model.manifest.manifest import Manifest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_WORDS = ("system", "job_url", "job_id", "event", "ref", "pull_request")


def with_ci_job(manifest: Manifest, environ: Mapping[str, str], mask: Callable[[str], str]) -> Manifest:
    """Return the record with the CI job of its current attempt, secrets masked; null outside of CI."""
    said = ci_job(environ)
    job = None
    if said is not None:
        job = CiJob(attempt=manifest.attempt, **{key: mask(value) if value else value for key, value in said.items()})
    earlier = (*manifest.ci, *(None for _ in range(len(manifest.ci), manifest.attempt - 1)))
    return manifest._replace(ci=(*earlier, job))


def ci_job(environ: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the CI job that the environment describes, None outside of CI.

    Keys: ``system, job_url, job_id, event, ref, pull_request``, None what the system does not say. Sources: the
    documentation of each system's predefined variables.
    """
    for flag, read in _SYSTEMS.items():
        if environ.get(flag, "").lower() not in ("", "false", "0"):
            return read(environ)
    return None


def _github(environ: Mapping[str, str]) -> dict[str, str | None]:
    server, repository, run = (environ.get(f"GITHUB_{name}") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    ref = environ.get("GITHUB_REF") or environ.get("GITHUB_REF_NAME")
    parts = (ref or "").split("/")
    return {
        "system": "github-actions",
        "job_url": f"{server}/{repository}/actions/runs/{run}" if server and repository and run else None,
        "job_id": environ.get("GITHUB_JOB"),
        "event": environ.get("GITHUB_EVENT_NAME"),
        "ref": ref,
        "pull_request": parts[2] if parts[:2] == ["refs", "pull"] and len(parts) > 2 else None,
    }


def _azure(environ: Mapping[str, str]) -> dict[str, str | None]:
    base, team, build = (environ.get(name) for name in ("SYSTEM_COLLECTIONURI", "SYSTEM_TEAMPROJECT", "BUILD_BUILDID"))
    return {
        "system": "azure-pipelines",
        "job_url": f"{base}{team}/_build/results?buildId={build}" if base and team and build else None,
        "job_id": environ.get("SYSTEM_JOBID"),
        "event": environ.get("BUILD_REASON"),
        "ref": environ.get("BUILD_SOURCEBRANCH"),
        "pull_request": environ.get("SYSTEM_PULLREQUEST_PULLREQUESTNUMBER"),
    }


def _named(system: str, **variables: str) -> Callable[[Mapping[str, str]], dict[str, str | None]]:
    def read(environ: Mapping[str, str]) -> dict[str, str | None]:
        found: dict[str, str | None] = {key: environ.get(variables.get(key, "")) or None for key in _WORDS}
        if found["pull_request"] == "false":
            found["pull_request"] = None
        return {**found, "system": system}

    return read


_SYSTEMS: Mapping[str, Callable[[Mapping[str, str]], dict[str, str | None]]] = {
    "GITHUB_ACTIONS": _github,
    "GITLAB_CI": _named(
        "gitlab-ci",
        job_url="CI_JOB_URL",
        job_id="CI_JOB_ID",
        event="CI_PIPELINE_SOURCE",
        ref="CI_COMMIT_REF_NAME",
        pull_request="CI_MERGE_REQUEST_IID",
    ),
    "BUILDKITE": _named(
        "buildkite",
        job_url="BUILDKITE_BUILD_URL",
        job_id="BUILDKITE_JOB_ID",
        event="BUILDKITE_SOURCE",
        ref="BUILDKITE_BRANCH",
        pull_request="BUILDKITE_PULL_REQUEST",
    ),
    "CIRCLECI": _named(
        "circleci",
        job_url="CIRCLE_BUILD_URL",
        job_id="CIRCLE_WORKFLOW_JOB_ID",
        ref="CIRCLE_BRANCH",
        pull_request="CIRCLE_PR_NUMBER",
    ),
    "TF_BUILD": _azure,
    "JENKINS_URL": _named(
        "jenkins", job_url="BUILD_URL", job_id="BUILD_TAG", ref="BRANCH_NAME", pull_request="CHANGE_ID"
    ),
    "TRAVIS": _named(
        "travis-ci",
        job_url="TRAVIS_JOB_WEB_URL",
        job_id="TRAVIS_JOB_ID",
        event="TRAVIS_EVENT_TYPE",
        ref="TRAVIS_BRANCH",
        pull_request="TRAVIS_PULL_REQUEST",
    ),
}
"""By the variable that says that the system runs this."""


def is_in_ci(environ: Mapping[str, str]) -> bool:
    """Tell whether a CI system whose screen is known runs this. A plain start asks no more than this."""
    return environ.get("GITHUB_ACTIONS") == "true" or environ.get("GITLAB_CI") == "true"
