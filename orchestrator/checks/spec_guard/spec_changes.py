"""Did code change without its spec? Commits since the base, and what is not yet committed, count."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.base.build_artifacts import is_build_artifact
from orchestrator.base.finding import Finding
from orchestrator.base.quoting import printable
from orchestrator.checks.spec_guard.bases import (
    Base,
    NamedBase,
    as_of,
    default_branch,
    find_base,
    head_of,
    is_commit,
    named_base,
)
from orchestrator.checks.spec_guard.changed_files import GitFailedError, changed_files, names_of
from orchestrator.checks.spec_guard.code import Specs, below, code_in
from orchestrator.checks.spec_guard.repository import Git, GitIn, GitReply
from orchestrator.checks.spec_guard.spec_age import own_specs
from orchestrator.checks.spec_guard.values import (
    SPEC_FOLDER,
    Compared,
    Question,
    Report,
    uncompared,
)
from orchestrator.config.spec_guard_policy import SpecGuardPolicy
from orchestrator.git.ownership import remedy

_LISTED = 10


@dataclass(frozen=True, slots=True)
class _Repository:
    """A working tree: its ``top`` with links followed, and git there."""

    top: str
    git: Git


@dataclass(frozen=True, slots=True)
class _Changed:
    """Absolute paths of files that differ from ``base``; ``nested``: untracked repositories in their place."""

    tracked: frozenset[str]
    untracked: frozenset[str]
    nested: frozenset[str]
    repository: _Repository
    base: str

    @property
    def paths(self) -> list[str]:
        return sorted(self.tracked | self.untracked)

    def has_new_words(self, path: str) -> bool:
        """Tell whether a file is there and says something else than at the base: its mode and blanks say nothing."""
        if not os.path.isfile(path):
            return False
        inside = os.path.relpath(path, self.repository.top)
        then = self.repository.git(["cat-file", "blob", f"{self.base}:{inside}"])
        if then.code != 0:
            return True
        with open(path, "rb") as file:
            return os.fsdecode(file.read()).split() != then.stdout.split()


class _UntoldError(Exception):
    """The comparison ends here, with a report."""

    def __init__(self, report: Report) -> None:
        self.report = report


def compare(question: Question, git_in: GitIn, specs: Specs) -> Report:
    """Return what the change since the base says about one project, whose ``specs`` answer for its code.

    The project may lie in a repository of its own, or be a submodule: then its code is compared there, and
    specs in the workspace's.
    """
    try:
        return _compare(question, git_in, specs)
    except _UntoldError as end:
        return end.report


def _compare(question: Question, git_in: GitIn, specs: Specs) -> Report:
    root, folder = os.path.realpath(question.root), question.folder
    ours = _repository(git_in, root, ".")
    theirs = _repository(git_in, _existing(folder), question.shown)
    if theirs is None:
        where = "the workspace" if ours is None and below(folder, root) else f"'{question.shown}'"
        raise _UntoldError(uncompared(f"{where} is not a git repository: code changes were not compared"))
    wanted, notes = named_base(question.named_base, question.policy.base, question.named_by)
    if ours is not None and ours.top == theirs.top:
        base = find_base(
            ours.git,
            _committed(ours, wanted),
            lambda: _is_clean(question, ours),
            default_branch(ours.git, question.default_then.partition(" ")[0]),
        )
        changed = _changed(question, ours, str(_checked(question, base, notes).commit))
        return _judged(question, specs, theirs, changed, changed, base, (*notes, *base.notes))
    if ours is None:
        text = f"'{question.shown}' is in a git repository and the workspace is not"
        raise _UntoldError(uncompared(f"{text}: code changes were not compared with those of specs"))
    return _compare_two(question, specs, ours, theirs, wanted, notes)


def _compare_two(
    question: Question,
    specs: Specs,
    ours: _Repository,
    theirs: _Repository,
    wanted: NamedBase,
    notes: tuple[str, ...],
) -> Report:
    """Compare code in the project's repository and specs in the workspace's; a named base is a commit of either."""

    def is_clean() -> bool:
        return _is_clean(question, theirs)

    wanted_here, wanted_there = (_committed(one, wanted, among=(ours, theirs)) for one in (ours, theirs))
    here_then, _, there_then = question.default_then.partition(" ")
    spec_base = find_base(ours.git, wanted_here, is_clean, default_branch(ours.git, here_then))
    spec_base = _checked(question, spec_base, notes)
    if spec_base.is_root:
        # A spec that was there from the first commit on says nothing of a change in another repository.
        spec_base = Base(head_of(ours.git), notes=spec_base.notes)
    code_base = _submodule_base(ours, theirs, str(spec_base.commit))
    if code_base is None:
        code_base = find_base(theirs.git, wanted_there, is_clean, default_branch(theirs.git, there_then))
    code_base = _checked(question, code_base, notes)
    code = _changed(question, theirs, str(code_base.commit))
    changed_specs = _changed(question, ours, str(spec_base.commit))
    text = f"'{question.shown}' is in a repository of its own: code was compared there"
    known = (*notes, f"{text}, specs with {str(spec_base.commit)[:12]} here", *code_base.notes, *spec_base.notes)
    found = _judged(question, specs, theirs, code, changed_specs, code_base, tuple(dict.fromkeys(known)))
    if not found.findings or not code_base.is_parent or wanted.reference:
        return found
    # Nothing ties the last commits of two repositories to each other: a spec that changed after the code did counts.
    then = as_of(ours.git, theirs.git)
    if then is None:
        return found
    changed_specs = _changed(question, ours, then)
    known = (*known, "specs count that changed after the code's last commit")
    return _judged(question, specs, theirs, code, changed_specs, code_base, tuple(dict.fromkeys(known)))


def _is_clean(question: Question, repository: _Repository) -> bool:
    """Tell whether no file of the project differs from HEAD; what tools and builds leave behind is none."""
    changed = _changed(question, repository, "HEAD")
    records = [os.path.realpath(place) for place in question.records]
    for path in {*changed.tracked, *changed.untracked, *changed.nested}:
        inside = below(path, question.folder)
        if inside is None or any(below(path, place) is not None for place in records):
            continue
        if path in changed.tracked or not is_build_artifact(os.fsencode(inside)):
            return False
    return True


def _committed(repository: _Repository, wanted: NamedBase, among: Iterable[_Repository] = ()) -> NamedBase:
    """Return what is asked for in a repository; a base that is another repository's is not asked for in this one.

    Ends the comparison where a repository has no commit yet.
    """
    if repository.git(["rev-parse", "--verify", "--quiet", "HEAD"]).code != 0:
        raise _UntoldError(uncompared("the git repository has no commit yet: there is nothing to compare with"))
    others = [one for one in among if one.top != repository.top]
    if wanted.reference and not is_commit(repository.git, wanted.reference):
        return NamedBase() if any(is_commit(one.git, wanted.reference) for one in others) else wanted
    return wanted


def _checked(question: Question, base: Base, notes: tuple[str, ...]) -> Base:
    if base.nothing:
        raise _UntoldError(uncompared(base.nothing, (*notes, *base.notes)))
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
    try:
        found = changed_files(repository.git, question.folder, base)
    except GitFailedError as failed:
        raise _UntoldError(_git_failed(question.shown, failed.reply)) from failed
    tracked, untracked, nested = (
        frozenset(os.path.join(repository.top, name) for name in names)
        for names in (found.tracked, found.untracked, found.nested)
    )
    return _Changed(tracked, untracked, nested, repository, base)


def _without_code(question: Question, repository: _Repository, specs: Specs) -> str:
    """Return why no file of the project is code that git looks at, or nothing: what changes there is not seen."""
    shown = printable(question.shown)
    is_top = question.folder == repository.top
    if not is_top and repository.git(["check-ignore", "--quiet", "--", question.folder]).code == 0:
        return f"git ignores '{shown}': what changes there is not seen"
    inner = os.path.relpath(question.folder, repository.top)
    path = ":/" if inner == "." else f":(top,literal){inner}"
    listed = repository.git(["ls-files", "--cached", "--others", "--exclude-standard", "--full-name", "-z", "--", path])
    names = {os.path.join(repository.top, name) for name in names_of(listed)}
    if next(code_in(question, specs, names, ()), None) is not None:
        return ""
    if names and question.policy != SpecGuardPolicy():
        return f"no file of '{shown}' counts as code by [spec_guard]"
    return f"no file of '{shown}' counts as code, and its build or test runs something" if question.runs_code else ""


def _judged(
    question: Question,
    specs: Specs,
    repository: _Repository,
    code: _Changed,
    changed_specs: _Changed,
    base: Base,
    notes: tuple[str, ...],
) -> Report:
    found = sorted(code_in(question, specs, code.tracked, code.untracked | code.nested))
    shown_base = None if base.is_root else base.commit
    compared = Compared(shown_base, head_of(repository.git), len(found))
    if not found:
        nothing = _without_code(question, repository, specs)
        if nothing:
            return uncompared(nothing, notes)
    root = os.path.realpath(question.root)
    if base.is_root:
        if own_specs(root, specs):
            return Report((), notes, shown_base, compared=compared)
        spec = f"{SPEC_FOLDER}/{question.task_id}.md"
        return uncompared(f"HEAD is a root commit and the task has no spec {spec}: there is nothing to compare", notes)
    touched = [(each, path) for each in (changed_specs, code) for path in each.paths if specs.names(path)]
    # A spec that was deleted describes nothing, so that its removal is no change of the spec.
    if not found or any(each.has_new_words(path) for each, path in touched):
        return Report((), notes, shown_base, compared=compared)
    has_specs = os.path.isdir(os.path.join(root, SPEC_FOLDER)) or bool(specs.named.patterns)
    if not has_specs and not touched:
        return uncompared(f"there is no {SPEC_FOLDER}/ in this workspace: no spec answers for its code", notes)
    new = {os.path.realpath(path) for path in code.untracked}
    names_new = [name for name in found if os.path.realpath(os.path.join(root, question.shown, name)) in new]
    return Report((_without_spec(question, specs, found, names_new),), notes, shown_base, compared=compared)


def _without_spec(question: Question, specs: Specs, code: list[str], untracked: list[str]) -> Finding:
    listed = ", ".join(map(printable, code[:_LISTED]))
    more = f" and {len(code) - _LISTED} more" if len(code) > _LISTED else ""
    files = tuple(os.path.normpath(os.path.join(question.shown, name)) for name in code[:_LISTED])
    message = f"code changed and no spec did: {listed}{more}"
    named = ", ".join((f"{SPEC_FOLDER}/{question.task_id}.md", *specs.named.patterns))
    hint = f"a change of code goes with one in {printable(named)}"
    if untracked:
        some = ", ".join(map(printable, untracked[:_LISTED]))
        hint += (
            f"; not tracked by git: {some}: ignored by git, or left out by exclude in [spec_guard], it does not count"
        )
    return Finding("code-without-spec", question.shown, message, hint=hint, files=files)


def _git_failed(path: str, answer: GitReply) -> Report:
    said = answer.stderr.strip().splitlines()
    message = f"git can't say what changed: {printable(said[0]) if said else f'exit code {answer.code}'}"
    return Report((Finding("git-failed", path, message, hint=remedy(answer.stderr)),), (), None)
