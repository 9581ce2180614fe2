"""A proposal as the text of ``project_configs/<project>.toml``: valid, and commented."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from orchestrator.onboarding.proposal import Pipeline, Proposal, Stage
from orchestrator.onboarding.toml_text import comment, toml_key, toml_value


def config_text(project: str, path: str, task: str, owners: Sequence[str], proposal: Proposal) -> str:
    """Return the config of ``project``, whose codebase is at ``path`` (from the workspace's root)."""
    named = proposal.default_pipeline
    default = {} if named is None else {"default_pipeline": named}
    blocks = [
        [
            comment(f"Proposed by 'codex-orchestrator onboard' (template {proposal.template}) and yours to change."),
            comment("'codex-orchestrator plan' shows what it makes; every key: docs/configuration.md."),
            *(comment(f"Note: {note}") for note in proposal.remarks),
            "schema_version = 1",
        ],
        ["[project]", *_lines({"name": project, "path": path, "task_id": task, "owners": list(owners), **default})],
        _session(proposal),
    ]
    if proposal.guarded:
        blocks.append(["[guardrails]", *_lines({"pipelines": ["diagnostics", *proposal.guarded]})])
    if proposal.not_code:
        blocks.append(["[spec_guard]", *_lines({"exclude": list(proposal.not_code)})])
    for pipeline in proposal.pipelines:
        blocks += _pipeline(pipeline)
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _session(proposal: Proposal) -> list[str]:
    lines = ["[session]"]
    if proposal.backend == "none":
        lines.insert(0, comment("No virtual environment: the tools on PATH are used."))
    lines.append(f"backend = {toml_value(proposal.backend)}")
    if proposal.python is not None:
        lines.append(f"python = {toml_value(proposal.python)}")
    if proposal.install:
        lines.append(f"install = {toml_value(proposal.install)}")
    if proposal.pass_env:
        lines.append(f"pass_env = {toml_value(proposal.pass_env)}")
    return lines


def _pipeline(pipeline: Pipeline) -> Iterable[list[str]]:
    key = f"pipelines.{toml_key(pipeline.id)}"
    if pipeline.title:
        yield [f"[{key}]", f"title = {toml_value(pipeline.title)}"]
    for stage in pipeline.stages:
        yield _stage(key, stage)


def _stage(key: str, stage: Stage) -> list[str]:
    lines = [comment(stage.why)] if stage.why else []
    return [*lines, f"[[{key}.stages]]", f"id = {toml_value(stage.id)}", *_lines(stage.keys)]


def _lines(table: Mapping[str, object]) -> list[str]:
    return [f"{key} = {toml_value(value)}" for key, value in table.items()]
