"""What a snapshot says of the user's repository beside its files: all questions are put to git at once."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence

from orchestrator.base.record import Record
from orchestrator.git.process import GitProcess, why_no_answer
from orchestrator.git.repository import common_folder
from orchestrator.git.scratch import GitFailed
from orchestrator.git.work_tree import WorkTree

_CONVERSIONS = ("core.autocrlf", "core.eol")
_MOST_RULES_BYTES = 1 << 20
_GIT_SECONDS = 120.0
_REF_FORM = "--format=%(objectname) %(refname) %(symref)"
_QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "format": ("rev-parse", "--show-object-format"),
    "settings": ("config", "--null", "--list"),
    "attributes": ("ls-files", "-z", "--cached", "--others", "--", ":(top,glob)**/.gitattributes"),
    "commit": ("rev-parse", "HEAD^{commit}", "HEAD^{tree}", "--"),
    "branch": ("symbolic-ref", "--quiet", "HEAD"),
    "branches": ("for-each-ref", _REF_FORM, "refs/heads", "refs/remotes"),
    "tags": ("for-each-ref", _REF_FORM, "--merged=HEAD", "refs/tags"),
}


class Rules(Record):
    """The settings and files by which git converts and ignores files; ``converts``: some may be stored otherwise."""

    config: tuple[tuple[str, str], ...]
    attributes: str
    user_attributes: str
    exclude: str
    converts: bool


class Head(Record):
    """HEAD's commit and its tree, None before the first, and its branch, None when it is detached."""

    commit: str | None
    tree: str | None
    branch: str | None


class References(Record):
    """Branches here and of remotes, tags of commits before HEAD, and bases; and references that mean another.

    All branches: which one is the default may depend on how many there are (``checks.spec_guard.bases``).
    """

    refs: tuple[tuple[str, str], ...]
    links: tuple[tuple[str, str], ...]


class RepositoryQuery:
    """The questions about a repository, on the way to git: ask for answers, then ``end`` it.

    It and its methods raise GitFailed where git can't be asked, or refuses what it never refuses of a sound repository.
    """

    def __init__(self, work: WorkTree, bases: Sequence[str]) -> None:
        self._work = work
        self._bases = len(bases)
        self._processes: dict[str, GitProcess] = {}
        questions = dict(_QUESTIONS)
        for number, base in enumerate(bases):
            commit = f"{base}^{{commit}}"
            questions[_base(number)] = ("rev-parse", "--verify", "--quiet", "--end-of-options", commit)
        try:
            for name, command in questions.items():
                self._processes[name] = work.start(command)
        except OSError as error:
            self.end()
            raise GitFailed(error.errno or errno.EIO, why_no_answer(error)) from error

    def end(self) -> None:
        """End git, where it is still at work; harmless when repeated."""
        for process in self._processes.values():
            process.end()

    def object_format(self) -> str:
        """Return ``sha1`` or ``sha256``."""
        return self._lines("format")[0]

    def rules(self) -> Rules:
        """Return how git converts and ignores files here."""
        environ = self._work.environ
        listed = self._answer("settings").decode("utf-8", "surrogateescape").split("\0")
        known = {name: value for name, _, value in (entry.partition("\n") for entry in listed)}
        home = environ.get("XDG_CONFIG_HOME") or os.path.join(environ.get("HOME", ""), ".config")
        common = common_folder(self._work.top)

        def text_at(key: str, usual: str) -> str:
            path = known.get(key) or os.path.join(home, "git", usual)
            return text_of(os.path.join(environ.get("HOME", ""), path[2:]) if path.startswith("~/") else path)

        config = tuple((name, known[name]) for name in _CONVERSIONS if name in known)
        attributes = text_of(os.path.join(common, "info", "attributes"))
        user_attributes = text_at("core.attributesfile", "attributes")
        exclude = text_at("core.excludesfile", "ignore") + "\n" + text_of(os.path.join(common, "info", "exclude"))
        in_tree = b".gitattributes" in self._answer("attributes")
        converts = bool(config or attributes or user_attributes or in_tree)
        return Rules(config, attributes, user_attributes, exclude, converts)

    def head(self) -> Head:
        """Return where HEAD stands."""
        commit, tree = (*self._lines_or_none("commit"), None, None)[:2]
        (branch,) = (*self._lines_or_none("branch"), None)[:1]
        return Head(commit, tree, branch)

    def references(self, *, has_commits: bool) -> References:
        """Return the references that travel; before a first commit there are no tags of commits before it."""
        refs, links = [], []
        for line in (*self._lines("branches"), *(self._lines("tags") if has_commits else ())):
            target, reference, link = line.split(" ")
            if link:
                links.append((reference, link))
            else:
                refs.append((reference, target))
        for number in range(self._bases):
            known = self._lines_or_none(_base(number))  # one that git does not know is left out
            refs += [(f"refs/codex-orchestrator/base-{number}", commit) for commit in known]
        return References(tuple(refs), tuple(links))

    def _answer(self, name: str) -> bytes:
        try:
            answer = self._processes[name].answer(_GIT_SECONDS)
        except TimeoutError as error:
            raise GitFailed(errno.ETIMEDOUT, str(error)) from error
        if answer.code:
            said = answer.complaint.decode("utf-8", "replace").strip()[:400]
            raise GitFailed(answer.code, f"git ended with {answer.code}: {said or 'no cause given'}")
        return answer.output

    def _lines(self, name: str) -> list[str]:
        # A name of git may hold what else ends a line in Unicode.
        text = self._answer(name).decode("utf-8", "surrogateescape")
        return [line for line in text.split("\n") if line]

    def _lines_or_none(self, name: str) -> list[str]:
        """Return the lines of an answer, none where git refuses."""
        try:
            return self._lines(name)
        except GitFailed:
            return []


def text_of(path: str) -> str:
    """Return the text of a file of settings, empty where there is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    with open(fd, encoding="utf-8", errors="surrogateescape", newline="") as stream:
        return stream.read(_MOST_RULES_BYTES)


def _base(number: int) -> str:
    return f"base {number}"
