"""Which projects are selected, and why: a pure function of the options, the configs, the change and the records."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from orchestrator.base.errors import UsageError
from orchestrator.base.identifiers import near_hint
from orchestrator.base.quoting import shown
from orchestrator.base.record import Record
from orchestrator.config.fleet.affected import Change, affected, with_dependents
from orchestrator.config.fleet.members import Member, Members
from orchestrator.config.fleet.options import SelectionOptions, check_options, listed, parsed_shard
from orchestrator.config.project_names import BRING_IN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Base(Record):
    """What the workspace was compared with: the commit as it was named, the one where HEAD left it, what differs."""

    named: str
    merge_base: str | None
    change: Change
    notes: tuple[str, ...] = ()
    by_project: Mapping[str, tuple[str, ...]] | None = None
    """Of ``last-success``: why each affected project is, as each has a base of its own."""


class Selected(Record):
    """A project of the selection, and why it is one."""

    project: str
    reasons: tuple[str, ...]


class Selection(Record):
    """The selected projects, by name, and those that were left out, each with why."""

    by: Mapping[str, Any]
    projects: tuple[Selected, ...]
    left_out: tuple[Selected, ...] = ()
    base: Base | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the selected projects."""
        return tuple(entry.project for entry in self.projects)

    def as_json(self) -> dict[str, Any]:
        """Return the selection as ``plan`` and the record show it; no more than 200 changed files are named."""
        base = self.base
        return {
            "by": dict(self.by),
            "base": None if base is None else base.named,
            "merge_base": None if base is None else base.merge_base,
            "files": [] if base is None else list(base.change.files[:200]),
            "projects": [{"project": one.project, "reasons": list(one.reasons)} for one in self.projects],
            "left_out": [{"project": one.project, "reason": "; ".join(one.reasons)} for one in self.left_out],
            "notes": [] if base is None else list(base.notes),
        }

    def as_empty_answer(self) -> dict[str, Any]:
        """Return what ``start`` and ``plan`` answer where nothing is selected: there is no run, and nothing to do."""
        return {"run_id": None, "selection": self.as_json(), "next_command": None, "next_argv": None}


class Sources(Record):
    """What only some selections ask: the change since a base, and which projects failed, each with how."""

    change: Callable[[], Base]
    failed: Callable[[], Mapping[str, str]]


def select(
    options: SelectionOptions, members: Members, pipeline: str, shared: tuple[str, ...], sources: Sources
) -> Selection:
    """Return the projects that ``options`` select of ``members`` for ``pipeline``.

    Raises UsageError for options that make no sense, unknown names, a file of configs that can be no project's, and
    where nothing is selected before what changed, what failed and the shard narrow it.
    """
    check_options(options)
    projects = members.projects
    excluded = () if options.exclude is None else _known(listed("exclude", options.exclude), projects)
    named = None if options.projects is None else _known(listed("projects", options.projects), projects)
    _check_words("owner", options.owners, (member.owners for member in projects.values()))
    _check_words("tag", options.tags, (member.tags for member in projects.values()))
    if members.misnamed and (named is None or options.affected):
        raise UsageError(
            "\n".join(members.misnamed), hint="rename the file, or name the projects", code="bad-project-id"
        )
    reasons = {
        name: why
        for name, member in projects.items()
        if name not in excluded and (why := _why(options, member, named)) is not None
    }
    reasons, left_out = _with_pipeline(reasons, members, pipeline, named)
    if not reasons:
        raise UsageError(
            "nothing is selected: "
            + ("no project has all that was asked for" if projects else "there is no project in this workspace"),
            hint="codex-orchestrator projects" if projects else BRING_IN,
            code="nothing-selected",
        )
    base = sources.change() if options.affected else None
    if base is not None:
        touched = _touched(options, projects, base, shared)
        reasons = {name: (*why, *touched[name]) for name, why in reasons.items() if name in touched}
    if options.failed:
        failed = sources.failed()
        reasons = {name: (*why, failed[name]) for name, why in reasons.items() if name in failed}
    names = sorted(reasons)
    if options.shard is not None:
        part, parts = parsed_shard(options.shard)
        names = names[part - 1 :: parts]
    chosen = tuple(Selected(name, reasons[name] or ("--all",)) for name in names)
    return Selection(options.by(), chosen, left_out, base)


def shards(names: Iterable[str], parts: int) -> list[tuple[int, list[str]]]:
    """Return the parts of a selection that hold something, each with its number from 1."""
    ordered = sorted(names)
    found = [(part, ordered[part - 1 :: parts]) for part in range(1, parts + 1)]
    return [(part, names) for part, names in found if names]


def _known(names: Collection[str], projects: Mapping[str, Member]) -> Collection[str]:
    for name in names:
        if name not in projects:
            raise UsageError(
                f"there is no project {shown(name)}", hint=near_hint(name, projects), code="unknown-project"
            )
    return names


def _check_words(kind: str, asked: Iterable[str], known: Iterable[tuple[str, ...]]) -> None:
    every = {word for words in known for word in words}
    for word in asked:
        if word not in every:
            hint = near_hint(word, every) or f"no project has a {kind} yet"
            raise UsageError(f"no project has the {kind} {shown(word)}", hint=hint, code=f"unknown-{kind}")


def _why(options: SelectionOptions, member: Member, named: Collection[str] | None) -> tuple[str, ...] | None:
    """Return why a project is selected by name, owner and tag; None where it is not.

    Of a config that can't be parsed nobody knows owner and tags: it is never left out for that.
    """
    if named is not None and member.name not in named:
        return None
    why = () if named is None else ("--projects",)
    for flag, asked, own in (("--owner", options.owners, member.owners), ("--tag", options.tags, member.tags)):
        if asked and member.path is None and not own:
            why = (*why, f"{flag} is not known of it, as its config can't be read")
        elif asked:
            common = [word for word in asked if word in own]
            if not common:
                return None
            why = (*why, f"{flag} {', '.join(common)}")
    return why


def _with_pipeline(
    reasons: Mapping[str, tuple[str, ...]], members: Members, pipeline: str, named: Collection[str] | None
) -> tuple[dict[str, tuple[str, ...]], tuple[Selected, ...]]:
    """Return the projects that have the pipeline, or whose config is broken, and the others as left out.

    A config without any pipeline is broken too: an empty file, for one, or one that was cut off.
    """
    projects = members.projects
    lacking = [name for name in reasons if projects[name].pipelines and pipeline not in projects[name].pipelines]
    every = {known for member in projects.values() for known in member.pipelines}
    if lacking and pipeline not in every:
        raise UsageError(
            f"no project has a pipeline {shown(pipeline)}", hint=near_hint(pipeline, every), code="unknown-pipeline"
        )
    if lacking and named is not None:
        raise UsageError(
            f"{', '.join(map(shown, lacking))}: no pipeline {shown(pipeline)}",
            hint=near_hint(pipeline, projects[lacking[0]].pipelines),
            code="unknown-pipeline",
        )
    left = tuple(Selected(name, (f"it has no pipeline '{pipeline}'",)) for name in lacking)
    return {name: why for name, why in reasons.items() if name not in lacking}, left


def _touched(
    options: SelectionOptions, projects: Mapping[str, Member], base: Base, shared: tuple[str, ...]
) -> Mapping[str, tuple[str, ...]]:
    dependents = not options.no_dependents
    if base.by_project is None:
        return affected(projects, base.change, shared, dependents=dependents)
    return with_dependents(projects, base.by_project) if dependents else base.by_project
