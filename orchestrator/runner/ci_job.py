"""The CI job that an attempt runs in, captured when the attempt begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from orchestrator.model.manifest.account import CiJob
from orchestrator.model.manifest.manifest import Manifest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

GITHUB = "github-actions"
_WORDS = ("system", "job_url", "job_id", "event", "ref", "pull_request")


def with_ci_job(manifest: Manifest, said: Mapping[str, Any] | None, mask: Callable[[str], str]) -> Manifest:
    """Return the record with the CI job of its current attempt, secrets masked; null outside of CI."""
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
    return _woodpecker(environ) if environ.get("CI") == "woodpecker" else None


def _github(environ: Mapping[str, str]) -> dict[str, str | None]:
    server, repository, run = (environ.get(f"GITHUB_{name}") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    ref = environ.get("GITHUB_REF") or environ.get("GITHUB_REF_NAME")
    parts = (ref or "").split("/")
    return {
        "system": GITHUB,
        "job_url": f"{server}/{repository}/actions/runs/{run}" if server and repository and run else None,
        "job_id": environ.get("GITHUB_JOB"),
        "event": environ.get("GITHUB_EVENT_NAME"),
        "ref": ref,
        "pull_request": parts[2] if parts[:2] == ["refs", "pull"] and len(parts) > 2 else None,
    }


def _azure(environ: Mapping[str, str]) -> dict[str, str | None]:
    base, team, build = (environ.get(name) for name in ("SYSTEM_COLLECTIONURI", "SYSTEM_TEAMPROJECT", "BUILD_BUILDID"))
    team = (team or "").replace(" ", "%20")  # names of projects may have spaces, addresses must not
    return {
        "system": "azure-pipelines",
        "job_url": f"{base}{team}/_build/results?buildId={build}" if base and team and build else None,
        "job_id": environ.get("SYSTEM_JOBID"),
        "event": environ.get("BUILD_REASON"),
        "ref": environ.get("BUILD_SOURCEBRANCH"),
        # The number is GitHub's; a pull request of Azure Repos has its id only.
        "pull_request": environ.get("SYSTEM_PULLREQUEST_PULLREQUESTNUMBER")
        or environ.get("SYSTEM_PULLREQUEST_PULLREQUESTID"),
    }


def _circleci(environ: Mapping[str, str]) -> dict[str, str | None]:
    # Of a pull request that is not a fork's, only its address is named.
    number = environ.get("CIRCLE_PULL_REQUEST", "").rstrip("/").rpartition("/")[2]
    return {
        "system": "circleci",
        "job_url": environ.get("CIRCLE_BUILD_URL"),
        "job_id": environ.get("CIRCLE_WORKFLOW_JOB_ID"),
        "event": None,
        "ref": environ.get("CIRCLE_BRANCH") or environ.get("CIRCLE_TAG"),
        "pull_request": environ.get("CIRCLE_PR_NUMBER") or number or None,
    }


def _jenkins(environ: Mapping[str, str]) -> dict[str, str | None]:
    return {
        "system": "jenkins",
        "job_url": environ.get("BUILD_URL"),
        "job_id": environ.get("BUILD_TAG"),
        "event": None,
        "ref": environ.get("BRANCH_NAME") or environ.get("GIT_BRANCH"),  # a multibranch job's, else the git plugin's
        "pull_request": environ.get("CHANGE_ID"),
    }


def _bitbucket(environ: Mapping[str, str]) -> dict[str, str | None]:
    base, build = environ.get("BITBUCKET_GIT_HTTP_ORIGIN"), environ.get("BITBUCKET_BUILD_NUMBER")
    return {
        "system": "bitbucket-pipelines",
        "job_url": f"{base}/addon/pipelines/home#!/results/{build}" if base and build else None,
        "job_id": environ.get("BITBUCKET_STEP_UUID"),
        "event": None,
        "ref": environ.get("BITBUCKET_BRANCH") or environ.get("BITBUCKET_TAG"),
        "pull_request": environ.get("BITBUCKET_PR_ID"),
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
    "CIRCLECI": _circleci,
    "TF_BUILD": _azure,
    "JENKINS_URL": _jenkins,
    "TRAVIS": _named(
        "travis-ci",
        job_url="TRAVIS_JOB_WEB_URL",
        job_id="TRAVIS_JOB_ID",
        event="TRAVIS_EVENT_TYPE",
        ref="TRAVIS_BRANCH",
        pull_request="TRAVIS_PULL_REQUEST",
    ),
    "BITBUCKET_BUILD_NUMBER": _bitbucket,
    "DRONE": _named(
        "drone",
        job_url="DRONE_BUILD_LINK",
        job_id="DRONE_BUILD_NUMBER",
        event="DRONE_BUILD_EVENT",
        ref="DRONE_COMMIT_REF",
        pull_request="DRONE_PULL_REQUEST",
    ),
    "TEAMCITY_VERSION": _named("teamcity", job_url="BUILD_URL", job_id="BUILD_NUMBER"),
}
"""By the variable that says that the system runs this."""

_woodpecker = _named(
    "woodpecker",
    job_url="CI_STEP_URL",
    job_id="CI_PIPELINE_NUMBER",
    event="CI_PIPELINE_EVENT",
    ref="CI_COMMIT_REF",
    pull_request="CI_COMMIT_PULL_REQUEST",
)


def is_in_github(manifest: Manifest) -> bool:
    """Tell whether the current attempt of a run is in a job of GitHub, where stages may mask values of their own."""
    return bool(manifest.ci) and manifest.ci[-1] is not None and manifest.ci[-1].system == GITHUB


def is_in_ci(environ: Mapping[str, str]) -> bool:
    """Tell whether a CI system whose screen is known runs this. A plain start asks no more than this."""
    return environ.get("GITHUB_ACTIONS") == "true" or environ.get("GITLAB_CI") == "true"
