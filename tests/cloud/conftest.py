"""One authority and one engine for all tests that leave them alive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cloud.certificates import make_pki
from tests.cloud.engine import CloudWorkspace, Engine, Files


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Return authority, certificate and key of this test run."""
    return make_pki(tmp_path_factory.mktemp("pki") / "ours")


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory, authority: Files) -> Iterator[Engine]:
    """Yield a scheduler with one worker."""
    engine = Engine(tmp_path_factory.mktemp("engine"), authority)
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
