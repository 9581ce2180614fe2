"""Files that a command names are found in the usual spellings."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.model.plan import PlannedStage
from orchestrator.runner.stage_cache.named_files import named_files


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A codebase with a few files."""
    for name in ("tests/t.py", "conf/a.toml", "conf/b.toml", "args.txt", "pkg/mod.py", "src/lib/__main__.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    return tmp_path


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("pytest tests/t.py", "tests/t.py"),
        ("pytest tests/t.py::test_one", "tests/t.py"),
        ("lint tests/t.py:12:3", "tests/t.py"),
        ("docker run -v ./conf/a.toml:/etc/a.toml x", "conf/a.toml"),
        ("javac @args.txt", "args.txt"),
        ("tool -cconf/a.toml", "conf/a.toml"),
        ("tool -c=conf/a.toml", "conf/a.toml"),
        ("tool --config=conf/a.toml", "conf/a.toml"),
        ("tool --configs conf/x.toml,conf/a.toml", "conf/a.toml"),
        ('tool "$CONF/a.toml"', "conf/a.toml"),
        ("tool ${CONF}/b.toml", "conf/b.toml"),
        ("cat conf/*.toml", "conf/b.toml"),
        ("cat conf/{a,b}.toml", "conf/b.toml"),
        ("python -m pkg.mod", "pkg/mod.py"),
        ("python -m lib", "src/lib/__main__.py"),
        ("cd conf && cat a.toml", "conf/a.toml"),
        ("make -C conf a.toml", "conf/a.toml"),
        ("sort < args.txt", "args.txt"),
        ("curl file:conf/a.toml", "conf/a.toml"),
        ("cat './conf/a.toml'", "conf/a.toml"),
    ],
)
@pytest.mark.parametrize("kind", ["shell", "command"])
def test_a_file_is_found_however_it_is_spelled(project: Path, line: str, found: str, kind: str) -> None:
    """A shell line, and a command that starts none, where the spelling is not the shell's own."""
    env = {"CONF": "conf"}
    if kind == "command":
        if set("$*{&<'\"").intersection(line):
            pytest.skip("only a shell reads it so")
        stage = PlannedStage("s", "s", "command", argv=tuple(line.split()))
    else:
        stage = PlannedStage("s", "s", "shell", shell=line)
    assert found in set(named_files(stage, env, str(project)))


def test_a_file_that_is_only_written_is_not_named(project: Path) -> None:
    """What a shell line redirects to is made by it."""
    stage = PlannedStage("s", "s", "shell", shell="cat pkg/mod.py > args.txt")
    assert "args.txt" not in set(named_files(stage, {}, str(project)))


def test_what_git_ignores_is_not_meant_by_a_wildcard(project: Path) -> None:
    """As of ``inputs``; a file that is named in full counts."""
    stage = PlannedStage("s", "s", "shell", shell="cat conf/* pkg/*.py args.txt")
    found = set(named_files(stage, {}, str(project), frozenset({"conf/a.toml", "pkg", "args.txt"})))
    assert {"conf/b.toml", "args.txt"} <= found
    assert found.isdisjoint({"conf/a.toml", "pkg/mod.py"})


def test_paths_begin_at_the_projects_folder(project: Path) -> None:
    """Also for a stage that works in another folder."""
    stage = PlannedStage("s", "s", "shell", shell="cat a.toml ../args.txt *.toml", cwd="conf")
    assert {"conf/a.toml", "args.txt", "conf/b.toml"} <= set(named_files(stage, {}, str(project)))
