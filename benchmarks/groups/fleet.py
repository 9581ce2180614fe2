"""Fleets: what is known of many projects before anything runs, and many runs as one ÷ the same starts at once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from benchmarks import record_calls
from benchmarks.bench import Bench, Versus
from benchmarks.measure import Contender
from benchmarks.peers import LAUNCHER
from benchmarks.results import Result
from benchmarks.running import Command, run
from benchmarks.scenes import committed
from benchmarks.tree import is_supported, peak_of

PROJECTS, STARTED, PACKAGES = 500, 100, 50
_FILES = 20
"""So many files has a made project: ``git status`` looks at each."""

BEFORE = (Versus("plan-tomllib", "plan", "tomllib"), Versus("affected-status", "affected", "git-status"))
XARGS = (Versus("fleet-xargs", "fleet", "xargs"),)
COLD = (Versus("fleet-turbo", "fleet", "turbo"),)
UNCHANGED = (
    Versus("fleet-turbo-unchanged", "fleet", "turbo"),
    Versus("fleet-launcher-unchanged", "fleet", LAUNCHER),
    Versus("records-turbo", "records", "turbo"),
)
OF_ONE_FLEET = ("fleet-memory", "fleet-digest-bytes", "fleet-status-bytes")

_CONFIG = """schema_version = 1
[project]
name = "{name}"
path = "packages/{name}"
task_id = "1-{name}"
owners = ["team"]
tags = ["tag{tag}"]
[session]
backend = "none"
[[pipelines.smoke.stages]]
id = "build"
run = "true"
{keys}
[[pipelines.smoke.stages]]
id = "test"
skip = "there is none"
"""
_PARSE = """import glob, tomllib
for path in glob.glob("project_configs/*.toml"):
    with open(path, "rb") as file:
        tomllib.load(file)
"""
_GIT = ("git", "-c", "user.name=bench", "-c", "user.email=bench@localhost")


def measure(bench: Bench) -> Iterator[Result]:
    """Yield the rows of fleets; what takes minutes is not in the quick variant."""
    if bench.wants(*(row.row for row in BEFORE)):
        yield from _before(bench)
    slow = [row.row for rows in (XARGS, COLD, UNCHANGED) for row in rows] + list(OF_ONE_FLEET)
    yield from bench.slow(*slow)
    if bench.quick:
        return
    if bench.wants(*OF_ONE_FLEET):
        yield from _of_one_fleet(bench)
    makers = {"fleet": lambda: _fleet(bench), "xargs": lambda: _xargs(bench)}
    yield from bench.compare(makers, XARGS, bench.slow_rounds)
    made = {"fleet": lambda: _packages(bench, is_cold=True), "turbo": lambda: _turbo(bench, "turbo", is_cold=True)}
    yield from bench.compare(made, COLD, bench.slow_rounds)
    made = {
        "fleet": lambda: _packages(bench, is_cold=False),
        "turbo": lambda: _turbo(bench, "turbo", is_cold=False),
        LAUNCHER: lambda: _turbo(bench, LAUNCHER, is_cold=False),
        "records": lambda: _records(bench),
    }
    yield from bench.compare(made, UNCHANGED, bench.slow_rounds)


def many_projects(folder: Path, count: int, *, files: int = 1, keys: str = "") -> Path:
    """Make a workspace of ``count`` projects of ``files`` files, committed, and return it."""
    (folder / "project_configs").mkdir(parents=True)
    for number in range(count):
        name = f"p{number:03d}"
        source = folder / "packages" / name / "src"
        source.mkdir(parents=True)
        for part in range(files):
            (source / f"part{part}.py").write_text(f"value = {number * part}\n" * 20)
        config = _CONFIG.format(name=name, tag=number % 5, keys=keys)
        (folder / "project_configs" / f"{name}.toml").write_text(config)
    (folder / ".gitignore").write_text(".runs/\nout/\n.nox/\n.turbo/\nnode_modules/\n")
    return committed(folder)


def _before(bench: Bench) -> Iterator[Result]:
    """One changed file in 500 projects; caches are warm, as after the first command of a day."""
    scene = cache(lambda: _changed(many_projects(bench.scene(), PROJECTS, files=_FILES)))
    words = ("plan", "smoke", "--format", "json")
    makers = {
        "plan": lambda: Contender.of("plan", bench.ours(scene(), *words, "--all")),
        "affected": lambda: Contender.of("affected", bench.ours(scene(), *words, "--affected", "--base", "main")),
        "tomllib": lambda: Contender.of("tomllib", bench.command([sys.executable, "-c", _PARSE], scene())),
        "git-status": lambda: Contender.of("git-status", bench.command(["git", "status"], scene())),
    }
    yield from bench.compare(makers, BEFORE, bench.rounds)


def _changed(scene: Path) -> Path:
    """Change one file of a scene, on a branch of its own, and make the folder that caches are kept in."""
    subprocess.run([*_GIT, "checkout", "-q", "-b", "work"], cwd=scene, check=True)
    (scene / "packages" / "p003" / "src" / "part0.py").write_text("value = 'changed'\n")
    subprocess.run([*_GIT, "commit", "-q", "-a", "-m", "change"], cwd=scene, check=True)
    (scene / ".runs").mkdir()
    return scene


def _fleet(bench: Bench) -> Contender:
    scene = many_projects(bench.scene(), STARTED)
    return Contender.of("fleet", bench.ours(scene, "start", "smoke", "--all", "--jobs", _cores()))


def _xargs(bench: Bench) -> Contender:
    scene = many_projects(bench.scene(), STARTED)
    start = f"{sys.executable} -m orchestrator start smoke --project"
    line = f"ls packages | xargs -P {_cores()} -I % {start} %"
    return Contender.of("xargs", bench.command(["sh", "-c", line], scene))


def _of_one_fleet(bench: Bench) -> Iterator[Result]:
    """Yield the memory of the parent of 100 projects, and the bytes that its end and its status take."""
    scene = many_projects(bench.scene(), STARTED)
    command = bench.ours(scene, "start", "smoke", "--all", "--format", "json")
    if bench.wants("fleet-memory"):
        skipped = "" if is_supported() else "this system has no /proc/<pid>/smaps_rollup"
        yield Result("fleet-memory", None if skipped else peak_of(command).own, skipped=skipped)
    if not bench.wants("fleet-digest-bytes", "fleet-status-bytes"):
        return
    answer = _printed(command)
    status = bench.ours(scene, "status", json.loads(answer)["run_id"], "--format", "json")
    sizes = {"fleet-digest-bytes": len(answer), "fleet-status-bytes": _projects_bytes(_printed(status))}
    for row in bench.wants(*sizes):
        yield Result(row, sizes[row])


def _projects_bytes(status: bytes) -> int:
    """Return how many bytes of a status document say how the projects stand."""
    return len(json.dumps(json.loads(status)["fleet"], separators=(",", ":")))


def _printed(command: Command) -> bytes:
    done = subprocess.run(
        command.argv, cwd=command.folder, env=dict(command.environ), check=True, capture_output=True, timeout=600
    )
    return done.stdout


def _packages(bench: Bench, *, is_cold: bool) -> Contender:
    keys = "" if is_cold else 'inputs = ["src/**"]'
    scene = many_projects(bench.scene(), PACKAGES, keys='inputs = ["src/**"]')
    words = ("start", "smoke", "--all", "--jobs", _cores(), *(("--no-cache",) if is_cold else ()))
    command = bench.ours(scene, *words)
    if keys:
        run(command)
    return Contender.of("fleet", command)


def _records(bench: Bench) -> Contender:
    scene = bench.scene()

    def anew() -> None:
        shutil.rmtree(scene, ignore_errors=True)
        for folder in record_calls.folders(PACKAGES):
            (scene / folder).mkdir(parents=True)

    argv = [sys.executable, "-I", "-S", str(record_calls.__file__), str(PACKAGES), _cores()]
    return Contender.of("records", bench.command(argv, scene), anew)


def _turbo(bench: Bench, peer: str, *, is_cold: bool) -> Contender:
    scene = bench.scene()
    scene.mkdir(parents=True)
    root = {"name": "root", "private": True, "packageManager": "npm@10.0.0", "workspaces": ["packages/*"]}
    (scene / "package.json").write_text(json.dumps(root))
    (scene / "turbo.json").write_text(json.dumps({"tasks": {"build": {"inputs": ["src/**"], "outputs": []}}}))
    locked: dict[str, dict[str, object]] = {"": root}
    for number in range(PACKAGES):
        name = f"p{number:03d}"
        source = scene / "packages" / name / "src"
        source.mkdir(parents=True)
        (source / "part0.py").write_text(f"value = {number}\n" * 20)
        package = {"name": name, "version": "1.0.0", "private": True, "scripts": {"build": "true"}}
        (scene / "packages" / name / "package.json").write_text(json.dumps(package))
        locked[f"packages/{name}"] = {"version": "1.0.0"}
        locked[f"node_modules/{name}"] = {"resolved": f"packages/{name}", "link": True}
    lock = {"name": "root", "lockfileVersion": 3, "requires": True, "packages": locked}
    (scene / "package-lock.json").write_text(json.dumps(lock))
    (scene / ".gitignore").write_text(".turbo/\nnode_modules/\n")
    committed(scene)
    argv = [*bench.peers.commands[peer], "run", "build", f"--concurrency={_cores()}"]
    command = bench.command(argv, scene)

    def forget() -> None:
        shutil.rmtree(scene / ".turbo", ignore_errors=True)
        shutil.rmtree(scene / "node_modules" / ".cache", ignore_errors=True)

    if is_cold:
        return Contender.of(peer, command, forget)
    run(command)
    return Contender.of(peer, command)


def _cores() -> str:
    return str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
