"""A stored plan is the plan that would be compiled, or it is not used."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import orchestrator
from orchestrator.base.errors import ConfigError
from orchestrator.base.files.cache_dir import CACHE_FOLDER, KEY_FILE
from orchestrator.base.json_values import plain
from orchestrator.base.workspace import Workspace
from orchestrator.config.plan_cache import PlanCache, plan_of, source_files
from orchestrator.config.planning import compile_plan
from orchestrator.model.plan import Flag, Plan, PlannedStage, SessionPlan, Waiver
from tests.cache_seals import edit_cached
from tests.harness import WorkspaceFolder
from tests.sources import statements

TODAY = date(2026, 11, 22)


@pytest.fixture
def stored(workspace: WorkspaceFolder) -> WorkspaceFolder:
    """A workspace whose plan of ``x`` is stored."""
    (workspace.root / ".runs").mkdir()
    workspace.project("y")
    workspace.project("x", {"far": {"pipeline": "diagnostics", "project": "y"}})
    cache = PlanCache(places(workspace))
    cache.plan("x", "diagnostics", today=TODAY)
    cache.store()
    assert entry(workspace).exists()
    return workspace


def places(workspace: WorkspaceFolder) -> Workspace:
    """Return the folders of a workspace."""
    root = workspace.root
    return Workspace(str(root), str(root / ".runs"), str(root / "out"), state_dir=str(state(workspace)))


def state(workspace: WorkspaceFolder) -> Path:
    """Return the folder outside of a workspace that its caches' key lies in."""
    return workspace.root.parent / "state"


def edit(workspace: WorkspaceFolder, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the entry as the account itself can: with a seal."""
    edit_cached(entry(workspace), change, state(workspace))


def entry(workspace: WorkspaceFolder) -> Path:
    """Return the only entry of the cache."""
    (found,) = (workspace.root / ".runs" / CACHE_FOLDER).iterdir()
    return found


def mark(workspace: WorkspaceFolder) -> None:
    """Change the stored plan's title, so that its use can be seen."""
    edit(workspace, lambda document: document["plan"].update(title="stored"))


def title(workspace: WorkspaceFolder, today: date = TODAY) -> str:
    """Return the title of the plan that a start would use."""
    return PlanCache(places(workspace)).plan("x", "diagnostics", today=today).title


def test_a_stored_plan_is_used_while_nothing_changed(stored: WorkspaceFolder) -> None:
    """The entry is read, and it is equal to what is compiled."""
    fresh = compile_plan(str(stored.root), "x", "diagnostics", today=TODAY)
    assert PlanCache(places(stored)).plan("x", "diagnostics", today=TODAY) == fresh
    mark(stored)
    assert title(stored) == "stored"


def edit_own(workspace: WorkspaceFolder) -> None:
    """Change the project's config."""
    workspace.project("x", {"lint": "false"})


def edit_reached(workspace: WorkspaceFolder) -> None:
    """Change the config of the project that a sub-pipeline is of."""
    workspace.project("y", {"lint": "false"})


def add_config(workspace: WorkspaceFolder) -> None:
    """Bring in another project, whose sessions might collide."""
    workspace.project("z")


def damage(workspace: WorkspaceFolder) -> None:
    """Cut the entry off."""
    entry(workspace).write_bytes(entry(workspace).read_bytes()[:200])


def of_another_program(workspace: WorkspaceFolder) -> None:
    """Make the entry look as if another version had written it."""
    edit(workspace, lambda document: document["conditions"]["program"].__setitem__(0, "0.0.0"))


def edited_without_a_seal(workspace: WorkspaceFolder) -> None:
    """Change the entry's text, and nothing else."""
    edit_cached(entry(workspace), lambda document: document["plan"].update(title="mine"))


def moved(workspace: WorkspaceFolder) -> None:
    """Put the sealed entry of another pipeline in place of this one."""
    cache = PlanCache(places(workspace))
    cache.plan("y", "diagnostics", today=TODAY)
    mine = entry(workspace)
    cache.store()
    (other,) = set(mine.parent.iterdir()) - {mine}
    other.replace(mine)


def of_another_account(workspace: WorkspaceFolder) -> None:
    """Take the key away: another one is made by who writes next."""
    (state(workspace) / KEY_FILE).unlink()


def readable_by_others(workspace: WorkspaceFolder) -> None:
    """Let others read the key, who could then seal what they like."""
    (state(workspace) / KEY_FILE).chmod(0o644)


@pytest.mark.parametrize(
    "change",
    [
        *(edit_own, edit_reached, add_config, damage, of_another_program),
        *(edited_without_a_seal, moved, of_another_account, readable_by_others),
    ],
)
def test_a_change_makes_the_entry_void(stored: WorkspaceFolder, change: Callable[[WorkspaceFolder], None]) -> None:
    """Whatever the plan rests on, a change of it has the plan compiled anew."""
    mark(stored)
    change(stored)
    assert title(stored) not in ("stored", "mine")


WAIVED = {"guardrail": "spec-guard", "reason": "r", "approved_by": "me", "until": "2099-01-01"}


@pytest.mark.parametrize(
    "lie",
    [
        {"required_guardrails": []},
        {"waivers": [WAIVED]},
        {"flags": [{"stage": None, "code": "guardrail-softened", "message": "m"}]},
        {"proof_required": True},
        {"not_code": ["**"]},
        {"project": "x", "pipeline": "smoke"},
        {"config_digest": "0" * 64},
    ],
    ids=lambda lie: next(iter(lie)),
)
@pytest.mark.parametrize("part", ["plan", "sub-pipeline"])
def test_policy_is_the_configs_and_not_the_entrys(stored: WorkspaceFolder, lie: dict[str, Any], part: str) -> None:
    """An entry whose guardrails, waivers, flags or origin are not those of the configs is compiled anew."""
    mark(stored)

    def change(document: dict[str, Any]) -> None:
        plan = document["plan"]
        (plan if part == "plan" else plan["subplans"][0]).update(lie)

    edit(stored, change)
    assert title(stored) != "stored"


def test_flags_of_a_sub_pipeline_are_computed(stored: WorkspaceFolder) -> None:
    """A flag that an entry leaves out of a plan that is reached is there again."""

    def change(document: dict[str, Any]) -> None:
        stages = document["plan"]["subplans"][0]["stages"]
        next(stage for stage in stages if stage["id"] == "spec-guard")["argv"] = ["true"]

    edit(stored, change)
    plan = PlanCache(places(stored)).plan("x", "diagnostics", today=TODAY)
    assert "guardrail-replaced" in {flag.code for flag in plan.subplans[0].flags}


def test_another_day_makes_the_entry_void(stored: WorkspaceFolder) -> None:
    """Waivers end at a date, so a plan is stored for a day."""
    mark(stored)
    assert title(stored, date(2026, 11, 23)) != "stored"


def test_a_broken_config_is_not_hidden(stored: WorkspaceFolder) -> None:
    """A config that was broken since is refused although its old plan is stored."""
    stored.config("x", "schema_version = 1\n[projct]\n")
    with pytest.raises(ConfigError):
        title(stored)


def test_a_plan_with_a_secret_is_not_stored(workspace: WorkspaceFolder) -> None:
    """A value whose name looks secret is written nowhere below the runs folder."""
    (workspace.root / ".runs").mkdir()
    workspace.project("x", extra='set_env = { API_TOKEN = "abcdef123456" }\n')
    cache = PlanCache(places(workspace))
    cache.plan("x", "diagnostics", today=TODAY)
    cache.store()
    assert not (workspace.root / ".runs" / CACHE_FOLDER).exists()


def test_a_plan_survives_json() -> None:
    """Every field of every part comes back equal."""
    stage = PlannedStage("a", "A", "command", argv=("x", "y"), env={"K": "V"}, timeout_seconds=1.5, needs=("b",))
    plan = Plan(
        *("p", "path", "task", "pipe", "title"),
        stages=(stage,),
        session=SessionPlan("s", "uv", "3.12", ("-e", "."), ("CI",), {"A": "B"}, ("KEY",)),
        sla_seconds=2.0,
        required_guardrails=("a",),
        waivers=(Waiver("a", "why", "who", "2026-12-01"),),
        flags=(Flag("a", "code", "text"),),
        owners=("o",),
        builtin_version=1,
        config_digest="d",
    )
    assert plan_of(json.loads(json.dumps(plain(plan)))) == plan
    whole = plan._replace(subplans=(plan._replace(project="q"),))
    assert plan_of(json.loads(json.dumps(plain(whole)))) == whole


def test_every_module_that_decides_a_plan_makes_it_void() -> None:
    """What config and planning import, to any depth, is among the files whose change makes an entry void."""
    package = Path(orchestrator.__file__).parent
    watched = {Path(path) for path, _ in source_files()}
    waiting = [*(package / "config").rglob("*.py"), package / "model" / "plan.py"]
    seen: set[Path] = set()
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        waiting += [found for name in imported(module) for found in modules_of(package, name)]
    seen.discard(package / "__init__.py")  # the version stands in the conditions
    assert len(seen) > 30
    assert seen <= watched
    assert {path for path in (package / "config" / "pipelines").iterdir() if path.suffix == ".toml"} <= watched


def imported(module: Path) -> Iterator[str]:
    """Yield the dotted names of all that a module of this program imports, late imports too."""
    for node in statements(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules_of(package: Path, name: str) -> list[Path]:
    """Return the files that importing ``name`` runs, of this program's."""
    parts = name.split(".")
    if parts[0] != package.name:
        return []
    places = [package.joinpath(*parts[1:end]) for end in range(1, len(parts) + 1)]
    files = [file for place in places for file in (place.with_suffix(".py"), place / "__init__.py")]
    return [file for file in files if file.is_file()]
