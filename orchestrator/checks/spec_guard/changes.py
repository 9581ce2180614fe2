"""Did code change without its spec? Commits since the base, and what is not yet committed, count."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.base.finding import Finding
from orchestrator.checks.spec_guard.bases import Asked, Base, asked, find_base, is_commit
from orchestrator.checks.spec_guard.code import Specs, below, code_in
from orchestrator.checks.spec_guard.repository import Git, GitIn, GitReply
from orchestrator.checks.spec_guard.values import SPEC_FOLDER, TASK_INDEX, Question, Report, noted, printable
from orchestrator.git.porcelain import DIFF

_LISTED = 10
_NAMES = (*DIFF, "--name-only", "--ignore-submodules=untracked")
_REMEDY = f"a change of code goes with one in {SPEC_FOLDER}/ or {TASK_INDEX}"


@dataclass(frozen=True, slots=True)
class _Repository:
    """A working tree: its ``top`` with links followed, and git there."""

    top: str
    git: Git


@dataclass(frozen=True, slots=True)
class _Changed:
    """Absolute paths of files that differ from the base; ``nested``: untracked repositories in their place."""

    tracked: frozenset[str]
    untracked: frozenset[str]
    nested: frozenset[str]

    @property
    def paths(self) -> list[str]:
        return sorted(self.tracked | self.untracked)


class _UntoldError(Exception):
    """The comparison ends here, with a report."""

    def __init__(self, report: Report) -> None:
        self.report = report


def compare(question: Question, git_in: GitIn, *, has_specs: bool = True) -> Report:
    """Return what the change since the base says about one project.

    The project may lie in a repository of its own, or be a submodule: then its code is compared there, and
    specs in the workspace's. ``has_specs``: the workspace has specs; where it never had, nothing is compared.
    """
    try:
        return _compare(question, git_in, has_specs=has_specs)
    except _UntoldError as end:
        return end.report


def _compare(question: Question, git_in: GitIn, *, has_specs: bool) -> Report:
    root, folder = os.path.realpath(question.root), question.folder
    ours = _repository(git_in, root, ".")
    theirs = _repository(git_in, _existing(folder), question.shown)
    if theirs is None:
        where = "the workspace" if ours is None and below(folder, root) else f"'{question.shown}'"
        raise _UntoldError(noted(f"{where} is not a git repository: code changes were not compared"))
    wanted, notes = asked(question.named_base, question.policy.base)
    if ours is not None and ours.top == theirs.top:
        base = _checked(question, find_base(ours.git, _committed(ours, wanted)), notes)
        changed = _changed(question, ours, str(base.commit))
        notes = (*notes, *base.notes, *_ignored(question, ours))
        return _judged(question, changed, changed, base, notes, has_specs=has_specs)
    if ours is None:
        text = f"'{question.shown}' is in a git repository and the workspace is not"
        raise _UntoldError(noted(f"{text}: code changes were not compared with those of specs"))
    return _compare_two(question, ours, theirs, wanted, notes, has_specs=has_specs)


def _compare_two(
    question: Question,
    ours: _Repository,
    theirs: _Repository,
    wanted: Asked,
    notes: tuple[str, ...],
    *,
    has_specs: bool,
) -> Report:
    """Compare code in the project's repository and specs in the workspace's; a named base is a commit of either."""
    wanted_here, wanted_there = (_committed(one, wanted, among=(ours, theirs)) for one in (ours, theirs))
    spec_base = _checked(question, find_base(ours.git, wanted_here), notes)
    code_base = _submodule_base(ours, theirs, str(spec_base.commit))
    if code_base is None:
        code_base = find_base(theirs.git, wanted_there)
    code_base = _checked(question, code_base, notes)
    code = _changed(question, theirs, str(code_base.commit))
    specs = _changed(question, ours, str(spec_base.commit))
    text = f"'{question.shown}' is in a repository of its own: code was compared there"
    told = (*notes, f"{text}, specs with {str(spec_base.commit)[:12]} here", *code_base.notes, *spec_base.notes)
    return _judged(question, code, specs, code_base, tuple(dict.fromkeys(told)), has_specs=has_specs)


def _committed(repository: _Repository, wanted: Asked, among: Iterable[_Repository] = ()) -> Asked:
    """Return what is asked for in a repository; a base that is another repository's is not asked for in this one.

    Ends the comparison, with a note, where a repository has no commit yet.
    """
    if repository.git(["rev-parse", "--verify", "--quiet", "HEAD"]).code != 0:
        raise _UntoldError(noted("the git repository has no commit yet: there is nothing to compare with"))
    others = [one for one in among if one.top != repository.top]
    if wanted.reference and not is_commit(repository.git, wanted.reference):
        return Asked() if any(is_commit(one.git, wanted.reference) for one in others) else wanted
    return wanted


def _checked(question: Question, base: Base, notes: tuple[str, ...]) -> Base:
    if base.commit is None:
        finding = Finding(base.rule, question.shown, base.problem)
        raise _UntoldError(Report((finding,), (*notes, *base.notes), None))
    return base


def _repository(git_in: GitIn, folder: str, shown: str) -> _Repository | None:
    """Return the repository that holds a folder, None when it is in none; one that git refuses ends it."""
    git = git_in(folder)
    answer = git(["rev-parse", "--show-toplevel"])
    if answer.code == 0:
        return _Repository(os.path.realpath(answer.stdout.rstrip("\n")), git)
    above = folder
    while not os.path.lexists(os.path.join(above, ".git")):
        parent = os.path.dirname(above)
        if parent == above:
            return None
        above = parent
    raise _UntoldError(_git_failed(shown, answer))


def _existing(folder: str) -> str:
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return folder


def _submodule_base(ours: _Repository, theirs: _Repository, spec_base: str) -> Base | None:
    """Return the commit of a submodule that the workspace's base recorded; None when it is no submodule."""
    path = below(theirs.top, ours.top)
    if path is None:
        return None
    staged = ours.git(["ls-files", "--stage", "--full-name", "-z", "--", f":(top,literal){path}"])
    recorded = ours.git(["ls-tree", "--full-tree", "-z", spec_base, "--", path])
    gitlink = "160000 commit "
    if not recorded.stdout.startswith(gitlink):
        if not staged.stdout.startswith("160000 "):
            return None
        empty = theirs.git(["hash-object", "-t", "tree", "--stdin"]).stdout.strip()
        return Base(empty, notes=(f"the submodule '{printable(path)}' is new since the base",))
    commit = recorded.stdout.removeprefix(gitlink).split("\t")[0]
    if not is_commit(theirs.git, commit):
        text = f"the submodule '{printable(path)}' lacks {commit[:12]}, which the base records of it: fetch its history"
        return Base(None, "base-unknown", text)
    return Base(commit)


def _changed(question: Question, repository: _Repository, base: str) -> _Changed:
    """Return the files that differ from ``base`` on disk; git's failure ends the comparison."""
    tracked = repository.git([*_NAMES, base, "--"])
    untracked = repository.git(["ls-files", "--others", "--exclude-standard", "--full-name", "-z", "--", ":/"])
    for answer in (tracked, untracked):
        if answer.code != 0:
            raise _UntoldError(_git_failed(question.shown, answer))
    named = frozenset(_names(tracked))
    try:
        unseen = repository.git.unseen(question.folder, named)
    except OSError as error:
        raise _UntoldError(_git_failed(question.shown, GitReply(None, "", str(error)))) from error
    filtered = unseen.same | unseen.unknown
    if filtered:
        # What was committed since the base differs whatever a filter makes of it.
        filtered -= frozenset(_names(repository.git([*_NAMES, base, "HEAD", "--"])))
    others = _names(untracked)
    nested = frozenset(os.path.join(repository.top, name).rstrip("/") for name in others if name.endswith("/"))
    return _Changed(
        frozenset(os.path.join(repository.top, name) for name in (named - filtered) | unseen.hidden),
        frozenset(os.path.join(repository.top, name) for name in others if not name.endswith("/")),
        nested,
    )


def _ignored(question: Question, repository: _Repository) -> tuple[str, ...]:
    """Return a note when git doesn't look at the project at all: then nothing there ever changes for it."""
    if question.folder == repository.top or repository.git(["check-ignore", "--quiet", "--", question.folder]).code:
        return ()
    return (f"git ignores '{question.shown}': what changes there is not seen",)


def _names(answer: GitReply) -> list[str]:
    return [name for name in answer.stdout.split("\0") if name]


def _judged(
    question: Question, code: _Changed, specs: _Changed, base: Base, notes: tuple[str, ...], *, has_specs: bool
) -> Report:
    specs_named = Specs(question)
    touched = [path for path in {*specs.paths, *code.paths} if specs_named.names(path)]
    if not has_specs and not touched:
        return Report((), notes, base.commit)
    found = sorted(code_in(question, code.tracked, code.untracked))
    unseen = sorted(path for path in code.nested if below(path, question.folder) not in (None, "."))
    for path in unseen:
        inner = printable(os.path.relpath(path, question.folder))
        notes = (*notes, f"'{inner}' is a repository that nothing here tracks: it was not compared")
    # A spec that was deleted describes nothing, so that its removal is no change of the spec.
    if not found or any(os.path.isfile(path) for path in touched):
        return Report((), notes, base.commit)
    return Report((_without_spec(question, found),), notes, base.commit)


def _without_spec(question: Question, code: list[str]) -> Finding:
    listed = ", ".join(map(printable, code[:_LISTED]))
    more = f" and {len(code) - _LISTED} more" if len(code) > _LISTED else ""
    files = tuple(os.path.normpath(os.path.join(question.shown, name)) for name in code[:_LISTED])
    message = f"code changed and no spec did: {listed}{more}"
    named = ", ".join(question.policy.specs)
    is_default = set(question.policy.specs) == {f"{SPEC_FOLDER}/**", TASK_INDEX}
    hint = _REMEDY if is_default else f"a change of code goes with one in {printable(named)}"
    return Finding("code-without-spec", question.shown, message, hint=hint, files=files)


def _git_failed(path: str, answer: GitReply) -> Report:
    said = answer.stderr.strip().splitlines()
    message = f"git can't say what changed: {printable(said[0]) if said else f'exit code {answer.code}'}"
    return Report((Finding("git-failed", path, message),), (), None)
