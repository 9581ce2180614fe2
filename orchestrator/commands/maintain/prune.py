"""``prune``: runs that nobody asks for any more go, and the chain says so."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping

from orchestrator.base.clock import stamp
from orchestrator.base.errors import EXIT_DONE, EXIT_USAGE, UsageError
from orchestrator.base.garbage_collector import collector_off
from orchestrator.base.identifiers import check_name, near_hint
from orchestrator.base.quoting import shown
from orchestrator.base.text.appearance import is_terminal
from orchestrator.commands.context import Answer, Context
from orchestrator.commands.maintain.acknowledge import acknowledge as acknowledged
from orchestrator.commands.maintain.run_survey import Survey, Surveyed, survey
from orchestrator.commands.run.ended_run import with_delivery
from orchestrator.commands.run.prepared_run import check_format
from orchestrator.commands.run.requests import actor_of
from orchestrator.config.project_names import project_names
from orchestrator.config.prune_policy import project_rules, workspace_rules
from orchestrator.config.quantities import retention
from orchestrator.config.source import source_of
from orchestrator.model.manifest.transitions import interrupted
from orchestrator.model.retention import LEAST_KEPT, Decided, RetentionRules, decide
from orchestrator.report.prune_text import prune_text, question
from orchestrator.store.claim_order import forget_claims
from orchestrator.store.find import task_ids
from orchestrator.store.prune import Terms, prune_runs, refuse_clock, remove_again
from orchestrator.store.recovery import recover_task
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, TextIO

    Level = Literal["record", "logs"]

_MEANWHILE = "something happened to it meanwhile"


@collector_off()
def prune(
    context: Context,
    *,
    task: str | None = None,
    project: str | None = None,
    keep_last: int | None = None,
    keep_within: str | None = None,
    keep_failed: str | None = None,
    logs_only: bool = False,
    acknowledge: str | None = None,
    dry_run: bool = False,
    yes: bool = False,
    actor: str | None = None,
    reason: str | None = None,
    format: str = "text",  # noqa: A002 -- the option's name
) -> Answer:
    """Remove runs that no rule keeps (docs/retention.md), and return what went and why the rest is kept.

    ``acknowledge`` names a run that was removed by hand. Raises UsageError, also where nobody agreed, Refused,
    NotFound, StorageError.
    """
    check_format(format, ("text", "json"))
    asked = sys.stdin
    may_ask = is_terminal(asked) and is_terminal(context.stderr)
    store = context.store()
    who = actor_of(context.environ, actor)
    if acknowledge is not None:
        given = (task, project, keep_last, keep_within, keep_failed, logs_only or None, dry_run or None)
        if any(option is not None for option in given):
            raise UsageError("--acknowledge goes with --reason, --actor and --yes only", code="bad-options")
        agrees = (lambda text: True) if yes else _asker(context, asked) if may_ask else None
        return acknowledged(store, acknowledge, who, reason, agrees)
    overrides = _overrides(keep_last, keep_within, keep_failed)
    rules = _rules(store, overrides)
    _check_names(store, task, project)
    if not (yes or dry_run or may_ask):
        raise UsageError(
            "there is no terminal to ask at, and nobody agreed",
            hint="agree with --yes, as a cron job does; --dry-run only looks",
            code="unasked",
        )
    if not dry_run:
        for task_id in task_ids(store) if task is None else [task]:
            recover_task(store, task_id, interrupted)
    with context.progress("prune: runs looked at", format) as bar:
        seen = survey(store, context.environ, bar.at)
    decided = decide((run.facts for run in seen.runs), rules, context.clock.now(), logs_only=logs_only)
    work = _Work(seen, decided, lambda run: task in (None, run.task_id) and project in (None, run.project))
    document = work.document(dry_run=True)
    if not dry_run and (work.count or seen.came_back):
        if not yes and not _asker(context, asked)(question(document, stamp(context.clock.now()))):
            error = {"code": "declined", "message": "Nothing was pruned: it was declined.", "hint": "--yes"}
            return Answer(EXIT_USAGE, {**document, "error": error}, f"{error['message']}\n")
        with context.progress("prune: removed", format, work.count) as bar:
            _carry_out(store, work, Terms(who, reason, {}), rules, bar.tick)
    document = work.document(dry_run=dry_run)
    return with_delivery(context, store, Answer(EXIT_DONE, document, prune_text(document)))


class _Work:
    """What is to be done to the runs that were asked for, and what became of it."""

    def __init__(self, seen: Survey, decided: Decided, is_asked: Callable[[Any], bool]) -> None:
        self.runs = {run.facts.run_id: run for run in seen.runs if is_asked(run.facts)}
        self.came_back, self._pruned_before = seen.came_back, seen.pruned
        self._kept = {run_id: "; ".join(why) for run_id, why in decided.kept.items() if run_id in self.runs}
        self._goes: dict[Level, set[str]] = {
            "record": {run_id for run_id in decided.records if run_id in self.runs},
            "logs": {run_id for run_id in decided.logs if run_id in self.runs},
        }

    @property
    def count(self) -> int:
        """How much is to go: records, and logs of other runs."""
        return sum(map(len, self._goes.values()))

    def by_task(self, level: Level) -> dict[str, list[Surveyed]]:
        """Return the runs that are to go at a level, by task, oldest first."""
        found: dict[str, list[Surveyed]] = {}
        for run_id in sorted(self._goes[level]):
            run = self.runs[run_id]
            found.setdefault(run.facts.task_id, []).append(run)
        return found

    def pruned(self) -> frozenset[str]:
        """Return the runs whose records were pruned, now or before."""
        return frozenset(self._goes["record"] | self._pruned_before)

    def keep(self, level: Level, run_ids: Iterable[str]) -> None:
        """Note that something happened to runs that were to go."""
        for run_id in run_ids:
            self._goes[level].discard(run_id)
            self._kept[run_id] = _MEANWHILE

    def document(self, *, dry_run: bool) -> dict[str, Any]:
        """Return the document of what goes, or went, and of what is kept."""
        records, logs = sorted(self._goes["record"]), sorted(self._goes["logs"])
        gone = sum(self.runs[run_id].bytes for run_id in records) + sum(self.runs[run_id].log_bytes for run_id in logs)
        return {
            "dry_run": dry_run,
            "pruned": [self._entry(run_id, self.runs[run_id].bytes) for run_id in records],
            "logs_pruned": [self._entry(run_id, self.runs[run_id].log_bytes) for run_id in logs],
            "kept": [
                {**self._entry(run_id, self.runs[run_id].bytes), "why": why}
                for run_id, why in sorted(self._kept.items())
            ],
            "bytes": gone,
        }

    def _entry(self, run_id: str, size: int) -> dict[str, Any]:
        return {"run_id": run_id, "task_id": self.runs[run_id].facts.task_id, "bytes": size}


def _carry_out(
    store: RunStore,
    work: _Work,
    terms: Terms,
    rules: Callable[[str], RetentionRules],
    removed: Callable[[int], None],
) -> None:
    """Prune task by task; before the first, every clock is looked at. ``removed`` is called for each run."""
    levels: tuple[Level, ...] = ("record", "logs")
    for task_id in sorted({task for level in levels for task in work.by_task(level)}):
        with store.task(task_id) as folder:
            refuse_clock(store, folder)
    for task_id, back in work.came_back.items():
        remove_again(store, task_id, back)
    for level in levels:
        for task_id, runs in work.by_task(level).items():
            chosen = [run.chosen for run in runs if run.chosen is not None]
            projects = sorted({run.facts.project for run in runs})
            said = terms._replace(rules={project: rules_json(rules(project)) for project in projects})
            gone = prune_runs(store, task_id, level, chosen, said, removed)
            work.keep(level, [run.facts.run_id for run in runs if run.facts.run_id not in gone])
    forget_claims(store, work.pruned())


def rules_json(rules: RetentionRules) -> dict[str, int]:
    """Return rules as a chain's line has them, in whole seconds."""
    spans = {key: int(getattr(rules, key)) for key in ("keep_within", "keep_failed", "logs_within")}
    return {"keep_last": rules.keep_last, **spans}


def _asker(context: Context, stdin: TextIO) -> Callable[[str], bool]:
    def ask(text: str) -> bool:
        context.stderr.write(text)
        context.stderr.flush()
        return stdin.readline().strip().lower() in ("y", "yes")

    return ask


def _overrides(keep_last: int | None, keep_within: str | None, keep_failed: str | None) -> Mapping[str, Any]:
    """Return what the options say in place of the config. Raises UsageError."""
    found: dict[str, Any] = {}
    if keep_last is not None:
        if keep_last < LEAST_KEPT:
            raise UsageError(
                f"--keep-last is {keep_last}, and the last {LEAST_KEPT} runs always stay: state.json lists them",
                hint=f"--keep-last {LEAST_KEPT}",
                code="keep-last",
            )
        found["keep_last"] = keep_last
    for key, given in (("keep_within", keep_within), ("keep_failed", keep_failed)):
        if given is not None:
            flag = f"--{key.replace('_', '-')}"
            try:
                found[key] = retention(given)
            except ValueError as error:
                raise UsageError(f"{flag} {error}, not {shown(given)}", hint=f"{flag} 90d", code="bad-period") from None
    return found


def _rules(store: RunStore, overrides: Mapping[str, Any]) -> Callable[[str], RetentionRules]:
    """Return the rules of any project: options, then its config, then the workspace's. Raises ConfigError."""
    root = store.workspace.root
    general = workspace_rules(root)
    names = project_names(root)
    own = {name: project_rules(general, source_of(root, name).table, f"{name}.toml") for name in names}
    return lambda project: own.get(project, general)._replace(**overrides)


def _check_names(store: RunStore, task: str | None, project: str | None) -> None:
    if task is not None:
        check_name("task", task)
        known = task_ids(store)
        if task not in known:
            raise UsageError(
                f"task '{task}' has no runs in this workspace", hint=near_hint(task, known), code="unknown-task"
            )
    if project is not None:
        names = project_names(store.workspace.root)
        if check_name("project", project, names) not in names:
            raise UsageError(f"there is no project '{project}'", hint=near_hint(project, names), code="unknown-project")
