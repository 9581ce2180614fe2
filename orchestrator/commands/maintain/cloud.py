"""``cloud``: the engine of mode cloud, looked at."""

from __future__ import annotations

import asyncio

from orchestrator.base.errors import EXIT_DONE, EXIT_GATE, UsageError
from orchestrator.base.quoting import shown
from orchestrator.base.text.safe_text import safe_text
from orchestrator.cloud.connect import hint_for, probe, require_distributed
from orchestrator.cloud.engine_survey import Clock, Engine, engine_of
from orchestrator.cloud.hub_client import hub_state
from orchestrator.cloud.protocol import fitting_label
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.run.prepared_run import check_format
from orchestrator.config.cloud_policy import CloudPolicy, read_cloud_policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def cloud(
    context: Context,
    *,
    words: tuple[str, ...] = (),
    format: str = "text",  # noqa: A002 -- the option's name
) -> Answer:
    """Report the engine's state (``check``); exit code 4 when something there is not as a run needs it.

    Raises UsageError without ``[cloud]``, with a bad value in it, and where the extra is not installed.
    """
    check_format(format, ("text", "json"))
    if words != ("check",):
        given = f"not {shown(' '.join(words))}" if words else "and what to do is missing"
        raise UsageError(f"'cloud' takes the word 'check', {given}", hint="codex-orchestrator cloud check")
    policy = read_cloud_policy(context.workspace().root, context.environ)
    require_distributed()
    document: dict[str, Any] = {"scheduler": policy.scheduler, "ok": False, "reachable": False, "problems": []}
    document.update(certificate=None, clock=None, label=None, hub=None, workers=[])
    found = probe(policy)
    if found is not None:
        document["certificate"] = {"wrong-ca": "wrong-ca", "certificate-refused": "refused"}.get(found.reason)
        document["problems"] = [{"code": found.reason, "message": found.text, "hint": hint_for(found)}]
        return Answer(EXIT_GATE, document, _text(document))
    document.update(reachable=True, certificate="accepted" if policy.is_encrypted else None, label=fitting_label())
    try:
        engine = engine_of(policy)
    except (OSError, TimeoutError) as error:
        reason = (str(error).splitlines() or ["no reason given"])[0]
        text = f"{policy.scheduler} greets and does not answer: {reason}"
        document["problems"] = [{"code": "no-answer", "message": text, "hint": "see the scheduler's own log"}]
        return Answer(EXIT_GATE, document, _text(document))
    document["clock"] = None if engine.clock is None else engine.clock._asdict()
    document["workers"] = [
        {**worker._asdict(), "clock": None if worker.clock is None else worker.clock._asdict()}
        for worker in engine.workers
    ]
    document["problems"] = [*_hub_problems(policy, document), *_problems(policy, engine, fitting_label())]
    document["ok"] = not document["problems"]
    return Answer(EXIT_DONE if document["ok"] else EXIT_GATE, document, _text(document))


def _hub_problems(policy: CloudPolicy, document: dict[str, Any]) -> list[dict[str, str]]:
    """Return why no run could be given to the hub; what it says of its disk comes into the document."""
    try:
        state = asyncio.run(hub_state(policy))
    except UsageError as error:
        return [{"code": "no-hub", "message": error.message, "hint": error.hint}]
    document["hub"] = {key: state[key] for key in ("version", "free_bytes", "worker_ttl")}
    ttl = state["worker_ttl"]
    if ttl is not None and policy.lease >= ttl:
        text = f"[cloud] lease is {policy.lease:g} s, and the scheduler gives workers up after {ttl:g} s"
        return [{"code": "lease", "message": text, "hint": "make the lease shorter than the scheduler's worker-ttl"}]
    return []


def _problems(policy: CloudPolicy, engine: Engine, label: str) -> list[dict[str, str]]:
    found = []
    if not any(worker.label for worker in engine.workers):
        text = f"no worker takes runs of this version and Python ({label}); {len(engine.workers)} connected"
        hint = "dask worker --preload orchestrator.cloud.agent, with the same version of Python and codex-orchestrator"
        found.append({"code": "no-worker", "message": text, "hint": hint})
    clocks = [("the scheduler", engine.clock), *((f"worker {worker.name}", worker.clock) for worker in engine.workers)]
    for who, clock in clocks:
        if clock is None:
            found.append({"code": "no-answer", "message": f"{who} does not answer", "hint": "see its own log"})
        elif _is_off(clock, policy.lease):
            text = f"the clock of {who} is {clock.offset_seconds:+.1f} s off (±{clock.uncertainty_seconds:.1f} s)"
            found.append({"code": "clock", "message": text, "hint": "set both clocks by NTP"})
    return found


def _is_off(clock: Clock, lease: float) -> bool:
    return abs(clock.offset_seconds) > max(clock.uncertainty_seconds, lease)


def _text(document: dict[str, Any]) -> str:
    lines = [f"scheduler: {document['scheduler']}: {'reachable' if document['reachable'] else 'not reachable'}"]
    if document["certificate"]:
        lines.append(f"certificate: {document['certificate']}")
    if document["hub"]:
        hub = document["hub"]
        lines.append(
            f"hub: {hub['version']}, {hub['free_bytes'] / 2**30:.1f} GiB free, worker-ttl {hub['worker_ttl']} s"
        )
    for worker in document["workers"]:
        free = "disk unknown" if worker["free_bytes"] is None else f"{worker['free_bytes'] / 2**30:.1f} GiB free"
        version, python = worker["version"] or "version unknown", worker["python"] or "unknown"
        state = "fits" if worker["label"] else "does not fit"
        lines.append(f"worker {worker['name']}: {state}: {version}, Python {python}, {worker['slots']} slots, {free}")
    for problem in document["problems"]:
        lines += [f"problem: {problem['message']} ({problem['code']})", f"  hint: {problem['hint']}"]
    lines.append("The scheduler answers, and a worker fits." if document["ok"] else "No run can go there as it is.")
    return safe_text("\n".join(lines) + "\n", lines=True)
