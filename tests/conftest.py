"""Fixtures that all tests share; their types are in ``tests.harness``."""

from __future__ import annotations

import gc
import itertools
import os
import re
import shutil
import signal
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import HealthCheck, settings

from tests.generated import FEW, in_ci
from tests.harness import Orchestrator, WorkspaceFolder, clean_environ


def pytest_configure() -> None:
    """Make the suite pass on a busy machine, and where it was itself started to ignore stop signals.

    No generated case is judged by its time, and programs that tests start take stop signals.
    """
    busy = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("few", busy, max_examples=FEW)
    settings.register_profile("all", busy, max_examples=60)
    settings.load_profile("all" if in_ci() else "few")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


_SHOWN_SECONDS = 0.2
"""As ``--durations-min`` in pyproject.toml."""

_FOLDERS = itertools.count()


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the test's own, as pytest's: that one looks through all earlier ones and links to the last, 1 ms."""
    return folder_of(request.node, tmp_path_factory.getbasetemp())


def folder_of(test: pytest.Item, base: Path) -> Path:
    """Make a folder for a test in ``base``, named by it."""
    name = re.sub(r"\W", "_", test.name)[:30]
    folder = base / f"{name}{next(_FOLDERS)}"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def workspace(tmp_path: Path) -> WorkspaceFolder:
    """An empty workspace in a temporary folder (``project_configs/`` and nothing in it)."""
    root = tmp_path.resolve() / "workspace"
    (root / "project_configs").mkdir(parents=True)
    return WorkspaceFolder(root)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let several workers begin with what is slow: else one of them is left with two minutes of it at the end."""
    if os.environ.get("PYTEST_XDIST_WORKER"):
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Let a worker of xdist report of each test what its controller shows: else it hears six times of each, 4 s of CPU.

    What succeeded in no time before and after a test is not reported, nor that it begins.
    """
    if not os.environ.get("PYTEST_XDIST_WORKER") or item.config.getoption("xmlpath"):
        return None
    for report in runtestprotocol(item, nextitem=nextitem, log=False):
        if report.when == "call" or not report.passed or report.duration >= _SHOWN_SECONDS:
            item.ihook.pytest_runtest_logreport(report=report)
    return True


def pytest_collection_finish() -> None:
    """Don't look through the modules and tests for garbage over and over: they stay to the end."""
    gc.freeze()


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty home folder, one for all tests, so that package caches are shared between them."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def orchestrate(workspace: WorkspaceFolder, home: Path) -> Orchestrator:
    """Call the real program in ``workspace``: ``orchestrate("start", "--project", "x").code``."""
    return Orchestrator(workspace.root, clean_environ(home))


@pytest.fixture
def node() -> str:
    """Return the path of node; skip where it is missing, but fail in CI."""
    found = shutil.which("node")
    if found is not None and shutil.which("npm") is not None:
        return found
    reason = "node and npm are not on PATH"
    if os.environ.get("CI"):
        pytest.fail(f"{reason}; in CI the tests that need them must run")
    pytest.skip(reason)
