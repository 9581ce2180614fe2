"""Items that were ticked before a workspace took up this program: known by a commit, ``[docs] since``."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base.finding import Finding
from orchestrator.checks.checklists.items import Item, items_of
from orchestrator.checks.checklists.markdown import TooDeepError
from orchestrator.checks.spec_guard.repository import system_git


class Baseline:
    """The ticked items of the commit ``since``; None: there is no baseline. git is asked at the first need.

    ``findings`` say why nothing counts as ticked before: the commit is not in this clone.
    """

    def __init__(self, root: str, since: str | None, environ: Mapping[str, str]) -> None:
        self._root = root
        self._since = since
        self._environ = environ
        self._ticked: dict[str, frozenset[tuple[str, ...]]] = {}
        self._is_known: bool | None = None

    @property
    def findings(self) -> list[Finding]:
        """Return why the baseline can't be used."""
        if self._since is None or self._known():
            return []
        what = f"'docs.since' is '{self._since}', which is no commit of this repository"
        return [Finding("baseline-unknown", "workspace.toml", what, hint="fetch the history (git fetch --unshallow)")]

    def holds(self, item: Item) -> bool:
        """Tell whether the same item, in the same words, was ticked in the same file at that commit."""
        if self._since is None or not item.ticked or not self._known():
            return False
        if item.path not in self._ticked:
            self._ticked[item.path] = self._ticked_in(item.path)
        return (*item.key, item.claim) in self._ticked[item.path]

    def _known(self) -> bool:
        if self._is_known is None:
            code, _ = self._git("rev-parse", "--verify", "--quiet", f"{self._since}^{{commit}}")
            self._is_known = code == 0
        return self._is_known

    def _ticked_in(self, path: str) -> frozenset[tuple[str, ...]]:
        code, text = self._git("cat-file", "blob", f"{self._since}:./{path}")
        if code != 0:
            return frozenset()
        try:
            return frozenset((*item.key, item.claim) for item in items_of(path, text) if item.ticked)
        except TooDeepError:
            return frozenset()

    def _git(self, *words: str) -> tuple[int | None, str]:
        answer = system_git(self._environ)(self._root)(words)
        return answer.code, answer.stdout
