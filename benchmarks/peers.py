"""The peers: what others would pick, installed with the ordinary clients into a folder that git ignores.

bare nox and Invoke are taken from our own environment: they are dependencies, and the same interpreter and the same
packages beside them make the fairest pair. Versions are pinned, so that figures of two days can be compared.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

PYTHON_PEERS = {"doit": "doit==0.37.0", "just": "rust-just==1.59.0"}
NODE_PEERS = {"turbo": "turbo@2.11.11", "npm": "@kbediako/codex-orchestrator@0.2.1"}

LAUNCHER = "turbo-launcher"
"""The same package, called by its JavaScript launcher."""

CACHE = Path(__file__).resolve().parent.parent / ".bench"

_MINUTES = 5


@dataclass(frozen=True, slots=True)
class Peers:
    """How each peer is called, by its name; ``missing`` says of the others why they can't be."""

    commands: Mapping[str, list[str]]
    missing: Mapping[str, str]


def no_peers(reason: str) -> Peers:
    """Return peers that are all missing for one reason."""
    return Peers({}, dict.fromkeys((*PYTHON_PEERS, *NODE_PEERS, LAUNCHER), reason))


def installed(cache: Path = CACHE) -> Peers:
    """Install what is not there yet and return how each peer is called; one that can't be had is missing, no error."""
    commands: dict[str, list[str]] = {}
    missing: dict[str, str] = {}
    environment = cache / "python"
    python = environment / "bin" / "python"
    if not python.exists():
        _try([sys.executable, "-m", "venv", str(environment)])
    for name, wanted in PYTHON_PEERS.items():
        script = [str(environment / "bin" / name)]
        _settle(name, partial(list, script), _pip(python, wanted), commands, missing)
    modules = cache / "node" / "node_modules"
    places = {"turbo": _turbo, LAUNCHER: _turbo_launcher, "npm": _npm_release}
    for name, place in places.items():
        wanted = NODE_PEERS["turbo" if name == LAUNCHER else name]
        _settle(name, partial(place, modules), _npm(cache / "node", wanted), commands, missing)
    return Peers(commands, missing)


def _settle(
    name: str,
    place: Callable[[], list[str]],
    install: list[str],
    commands: dict[str, list[str]],
    missing: dict[str, str],
) -> None:
    """Note how a peer is called, installing it first where it is not there; only then is it known where it lies."""
    reason = "" if Path(place()[-1]).exists() else _try(install)
    command = place()
    if Path(command[-1]).exists():
        commands[name] = command
    else:
        missing[name] = reason or f"{command[-1]} is missing after its installation"


def _pip(python: Path, wanted: str) -> list[str]:
    return [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wanted]


def _npm(folder: Path, wanted: str) -> list[str]:
    return ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts", wanted]


def _npm_release(modules: Path) -> list[str]:
    script = modules / "@kbediako" / "codex-orchestrator" / "bin" / "codex-orchestrator.js"
    return [shutil.which("node") or "node", str(script)]


def _turbo(modules: Path) -> list[str]:
    """The native program, not its JavaScript launcher, which takes four times as long."""
    found = sorted((modules / "@turbo").glob("*/bin/turbo"))
    return [str(found[0] if found else modules / "@turbo" / "bin" / "turbo")]


def _turbo_launcher(modules: Path) -> list[str]:
    """What a user calls: the program of the package, which npm links as ``turbo``."""
    return [shutil.which("node") or "node", str(modules / "turbo" / "bin" / "turbo")]


def _try(command: list[str]) -> str:
    """Run an installer and return why it failed, in one line; empty when it did not."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60 * _MINUTES, check=False)
    except FileNotFoundError:
        return f"{command[0]} is not installed"
    except subprocess.TimeoutExpired:
        return f"{command[0]} took more than {_MINUTES} minutes"
    lines = (done.stderr or done.stdout).strip().splitlines()
    return "" if done.returncode == 0 else f"{Path(command[0]).name} failed: {lines[-1] if lines else done.returncode}"
