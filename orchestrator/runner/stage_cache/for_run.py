"""The cache of stages' successes for one pipeline of a workspace: what it rests on, and who vouches for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from orchestrator.base.clock import Clock
from orchestrator.model.lineage import fixed_variables
from orchestrator.model.manifest.command import Reused
from orchestrator.model.plan import Plan
from orchestrator.runner.environment import bin_paths, stage_environ, tools_dir, tools_home
from orchestrator.runner.environment.fingerprint import environment_key
from orchestrator.runner.stage_cache import Place, StageCache, may_reuse
from orchestrator.runner.stage_cache.entries import Entries
from orchestrator.runner.stage_cache.ignored import Ignored
from orchestrator.store.cited_run import CitedSuccess, cited_outputs, cited_success
from orchestrator.store.layout import Location
from orchestrator.store.store import RunStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def cache_for(
    store: RunStore,
    plan: Plan,
    task_id: str,
    env_dir: str | None,
    environ: Mapping[str, str],
    clock: Clock,
    *,
    fresh: bool = False,
    writes: bool = True,
    ignored: Callable[[], frozenset[str]] | None = None,
) -> StageCache | None:
    """Return the cache of a pipeline's stages under a task, None where none of them may be cached.

    ``env_dir`` is the session's environment, ``environ`` the user's. With ``fresh`` nothing is taken from it, but
    stored all the same; without ``writes`` not even the folder of tools is made. ``ignored`` tells what git
    ignores at first; else git is started at once, and ``ignored.abandon`` ends it. Raises StorageError.
    """
    if all(may_reuse(plan, stage) is not None for stage in plan.stages):
        return None
    workspace = store.workspace
    folder = os.path.normpath(os.path.join(workspace.root, plan.project_path))
    tools = tools_dir(tools_home(workspace), environ, make=writes)
    session_env = stage_environ(environ, plan.session, bin_paths=bin_paths(env_dir), tools_dir=tools)
    fixed = fixed_variables(workspace, task_id, plan.project)
    made_from = ""
    if env_dir is not None:
        made_from = environment_key(plan.session, env_dir=env_dir, project_folder=folder, environ=session_env)
    return StageCache(
        plan=plan,
        place=Place(workspace, task_id, folder, env_dir, made_from),
        env_of=lambda stage: {**session_env, **stage.env, **fixed},
        cited=_proving(store),
        made=lambda stage_id, reused: cited_outputs(store, stage_id, reused),
        entries=Entries(workspace, (task_id, plan.project, plan.pipeline), store.seam, writes=writes),
        ignored=Ignored(folder, environ, ignored),
        now_ns=lambda: int(clock.now().timestamp() * 1e9),
        fresh=fresh,
    )


def _proving(store: RunStore) -> Callable[[str, Reused], CitedSuccess | None]:
    """Return a lookup of the success that a run's proved record shows; each record is read once."""
    records: dict[Location, Mapping[str, Any] | None] = {}

    def cited(stage_id: str, reused: Reused) -> CitedSuccess | None:
        return cited_success(store, records, stage_id, reused)

    return cited
