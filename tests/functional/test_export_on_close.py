"""``[export] on_close``: each run that ends is exported, now or by the next command, and its fate is the same."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from junitparser import JUnitXml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from orchestrator.commands.context import Context
from orchestrator.commands.review.waiting_exports import deliver_now
from tests.functional.receivers import Got, down, receiver, stalling
from tests.harness import Done, Orchestrator, WorkspaceFolder
from tests.records import FakeClock

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
BOTH = 'schema_version = 1\n[export]\non_close = ["otlp", "junit"]\ntimeout = "60s"\n'
IMPATIENT = BOTH.replace("60s", "300ms")


def setting(workspace: WorkspaceFolder, text: str = BOTH, stage: str = "true") -> None:
    """Make a workspace with one project of one stage, whose runs are exported as ``text`` says."""
    workspace.write("workspace.toml", text)
    workspace.project("app", {"one": {"shell": stage, "needs": []}}, pipeline="go")


def names_of(got: Got) -> list[list[str]]:
    """Return the names of the spans in each request, as the official protobuf code reads them."""
    found = []
    for path, _, body in got:
        assert path == "/v1/traces"
        (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
        found.append([span.name for scope in resource.scope_spans for span in scope.spans])
    return found


def waiting(workspace: WorkspaceFolder) -> list[str]:
    """Return what waits, as ``form`` words."""
    folder = workspace.root / ".runs/.outbox"
    return sorted(name.rpartition("@")[2] for name in os.listdir(folder) if "@" in name) if folder.exists() else []


def test_each_end_is_delivered_once(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A run's spans and its JUnit file, as ``export`` makes them, when it ends; a resume exports its end too."""
    setting(workspace, stage="test -e ready")
    with receiver() as (url, got):
        env = {ENDPOINT: url}
        failed = orchestrate("start", "go", "--format", "json", env=env)
        assert (failed.code, names_of(got)) == (3, [["RUN app.go", "one"]])
        run = failed.document["run_id"]
        file = workspace.root / f"out/1-app/junit/{run}.xml"
        assert [suite.failures for suite in JUnitXml.fromfile(str(file))] == [1]
        (workspace.root / "packages/app/ready").touch()
        assert orchestrate("resume", run, env=env).code == 0
        assert names_of(got)[1:] == [["RUN app.go", "RUN app.go", "one", "one"]]
    assert waiting(workspace) == []
    assert [suite.failures for suite in JUnitXml.fromfile(str(file))] == [0]
    assert file.read_text() == orchestrate("export", run, "--as", "junit").stdout
    assert orchestrate("verify", "--all", "--state").code == 0
    assert orchestrate("doctor").code == 0


@contextmanager
def _unwilling() -> Iterator[str]:
    with receiver(503) as (url, _):
        yield url


@contextmanager
def _elsewhere() -> Iterator[str]:
    with receiver(302) as (url, _):
        yield url


@contextmanager
def _down() -> Iterator[str]:
    yield down()


RECEIVERS: dict[str, Callable[[], object]] = {
    "down": _down,
    "silent": stalling,
    "slow": lambda: stalling(b"HTTP/1.1 200 OK\r\nx: y\r\n"),
    "answers 503": _unwilling,
    "redirects": _elsewhere,
}


@pytest.mark.parametrize("kind", RECEIVERS)
def test_a_receiver_that_takes_nothing_delays_the_delivery(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, kind: str
) -> None:
    """Status, exit code and record are those of a run without exports; the next command that writes delivers all."""
    setting(workspace, IMPATIENT)
    with RECEIVERS[kind]() as url:  # type: ignore[attr-defined]  # each is a context manager
        done = orchestrate("start", "go", "--format", "json", env={ENDPOINT: url})
        assert done.code == 0
        assert done.document["status"] == "succeeded"
        assert "an export waits for the next command" in done.stderr
        assert "Traceback" not in done.stderr
        assert waiting(workspace) == ["otlp"]
        pending = orchestrate("export", "--pending", env={ENDPOINT: url})
        assert (pending.code, done.document["run_id"] in pending.stderr) == (2, True)
    (folder,) = workspace.runs("1-app")
    record = (folder / "manifest.json").read_bytes()
    workspace.write("workspace.toml", BOTH)
    with receiver() as (url, got):
        assert orchestrate("start", "go", env={ENDPOINT: url}).code == 0
        assert names_of(got) == [["RUN app.go", "one"]] * 2
    assert waiting(workspace) == []
    assert (folder / "manifest.json").read_bytes() == record


def test_a_killed_run_is_exported_by_the_next_command(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """Whoever closes the record of a run that was killed puts it into the outbox, too."""
    setting(workspace, stage="test -e ready || sleep 60")
    process = orchestrate.popen("start", "go")
    deadline = time.monotonic() + 60
    while not (runs := workspace.runs("1-app")) or "one" not in (runs[0] / "runner.ndjson").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (workspace.root / "packages/app/ready").touch()
    assert orchestrate("start", "go").code == 0
    suites = [JUnitXml.fromfile(str(path)) for path in sorted((workspace.root / "out/1-app/junit").iterdir())]
    assert [[suite.errors for suite in file] for file in suites] == [[1], [0]]
    assert waiting(workspace) == ["otlp", "otlp"]


@pytest.mark.parametrize("words", [("export", "--pending"), ("start", "go")], ids=["by hand", "at a run's end"])
def test_who_is_killed_between_delivery_and_note_delivers_twice(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, words: tuple[str, ...]
) -> None:
    """At least once: what a receiver has but nobody noted is sent again by the next command, with the same bytes."""
    setting(workspace, BOTH.replace(', "junit"', ""))
    if words[0] == "export":
        assert orchestrate("start", "go").code == 0
    started = threading.Event()
    victims: list[subprocess.Popen[bytes]] = []

    def kill() -> None:
        if started.wait(60) and victims:
            os.killpg(victims.pop().pid, signal.SIGKILL)

    with receiver(before=kill) as (url, got):
        env = {**orchestrate.environ, ENDPOINT: url}
        victims.append(Orchestrator(workspace.root, env).popen(*words))
        victim = victims[0]
        started.set()
        victim.communicate(timeout=60)
        assert victim.returncode == -signal.SIGKILL
        assert (len(got), waiting(workspace)) == (1, ["otlp"])
        assert orchestrate("export", "--pending", env={ENDPOINT: url}).code == 0
    assert len(got) == 2
    assert got[0][2] == got[1][2]
    assert waiting(workspace) == []
    assert orchestrate("verify", "--all", "--state").code == 0


def test_another_process_that_delivers_is_waited_for_by_the_timeout(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """``[export] timeout`` of the run's project bounds that, too; without one 5 s, and a config's error is no crash."""
    setting(workspace)
    assert orchestrate("start", "go").code == 0
    outbox = workspace.root / ".runs/.outbox"
    clock = FakeClock()
    context = Context(str(workspace.root), {}, sys.stdout, sys.stderr, clock)

    def waited(project: str | None) -> float:
        began = clock.monotonic()
        with open(outbox / ".lock", "w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            deliver_now(context, context.store(), project, sleep=clock.advance)
        return clock.monotonic() - began

    assert waited(None) == pytest.approx(60, abs=0.1)
    with open(workspace.root / "project_configs/app.toml", "a") as config:
        config.write('[export]\ntimeout = "300ms"\n')
    assert waited("app") == pytest.approx(0.3, abs=0.1)
    workspace.write("workspace.toml", "schema_version = 1\n[export]\ntimeout = 3\n")
    assert waited("app") == pytest.approx(5, abs=0.1)
    assert waiting(workspace) == ["otlp"]


def test_pending(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """``export --pending`` says what waits and why, delivers it, and what nobody asks for any more is dropped."""
    setting(workspace)
    assert orchestrate("start", "go").code == 0
    refused = orchestrate("export", "--pending")
    assert (refused.code, "there is no address: set OTEL_" in refused.stderr) == (2, True)
    with receiver() as (url, got):
        sent = orchestrate("export", "--pending", env={ENDPOINT: url})
        assert (sent.code, sent.stdout) == (0, "1 exports were delivered, none waits\n")
        assert len(got) == 1
    assert orchestrate("start", "go").code == 0
    workspace.write("workspace.toml", "schema_version = 1\n")
    assert orchestrate("export", "--pending").code == 0
    assert waiting(workspace) == []
    assert orchestrate("export", "latest", "--pending", "--as", "junit").code == 2


def test_a_run_inside_another_leaves_its_delivery_to_it(workspace: WorkspaceFolder, orchestrate: Orchestrator) -> None:
    """A silent receiver is waited for once, when the outer run has ended: its stage takes no longer for it."""
    setting(workspace, IMPATIENT)
    config = workspace.root / "project_configs/app.toml"
    config.write_text(config.read_text() + '[[pipelines.top.stages]]\nid = "sub"\npipeline = "go"\n')
    with stalling() as url:
        done = orchestrate("start", "top", "--format", "json", env={ENDPOINT: url})
    assert done.code == 0
    assert done.stderr.count("for the next command") == 1
    assert waiting(workspace) == ["otlp", "otlp"]
    assert len(list((workspace.root / "out/1-app/junit").iterdir())) == 2


def test_a_planted_link_is_refused(workspace: WorkspaceFolder, orchestrate: Orchestrator, tmp_path: Path) -> None:
    """Nothing is written through a link in the file's path; the run succeeds, and the file comes when it is gone."""
    setting(workspace, BOTH.replace('"otlp", ', ""))
    outside = tmp_path / "outside"
    outside.mkdir()
    planted = workspace.root / "out/1-app/junit"
    planted.parent.mkdir(parents=True)
    planted.symlink_to(outside)
    done = orchestrate("start", "go")
    assert (done.code, "an export waits" in done.stderr, list(outside.iterdir())) == (0, True, [])
    planted.unlink()
    assert orchestrate("export", "--pending").code == 0
    assert len(list(planted.iterdir())) == 1
    outbox = workspace.root / ".runs/.outbox"
    (outbox / ".lock").unlink()
    outbox.rmdir()
    outbox.symlink_to(outside)
    assert orchestrate("start", "go").code == 8
    assert list(outside.iterdir()) == []


def test_a_wrong_table_is_refused_before_anything_is_written(
    workspace: WorkspaceFolder, orchestrate: Orchestrator
) -> None:
    """A placeholder that leads outside, an unknown form: exit code 2 with file and key, also of ``doctor``."""
    setting(workspace, 'schema_version = 1\n[export]\non_close = ["xml"]\njunit = "../{run}.xml"\n')
    refused = orchestrate("start", "go")
    assert refused.code == 2
    for key in ("workspace.toml: export.on_close:", "workspace.toml: export.junit: leads out"):
        assert key in refused.stderr
        assert key in orchestrate("doctor").stdout
    assert not (workspace.root / ".runs/1-app").exists()


def test_the_moved_snapshots_folder_takes_the_files_along(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, tmp_path: Path
) -> None:
    """``out/…`` lies in ``$CODEX_ORCHESTRATOR_OUT_DIR``, as in a read-only checkout; nox's session exports, too."""
    setting(workspace, BOTH.replace('"otlp", ', ""))
    (workspace.root / "noxfile.py").write_text("from orchestrator.nox_session import register\nregister()\n")
    env = {**orchestrate.environ, "CODEX_ORCHESTRATOR_OUT_DIR": str(tmp_path / "moved")}
    nox = [orchestrate.command()[0], "-m", "nox", "-s", "go-app"]
    done = subprocess.run(nox, cwd=workspace.root, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "moved/1-app/junit").iterdir())) == 1
    assert not (workspace.root / "out").exists()


@pytest.mark.parametrize("form", ["otlp", "junit"])
@pytest.mark.parametrize("kind", ["silent", "slow"])
def test_to_is_bounded_by_the_timeout(
    workspace: WorkspaceFolder, orchestrate: Orchestrator, form: str, kind: str
) -> None:
    """``export --to`` of a receiver that does not come to an end is exit code 2 after ``[export] timeout``."""
    setting(workspace, 'schema_version = 1\n[export]\ntimeout = "300ms"\n')
    assert orchestrate("start", "go").code == 0
    with RECEIVERS[kind]() as url:  # type: ignore[attr-defined]  # as above
        done: Done = orchestrate("export", "--as", form, "--to", url, timeout=60)
    assert done.code == 2
    assert "did not take" in done.stderr
