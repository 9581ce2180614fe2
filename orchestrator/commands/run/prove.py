"""``prove``: show by a recorded run that the project's guardrails can fail."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base.errors import EXIT_DONE, EXIT_GATE, EXIT_RUN_FAILED, NoxUnavailable, Refused
from orchestrator.base.text.appearance import appearance
from orchestrator.base.workspace import project_folder
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.run.canary_copies import copies
from orchestrator.commands.run.carry_out import run_in_session
from orchestrator.commands.run.ended_run import exit_code_of, with_delivery
from orchestrator.commands.run.prepare_start import prepare
from orchestrator.commands.run.prepared_run import observer_for
from orchestrator.commands.run.requests import StartRequest
from orchestrator.config.loading import load_project
from orchestrator.config.values import ProjectConfig
from orchestrator.model.canary import CANARY, CanaryResult, canaries_of, clean_stage, planted_stage, results
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.report.layout import Ink, clean, labelled
from orchestrator.store.canary_proof import note_proof
from orchestrator.store.layout import Location

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.runner.run_end import Result


def prove(
    context: Context,
    *,
    project: str | None = None,
    actor: str | None = None,
    format: str = "text",  # noqa: A002 -- the option's name
) -> Answer:
    """Run each guardrail that has a canary on the tracked tree as it is, and with each canary's files planted.

    The run is recorded under the reserved pipeline ``canary``; a guardrail is proved when it succeeds on the tree and
    fails, with outcome ``failure``, with every canary. Exit code 4 when one did not fail, 3 when one does not succeed
    on the tree or the run was broken. Raises UsageError (no canary, no repository), ConfigError, Refusal as ``start``.
    """
    request = StartRequest(pipeline=CANARY, project=project, actor=actor, no_cache=True, format=format)
    prepared = prepare(context, request)
    store, plan = prepared.store, prepared.plan
    root = store.workspace.root
    config = load_project(root, plan.project)
    folder = project_folder(root, plan.project, plan.project_path)
    place = f"{config.file}: guardrails.canary"
    with copies(folder, context.environ, _plants(config), place) as made:
        result = _run(context, prepared._replace(copies=made, open_unseen=None), format)
    record = {"commands": [command._asdict() for command in result.manifest.commands]}
    shown = tuple(results(record, canaries_of(result.manifest.plan)))
    where = Location(result.manifest.task_id, result.manifest.run_id)
    for one in shown:
        if one.fault is None:
            note_proof(store, plan.project, one.guardrail, where)
    document = _document(result.manifest, store.paths(where).manifest, shown)
    return with_delivery(context, store, Answer(_exit_code(result, shown), document, _text(context, document)))


def _text(context: Context, document: Mapping[str, Any]) -> str:
    seen = appearance(context.stdout, context.environ)
    ink, lines = Ink(seen.color), []
    for entry in document["canaries"]:
        said = "proved: it can fail" if entry["proved"] else f"not proved: {entry['reason']}"
        style = "green" if entry["proved"] else "red"
        lines += labelled(ink, "Guardrail", [clean(f"{entry['guardrail']} {said}")], seen.width, style)
    lines += labelled(ink, "Manifest", [clean(document["manifest"])], seen.width, whole=True)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _run(context: Context, prepared: Any, form: str) -> Result:
    observer = observer_for(context, form, prepared.plan.project)
    try:
        return run_in_session(context, prepared, observer)
    except NoxUnavailable:
        raise Refused(
            "the installed nox can't run a session in this process, in which alone copies are tried",
            hint="install a version of nox that docs/reliability.md names",
            code="no-nox",
        ) from None


def _plants(config: ProjectConfig) -> dict[str, Mapping[str, str]]:
    """Return what is planted for each stage of the canary run, by stage."""
    plants: dict[str, Mapping[str, str]] = {}
    counts: dict[str, int] = {}
    for canary in config.guardrails.canaries:
        counts[canary.guardrail] = counts.get(canary.guardrail, 0) + 1
        plants[clean_stage(canary.guardrail)] = {}
        plants[planted_stage(canary.guardrail, counts[canary.guardrail])] = canary.plant
    return plants


def _exit_code(result: Result, shown: tuple[CanaryResult, ...]) -> int:
    code = exit_code_of(result)
    if code not in (EXIT_DONE, EXIT_RUN_FAILED):
        return code
    if any(one.clean == "success" and one.fault is not None for one in shown):
        return EXIT_GATE
    return code


def _document(manifest: Manifest, path: str, shown: tuple[CanaryResult, ...]) -> dict[str, Any]:
    return {
        "run_id": manifest.run_id,
        "task_id": manifest.task_id,
        "project": manifest.project,
        "pipeline_id": manifest.pipeline_id,
        "status": manifest.status,
        "outcome": manifest.outcome,
        "manifest": path,
        "canaries": [
            {
                "guardrail": one.guardrail,
                "proved": one.fault is None,
                "reason": one.fault,
                "clean": one.clean,
                "planted": list(one.planted),
            }
            for one in shown
        ],
    }
