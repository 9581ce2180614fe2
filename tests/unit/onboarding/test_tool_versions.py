"""Which version of a tool a codebase uses: lock files, requirements, pre-commit, tox and nox, and what is broken."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.onboarding.codebase import Codebase
from orchestrator.onboarding.detect import propose
from orchestrator.onboarding.lock_files import locked
from orchestrator.onboarding.poetry_groups import poetry_groups
from orchestrator.onboarding.pre_commit import excluded_paths, hooks
from orchestrator.onboarding.requirement import applies, bare_name, exact_version, requirement_lines, tag_version
from tests.unit.onboarding.conftest import Make, does

PROJECT = '[project]\nname = "a"\nversion = "1"\n[tool.ruff]\n[dependency-groups]\ndev = ["ruff", "pytest>=8"]\n'
UV_LOCK = (
    'version = 1\n[[package]]\nname = "a"\nversion = "1"\nsource = { editable = "." }\n'
    '[[package]]\nname = "ruff"\nversion = "0.11.11"\nsource = { registry = "https://example.org/simple" }\n'
    '[[package]]\nname = "pytest"\nversion = "8.3.5"\n[[package]]\nname = "old"\nversion = "1.0"\n'
    "resolution-markers = [\"python_full_version < '3.5'\"]\n"
    '[[package]]\nname = "old"\nversion = "2.0"\nresolution-markers = ["python_full_version >= \'3.5\'"]\n'
)
HOOKS = (
    "repos:\n- repo: https://github.com/astral-sh/ruff-pre-commit\n  rev: {rev}\n  hooks: [{{id: ruff-check}}]\n"
    "- repo: https://github.com/pre-commit/mirrors-mypy\n  rev: v1.15.0\n"
    "  hooks:\n  - id: mypy\n    additional_dependencies: [httpx]\n    exclude: ^(docs|tests)/\n"
    "- repo: https://github.com/PyCQA/flake8\n  rev: 7.3.0\n"
    "  hooks:\n  - {{id: flake8, additional_dependencies: [flake8-bugbear==24.1.1], exclude: ^testing/}}\n"
)
SHA = "76e47323a83cd9795e4ff9a1de1c0d2eef610f17"


def test_a_lock_file_decides_and_the_note_names_it(make: Make) -> None:
    """What groups name bare is installed as the lock file has it; pre-commit's other version is noted."""
    found = propose(
        make({"pyproject.toml": PROJECT, "uv.lock": UV_LOCK, ".pre-commit-config.yaml": HOOKS.format(rev="v0.12.0")})
    )
    assert {"ruff==0.11.11", "pytest==8.3.5"} <= set(found.install)
    assert any("ruff 0.11.11 (uv.lock)" in note for note in found.notes)
    assert any("ruff 0.12.0 (.pre-commit-config.yaml)" in note for note in found.notes)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("poetry.lock", '[[package]]\nname = "Ruff"\nversion = "0.9.1"\n[metadata]\nlock-version = "2.1"\n'),
        ("pdm.lock", '[metadata]\nlock_version = "4.5.0"\n[[package]]\nname = "ruff"\nversion = "0.9.1"\n'),
        ("pylock.toml", 'lock-version = "1.0"\n[[packages]]\nname = "ruff"\nversion = "0.9.1"\n'),
    ],
)
def test_every_lock_file(make: Make, name: str, text: str) -> None:
    """Lock files of poetry, pdm and the standard's form are read as uv's is."""
    found = locked(make({name: text}))
    assert (found.file, dict(found.versions)) == (name, {"ruff": "0.9.1"})


def test_of_versions_that_a_lock_file_has_the_one_for_this_python_counts(make: Make) -> None:
    """Markers choose among several versions; a checkout and the codebase itself are no pins."""
    found = locked(make({"uv.lock": UV_LOCK}))
    assert dict(found.versions) == {"ruff": "0.11.11", "pytest": "8.3.5", "old": "2.0"}
    assert locked(make({"uv.lock": UV_LOCK}), "3.4").versions["old"] == "1.0"


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (UV_LOCK[:-40], "could not be read"),
        ("version = 99\n" + UV_LOCK.partition("\n")[2], "format 99"),
    ],
    ids=["cut", "newer"],
)
def test_a_lock_file_that_is_cut_or_newer_says_nothing(make: Make, text: str, note: str) -> None:
    """It is noted, the next source decides, and a proposal is made all the same."""
    files = {"pyproject.toml": PROJECT, "uv.lock": text, ".pre-commit-config.yaml": HOOKS.format(rev="v0.12.0")}
    found = propose(make(files))
    assert "ruff==0.12.0" in found.install
    assert any(note in text for text in found.remarks)


def test_a_lock_file_that_is_too_large(make: Make, tmp_path: Path) -> None:
    """One of 50 MB is not parsed, however long that would take, and noted; the next source decides."""
    codebase = make({"pyproject.toml": PROJECT, ".pre-commit-config.yaml": HOOKS.format(rev="v0.12.0")})
    with open(tmp_path / "uv.lock", "w") as stream:
        stream.write(UV_LOCK)
        stream.truncate(50 * 1024 * 1024)
    found = propose(codebase)
    assert "ruff==0.12.0" in found.install
    assert any("uv.lock could not be read: larger than" in text for text in found.warnings)


@pytest.mark.parametrize(
    ("rev", "version"),
    [
        ("v0.9.10", "0.9.10"),
        (f"{SHA}  # frozen: v0.11.11", "0.11.11"),
        (SHA, None),
        ("a" + SHA[1:], None),
        ("1234567", None),
        ("main", None),
    ],
)
def test_a_revision_of_pre_commit(make: Make, rev: str, version: str | None) -> None:
    """The version of a tag or of the comment beside a frozen commit; a commit's sha is never one."""
    codebase = make({"pyproject.toml": PROJECT, ".pre-commit-config.yaml": HOOKS.format(rev=rev)})
    assert hooks(codebase)[0].version == version
    pins = [item for item in propose(codebase).install if item.startswith("ruff==")]
    assert pins == ([f"ruff=={version}"] if version else [])


@pytest.mark.parametrize(
    ("rev", "caller", "option"),
    [
        ("v0.16.1", "", " --extend-exclude '*.md'"),
        ("main", "", " --extend-exclude '*.md'"),
        ("v0.15.9", "", ""),
        ("v0.16.1", "[testenv]\ncommands = ruff format --check .\n", ""),
    ],
)
def test_what_the_hook_of_ruffs_formatter_is_not_shown(make: Make, rev: str, caller: str, option: str) -> None:
    """Markdown, which ruff formats from 0.16 on, is left out where pre-commit alone calls it, which shows it Python."""
    text = (
        "repos:\n- repo: https://github.com/astral-sh/ruff-pre-commit\n"
        f"  rev: {rev}\n  hooks: [{{id: ruff-check}}, {{id: ruff-format}}]\n"
    )
    found = propose(make({"setup.py": "", ".pre-commit-config.yaml": text, "tox.ini": caller}))
    assert does(found)["lint"] == f"ruff check --no-fix . && ruff format --check{option} ."


@pytest.mark.parametrize("line", ["black --check . || true", "black . --check || :; echo x", "- black --check ."])
def test_a_check_that_may_fail_in_the_codebase_is_not_demanded_of_it(make: Make, line: str) -> None:
    """What its own CI and its makefile forgive is no lint stage; the same without that word is one."""
    makefile = f"style:\n\t{line}\n"
    assert does(propose(make({"setup.py": "", "Makefile": makefile.replace("style", "other")})))["lint"] == "-"
    strict = makefile.replace(" || true", "").replace(" || :", "").replace("- ", "").replace("style", "other")
    assert does(propose(make({"Makefile": strict})))["lint"] == "python -m black --check ."


def test_mirrors_and_what_stands_beside_them(make: Make) -> None:
    """Mypy and flake8 get the versions, packages and exclusions that pre-commit gives them."""
    files = {
        "pyproject.toml": '[project]\nname = "a"\n[tool.mypy]\nstrict = true\n',
        "a/__init__.py": "",
        ".flake8": "[flake8]\n",
        ".pre-commit-config.yaml": HOOKS.format(rev="v0.12.0").replace("ruff-check", "x-check"),
    }
    found = propose(make(files))
    assert {"mypy==1.15.0", "httpx", "flake8==7.3.0", "flake8-bugbear==24.1.1"} <= set(found.install)
    assert does(found)["lint"] == "python -m flake8 --extend-exclude testing"
    assert does(found)["typecheck"] == "python -m mypy --exclude '^(docs|tests)/' a"


def test_pins_that_contradict_what_is_installed(make: Make) -> None:
    """A pin outside of the codebase's own range would make an environment impossible: it is left out and noted."""
    files = {
        "pyproject.toml": PROJECT.replace('"ruff"', '"ruff>=0.13"'),
        ".pre-commit-config.yaml": HOOKS.format(rev="v0.12.0"),
    }
    found = propose(make(files))
    assert not any(item.startswith("ruff==") for item in found.install)
    assert any("ruff 0.12.0" in note and "'ruff>=0.13'" in note for note in found.notes)


def test_requirements_beside_a_pyproject(make: Make) -> None:
    """A requirements file with the tools is installed, in place of the codebase alone where it installs that too."""
    files = {
        "pyproject.toml": '[project]\nname = "a"\n[project.optional-dependencies]\ncli = ["click"]\nx = ["y"]\n'
        "[tool.mypy]\n",
        "a/__init__.py": "",
        "requirements.txt": "-e .[cli]\n\nruff==0.12.11\nmypy==1.17.1  # types\npytest==8.4.1 \\\n  --hash=x\n",
        "scripts/check": '#!/bin/sh -e\nexport PREFIX="venv/bin/"\n${PREFIX}mypy a\n${PREFIX}ruff format a --diff\n'
        '${PREFIX}pytest "$@"\n',
        "tests/test_a.py": "import pytest\n",
    }
    found = propose(make(files))
    assert found.install == ("-r", "requirements.txt")
    assert does(found) == {
        "build": "-",
        "lint": "ruff check --no-fix . && ruff format --check a",
        "test": "python -m pytest --junitxml=junit.xml",
        "typecheck": "python -m mypy a",
    }
    assert any("mypy 1.17.1 (requirements.txt)" in note for note in found.notes)
    assert any("extras that are not installed: x;" in note for note in found.notes)
    assert not any("was left out" in note for note in found.notes)


def test_requirements_for_work_that_bring_the_others(make: Make) -> None:
    """A file that names others stands for itself: what is deployed is not installed beside it."""
    files = {"requirements.txt": "-r requirements/production.txt\n", "a.py": "", "requirements/base.txt": "flask\n"}
    found = propose(make({**files, "requirements/development.txt": "-r base.txt\nruff==0.15.1\n"}))
    assert found.install == ("-r", "requirements/development.txt")
    found = propose(make({"requirements/development.txt": "ruff==0.15.1\n"}))
    assert found.install == ("-r", "requirements.txt", "-r", "requirements/development.txt")


def test_markers_are_evaluated(make: Make) -> None:
    """A tool that is named for another Python only is not brought along."""
    files = {
        "pyproject.toml": '[project]\nname = "a"\n[tool.mypy]\n[dependency-groups]\n'
        'test = ["pytest", "mypy; python_version < \'3\'"]\n',
        "a/__init__.py": "",
    }
    stage = next(stage for stage in propose(make(files)).diagnostics.stages if stage.id != "build")
    assert stage.skipped is not None
    assert "nothing of the codebase runs mypy" in stage.skipped


def test_a_type_checker_that_nothing_runs_is_skipped_with_that_reason(make: Make) -> None:
    """A table [tool.mypy] alone is no check; where CI runs it, it is one."""
    files = {"pyproject.toml": PROJECT + "[tool.mypy]\n", "a/__init__.py": "", "tox.ini": "[testenv]\n"}
    reasons = {stage.id: stage.skipped for stage in propose(make(files)).diagnostics.stages}
    assert "nothing of the codebase runs mypy; to run it: python -m mypy a" in str(reasons["typecheck"])
    workflow = "jobs: {a: {steps: [{run: 'uv run mypy a'}]}}\n"
    assert does(propose(make({".github/workflows/ci.yml": workflow})))["typecheck"] == "python -m mypy a"


def test_arguments_of_tox_and_nox(make: Make) -> None:
    """Pytest is called as the codebase's own test environment calls it, with the plugin that its options need."""
    files = {
        "pyproject.toml": '[project]\nname = "a"\n',
        "tox.ini": "[testenv]\ncommands =\n  coverage erase\n"
        "  coverage run -m pytest {posargs:tests --ignore=tests/languages -n auto} --basetemp={envtmpdir}\n",
        "tests/test_a.py": "import pytest\n",
    }
    found = propose(make(files))
    assert does(found)["test"] == "python -m pytest tests --ignore=tests/languages -n auto --junitxml=junit.xml"
    assert "pytest-xdist" in found.install
    assert any("--basetemp={envtmpdir}" in note for note in found.notes)


def test_what_tox_installs_beside_a_check_and_calls_it_with(make: Make) -> None:
    """The packages of the check's own environment are installed, and black looks at the paths that tox names."""
    tox = (
        "[testenv:lint]\ndeps =\n  black==23.3.0\ncommands = black --check --diff lib/ gone/\n"
        "[testenv:types]\ndeps =\n  mypy\n  unidecode\n  py38: old\ncommands = mypy lib\n"
    )
    found = propose(make({"setup.py": "", "lib/__init__.py": "", "tox.ini": tox}))
    assert (does(found)["lint"], does(found)["typecheck"]) == ("python -m black --check lib/", "python -m mypy lib")
    assert found.install[-3:] == ("black==23.3.0", "mypy", "unidecode")


def test_a_noxfile_is_read_and_never_run(make: Make) -> None:
    """Plain words of session.run are taken, with what sessions install pinned; what Python computes is not."""
    lines = ("import nox", "raise SystemExit", "@nox.session", "def tests(session):")
    calls = ("session.install('pytest==8.1.1', '-e', '.')", "session.run('pytest', '-m', 'not slow', *session.posargs)")
    noxfile = "\n".join((*lines, *(f"    {call}" for call in calls)))
    found = propose(make({"setup.py": "", "noxfile.py": noxfile, "tests/test_a.py": ""}))
    assert does(found)["test"] == "python -m pytest -m 'not slow' --junitxml=junit.xml"
    assert "pytest==8.1.1" in found.install
    assert propose(make({"noxfile.py": "def ("})).template == "python"


def test_extras_that_tests_import_are_installed_and_others_are_named(make: Make) -> None:
    """An extra whose package tests import is needed; what nothing brings is warned of."""
    files = {
        "pyproject.toml": '[project]\nname = "a"\n[project.optional-dependencies]\nhttp2 = ["h2"]\ndocs = ["sphinx"]\n',
        "tests/test_a.py": "import h2\nimport pytest\nimport trustme\nimport os\n",
    }
    found = propose(make(files))
    assert found.install[:2] == ("-e", ".[http2]")
    assert any("extras that are not installed: docs" in note for note in found.notes)
    assert any("tests import trustme" in text for text in found.warnings)


@pytest.mark.parametrize(
    "files",
    [
        {"setup.py": "setup(install_requires=['requests'])"},
        {"setup.cfg": "[metadata]\nname = a\n[options]\ninstall_requires =\n  requests\n"},
        {"pyproject.toml": '[tool.poetry]\nname = "a"\n[tool.poetry.dependencies]\npython = "^3.9"\nrequests = "^2"\n'},
        {"pyproject.toml": '[project]\nname = "a"\ndynamic = ["dependencies"]\n'},
        {"pyproject.toml": '[project]\nname = "a"\ndependencies = ["requests"]\n'},
    ],
    ids=["setup.py", "setup.cfg", "poetry", "dynamic", "project"],
)
def test_no_warning_of_a_module_that_the_codebase_brings_or_may_bring(make: Make, files: dict[str, str]) -> None:
    """Its own requirements count in every form, also where only a build tells them, and those that pytest has."""
    found = propose(make({**files, "tests/test_a.py": "import packaging.version\nimport pytest\nimport requests\n"}))
    assert not [text for text in found.warnings if "tests import" in text]


def test_a_version_from_git_is_warned_of(make: Make) -> None:
    """A folder without a repository of its own can't be installed where the version is taken from git."""
    files = {"pyproject.toml": '[build-system]\nrequires = ["hatchling", "hatch-vcs"]\n[project]\nname = "a"\n'}
    assert any("taken from git" in text for text in propose(make(files)).warnings)
    assert not any("taken from git" in text for text in propose(make({".git": "gitdir: x"})).warnings)


@pytest.mark.parametrize(
    ("requires", "more", "warned"),
    [
        ("hatchling', 'uv-dynamic-versioning", "", False),
        ("setuptools-scm", "[tool.setuptools_scm]\nroot = '../..'\n", False),
        ("hatch-vcs", "[tool.hatch.version]\nraw-options = {search_parent_directories = true}\n", False),
        ("hatch-vcs", "[tool.hatch.version]\nfallback-version = '0'\n", False),
        ("hatch-vcs", "[tool.hatch.version]\nsource = 'vcs'\n", True),
    ],
)
def test_a_member_whose_version_the_repository_above_has(
    make: Make, tmp_path: Path, requires: str, more: str, warned: bool
) -> None:
    """Nothing fails for it where its version is looked for above; hatch-vcs looks in the folder itself."""
    make({".git/HEAD": "", "packages/a/pyproject.toml": f"[build-system]\nrequires = ['{requires}']\n{more}"})
    found = propose(Codebase(str(tmp_path / "packages/a")))
    assert any("taken from git" in text for text in found.warnings) is warned


def test_poetrys_constraints() -> None:
    """Poetry's ranges become the standard's."""
    table = {"dev-dependencies": {"a": "^1.2.3", "b": "^0.2", "c": "~1.2", "d": "*", "e": "1.5", "f": {"git": "x"}}}
    table["dev-dependencies"]["g"] = {"version": ">=1,<3", "extras": ["x"], "markers": "python_version > '3'"}
    assert poetry_groups(table)["dev"] == [
        *("a>=1.2.3,<2", "b>=0.2,<0.3", "c>=1.2,<1.3", "d", "e==1.5"),
        "g[x]>=1,<3; python_version > '3'",
    ]


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("^testing/", ("testing",)),
        ("^(a/b/|c\\.py)$", ("a/b", "c.py")),
        ("(?x)^(\n  docs/conf.py\n  | tests/data\n)", ("docs/conf.py", "tests/data")),
        (".*_pb2.py", None),
        ("^tests/.*/data", None),
    ],
)
def test_patterns_that_are_paths(pattern: str, paths: tuple[str, ...] | None) -> None:
    """Only patterns that stand for paths become options."""
    assert excluded_paths((pattern,)) == paths


@given(st.text("ab1.=<>;[]@ -_'\\\n#", max_size=20))
def test_requirements_of_any_text(text: str) -> None:
    """Whatever stands in a requirements file is read without an error, and a pin is one of its own words."""
    for line in requirement_lines(text):
        assert bare_name(line) == bare_name(bare_name(line))
        applies(line)
        version = exact_version(line)
        assert version is None or version in line
    assert tag_version(SHA) is None


def test_a_type_checker_of_a_source_archive_that_nothing_runs(make: Make) -> None:
    """As tomlkit has it: only the group for work names mypy, and no file that runs it is packed. A checkout may."""
    text = '[project]\nname = "a"\nversion = "1"\n[dependency-groups]\ndev = ["pytest", "mypy==1.19.1"]\n[tool.mypy]\n'
    files = {"pyproject.toml": text, "a/__init__.py": "", "PKG-INFO": "Name: a\n"}
    reasons = {stage.id: stage.skipped for stage in propose(make(files)).diagnostics.stages}
    assert "nothing of the codebase runs mypy; to run it: python -m mypy a" in str(reasons["lint"])
    found = propose(make({**files, "tox.ini": "[testenv:typing]\ncommands = mypy a\n"}))
    assert does(found)["lint"] == "python -m mypy a"
