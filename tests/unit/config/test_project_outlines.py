"""The task that a config names, whether or not the rest of it can be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.config.project_outlines import named_task

WHOLE = 'schema_version = 1\n[project]\nname = "x"\npath = "x"\ntask_id = "1-x"\n'


@pytest.mark.parametrize(
    ("raw", "task"),
    [
        (WHOLE.encode(), "1-x"),
        (WHOLE.encode() + b"[session\n", "1-x"),
        (b"task_id='1-x'\nname = \n", "1-x"),
        (b'\ttask_id  =  "1-x"  # \xff\n', "1-x"),
        (b"\0\ntask_id = '1-x'\n", "1-x"),
        (b'task_id = "Not one"\ntask_id = "1-x"\n', "1-x"),
        (b'# task_id = "1-x"\n[', None),
        (b'my_task_id = "1-x"\n[', None),
        (b'task_id = "1-x\n', None),
        (b"task_id = 1\n", None),
        (b"[", None),
        (b'task_id = "1-x"\n' + b"#" * 65536, None),
    ],
)
def test_the_task_of_a_config_that_can_not_be_used(tmp_path: Path, raw: bytes, task: str | None) -> None:
    """A line of its own names it, as in a whole one; a comment, another key and what is no task's name don't."""
    (tmp_path / "project_configs").mkdir()
    (tmp_path / "project_configs/x.toml").write_bytes(raw)
    assert named_task(str(tmp_path), "x") == task


def test_a_project_without_a_config_names_no_task(tmp_path: Path) -> None:
    """Neither a file that is not there nor a folder in its place is an error here."""
    assert named_task(str(tmp_path), "x") is None
    (tmp_path / "project_configs/x.toml").mkdir(parents=True)
    assert named_task(str(tmp_path), "x") is None
