"""Nox sessions: one for each project and pipeline, and this repository's own."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import nox

from orchestrator.nox_session import register

nox.needs_version = ">=2026.10.20"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.error_on_missing_interpreters = True
nox.options.sessions = ["lint", "typecheck", "tests"]
if os.environ.get("CODEX_ORCHESTRATOR_ENV_DIR"):
    # For a checkout that is read-only: as the orchestrator's own environments.
    nox.options.envdir = os.environ["CODEX_ORCHESTRATOR_ENV_DIR"]

OLDEST_MINOR = 11
"""Of ``requires-python``."""

register()


_TESTS = ("tests/unit", "tests/functional", "tests/attacks", "tests/faults", "tests/cloud")
_ALL_TESTS = (*_TESTS, "-n", "3", "--dist", "worksteal")
"""One more than two processors: many tests wait for a process most of their time."""
_WRITE_BYTECODE = {"PYTHONDONTWRITEBYTECODE": None}
"""Whatever the shell says: else each of the processes compiles pytest and its plugins anew."""


@nox.session
def tests(session: nox.Session) -> None:
    """All tests but those of the documents; arguments go to pytest."""
    session.install("-e", ".[dev]")
    session.run("pytest", *(session.posargs or _ALL_TESTS), env=_WRITE_BYTECODE)


@nox.session
def coverage(session: nox.Session) -> None:
    """What the tests reach, in every process that they start: half as long again; arguments go to pytest."""
    session.install("-e", ".[dev]")
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *(session.posargs or _ALL_TESTS), env=_WRITE_BYTECODE)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session
def unit(session: nox.Session) -> None:
    """The fast tests, with few generated cases unless ``CI`` is set; arguments go to pytest."""
    session.install("-e", ".[dev]")
    session.run("pytest", "tests/unit", "-q", "-n", "2", *session.posargs, env=_WRITE_BYTECODE)


def interpreters(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the Pythons beside this one, from 3.11 up, as label to path: ``{"3.12": "/usr/bin/python3.12"}``.

    Looked through are the folders of PATH and pyenv's versions, which are labelled by their folder (``3.12.1``).
    Nothing is started: this file is read by every run of a project of this repository.
    """
    places = [Path(folder) for folder in environ.get("PATH", "").split(os.pathsep) if folder]
    # pyenv's shims start what a shell has chosen, and are no interpreters; HOME may be another than pyenv's.
    shims = [folder for folder in places if folder.name == "shims" and (folder.parent / "versions").is_dir()]
    roots = [Path(environ.get("PYENV_ROOT") or Path(environ.get("HOME", "/nowhere"), ".pyenv"))]
    roots += [folder.parent for folder in shims if folder.parent not in roots]
    programs = [path for folder in places if folder not in shims for path in sorted(folder.glob("python3.*"))]
    programs += [path for root in roots for path in sorted(root.glob("versions/3.*/bin/python3.*"))]
    seen = {os.path.realpath(sys.executable)}
    found: dict[str, str] = {}
    for program in programs:
        minor = re.fullmatch(r"python3\.(\d+)", program.name)
        real = os.path.realpath(program)
        if minor is None or int(minor[1]) < OLDEST_MINOR or real in seen or not os.access(real, os.X_OK):
            continue
        seen.add(real)
        folder = Path(real).parent.parent
        label = folder.name if folder.parent in [root / "versions" for root in roots] else f"3.{minor[1]}"
        found[label if label not in found else f"{label}-{len(found)}"] = real
    return found


OTHERS = interpreters(os.environ)


def _unit_with(python: str) -> Callable[[nox.Session], None]:
    def session_of(session: nox.Session) -> None:
        session.install("-e", ".[dev]")
        session.run("python", "-VV")
        # All generated cases are made once, by the session of all tests.
        session.run("pytest", "tests/unit", "-q", "-n", "2", *session.posargs, env={**_WRITE_BYTECODE, "CI": None})

    session_of.__doc__ = f"The fast tests with {python}."
    return session_of


for _label, _python in OTHERS.items():
    nox.session(name=f"tests-{_label}", python=_python)(_unit_with(_python))


@nox.session(name="other-pythons", venv_backend="none")
def other_pythons(session: nox.Session) -> None:
    """The fast tests with every Python from 3.11 up that is found beside this one; in CI there must be one."""
    if not OTHERS:
        missing = (
            "there is no other Python from 3.11 up, on PATH or below pyenv's versions; "
            "get one from your system's packages, or by 'pyenv install 3.12' or 'uv python install 3.12'"
        )
        if os.environ.get("CI"):
            session.error(missing)
        session.skip(missing)
    for label in OTHERS:
        session.notify(f"tests-{label}", session.posargs)


@nox.session
def faults(session: nox.Session) -> None:
    """Only the tests that break things on purpose: kills, full disks, planted links."""
    session.install("-e", ".[dev]")
    session.run("pytest", *(session.posargs or ["tests/faults"]), env=_WRITE_BYTECODE)


@nox.session
def soak(session: nox.Session) -> None:
    """Random lives and deaths of runs, for as long as ``--minutes`` says (10); not in CI, an hour before a release."""
    session.install("-e", ".[dev]")
    session.run("python", "-m", "tests.faults.soak", *session.posargs)


@nox.session
def real(session: nox.Session) -> None:
    """Bring in real codebases from the registries, start them untouched; not in CI. ``-- --table`` writes the page."""
    session.install("-e", ".[dev]")
    session.run("python", "-m", "tests.real", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff's rules and format, and the layers of docs/architecture.md."""
    session.install("-e", ".[dev]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", *([] if os.access(".", os.W_OK) else ["--no-cache"]))


@nox.session
def typecheck(session: nox.Session) -> None:
    """Mypy, strict, on package, tests, benchmarks and this file."""
    session.install("-e", ".[dev]")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """Examples in the documents hold, links lead somewhere, and what checklists and records claim is proved."""
    session.install("-e", ".[dev]")
    session.run("pytest", "tests/docs", *session.posargs, env=_WRITE_BYTECODE)
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
