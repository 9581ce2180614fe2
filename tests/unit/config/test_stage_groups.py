"""Named groups of stages: put in their places, and every fault of what names them."""

from __future__ import annotations

import pytest

from orchestrator.base.errors import ConfigError
from orchestrator.config.loading import parse_bytes

HEAD = 'schema_version = 1\n[project]\nname = "a"\npath = "a"\ntask_id = "1-a"\n'
GROUP = """
[[stage_groups.checks]]
id = "style"
run = "ruff check ."

[[stage_groups.checks]]
id = "types"
run = "mypy"
needs = []
"""


def stages(text: str) -> list[tuple[str, tuple[str, ...] | None]]:
    """Return id and command of each stage of the pipeline ``ci``."""
    config = parse_bytes("a", (HEAD + text).encode())
    return [(stage.id, stage.run) for stage in config.pipelines["ci"].stages]


def faults(text: str) -> str:
    """Return the faults of a config, one a line."""
    with pytest.raises(ConfigError) as refusal:
        parse_bytes("a", (HEAD + text).encode())
    return "\n".join(refusal.value.faults)


def test_a_groups_stages_stand_where_it_is_named() -> None:
    """Between other stages and in more than one pipeline, with their own keys."""
    text = (
        GROUP
        + """
[[pipelines.ci.stages]]
id = "first"
run = "true"
[[pipelines.ci.stages]]
group = "checks"
[[pipelines.nightly.stages]]
group = "checks"
"""
    )
    assert stages(text) == [("first", ("true",)), ("style", ("ruff", "check", ".")), ("types", ("mypy",))]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('group = "check"', "pipelines.ci.stages[#1].group: there is no group 'check' in stage_groups (did you mean"),
        ("group = 3", "pipelines.ci.stages[#1].group: must be text"),
        ('group = "checks"\nid = "x"', "pipelines.ci.stages[x].id: has no place beside 'group'"),
        ('id = "style"\nrun = "x"\n[[pipelines.ci.stages]]\ngroup = "checks"', "style"),
    ],
)
def test_what_names_a_group_wrongly(text: str, said: str) -> None:
    """An unknown name with the nearest, another type, keys beside it, and an id that the pipeline has already."""
    assert said in faults(f"{GROUP}[[pipelines.ci.stages]]\n{text}\n")


def test_a_group_in_a_group_and_a_broken_one() -> None:
    """Groups hold stages only; a fault in a group that nobody names is a fault too."""
    assert "stage_groups.g[#1].group: unknown key" in faults("[[stage_groups.g]]\ngroup = 'h'\n")
    assert "stage_groups.g[x].timeout" in faults("[[stage_groups.g]]\nid = 'x'\nrun = 'y'\ntimeout = 3\n")
    assert "stage_groups" in faults("stage_groups = 3\n") or "stage_groups" in faults("[stage_groups]\ng = 1\n")
