"""The policy of the base commit, read once at the start: what asks for less is kept in the run's record."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress

from orchestrator.base.errors import Refusal
from orchestrator.base.workspace import CONFIG_FOLDER, WORKSPACE_FILE
from orchestrator.checks.spec_guard.bases import BASE_VARIABLE, default_branch, find_base, named_base
from orchestrator.checks.spec_guard.repository import FolderGit
from orchestrator.config.committed import config_at, configured_base, file_at, head_commit
from orchestrator.git.process import why_no_answer
from orchestrator.git.repository import repository_top
from orchestrator.model.base_policy import POLICY_NOT_COMPARED
from orchestrator.model.builtin_guard import NO_DEFAULT_BRANCH
from orchestrator.model.manifest.manifest import Softening
from orchestrator.model.plan import Plan

_SECONDS = 60.0
_NO_DOCS = b"schema_version = 1\n"


class PolicyComparison:
    """Compares a project's config with that of the base, in a thread: git takes a while, and a run need not wait.

    The thread asks git and imports nothing: two threads that import the same modules get in each other's way.
    """

    def __init__(self, root: str, plan: Plan, environ: Mapping[str, str]) -> None:
        self._root, self._environ = root, environ
        self._project, self._pipeline = plan.project, plan.pipeline
        elsewhere = ((below.project, below.pipeline) for below in plan.subplans if below.project != plan.project)
        self._reached = tuple(dict.fromkeys(elsewhere))
        """Project and pipeline of each other project's that the run reaches."""

        self._folder = os.path.join(root, plan.project_path)
        self._note = "git did not answer in time"
        self._configs: tuple[bytes, bytes] | None = None
        """The base's and the current one, where there are both."""

        self._reached_configs: dict[str, tuple[bytes, bytes]] = {}
        """The same of each project that is reached, where they differ."""

        self._workspace: tuple[bytes, bytes] | None = None
        """The base's and the current workspace file, where the current one has a table ``[docs]``."""

        self._by_default = False
        """Whether nobody named the base."""

        self._default = ""
        self._thread = threading.Thread(target=self._compare, daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # the user has no more processes, of which threads are some
            self._note = "no thread can be started: this user or machine has no more processes"

    def finish(self) -> tuple[Softening, ...]:
        """Return what the config asks less than the base's; a note where nothing could be compared."""
        self._join()
        return (*self._own(), *self._elsewhere(), *self._documents())

    def _own(self) -> tuple[Softening, ...]:
        if self._configs is None:
            text = f"the config was not compared with the base's: {self._note}"
            return (Softening(POLICY_NOT_COMPARED, "", text),) if self._note else ()
        before, current = self._configs
        rule = configured_base(before, self._pipeline) if self._by_default else None
        if rule is not None:
            before = self._at(rule, current) or before
        if before == current:
            return ()
        from orchestrator.config.loading import parse_bytes
        from orchestrator.config.softening import softenings

        try:
            base, now = parse_bytes(self._project, before), parse_bytes(self._project, current)
        except Refusal as refusal:
            text = f"the base's config has faults: {' '.join(refusal.message.split())[:300]}"
            return (Softening(POLICY_NOT_COMPARED, "", text),)
        # What led to this commit is a rule already, though the commit may be older than it.
        return softenings(base, now, self._pipeline, known_base=rule)

    def _elsewhere(self) -> Iterator[Softening]:
        """Yield the same of other projects' pipelines that the run reaches, as the configs of one commit have them."""
        for project, pipeline in self._reached:
            if project not in self._reached_configs:
                continue
            from orchestrator.config.loading import parse_bytes
            from orchestrator.config.softening import softenings_reached

            try:
                base, now = (parse_bytes(project, data) for data in self._reached_configs[project])
            except Refusal as refusal:
                text = f"the base's config of '{project}' has faults: {' '.join(refusal.message.split())[:300]}"
                yield Softening(POLICY_NOT_COMPARED, project, text)
                continue
            yield from softenings_reached(base, now, pipeline)

    def _documents(self) -> tuple[Softening, ...]:
        """Return the same of ``[docs]`` of the workspace, which the built-in guard and ``verify`` go by."""
        if self._workspace is None:
            return ()
        from orchestrator.config.softening import docs_softenings
        from orchestrator.config.workspace_file import docs_policy_of

        before, current = self._workspace
        try:
            return docs_softenings(docs_policy_of(before), docs_policy_of(current))
        except Refusal as refusal:
            text = f"{WORKSPACE_FILE} was not compared with the base's: {' '.join(refusal.message.split())[:300]}"
            return (Softening(POLICY_NOT_COMPARED, WORKSPACE_FILE, text),)

    def _at(self, rule: str, current: bytes) -> bytes | None:
        """Return the config where HEAD left what ``rule`` names; None where that is no base, or has no such config.

        ``rule`` is the default base's own: one that a change brings itself names no base of its own policy.
        """
        root, project, environ = self._root, self._project, self._environ

        def is_clean() -> bool:
            return config_at(root, "HEAD", project, environ) == current

        try:
            base = find_base(FolderGit(root, environ), named_base("", rule)[0], is_clean)
        except OSError:
            return None
        return None if base.commit is None or base.is_root else config_at(root, base.commit, project, environ)

    def default_commit(self) -> str:
        """Return what the default branch was at the start: a commit, ``NO_DEFAULT_BRANCH``, or nothing without git.

        Of a project in a repository of its own, that one's follows after a blank.
        """
        self._join()
        return self._default

    def _join(self) -> None:
        if self._thread.ident is not None:
            self._thread.join(_SECONDS)

    def _compare(self) -> None:
        try:
            self._read()
        except OSError as error:
            self._note = why_no_answer(error)

    def _read(self) -> None:
        """Read both configs; the base is ``$BASE_SHA``'s or the default one. Nothing where there is no repository."""
        root, project, environ = self._root, self._project, self._environ
        if repository_top(root) is None:
            self._note = ""
            return
        try:
            current = self._current(project)
        except OSError as error:
            self._note = f"it can't be read: {error.strerror}"
            return
        head = head_commit(root, project, environ)
        git = FolderGit(root, environ)
        default = default_branch(git)
        self._default = default.commit or NO_DEFAULT_BRANCH
        own = repository_top(self._folder)
        if own not in (None, repository_top(root)):
            there = default_branch(FolderGit(self._folder, environ)).commit or NO_DEFAULT_BRANCH
            self._default = f"{self._default} {there}"
        wanted, _ = named_base(environ.get(BASE_VARIABLE, ""), None)
        self._by_default = not wanted.reference
        changed: list[bytes | None] = []
        """HEAD's config where it differs from the current one: then HEAD is the base, and git is not asked again."""

        asked: list[bool] = []
        """Holds one where HEAD is the default branch's own commit."""

        def is_clean() -> bool:
            asked.append(True)
            if head.config != current:
                changed.append(head.config)
            return not changed

        known = (head.commit, *head.parents) if head.commit else ()
        base = find_base(git, wanted, is_clean, default, known)
        reached = None if base.is_root else base.commit
        self._read_reached(reached, ("HEAD",) if asked else ())
        self._read_workspace(reached, ("HEAD",) if asked else ())
        before = None
        if changed:
            before = changed[0]
        elif base.commit is not None and not base.is_root:
            is_parent = base.commit == next(iter(head.parents), None)
            before = head.config_before if is_parent else config_at(root, base.commit, project, environ)
        if before is not None:
            self._configs = before, current
        elif base.commit is None:
            self._note = base.problem or base.nothing
        elif not base.commit:
            self._note = "git can't read HEAD, or there is no commit yet"
        else:
            self._note = f"the base {base.commit[:12]} has no config of this project"

    def _read_workspace(self, base: str | None, first: tuple[str, ...]) -> None:
        """Read the workspace file where it says what documents need no proof: without one, nothing is asked less."""
        try:
            with open(os.path.join(self._root, WORKSPACE_FILE), "rb") as file:
                current = file.read()
        except OSError:
            return
        for commit in filter(None, (*first, base) if b"docs" in current else ()):
            before = file_at(self._root, commit, WORKSPACE_FILE, self._environ) or _NO_DOCS
            if before != current:
                self._workspace = before, current
                return

    def _current(self, project: str) -> bytes:
        with open(os.path.join(self._root, CONFIG_FOLDER, f"{project}.toml"), "rb") as file:
            return file.read()

    def _read_reached(self, base: str | None, first: tuple[str, ...]) -> None:
        """Read the configs of the other projects that are reached, as they are and at the base.

        Each is compared with the first commit of ``first``, and ``base``, that has another one.
        """
        for project in dict.fromkeys(project for project, _ in self._reached):
            with suppress(OSError):  # the plan was compiled of it: it is gone since
                current = self._current(project)
                for commit in filter(None, (*first, base)):
                    before = config_at(self._root, commit, project, self._environ)
                    if before not in (None, current):
                        self._reached_configs[project] = before, current
                        break
