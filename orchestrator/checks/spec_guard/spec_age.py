"""Was the spec looked at lately? ``last_review`` in its front matter."""

from __future__ import annotations

import os
import re
from datetime import date, timedelta

from orchestrator.base.build_artifacts import CACHES
from orchestrator.base.finding import Finding
from orchestrator.checks.spec_guard.code import Specs
from orchestrator.checks.spec_guard.values import SPEC_FOLDER, TASK_INDEX, Question, Report
from orchestrator.config.spec_guard_policy import DEFAULT_AGE_DAYS

# Somebody east of UTC writes a date that UTC reaches up to 14 hours later.
_ZONE_LEEWAY = timedelta(days=1)
_FRONT_MATTER_BYTES = 64 * 1024
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.A)
_KEY = re.compile(r"last_review\s*:")
_SUFFIX = ".md"


def review(question: Question, specs: Specs, *, is_listed: bool) -> Report:
    """Return what the review dates of the project's ``specs`` say; OSError when one can't be read.

    ``is_listed``: the task index has the task, so that it owes a spec.
    """
    root, task_id = os.path.realpath(question.root), question.task_id
    names = own_specs(root, specs)
    if not names and is_listed:
        message = f"task '{task_id}' is listed in {TASK_INDEX} and has no spec; write {SPEC_FOLDER}/{task_id}.md"
        return Report((Finding("spec-missing", TASK_INDEX, message),), (), None)
    if not names:
        return Report((), (f"there is no spec {SPEC_FOLDER}/{task_id}.md: its review date was not checked",), None)
    findings: list[Finding] = []
    for name in names:
        with open(os.path.join(root, name), "rb") as stream:
            text = stream.read(_FRONT_MATTER_BYTES).decode("utf-8-sig", "replace")
        findings += review_findings(name, text, question.today, question.policy.max_review_age)
    return Report(tuple(findings), (), None)


def own_specs(root: str, specs: Specs) -> list[str]:
    """Return the Markdown files among the specs that are there, from the workspace's root, sorted."""
    found: set[str] = set()
    for folder in {SPEC_FOLDER, *specs.named.starts()}:
        for above, names, files in os.walk(os.path.join(root, folder)):
            names[:] = [name for name in names if os.fsencode(name) not in CACHES]
            here = os.path.relpath(above, root)
            for name in files:
                path = name if here == "." else f"{here}/{name}"
                if name.endswith(_SUFFIX) and (specs.is_own(path) or specs.named.match(path)):
                    found.add(path)
    return sorted(found)


def review_findings(path: str, text: str, today: date, days: int | None = DEFAULT_AGE_DAYS) -> tuple[Finding, ...]:
    """Return what is wrong with the ``last_review`` of a spec whose first 64 KiB are ``text``; at most one.

    A review may be ``days`` old on ``today`` (UTC), or any age when ``days`` is None.
    """
    lines = text.split("\n")
    if lines[0].rstrip() != "---":
        return (Finding("review-missing", path, "no front matter with last_review: YYYY-MM-DD", 1),)
    end = next((at for at, line in enumerate(lines[1:], 1) if line.rstrip() in {"---", "..."}), None)
    if end is None:
        return (Finding("review-malformed", path, "the front matter has no end (a line '---')", 1),)
    entries = [(at, line.partition(":")[2]) for at, line in enumerate(lines[1:end], 2) if _KEY.match(line)]
    if not entries:
        return (Finding("review-missing", path, "the front matter has no last_review: YYYY-MM-DD", 1),)
    if len(entries) > 1:
        return (Finding("review-malformed", path, "last_review stands there twice", entries[1][0]),)
    value = entries[0][1].partition(" #")[0].strip().strip("\"'")
    return _date_findings(path, entries[0][0], value, today, days)


def _date_findings(path: str, line: int, value: str, today: date, days: int | None) -> tuple[Finding, ...]:
    try:
        reviewed = date.fromisoformat(value) if _DATE.fullmatch(value) else None
    except ValueError:
        reviewed = None
    if reviewed is None:
        return (Finding("review-malformed", path, f"last_review is not a date (YYYY-MM-DD): {value[:40]!r}", line),)
    if reviewed > today + _ZONE_LEEWAY:
        return (Finding("review-in-future", path, f"last_review {reviewed} lies in the future", line),)
    age = (today - reviewed).days
    if days is not None and age > days:
        message = f"last reviewed on {reviewed}, {age} days ago; {days} are allowed: read it and set today's date"
        return (Finding("review-stale", path, message, line),)
    return ()
