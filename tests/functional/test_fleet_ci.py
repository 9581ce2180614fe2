"""A fleet of what a change touches, by nox, in jobs of GitHub and GitLab as their variables describe them."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tests.functional.test_init_ci import clone_with_change, job, sh
from tests.harness import REPOSITORY, Orchestrator

__all__ = ("job",)

PAGE = (REPOSITORY / "docs/fleet.md").read_text(encoding="utf-8")


def test_a_pull_request_of_github(tmp_path: Path, orchestrate: Orchestrator, job: dict[str, str]) -> None:
    """At the merge ref only the touched project runs: its group, annotation, outputs and summary; nothing of others."""
    clone = clone_with_change(tmp_path, orchestrate, job, "github", others=["web"])
    base = sh("git rev-parse origin/trunk", clone, job).strip()
    sh("git checkout -q --detach origin/trunk && git merge -q --no-ff -m merged origin/topic", clone, job)
    summary, outputs = tmp_path / "GITHUB_STEP_SUMMARY", tmp_path / "GITHUB_OUTPUT"
    env = {
        **job,
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_REF": "refs/pull/7/merge",
        "GITHUB_BASE_REF": "trunk",
        "GITHUB_HEAD_REF": "topic",
        "GITHUB_REPOSITORY": "o/r",
        "GITHUB_RUN_ID": "4711",
        "GITHUB_SERVER_URL": "https://github.example",
        "GITHUB_STEP_SUMMARY": str(summary),
        "GITHUB_OUTPUT": str(outputs),
    }
    printed = sh("nox -s fleet -- --affected", clone, {**env, "BASE_SHA": base}, code=1)
    assert re.findall(r"^::group::(?!nox)(.*)", printed, re.M) == ["app"]
    assert "::error title=app.diagnostics%3A test failed::" in printed
    given = dict(line.split("=", 1) for line in outputs.read_text().splitlines())
    assert given["status"] == "failed"
    assert "app" in summary.read_text()
    assert "web" not in summary.read_text()
    shown = sh("codex-orchestrator status $RUN_ID --format json", clone, {**env, "RUN_ID": given["run_id"]})
    assert '"event": "pull_request"' in shown
    outputs.write_text("")
    sh("git checkout -q --detach origin/trunk", clone, env)
    printed = sh("nox -s fleet -- --affected --base HEAD", clone, env)
    assert outputs.read_text() == "run_id=\nstatus=nothing\n"
    assert "::group::app" not in printed


def test_a_merge_request_of_gitlab(tmp_path: Path, orchestrate: Orchestrator, job: dict[str, str]) -> None:
    """The page's job, as it stands there: a section for the touched project, and its stages in the JUnit file."""
    clone = clone_with_change(tmp_path, orchestrate, job, "gitlab", others=["web"])
    (block,) = (text for text in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S) if "CI_PROJECT_DIR" in text)
    (one,) = yaml.safe_load(block).values()
    assert one["variables"]["GIT_DEPTH"] == "0"
    env = {
        **job,
        "GITLAB_CI": "true",
        "CI_PIPELINE_SOURCE": "merge_request_event",
        "CI_PROJECT_DIR": str(clone),
        "CI_JOB_ID": "12",
        "CI_COMMIT_BEFORE_SHA": "0" * 40,
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": sh("git merge-base origin/trunk HEAD", clone, job).strip(),
    }
    printed = sh("\n".join(one["script"]), clone, env, code=1)
    sections = re.findall(r"section_start:\d+:([\w.-]+)", printed)
    assert (len(sections), "app" in sections[0]) == (1, True)
    sh("\n".join(one["after_script"]), clone, env)
    junit = (clone / "junit.xml").read_text()
    assert '<testsuite name="app.diagnostics"' in junit
    assert "web" not in junit
