"""The documents of a task: spec, PRD, action plan, and the checklist with its mirrors."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from orchestrator.onboarding.proposal import Proposal, Stage
from orchestrator.onboarding.template_text import filled

GUARD = "spec-guard"
REVIEW = "review"


def spec_path(task: str) -> str:
    """Return where a task's spec is."""
    return f"tasks/specs/{task}.md"


def checklist_paths(task: str) -> tuple[str, ...]:
    """Return where a task's checklist stands, the same in each place."""
    return (f"tasks/tasks-{task}.md", f"docs/checklists/{task}.md", f".agent/task/{task}.md")


def task_documents(
    task: str, project: str, path: str, title: str, owners: Sequence[str], proposal: Proposal, today: date
) -> dict[str, str]:
    """Return the texts of all documents of a task by their paths. ``today`` is the spec's review date."""
    stages = [stage for stage in proposal.diagnostics.stages if stage.id != GUARD]
    captured = _captured(project, stages)
    skipped = [f"- {stage.id}: {_line(stage.skipped)}" for stage in stages if stage.skipped is not None]
    values = {
        "task": task,
        "project": project,
        "path": _line(path),
        "title": title,
        "owners": ", ".join(map(_line, owners)) or "(to be named)",
        "today": today.isoformat(),
        "stages": "\n".join(_proofs(stages)),
        "gaps": "\n".join(skipped) or "Nothing of build, lint and test is skipped.",
        "questions": "\n".join(f"- {_line(note)}" for note in proposal.remarks) or "- None that onboarding found.",
        "milestones": "\n".join(f"| {name} | {done} | {needs} |" for name, done, needs in _milestones(stages)),
        "items": _items(_milestones(stages)),
        "captured": "\n".join(f"| {name} | {_code(command)} | {_code(early)} |" for name, command, early in captured),
        "captures": _items(_captures(captured)),
    }
    checklist = filled("task/checklist.md", values)
    return {
        f"tasks/prd-{task}.md": filled("task/prd.md", values),
        spec_path(task): filled("task/spec.md", values),
        f"tasks/action-plan-{task}.md": filled("task/action-plan.md", values),
        **dict.fromkeys(checklist_paths(task), checklist),
    }


def _proofs(stages: Sequence[Stage]) -> list[str]:
    proofs = [f"- {stage.id}: `{_line(stage.does)}` succeeds" for stage in stages if stage.skipped is None]
    return [*proofs, f"- {GUARD}: code changed together with its spec, which was looked at in the last 30 days"]


SKIPPED_SO_FAR = "it is skipped so far"

_EARLY = {"lint": "npm run lint", "test": "npm test", GUARD: "scripts/spec-guard.sh", REVIEW: "npm run review"}
"""What the early version captured a passing run of, by the commands that its codebases, all npm's, had for it."""


def _captured(project: str, stages: Sequence[Stage]) -> list[tuple[str, str | None, str]]:
    """Return each check that a run is captured of: its name, its command (None when it is skipped), the early one."""
    does = {stage.id: _line(stage.does) for stage in stages if stage.skipped is None}
    commands = {
        GUARD: f"codex-orchestrator spec-guard --project {project}",
        "lint": does.get("lint"),
        "test": does.get("test"),
        REVIEW: "codex-orchestrator review RUN --decision approve",
    }
    return [(name, command, _EARLY[name]) for name, command in commands.items()]


def _captures(captured: Sequence[tuple[str, str | None, str]]) -> list[tuple[str, str, str]]:
    """Return the items of the checks: what passed, and what proves it. What is skipped proves nothing."""
    needs = {REVIEW: "diagnostics, approval"}
    return [
        (
            name,
            SKIPPED_SO_FAR if command is None else f"{_code(command)} passed",
            needs.get(name, f"diagnostics/{name}"),
        )
        for name, command, _ in captured
    ]


def _code(text: str | None) -> str:
    return "skipped so far" if text is None else f"`{text}`"


def _items(items: Sequence[tuple[str, str, str]]) -> str:
    return "\n".join(f"- [ ] **{name}**: {done} (needs: {needs})" for name, done, needs in items)


def _milestones(stages: Sequence[Stage]) -> list[tuple[str, str, str]]:
    """Return each milestone with what is done then, and the stages of a run that prove it.

    A stage that is skipped proves nothing: implementation asks for those that do something, and for a build where
    none does; testing for the tests whatever the config says of them.
    """
    made = [f"diagnostics/{stage.id}" for stage in stages if stage.id != "test" and stage.skipped is None]
    return [
        ("planning", "PRD, technical spec and action plan were read and agreed to", f"diagnostics/{GUARD}, approval"),
        (
            "implementation",
            "what the codebase builds and checks itself with passes",
            ", ".join(made) or "diagnostics/build",
        ),
        ("testing", "the tests pass", "diagnostics/test"),
        (
            "enablement",
            "the whole pipeline passes within its limit, and a reviewer approved that run",
            "diagnostics, approval",
        ),
    ]


def _line(text: str | None) -> str:
    """Return a text that comes from a codebase as one line of Markdown that begins nothing."""
    printable = "".join(char if char.isprintable() else " " for char in text or "")
    return " ".join(printable.replace("`", "'").replace("<", "‹").replace("|", "¦").split())
