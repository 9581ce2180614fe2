"""When an environment has to be made again, or installed into again."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.model.plan import SessionPlan
from orchestrator.runner.environment.fingerprint import environment_key


def key(project: Path, *, interpreter: str = "cpython-3.11.7", env_dir: str = "/w/.nox/x", **session: Any) -> list[str]:
    """Return the two parts of the key: made from, installed from."""
    environ = session.pop("environ", {})
    plan = SessionPlan(name="x", **{"backend": "uv", "install": ("-e", "."), **session})
    found = environment_key(
        plan, env_dir=env_dir, project_folder=str(project), interpreter=interpreter, environ=environ
    )
    return found.split(":")


@pytest.mark.parametrize(
    "change",
    [{"backend": "venv"}, {"python": "3.12"}, {"interpreter": "cpython-3.11.8"}, {"env_dir": "/v/.nox/x"}],
)
def test_another_python_or_backend_makes_it_anew(tmp_path: Path, change: dict[str, str]) -> None:
    """The first part changes with what the environment is made from, and only that part."""
    before, after = key(tmp_path), key(tmp_path, **change)
    assert before[0] != after[0]
    assert before[1] == after[1]


@pytest.mark.parametrize("change", [{"install": ("-e", ".[test]")}, {"set_env": {"PIP_CONSTRAINT": "c.txt"}}])
def test_other_arguments_install_again(tmp_path: Path, change: dict[str, Any]) -> None:
    """The second part changes with the arguments, and only that part."""
    before, after = key(tmp_path), key(tmp_path, **change)
    assert before[0] == after[0]
    assert before[1] != after[1]


@pytest.mark.parametrize(
    "name",
    [
        *("pyproject.toml", "setup.cfg", "setup.py", "requirements.txt", "requirements-dev.txt", "constraints.txt"),
        *("uv.lock", "pylock.toml", "pylock.dev.toml", "poetry.lock", "Pipfile.lock"),
    ],
)
def test_dependency_files_count(tmp_path: Path, name: str) -> None:
    """A dependency file at the top counts from the moment that it is there, and with each change."""
    keys = [key(tmp_path)]
    for content in ("a", "b"):
        (tmp_path / name).write_text(content)
        keys.append(key(tmp_path))
    assert len({tuple(one) for one in keys}) == 3


def test_other_files_do_not_count(tmp_path: Path) -> None:
    """Code, documents and settings that install nothing leave an editable environment as it is."""
    before = key(tmp_path)
    (tmp_path / "README.md").write_text("x")
    (tmp_path / "module.py").write_text("x")
    assert key(tmp_path) == before
    (tmp_path / "uv.lock").write_text("x")
    assert key(tmp_path, install=()) == key(tmp_path, install=(), set_env={"MODE": "ci"})


@pytest.mark.parametrize(
    "install",
    [
        *(
            ("-r", "deps/all.txt"),
            ("-rdeps/all.txt",),
            ("--requirement=deps/all.txt",),
            ("--requirement", "deps/all.txt"),
        ),
        *(("x", "-c", "deps/all.txt"), ("-e", "deps"), ("-e", "./deps[extra]"), ("--editable=deps",), ("./deps",)),
    ],
)
def test_named_files_and_folders_count(tmp_path: Path, install: tuple[str, ...]) -> None:
    """Files named by -r and -c, files that these name, and dependency files of local folders count."""
    deps = tmp_path / "deps"
    deps.mkdir()
    (deps / "all.txt").write_text("# comment\nx\n-r more.txt  # and more\n-r all.txt\n")
    (deps / "more.txt").write_text("y")
    (deps / "pyproject.toml").write_text("y")
    before = key(tmp_path, install=install)
    (deps / "more.txt").write_text("z")
    (deps / "pyproject.toml").write_text("z")
    assert key(tmp_path, install=install) != before


def test_an_installed_copy_follows_its_sources(tmp_path: Path) -> None:
    """A local folder that is installed without -e is a copy: a change of its code installs it again."""
    (tmp_path / "src").mkdir()
    module = tmp_path / "src" / "module.py"
    module.write_text("a")
    before = key(tmp_path, install=(".",))
    (tmp_path / ".cache").write_text("x")
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "a.whl").write_text("x")
    assert key(tmp_path, install=(".",)) == before
    module.write_text("ab")
    assert key(tmp_path, install=(".",)) != before


@pytest.fixture
def lib(tmp_path: Path) -> Path:
    """A project ``libs/lib x`` beside the one that is installed into, with a module in a package."""
    folder = tmp_path / "libs" / "libx"
    (folder / "libx" / "build").mkdir(parents=True)
    (folder / "pyproject.toml").write_text('[project]\nname = "libx"\nversion = "1"\n')
    (folder / "libx" / "build" / "v.py").write_text("V = 1")
    return folder


COPIES = [
    "./libs/libx",
    "libs/libx",
    "./libs/libx[extra]",
    "./libs/libx ; python_version > '3'",
    "libx @ file://{lib}",
    "libx[extra] @ file://{lib} ; python_version > '3'",
    "libx@file://{lib}",
    "file://{lib}",
    "file://localhost{lib}",
    "file:libs/libx",
    "file://${HOME_OF_LIBS}/libx",
    "file://{lib}#egg=libx",
    "./libs/li\\\nbx",
    "./libs/libx --config-settings=a=b  # comment",
]


@pytest.mark.parametrize("line", COPIES)
@pytest.mark.parametrize("way", ["argument", "list", "nested", "project"])
def test_a_local_requirement_is_followed(tmp_path: Path, lib: Path, line: str, way: str) -> None:
    """Its project file and its code count, however it is named: by an argument, a list, a list's list, a project."""
    line = line.replace("{lib}", str(lib))
    environ = {"HOME_OF_LIBS": str(lib.parent)}
    install: tuple[str, ...] = (line,)
    if "\n" in line and way in ("argument", "project"):
        pytest.skip("only a file has lines")
    if way == "project":
        if "file:" not in line or "${" in line:
            pytest.skip("metadata has direct references only (PEP 508)")
        (tmp_path / "pyproject.toml").write_text(f'[project]\nname = "a"\ndependencies = ["{line}"]\n')
        install = ("-e", ".")
    elif way != "argument":
        (tmp_path / "requirements.txt").write_text(f"{line}\n" if way == "list" else "-r more/deep.txt\n")
        (tmp_path / "more").mkdir()
        (tmp_path / "more" / "deep.txt").write_text(f"attrs\n{line}\n")
        install = ("-r", "requirements.txt")
    keys = [key(tmp_path, install=install, environ=environ)]
    for file, text in ((lib / "pyproject.toml", "[project]"), (lib / "libx" / "build" / "v.py", "V = 22")):
        file.write_text(text)
        keys.append(key(tmp_path, install=install, environ=environ))
    assert len({one[1] for one in keys}) == 3


@pytest.mark.parametrize(
    "line",
    ["-e ./libs/libx", "--editable=libs/libx[extra]", "-e file://{lib}", "--editable libs/libx", "-elibs/libx"],
)
def test_an_editable_requirement_rests_on_its_metadata(tmp_path: Path, lib: Path, line: str) -> None:
    """A change of its code needs no install; one of its project file does."""
    (tmp_path / "requirements.txt").write_text(line.replace("{lib}", str(lib)))
    before = key(tmp_path, install=("-r", "requirements.txt"))
    (lib / "libx" / "build" / "v.py").write_text("V = 22")
    assert key(tmp_path, install=("-r", "requirements.txt")) == before
    (lib / "pyproject.toml").write_text("[project]")
    assert key(tmp_path, install=("-r", "requirements.txt")) != before


@pytest.mark.parametrize(
    "variable", ["PIP_CONSTRAINT", "UV_CONSTRAINT", "UV_OVERRIDE", "UV_BUILD_CONSTRAINT", "PIP_REQUIREMENT"]
)
@pytest.mark.parametrize("place", ["environ", "set_env"])
def test_files_that_variables_name_count(tmp_path: Path, variable: str, place: str) -> None:
    """Of the caller and of the session; each of several, and what these name."""
    for name in ("one.txt", "two.txt", "three.txt"):
        (tmp_path / name).write_text("-c three.txt" if name == "two.txt" else "x")
    given: dict[str, Any] = {place: {variable: f"one.txt {tmp_path}/two.txt"}}
    keys = {key(tmp_path, **given)[1]}
    for name in ("three.txt", "two.txt", "one.txt"):
        (tmp_path / name).write_text("y")
        keys.add(key(tmp_path, **given)[1])
    assert len(keys) == 4


SOURCES = [
    '[tool.uv.sources]\nlibx = { path = "libs/libx" }\n',
    '[tool.uv.sources]\nlibx = { path = "libs/libx", extra = "gpu" }\n',
    '[tool.uv.sources.libx]\npath = "./libs/libx"\n',
    '[tool.poetry.dependencies]\nlibx = {path = "libs/libx"}\n',
    '[tool.uv.sources]\nlibx = { workspace = true }\n[tool.uv.workspace]\nmembers = ["libs/*"]\n',
    'tool.uv.sources.libx.path = "libs/libx"\n',
]


@pytest.mark.parametrize("table", SOURCES)
@pytest.mark.parametrize("install", [("-e", "."), (".",), ("-r", "pyproject.toml")])
def test_projects_that_a_project_file_names_count(
    tmp_path: Path, lib: Path, table: str, install: tuple[str, ...]
) -> None:
    """Path sources of uv and Poetry, and members of a workspace."""
    (tmp_path / "pyproject.toml").write_text(table)
    before = key(tmp_path, install=install)
    (lib / "pyproject.toml").write_text("[project]")
    assert key(tmp_path, install=install)[1] != before[1]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pyproject.toml", '[tool.setuptools.dynamic]\ndependencies = { file = ["deps/base.in"] }\n'),
        ("pyproject.toml", '[tool.hatch.version]\npath = "deps/base.in"\n'),
        ("pyproject.toml", '[tool.hatch.metadata.hooks.requirements_txt]\nfiles = ["deps/base.in"]\n'),
        ("setup.cfg", "[options]\ninstall_requires = file: deps/base.in, other.txt\n"),
        ("setup.py", "setup(install_requires=open('deps/base.in').read().split())\n"),
        ("pyproject.toml", '[build-system]\nbackend-path = ["deps"]\nbuild-backend = "own"\n'),
    ],
)
def test_files_that_the_build_backend_reads_count(tmp_path: Path, file: str, text: str) -> None:
    """Also for an editable install, whose metadata they make."""
    (tmp_path / "deps").mkdir()
    (tmp_path / "deps" / "base.in").write_text("attrs")
    (tmp_path / file).write_text(text)
    before = key(tmp_path)
    (tmp_path / "deps" / "base.in").write_text("attrs<30")
    assert key(tmp_path)[1] != before[1]


def test_what_other_tools_and_readers_get_does_not_count(tmp_path: Path) -> None:
    """A linter's and a test runner's files, and the readme, install nothing."""
    (tmp_path / "README.md").write_text("a")
    (tmp_path / "tests.py").write_text("a")
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nreadme = "README.md"\n[tool.ruff.lint.per-file-ignores]\n"tests.py" = ["S101"]\n'
    )
    before = key(tmp_path)
    (tmp_path / "README.md").write_text("b")
    (tmp_path / "tests.py").write_text("b")
    assert key(tmp_path) == before


@pytest.mark.parametrize("name", ["build", "dist", "out", "venv", "htmlcov", ".template", "node_modules"])
def test_a_copied_package_has_all_its_folders(tmp_path: Path, name: str) -> None:
    """A name that stands for a made thing at the top is code below it, and behind a link."""
    inner = tmp_path / "src" / "pkg" / name
    inner.mkdir(parents=True)
    (inner / "v.py").write_text("1")
    elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    elsewhere.mkdir()
    (elsewhere / "w.py").write_text("1")
    (tmp_path / "src" / "pkg" / "linked").symlink_to(elsewhere)
    keys = {key(tmp_path, install=(".",))[1]}
    for file in (inner / "v.py", elsewhere / "w.py"):
        file.write_text("22")
        keys.add(key(tmp_path, install=(".",))[1])
    assert len(keys) == 3


def test_what_tools_make_does_not_install_again(tmp_path: Path) -> None:
    """Caches, environments and build artifacts of an honest day leave a copy as it is; links in a circle end."""
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "m.py").write_text("1")
    (tmp_path / "pkg" / "again").symlink_to(tmp_path)
    before = key(tmp_path, install=(".",))
    for name in ("build/lib", ".mypy_cache", "pkg/__pycache__", "a.egg-info", ".venv/lib", "env/lib", "out", ".nox/x"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "f").write_text("x")
    for name in ("node_modules", "pkg/web/node_modules"):
        (tmp_path / name / ".bin").mkdir(parents=True)
        (tmp_path / name / "x.js").write_text("x")
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    (tmp_path / ".coverage").write_text("x")
    assert key(tmp_path, install=(".",)) == before


def test_a_git_repository_on_this_disk_counts_by_its_commits(tmp_path: Path) -> None:
    """``git+file:`` installs what a branch stands at."""
    refs = tmp_path / "repo" / ".git" / "refs" / "heads"
    refs.mkdir(parents=True)
    (refs / "main").write_text("a")
    install = (f"lib @ git+file://{tmp_path}/repo@main",)
    before = key(tmp_path, install=install)
    (refs / "main").write_text("b")
    assert key(tmp_path, install=install)[1] != before[1]


def test_a_folder_of_archives_counts(tmp_path: Path) -> None:
    """``--find-links`` and an archive that is named."""
    (tmp_path / "wheels").mkdir()
    wheel = tmp_path / "wheels" / "a-1-py3-none-any.whl"
    for install in (("--find-links", "wheels", "a"), ("-fwheels", "a"), ("wheels/a-1-py3-none-any.whl",)):
        wheel.write_text("1")
        before = key(tmp_path, install=install)
        wheel.write_text("22")
        assert key(tmp_path, install=install)[1] != before[1]


@example(line="/\0", project="")
@given(st.text(max_size=60), st.text(max_size=60))
def test_no_list_of_requirements_stops_a_start(line: str, project: str) -> None:
    """Whatever stands in the files, a key comes out."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "requirements.txt").write_text(line, encoding="utf-8", errors="replace")
        (Path(folder) / "pyproject.toml").write_text(project, encoding="utf-8", errors="replace")
        assert key(Path(folder), install=("-r", "requirements.txt", "-e", "."))


def test_what_cannot_be_read_counts_as_missing(tmp_path: Path) -> None:
    """A folder in a file's place, a dangling link and a missing folder are no errors."""
    install = ("-r", "none.txt", "-e", "none", "-r")
    (tmp_path / "setup.py").mkdir()
    (tmp_path / "uv.lock").symlink_to("nowhere")
    os.mkfifo(tmp_path / "requirements.txt")
    before = key(tmp_path, install=install)
    (tmp_path / "none.txt").write_text("x")
    assert key(tmp_path, install=install) != before
    assert key(tmp_path / "gone", install=install) != before


@given(st.lists(st.text(max_size=8), max_size=4), st.lists(st.text(max_size=8), max_size=4))
def test_different_arguments_never_share_a_key(one: list[str], other: list[str]) -> None:
    """Keys are equal exactly when the arguments are, however odd these look."""
    gone = Path("/nonexistent")
    keys = [key(gone, install=tuple(f"x{argument}" for argument in arguments)) for arguments in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)


HEAD = '[build-system]\nrequires = ["hatchling"]\n[project]\nname = "app"\nversion = "1"\n'
DEVELOP, COPY = ("-e", "."), (".",)
NAMED: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "hatch, from the root": (
        DEVELOP,
        {"app/pyproject.toml": HEAD + 'dependencies = ["libx @ {root:uri}/../libs/libx"]\n'},
    ),
    "hatch, from above the root": (
        DEVELOP,
        {"app/pyproject.toml": HEAD + 'dependencies = ["libx @ {root:parent:uri}/libs/libx"]\n'},
    ),
    "a group": (
        ("--group", "dev"),
        {"app/pyproject.toml": HEAD + '[dependency-groups]\ndev = ["libx @ file:../libs/libx"]\n'},
    ),
    "a group that includes another": (
        ("--group=dev",),
        {
            "app/pyproject.toml": HEAD
            + '[dependency-groups]\nlocal = ["libx @ file:../libs/libx"]\ndev = [{include-group = "local"}]\n'
        },
    ),
    "a group of another project": (("--group", "../libs/libx/pyproject.toml:dev"), {}),
    "find-links of uv": (
        DEVELOP,
        {"app/pyproject.toml": HEAD + '[tool.uv]\nfind-links = ["../libs/wheels"]\n'},
    ),
    "a folder as an index of uv": (
        DEVELOP,
        {"app/pyproject.toml": HEAD + '[[tool.uv.index]]\nname = "l"\nurl = "../libs/wheels"\n'},
    ),
    "code from beside, hatch": (
        COPY,
        {"app/pyproject.toml": HEAD + '[tool.hatch.build.targets.wheel.force-include]\n"../libs/libx/libx" = "libx"\n'},
    ),
    "code from beside, setuptools": (
        COPY,
        {"app/pyproject.toml": HEAD + '[tool.setuptools]\npackage-dir = { "" = "../libs/libx" }\n'},
    ),
    "code from beside, found by setuptools": (
        COPY,
        {"app/pyproject.toml": HEAD + '[tool.setuptools.packages.find]\nwhere = ["../libs/libx"]\n'},
    ),
    "a folder in a lock file of PEP 751": (
        ("-r", "pylock.toml"),
        {"app/pylock.toml": '[[packages]]\nname = "libx"\ndirectory = { path = "../libs/libx" }\n'},
    ),
    "an archive in a lock file of PEP 751": (
        ("-r", "pylock.toml"),
        {"app/pylock.toml": '[[packages]]\nname = "libx"\narchive = { path = "../libs/wheels/libx-1.zip" }\n'},
    ),
    "a workspace in a table's value": (
        DEVELOP,
        {
            "app/pyproject.toml": HEAD + "[tool.uv.sources]\nlibx = { workspace = true }\n",
            "pyproject.toml": '[tool.uv]\nworkspace = { members = ["app", "libs/*"] }\n',
        },
    ),
    "a source of the workspace's root": (
        DEVELOP,
        {
            "app/pyproject.toml": HEAD + 'dependencies = ["libx"]\n',
            "pyproject.toml": '[tool.uv.workspace]\nmembers = ["app"]\n'
            '[tool.uv.sources]\nlibx = { path = "libs/libx" }\n',
        },
    ),
}


def beside(top: Path, files: dict[str, str]) -> Path:
    """Write files and a project ``libs/libx`` with an archive of it, and return the folder of ``app``."""
    for path, content in {
        "libs/libx/pyproject.toml": '[project]\nname = "libx"\n[dependency-groups]\ndev = []\n',
        "libs/libx/libx/v.py": "V = 1",
        "libs/wheels/libx-1.zip": "1",
        **files,
    }.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_text(content)
    return top / "app"


@pytest.mark.parametrize("form", NAMED)
def test_what_project_files_name_is_followed(tmp_path: Path, form: str) -> None:
    """Each way in which a project file, group, lock file or workspace leads to a project beside it."""
    install, files = NAMED[form]
    app = beside(tmp_path, files)
    app.mkdir(exist_ok=True)
    before = key(app, install=install)
    assert key(app, install=install) == before
    for path, content in (
        ("libs/libx/pyproject.toml", '[project]\nname = "libx"\n[dependency-groups]\ndev = ["x"]\n'),
        ("libs/libx/libx/v.py", "V = 222"),
        ("libs/wheels/libx-1.zip", "222"),
    ):
        (tmp_path / path).write_text(content)
    assert key(app, install=install) != before


def test_requirements_in_utf_16_are_read(tmp_path: Path) -> None:
    """As pip reads them, by their byte order mark."""
    app = beside(tmp_path, {"app/pyproject.toml": HEAD})
    (app / "reqs.txt").write_bytes("../libs/libx\n".encode("utf-16"))
    before = key(app, install=("-r", "reqs.txt"))
    (tmp_path / "libs/libx/libx/v.py").write_text("V = 222")
    assert key(app, install=("-r", "reqs.txt")) != before


def test_the_folders_above_are_no_code_of_a_project(tmp_path: Path) -> None:
    """``root = ".."`` says where a version comes from, and makes no copy of the whole repository."""
    app = beside(tmp_path, {"app/pyproject.toml": HEAD + '[tool.setuptools_scm]\nroot = "../"\n'})
    before = key(app, install=(".",))
    (tmp_path / "libs/libx/libx/v.py").write_text("V = 222")
    assert key(app, install=(".",)) == before
