"""Makefiles, justfiles, Taskfiles, Go and Rust; codebases of no kind, of all kinds, and unreadable ones."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.onboarding.codebase import Codebase
from orchestrator.onboarding.config_text import config_text
from orchestrator.onboarding.detect import HOLLOW, propose
from tests.unit.onboarding.conftest import Make, does

WORKSPACE = {
    "tasks.py": "from orchestrator.cli import namespace as ns\n",
    "noxfile.py": "from orchestrator.nox_session import register\n\nregister()\n",
}


def test_just_and_task(make: Make, tmp_path: Path) -> None:
    """Recipes and tasks are targets; a recipe that needs an argument can't be called."""
    just = 'set shell := ["sh"]\nbuild target="all":\n    cc\ntest *args="-x":\n    run {{args}}\nlint file:\n    x\n'
    assert does(propose(make({"Justfile": just}))) == {"build": "just build", "lint": "-", "test": "just test"}
    (tmp_path / "Justfile").unlink()
    task = "version: '3'\ntasks:\n  build: go build\n  test:\n    cmds: [x]\n"
    found = propose(make({"Taskfile.yml": task}))
    assert (found.template, does(found)) == ("task", {"build": "task build", "lint": "-", "test": "task test"})


def test_a_makefile_with_includes(make: Make) -> None:
    """Targets of included files count; a file outside, one that is missing and a circle of files harm nothing."""
    files = {
        "Makefile": "include rules.mk missing.mk ../outside.mk $(wildcard *.mk)\nbuild:\n\tcc\n",
        "rules.mk": "-include Makefile\ntest: build\n\t./run\n",
    }
    assert does(propose(make(files))) == {"build": "make build", "lint": "-", "test": "make test"}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("black .", "runs 'black .', which repairs what it should find"),
        ("pip install black && black --check .", None),
        ("ruff check . && uv run ruff format src", "runs 'uv run ruff format src', which repairs what it should find"),
        ("$(PYTHON) -m isort --check-only src", None),
        ("ruff check --fix .", "runs 'ruff check --fix .', which repairs what it should find"),
        ("clang-format -i a.c", "runs 'clang-format -i a.c', which repairs what it should find"),
        ("clang-format --dry-run -Werror a.c", None),
        ("cargo fmt --all -- --check", None),
        ("rubocop -a", "runs 'rubocop -a', which repairs what it should find"),
        ("echo black .", "can't fail: its result is that of 'echo'"),
        ("-flake8 .", "can't fail: it ends in '|| true'"),
        ("flake8 . || true", "can't fail: it ends in '|| true'"),
        ("twine upload dist/*", "runs 'twine upload dist/*', which publishes"),
    ],
)
@pytest.mark.parametrize("form", ["Makefile", "prerequisite", "call", "Justfile", "Taskfile.yml"])
def test_a_target_that_is_no_check(make: Make, form: str, line: str, why: str | None) -> None:
    """One that repairs, publishes or can't fail is no stage, and the reason is told; also behind another target."""
    task = json.dumps({"tasks": {"lint": {"cmds": [line]}}})
    text = {
        "Makefile": f"lint: ; @{line}\n" if line[0] != "-" else f"lint:\n\t{line}\n",
        "prerequisite": f"lint: style-all\nstyle-all:\n\t{line}\n",
        "call": f"lint:\n\t$(MAKE) inner\ninner:\n\t{line}\n",
        "Justfile": f"lint:\n    {line}\n",
        "Taskfile.yml": task,
    }[form]
    found = propose(make({form if "file" in form else "Makefile": text}))
    reason = found.diagnostics.stages[1].skipped
    if (form in ("prerequisite", "call") and why and "fail" in why) or (form == "Taskfile.yml" and line[0] == "-"):
        assert reason is None
    else:
        assert (reason is None) if why is None else (reason or "").endswith(why)


def test_a_target_behind_one_that_repairs_is_taken(make: Make) -> None:
    """The next of the usual names, which only looks; a build may say what it likes."""
    text = "lint:\n\tblack .\nstyle:\n\tblack --check .\nbuild:\n\t@echo nothing\n"
    assert does(propose(make({"Makefile": text}))) == {"build": "make build", "lint": "make style", "test": "-"}


def test_a_workspaces_own_entry_points_are_no_sign_of_python(make: Make) -> None:
    """tasks.py and noxfile.py as init writes them say nothing of the codebase at the workspace's root."""
    found = propose(make({**WORKSPACE, "Makefile": "build:\n\ttrue\n"}))
    assert (found.template, found.backend) == ("make", "none")
    assert not any("noxfile" in note or "python" in note for note in found.remarks)


def test_a_go_workspace(make: Make) -> None:
    """At the root of a go.work, each module that it uses is named; one outside is not."""
    found = propose(make({"go.work": "go 1.22\nuse (\n\t./api // the server\n\t../other\n)\nuse ./cmd\n"}))
    assert does(found)["build"] == "go build -o /dev/null ./api/... ./cmd/..."
    assert does(found)["test"] == "go test ./api/... ./cmd/..."


def test_what_a_build_writes_is_an_output(make: Make) -> None:
    """A crate without a lock file gets one by its build, which the guard leaves out; one with it locks its builds."""
    found = propose(make({"Cargo.toml": "[package]\n"}))
    assert (found.diagnostics.stages[0].keys["outputs"], found.not_code) == (["Cargo.lock"], ("Cargo.lock",))
    assert '[spec_guard]\nexclude = ["Cargo.lock"]\n' in config_text("a", "a", "1-a", (), found)
    locked = propose(make({"Cargo.lock": ""}))
    assert (locked.not_code, does(locked)["build"]) == ((), "cargo build --locked")


def test_a_makefile_without_a_gitignore_is_noted(make: Make) -> None:
    """What its build writes can't be known, and would be code; without a build, or with the file, there is no word."""
    text = "there is no .gitignore"
    assert not any(text in word for word in propose(make({"Makefile": "test:\n\tx\n"})).notes)
    assert any(text in note for note in propose(make({"Makefile": "build:\n\tcc\n"})).notes)
    assert not any(text in note for note in propose(make({".gitignore": "*.o\n"})).notes)


def test_five_kinds_at_once(make: Make) -> None:
    """The surest kind is taken, and the others are named."""
    files = {
        "pyproject.toml": '[project]\nname = "a"\n',
        "package.json": "{}",
        "go.mod": "module a\n",
        "Cargo.toml": "[package]\n",
        "Makefile": "lint:\n\tx\n",
    }
    found = propose(make(files))
    assert found.template == "python"
    assert does(found)["lint"] == "make lint"
    assert any("looks like node and go and rust too" in note for note in found.notes)


@pytest.mark.parametrize("files", [{}, {"main.zig": "pub fn main() void {}", "src/a.f90": "end", "README": "x"}])
def test_a_codebase_of_no_known_kind(make: Make, files: dict[str, str]) -> None:
    """Nothing is made up for it, nor for an empty one: all is skipped, and the first word says so."""
    found = propose(make(files))
    assert (found.template, set(does(found).values())) == ("generic", {"-"})
    assert found.remarks[0] == HOLLOW


def test_a_build_tool_that_is_known_by_name_alone_is_named(make: Make) -> None:
    """Its file is the reason of the skips, and beside another kind a note: nobody is told that there is nothing."""
    found = propose(make({"pom.xml": "<project/>", "Rakefile": ""}))
    reason = "onboard does not know how to call pom.xml (Maven), Rakefile (Rake): say what it runs"
    assert [stage.skipped for stage in found.diagnostics.stages] == [reason] * 3
    assert found.remarks[0] == HOLLOW
    notes = propose(make({"package.json": '{"scripts": {"test": "mocha"}}'})).notes
    assert any("pom.xml (Maven), Rakefile (Rake): what it builds and tests is left out" in note for note in notes)


@pytest.fixture
def another_user() -> Iterator[None]:
    """Go on as a user for whom modes of files hold: root reads everything."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


def test_a_codebase_without_read_permission(request: pytest.FixtureRequest) -> None:
    """A folder, or a file in it, that can't be read is a warning with its name, and no crash."""
    with tempfile.TemporaryDirectory() as place:  # not pytest's, which only its own user enters
        os.chmod(place, 0o755)
        closed, half = Path(place, "closed"), Path(place, "half")
        closed.mkdir(mode=0)
        half.mkdir()
        half.chmod(0o755)
        (half / "package.json").write_text('{"scripts": {"test": "x"}}')
        (half / "package.json").chmod(0)
        request.getfixturevalue("another_user")
        of_folder, of_file = propose(Codebase(str(closed))), propose(Codebase(str(half)))
        os.seteuid(os.getuid())
        assert any("the folder could not be read: Permission denied" in text for text in of_folder.warnings)
        assert any("package.json could not be read: Permission denied" in text for text in of_file.warnings)
        closed.chmod(0o700)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".pre-commit-config.yaml", "repos: [" * 300),
        (".pre-commit-config.yaml", "repos: {a: &a [*a]}\n"),
        (".github/workflows/a.yml", "on: &x\n  run: *x\n"),
        ("tox.ini", "[testenv\n"),
        ("noxfile.py", "(" * 5000),
        ("requirements.txt", "\x00-r\n==\n"),
        ("Taskfile.yml", "tasks: [1]\n"),
        ("justfile", "a" * 5000 + ":\n"),
    ],
)
def test_broken_files_of_tools(make: Make, name: str, text: str) -> None:
    """Whatever stands in them, a proposal is made."""
    assert propose(make({"pyproject.toml": '[project]\nname = "a"\n', name: text})).template == "python"
