"""What stages see of the user's environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.model.plan import SessionPlan
from orchestrator.runner.environment import stage_environ
from orchestrator.runner.environment.allowed import ALLOWED


def seen(
    environ: Mapping[str, str], *, bin_paths: tuple[str, ...] = (), own_bin: str | None = None, **session: Any
) -> dict[str, str]:
    """Return what a stage of such a session sees; the tools are in ``/tools``."""
    plan = SessionPlan(name="diagnostics-x", **{"backend": "none", **session})
    return stage_environ(environ, plan, bin_paths=bin_paths, tools_dir="/tools", own_bin=own_bin)


def folder(path: Path) -> str:
    """Make a folder and return its path."""
    path.mkdir(parents=True)
    return str(path)


@pytest.mark.parametrize(
    "name",
    [
        *("HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "TERM", "COLORTERM"),
        *("NO_COLOR", "FORCE_COLOR", "CI", "SSH_AUTH_SOCK", "HTTP_PROXY", "https_proxy", "no_proxy", "ALL_PROXY"),
        *("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "PIP_INDEX_URL", "PIP_CACHE_DIR"),
        *("UV_DEFAULT_INDEX", "UV_INDEX_PRIVATE_PASSWORD", "UV_CACHE_DIR", "NPM_CONFIG_REGISTRY"),
        *("npm_config_cache", "npm_config_@acme:registry", "npm_config_//npm.acme.example/:_authToken"),
    ],
)
def test_the_built_in_list_passes(name: str) -> None:
    """Every family of the contract's allow-list reaches the stage."""
    assert seen({name: "value"})[name] == "value"


@pytest.mark.parametrize(
    "name",
    [
        *("AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_REQUIRE_VIRTUALENV"),
        *("UV_PYTHON", "npm_config_user_agent", "NPM_TOKEN", "LCX", "GIT_DIR", "LD_PRELOAD", "PATHX"),
    ],
)
def test_everything_else_is_held_back(name: str) -> None:
    """A variable that is neither listed nor named in the config does not reach the stage."""
    assert name not in seen({name: "value"})


def test_config_adds_names_globs_and_secrets() -> None:
    """``pass_env`` adds names and globs, ``secret_env`` names; what the user hasn't set is not invented."""
    environ = {"NPM_TOKEN": "a", "NPM_OTHER": "b", "DEPLOY_KEY": "c", "EXACT": "d", "REST": "e"}
    result = seen(environ, pass_env=("NPM_*", "EXACT", "MISSING"), secret_env=("DEPLOY_KEY", "NOT_SET"))
    assert result == {"NPM_TOKEN": "a", "NPM_OTHER": "b", "DEPLOY_KEY": "c", "EXACT": "d", "PATH": result["PATH"]}


def test_set_env_wins() -> None:
    """A value in the config wins over the user's."""
    assert seen({"LANG": "de"}, set_env={"LANG": "C", "MODE": "ci"}).items() >= {"LANG": "C", "MODE": "ci"}.items()


@given(st.sampled_from(["NOXSESSION", "NOX_DEFAULT_VENV_BACKEND", "MCP_RUNNER_TASK_ID", "CODEX_ORCHESTRATOR_RUN_ID"]))
def test_some_variables_never_pass(name: str) -> None:
    """Session selectors, the shell's task and another run's identity don't pass, whatever the config says."""
    assert name not in seen({name: "x"}, pass_env=("*", name), secret_env=(name,))


def test_an_inherited_environment_is_not_named() -> None:
    """VIRTUAL_ENV is the session's own folder, and is absent when the session has none."""
    assert "VIRTUAL_ENV" not in seen({"VIRTUAL_ENV": "/mine"}, pass_env=("VIRTUAL_ENV",))
    assert seen({"VIRTUAL_ENV": "/mine"}, bin_paths=("/env/bin",))["VIRTUAL_ENV"] == "/env"


def test_uv_works_in_the_sessions_environment() -> None:
    """With the backend uv, ``uv run`` and ``uv sync`` use the session's environment, as in nox's own sessions."""
    result = seen({}, backend="uv|virtualenv", bin_paths=("/env/bin",))
    assert (result["UV_PROJECT_ENVIRONMENT"], result["UV_PYTHON"]) == ("/env", "/env")
    assert "UV_PYTHON" not in seen({}, backend="venv", bin_paths=("/env/bin",))


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"HOME": "/dev/null/home"}, True),
        ({"HOME": "relative"}, True),
        ({"HOME": "{mine}"}, False),
        ({"HOME": "{mine}/not/yet"}, False),
        ({"HOME": "/dev/null/home", "XDG_CACHE_HOME": "/caches"}, False),
        ({"HOME": "/dev/null/home", "UV_NO_CACHE": "1"}, False),
    ],
)
def test_uv_has_a_cache_where_the_user_has_no_place_for_one(
    tmp_path: Path, environ: dict[str, str], named: bool
) -> None:
    """Without a home folder that can be written uv's cache lies beside the environments; else nothing is said."""
    environ = {name: value.format(mine=tmp_path) for name, value in environ.items()}
    for backend in ("uv", "uv|virtualenv"):
        result = seen(environ, backend=backend, bin_paths=("/nox/env/bin",))
        assert result.get("UV_CACHE_DIR") == ("/nox/.uv-cache" if named else None)
    assert "UV_CACHE_DIR" not in seen(environ, backend="virtualenv", bin_paths=("/nox/env/bin",))
    assert seen({**environ, "UV_CACHE_DIR": "/c"}, backend="uv", bin_paths=("/nox/env/bin",))["UV_CACHE_DIR"] == "/c"


def test_path_is_the_environment_then_the_tools_then_the_users(tmp_path: Path) -> None:
    """The session's programs come first, the orchestrator's own folder is left out, however it is written."""
    own, mine = folder(tmp_path / "own" / "bin"), folder(tmp_path / "mine")
    link = tmp_path / "link"
    link.symlink_to(own)
    user_path = os.pathsep.join([own, mine, "", str(link), f"{own}/", "/gone", mine])
    path = seen({"PATH": user_path}, bin_paths=("/env/bin",), own_bin=own)["PATH"]
    assert path.split(os.pathsep) == ["/env/bin", "/tools", mine, "/gone"]


def test_a_missing_path_becomes_the_systems() -> None:
    """Without PATH, or with an empty one, programs are found where the operating system looks."""
    expected = os.pathsep.join(["/tools", *os.defpath.split(os.pathsep)])
    assert seen({})["PATH"] == seen({"PATH": ""})["PATH"] == expected


def test_a_configured_path_keeps_the_tools() -> None:
    """A PATH in ``set_env`` stands for the user's: the tools are still found."""
    assert seen({"PATH": "/a"}, set_env={"PATH": "/b"})["PATH"] == os.pathsep.join(["/tools", "/b"])


def test_below_a_stage_the_outer_session_is_left_out(tmp_path: Path) -> None:
    """A nested run doesn't see the programs of the session around it; a person's own environment stays."""
    outer = folder(tmp_path / "outer" / "bin")
    environ = {"PATH": outer, "VIRTUAL_ENV": str(tmp_path / "outer")}
    assert seen(environ)["PATH"].split(os.pathsep) == ["/tools", outer]
    assert seen({**environ, "CODEX_ORCHESTRATOR_RUN_ID": "r"})["PATH"] == "/tools"


@given(st.dictionaries(st.sampled_from(sorted(ALLOWED | {"SECRET", "NOX", "X"})), st.text(max_size=5)))
def test_nothing_is_invented(environ: dict[str, str]) -> None:
    """Every variable but PATH comes from the user's environment, unchanged."""
    result = seen(environ)
    del result["PATH"]
    assert result.items() <= environ.items()
