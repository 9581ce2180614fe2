"""One authority and one engine for all tests that leave them alive."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cloud.certificates import make_pki
from tests.cloud.engine import CloudWorkspace, Engine, Files
from tests.harness import clean_environ


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Return authority, certificate and key of this test run."""
    return make_pki(tmp_path_factory.mktemp("pki") / "ours")


_SITE = """\
import os, sys
with open(os.path.join(os.path.dirname(__file__), "seen"), "a") as file:
    file.write(" ".join(sys.orig_argv) + "\\n")
"""


@pytest.fixture(scope="session")
def python_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder on the engine's PYTHONPATH; its file ``seen`` has the command line of each process it reached."""
    folder = tmp_path_factory.mktemp("python-path")
    (folder / "sitecustomize.py").write_text(_SITE)
    return folder


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory, authority: Files, python_path: Path) -> Iterator[Engine]:
    """Yield a scheduler with one worker, with ``python_path`` on its PYTHONPATH."""
    folder = tmp_path_factory.mktemp("engine")
    paths = (str(python_path), clean_environ(folder).get("PYTHONPATH"))
    engine = Engine(folder, authority, {"PYTHONPATH": os.pathsep.join(filter(None, paths))})
    try:
        engine.start_scheduler()
        engine.start_worker("w1")
        yield engine
    finally:
        engine.close()


@pytest.fixture
def cloud(tmp_path: Path, engine: Engine) -> CloudWorkspace:
    """Return a workspace that goes to the engine."""
    return CloudWorkspace(tmp_path / "ws", engine)
