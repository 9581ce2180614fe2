"""The policy of the base commit, read once at the start: what asks for less is kept in the run's record."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping

from orchestrator.base.workspace import CONFIG_FOLDER
from orchestrator.model.base_policy import POLICY_NOT_COMPARED
from orchestrator.model.manifest.manifest import Softening

_SECONDS = 60.0


class BasePolicy:
    """Compares a project's config with that of the base, in a thread: git takes a while, and a run need not wait."""

    def __init__(self, root: str, project: str, pipeline: str, environ: Mapping[str, str]) -> None:
        self._arguments = (root, project, pipeline, environ)
        self._found: tuple[Softening, ...] = ()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def finish(self) -> tuple[Softening, ...]:
        """Return what the config asks less than the base's; a note where nothing could be compared."""
        self._thread.join(_SECONDS)
        if self._thread.is_alive():
            return (_note("git did not answer in time"),)
        return self._found

    def _look(self) -> None:
        try:
            self._found = compared_with_base(*self._arguments)
        except Exception as error:
            self._found = (_note(f"it could not be read: {error}"),)


def compared_with_base(root: str, project: str, pipeline: str, environ: Mapping[str, str]) -> tuple[Softening, ...]:
    """Return what the config of ``project`` asks less than the one of the base: the spec guard's, without ``--base``.

    Empty where they are the same bytes, and where the workspace is in no repository.
    """
    from orchestrator.checks.spec_guard.bases import BASE_VARIABLE, find_base, named_base
    from orchestrator.checks.spec_guard.repository import FolderGit
    from orchestrator.commands.review.plan_of_config import config_at
    from orchestrator.git.repository import repository_top

    if repository_top(root) is None:
        return ()
    with open(os.path.join(root, CONFIG_FOLDER, f"{project}.toml"), "rb") as file:
        current = file.read()
    wanted, _ = named_base(environ.get(BASE_VARIABLE, ""), None)
    base = find_base(FolderGit(root, environ), wanted, lambda: config_at(root, "HEAD", project, environ) == current)
    if base.commit is None:
        return (_note(base.problem or base.nothing),)
    before = None if base.is_root else config_at(root, base.commit, project, environ)
    if before == current:
        return ()
    if before is None:
        return (_note(f"the base {base.commit[:12]} has no config of this project"),)
    from orchestrator.base.errors import Refusal
    from orchestrator.config.loading import parse_bytes
    from orchestrator.config.softening import softenings

    try:
        return softenings(parse_bytes(project, before), parse_bytes(project, current), pipeline)
    except Refusal as refusal:
        return (_note(f"the config at {base.commit[:12]} has faults: {' '.join(refusal.message.split())[:300]}"),)


def _note(why: str) -> Softening:
    return Softening(POLICY_NOT_COMPARED, "", f"the config was not compared with the base's: {why}")
