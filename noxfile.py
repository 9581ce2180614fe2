"""Nox sessions: one for each project and pipeline, and this repository's own."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import nox

from orchestrator.nox_session import register

nox.needs_version = ">=2026.10.20"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.error_on_missing_interpreters = True
nox.options.sessions = ["lint", "typecheck", "tests"]

register()


@nox.session
def tests(session: nox.Session) -> None:
    """All tests but those of the documents, under coverage; arguments go to pytest."""
    session.install("-e", ".[dev]")
    session.run("coverage", "erase")
    chosen = session.posargs or ["tests/unit", "tests/functional", "tests/faults", "-n", "2"]
    session.run("coverage", "run", "-m", "pytest", *chosen)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session
def faults(session: nox.Session) -> None:
    """Only the tests that break things on purpose: kills, full disks, planted links."""
    session.install("-e", ".[dev]")
    session.run("pytest", *(session.posargs or ["tests/faults"]))


@nox.session
def soak(session: nox.Session) -> None:
    """Random lives and deaths of runs, for as long as ``--minutes`` says (10); not in CI, an hour before a release."""
    session.install("-e", ".[dev]")
    session.run("python", "-m", "tests.faults.soak", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff's rules and format, and the layers of docs/architecture.md."""
    session.install("-e", ".[dev]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session
def typecheck(session: nox.Session) -> None:
    """Mypy, strict, on package, tests, benchmarks and this file."""
    session.install("-e", ".[dev]")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """Examples in the documents hold, links lead somewhere, and what checklists and records claim is proved."""
    session.install("-e", ".[dev]")
    session.run("pytest", "tests/docs", *session.posargs)
    session.run("codex-orchestrator", "verify", "--all", "--docs", "--state")


@nox.session
def build(session: nox.Session) -> None:
    """Build both archives, check what is in them, and run the wheel from an empty environment."""
    session.install("build", "hatchling>=1.27", "twine")
    with tempfile.TemporaryDirectory() as folder:
        session.run("python", "-m", "build", "--no-isolation", "--outdir", folder)
        archives = sorted(str(path) for path in Path(folder).iterdir())
        session.run("twine", "check", "--strict", *archives)
        empty = os.path.join(folder, "empty")
        session.run("python", "-m", "venv", empty)
        wheel = next(path for path in archives if path.endswith(".whl"))
        session.run(f"{empty}/bin/pip", "install", "--quiet", wheel, external=True)
        session.run(f"{empty}/bin/codex-orchestrator", "--version", external=True)


@nox.session(venv_backend="none")
def review(session: nox.Session) -> None:
    """Show the last run as a reviewer needs it, and fail when it is not ready; arguments go to review."""
    chosen = session.posargs or ["latest"]
    session.run(sys.executable, "-m", "orchestrator", "review", *chosen)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure ourselves beside what else could be used; ``-- --quick`` takes a minute (docs/performance.md)."""
    session.install("-e", ".[dev]")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session(name="bench-check", venv_backend="none")
def bench_check(session: nox.Session) -> None:
    """Fail when start ÷ bare nox or status ÷ ``invoke --list`` is 30 % worse than in docs/performance.json."""
    session.run(sys.executable, "-m", "benchmarks", "--check", "--quick")


@nox.session(name="bench-profile")
def bench_profile(session: nox.Session) -> None:
    """Show where the time of start and status goes; ``-- --write`` puts it into docs/performance.md."""
    session.install("-e", ".[dev]")
    session.run("python", "-m", "benchmarks.profile", *session.posargs)
