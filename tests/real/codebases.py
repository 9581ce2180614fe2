"""The codebases that are measured: releases, and what their own continuous integration runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RealCodebase:
    """A release of a package: ``kind`` is python or node, ``own`` what its own CI runs, in a phrase.

    ``miss`` explains why it did not pass when it was measured.
    """

    kind: str
    name: str
    version: str
    own: str
    miss: str = ""


CODEBASES = (
    RealCodebase("python", "structlog", "26.1.0", "tox: pytest, mypy, pyright, ty, pyrefly; prek"),
    RealCodebase("python", "itsdangerous", "2.2.0", "tox: pytest, mypy; pre-commit (file not packed)"),
    RealCodebase("python", "markupsafe", "3.0.4", "uv run --locked tox: pytest, mypy, pyright; pre-commit"),
    RealCodebase("python", "click", "8.5.1", "uv run --locked tox: pytest, mypy, pyright; pre-commit"),
    RealCodebase(
        "python",
        "attrs",
        "26.1.0",
        "tox: pytest -n auto, mypy; pyright, ty; prek",
        "one test of 1,463 fails with Python 3.11.7, by uv run --locked too",
    ),
    RealCodebase(
        "python",
        "httpx",
        "0.28.1",
        "scripts/check and scripts/test (not packed)",
        "its archive has not its CI's requirements; a clone passes here but for 4 tests that ask for names of hosts",
    ),
    RealCodebase("python", "import-linter", "2.17", "nox: pytest by marker; just: ruff, mypy, lint-imports"),
    RealCodebase("python", "pluggy", "1.7.0", "tox: pytest; pre-commit: ruff, mypy"),
    RealCodebase("python", "iniconfig", "2.3.1", "uv run pytest; pre-commit: ruff, mypy"),
    RealCodebase("python", "typeguard", "4.6.1", "tox: pytest; pre-commit: ruff, mypy"),
    RealCodebase("python", "packaging", "26.4", "nox: pytest; pre-commit (neither packed)"),
    RealCodebase("python", "installer", "1.1.0", "nox: pytest -n auto with coverage; pre-commit (neither packed)"),
    RealCodebase("python", "more-itertools", "11.2.1", "make check: unittest, ruff; mypy's stubtest"),
    RealCodebase("python", "blinker", "1.9.0", "tox: pytest, mypy, pyright; pre-commit (file not packed)"),
    RealCodebase("python", "jinja2", "3.1.6", "tox: pytest, mypy; pre-commit (file not packed)"),
    RealCodebase("python", "python-dotenv", "1.2.4", "tox: pytest with coverage; ruff, mypy, check-manifest"),
    RealCodebase("python", "tomlkit", "0.15.2", "pytest; pre-commit (not packed)"),
    RealCodebase("python", "toolz", "1.2.0", "pytest"),
    RealCodebase("node", "fastify", "5.12.8", "npm: lint, unit, test:types"),
    RealCodebase("node", "avvio", "9.3.1", "npm: lint, test:unit, test:typescript"),
    RealCodebase("node", "light-my-request", "6.8.1", "npm: lint, test"),
    RealCodebase(
        "node",
        "find-my-way",
        "9.10.2",
        "npm test: eslint, borp, tstyche",
        "its npm install fails: the registry here has no neostandard that it asks for",
    ),
    RealCodebase("node", "fastq", "1.20.3", "npm: lint, unit, typescript"),
    RealCodebase("node", "secure-json-parse", "4.1.1", "npm: lint, test"),
    RealCodebase("node", "reusify", "1.1.0", "npm: lint, test, test:typescript"),
    RealCodebase(
        "node",
        "qs",
        "6.17.1",
        "npm test: eslint, eclint, tape, npm audit",
        "its npm install fails: the registry here has no @ljharb/eslint-config that it asks for",
    ),
    RealCodebase("node", "minimist", "1.2.8", "npm test: eslint, tape, aud"),
    RealCodebase(
        "node",
        "pino",
        "10.4.0",
        "npm test: eslint, transpile, borp, jest, types",
        "npm is set to yes=false here, so npx in a dependency's install script refuses; "
        "as its CI installs, one test takes over 60 s",
    ),
)
