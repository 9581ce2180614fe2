"""Each attempt's CI job stands in the record, and git's names are read without git."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from orchestrator.git.identity import ci_actor
from orchestrator.git.settings import config_files, user_settings
from orchestrator.model.lineage import RUN_VARIABLE
from orchestrator.runner.ci_job import ci_job, with_ci_job
from orchestrator.runner.enclosing_job import job_of
from orchestrator.store.store import RunStore
from tests.records import FakeClock, make_manifest, make_workspace

GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "acme/app",
    "GITHUB_RUN_ID": "77",
    "GITHUB_JOB": "checks",
    "GITHUB_EVENT_NAME": "pull_request",
    "GITHUB_REF": "refs/pull/12/merge",
    "GITHUB_ACTOR": "ada",
}
GITLAB = {
    "GITLAB_CI": "true",
    "CI_JOB_URL": "https://gitlab.example/acme/app/-/jobs/9",
    "CI_JOB_ID": "9",
    "CI_PIPELINE_SOURCE": "merge_request_event",
    "CI_COMMIT_REF_NAME": "topic",
    "CI_MERGE_REQUEST_IID": "3",
}


def masked(text: str) -> str:
    """Return text without its secret."""
    return text.replace("secret", "***")


def test_the_job_is_read_from_documented_variables() -> None:
    """GitHub's and GitLab's variables say which job it is; outside of CI there is none."""
    assert ci_job(GITHUB) == {
        "system": "github-actions",
        "job_url": "https://github.com/acme/app/actions/runs/77",
        "job_id": "checks",
        "event": "pull_request",
        "ref": "refs/pull/12/merge",
        "pull_request": "12",
    }
    short = ci_job({"GITHUB_ACTIONS": "true", "GITHUB_REF_NAME": "topic"})
    assert short is not None
    assert short["ref"] == "topic"
    found = ci_job(GITLAB)
    assert found is not None
    assert (found["system"], found["job_id"], found["pull_request"]) == ("gitlab-ci", "9", "3")
    assert ci_job({"CI": "true", "GITHUB_ACTIONS": "false"}) is None
    buildkite = ci_job({"BUILDKITE": "true", "BUILDKITE_PULL_REQUEST": "false"})
    assert buildkite is not None
    assert buildkite["pull_request"] is None


OTHERS = {
    "azure-pipelines": (
        {
            "TF_BUILD": "True",
            "SYSTEM_COLLECTIONURI": "https://dev.example/acme/",
            "SYSTEM_TEAMPROJECT": "My App",
            "BUILD_BUILDID": "8",
            "BUILD_SOURCEBRANCH": "refs/pull/17/merge",
            "SYSTEM_PULLREQUEST_PULLREQUESTID": "17",
        },
        ("https://dev.example/acme/My%20App/_build/results?buildId=8", "refs/pull/17/merge", "17"),
    ),
    "circleci": (
        {
            "CIRCLECI": "true",
            "CIRCLE_BUILD_URL": "https://circle.example/5",
            "CIRCLE_BRANCH": "topic",
            "CIRCLE_PULL_REQUEST": "https://github.com/acme/app/pull/31",
        },
        ("https://circle.example/5", "topic", "31"),
    ),
    "jenkins": (
        {"JENKINS_URL": "https://j.example/", "BUILD_URL": "https://j.example/job/a/3/", "GIT_BRANCH": "origin/main"},
        ("https://j.example/job/a/3/", "origin/main", None),
    ),
    "bitbucket-pipelines": (
        {
            "BITBUCKET_BUILD_NUMBER": "6",
            "BITBUCKET_GIT_HTTP_ORIGIN": "https://bitbucket.example/acme/app",
            "BITBUCKET_BRANCH": "topic",
            "BITBUCKET_PR_ID": "3",
        },
        ("https://bitbucket.example/acme/app/addon/pipelines/home#!/results/6", "topic", "3"),
    ),
    "drone": (
        {"DRONE": "true", "DRONE_BUILD_LINK": "https://d.example/4", "DRONE_COMMIT_REF": "refs/pull/7/head"},
        ("https://d.example/4", "refs/pull/7/head", None),
    ),
    "woodpecker": (
        {"CI": "woodpecker", "CI_STEP_URL": "https://w.example/3", "CI_COMMIT_PULL_REQUEST": "7"},
        ("https://w.example/3", None, "7"),
    ),
    "teamcity": ({"TEAMCITY_VERSION": "2025.07", "BUILD_NUMBER": "44"}, (None, None, None)),
}


@pytest.mark.parametrize("system", OTHERS)
def test_the_job_of_other_systems(system: str) -> None:
    """Address, ref and pull request are found in what each system documents, also where it has two ways to say it."""
    environ, expected = OTHERS[system]
    found = ci_job({"CI": "true", **environ})
    assert found is not None
    assert (found["system"], (found["job_url"], found["ref"], found["pull_request"])) == (system, expected)


def test_a_system_that_is_switched_off_names_nobody() -> None:
    """``GITHUB_ACTIONS=false`` is outside of CI, whatever actor is left in the environment."""
    assert ci_actor({"GITHUB_ACTIONS": "false", "GITHUB_ACTOR": "ada"}) is None
    assert ci_actor(GITHUB) == "ada"


def test_a_record_that_was_read_already_tells_its_job(tmp_path: Path) -> None:
    """It stands for the run around alone: a parent that was named by hand is another one."""
    store, around = RunStore(make_workspace(tmp_path), FakeClock()), make_manifest()
    record = with_ci_job(around, ci_job(GITHUB), masked).as_json()
    job = job_of(store, {RUN_VARIABLE: around.run_id}, record)
    assert job is not None
    assert (job["system"], "attempt" in job) == ("github-actions", False)
    assert job_of(store, {RUN_VARIABLE: around.run_id}) is None, "it is not on disk"
    other = f"{around.run_id[:-8]}00000000"
    assert job_of(store, {RUN_VARIABLE: other}, record) is None
    assert job_of(store, {}, record) is None


def test_each_attempt_has_its_entry() -> None:
    """A resume adds its job; an attempt outside of CI, or that an older program recorded, has none."""
    first = with_ci_job(make_manifest(), None, masked)
    assert first.ci == (None,)
    second = with_ci_job(first._replace(attempt=2), ci_job({**GITHUB, "GITHUB_REF": "refs/heads/secret"}), masked)
    job = second.ci[1]
    assert second.ci[0] is None
    assert job is not None
    assert (job.attempt, job.ref, job.pull_request) == (2, "refs/heads/***", None)
    late = with_ci_job(make_manifest()._replace(attempt=3), ci_job(GITHUB), masked)
    assert late.ci[:2] == (None, None)
    assert late.ci[2] is not None


CONFIGS = [
    "[user]\n\tname = Ada Lovelace\n\temail = ada@example.org\n",
    "[core]\n\tbare = false\n[User]\nNAME=Ada\n[other]\nname = Bob\n",
    "[user]\n\tname = one\n[user]\n\tname = two\n",
    '[user "sub"]\n\tname = not this\n',
    "[user]\n\tname = Zo\u00eb\n\temail =\n",
    "[user]\r\n\tname = Ada\r\n",
    "[user] name = Ada\n[core]name = Bob\n\temail = b@example.org\n",
    "  [user]name=Ada=Lovelace\n\tname2 = Bob\n\t; name = Eve\n",
    "[user]\n\tname\n\temail = ada@example.org",
    "[users]\n\tname = Bob\n",
]
ASKED = [
    '[user]\n\tname = "Ada # Lovelace"\n',
    "[user]\n\tname = Ada # a comment\n",
    "[include]\n\tpath = other\n",
    "[user]\n\tname = Ada \\\n  Lovelace\n",
]


@pytest.mark.parametrize("text", CONFIGS)
def test_simple_config_files_say_what_git_says(text: str, tmp_path: Path) -> None:
    """Without starting git, the names are those that git finds."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_bytes(text.encode())
    environ = {"HOME": str(home), "PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1"}
    found = user_settings([str(home / ".gitconfig")])
    command = ["git", "config", "--null", "--get-regexp", r"^user\\.(name|email)$".replace("\\\\", "\\")]
    said = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, check=False)
    pairs = (entry.partition("\n") for entry in said.stdout.decode().split("\0"))
    assert found == {name: value for name, _, value in pairs if value}


@pytest.mark.parametrize("text", ASKED)
def test_git_is_asked_about_others(text: str, tmp_path: Path) -> None:
    """What is quoted, commented, continued or included is left to git."""
    (tmp_path / "config").write_text(text)
    assert user_settings([str(tmp_path / "config")]) is None


def test_the_files_are_read_in_gits_order(tmp_path: Path) -> None:
    """The repository's settings win over the user's, and those over the machine's."""
    subprocess.run(["git", "init", "-q", str(tmp_path / "r")], check=True)
    files = config_files(str(tmp_path / "r"), {"HOME": str(tmp_path)})
    assert files[-2] == str(tmp_path / "r" / ".git" / "config")
    assert re.search(r"\.gitconfig$", files[-3])
    assert files[0] == "/etc/gitconfig"
