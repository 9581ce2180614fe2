"""``logs`` on real folders: of every stage or of one, of the last attempt, while it grows, safely on a terminal."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator.base.errors import NotFound, StorageError, UsageError
from orchestrator.commands.context import Context
from orchestrator.commands.look.logs import logs
from orchestrator.model.manifest.manifest import Manifest
from orchestrator.model.manifest.transitions import closed, stage_ended, stage_skipped, stage_started
from orchestrator.model.outcome import Ended
from orchestrator.store.claim import claim
from orchestrator.store.open_run import OpenRun
from tests.harness import REPOSITORY, Orchestrator, clean_environ
from tests.records import FakeClock, make_manifest, make_run_id, make_store, make_workspace

SAMPLES = REPOSITORY / "tests" / "samples" / "version-1" / "runs"
AT = "2026-11-22T08:44:00.000Z"
RUN = make_run_id(1)


class Run:
    """A run whose lock this process holds, to be written to step by step."""

    def __init__(self, root: Path) -> None:
        self.open: OpenRun = claim(make_store(root), make_manifest(), "token")
        self.folder = Path(self.open.folder.path) / "commands"

    def save(self, manifest: Manifest) -> None:
        """Write the record."""
        self.open.save(manifest)

    def begin(self, stage: str, name: str, text: bytes) -> None:
        """Begin an attempt of a stage that has printed ``text``."""
        (self.folder / name).write_bytes(text)
        manifest = self.open.manifest
        self.save(stage_started(manifest, stage, AT, f"{manifest.artifact_root}/commands/{name}"))

    def end(self, stage: str, ended: Ended | None = None, left_out: int = 0) -> None:
        """End the attempt of a stage."""
        how = ended or Ended("success", 0)
        self.save(stage_ended(self.open.manifest, stage, AT, how, summary=None, left_out=left_out, forgiven=False))

    def retry(self, stage: str, name: str, text: bytes) -> None:
        """End the attempt of a stage with a failure and begin the next one, in one write as a run does."""
        (self.folder / name).write_bytes(text)
        failed = stage_ended(self.open.manifest, stage, AT, Ended("failure", 1), summary=None)
        self.save(stage_started(failed, stage, AT, f"{failed.artifact_root}/commands/{name}"))

    def close(self) -> None:
        """End the run; a stage that runs fails with it."""
        for command in self.open.manifest.commands:
            if command.status == "running":
                self.end(command.id, Ended("failure", 1))
        manifest = self.open.manifest
        for command in manifest.commands:
            if command.status == "pending":
                manifest = stage_skipped(manifest, command.id, "needs 'build', which did not succeed")
        self.save(closed(manifest, AT, "failure", None, None))
        self.open.close()


def shown(root: Path, stage: str | None = None, run: str = RUN, *, follow: bool = False) -> tuple[bytes, str]:
    """Return what ``logs`` writes to stdout, and to stderr."""
    raw, stderr = io.BytesIO(), io.StringIO()
    stdout = io.TextIOWrapper(raw, encoding="utf-8")
    answer = logs(Context(str(root), {}, stdout, stderr, FakeClock()), run=run, stage=stage, follow=follow)
    assert (answer.exit_code, answer.document, answer.text) == (0, None, "")
    return raw.getvalue(), stderr.getvalue()


def test_every_stage_in_order_under_a_header(tmp_path: Path) -> None:
    """Without a stage, all are shown in order, each under its header, one that did not run with the reason."""
    run = Run(tmp_path)
    run.begin("build", "01-build.log", b"built\nno newline")
    run.end("build", Ended("failure", 1))
    run.close()
    assert shown(tmp_path)[0].decode() == (
        "==> build <==\nbuilt\nno newline\n==> spec-guard <==\n(was skipped: needs 'build', which did not succeed)\n"
    )


def test_one_stage_without_a_header(tmp_path: Path) -> None:
    """A stage's log goes to a pipe without a header, and as safe for a terminal: ``| less -R`` leads to one."""
    run = Run(tmp_path)
    data = "ünïcode \x1b[32mgreen\x1b[0m\n".encode() * 3000
    run.begin("build", "01-build.log", data + b"\x1b]52;c;YWxpYXM=\x07\x1b[2Jno \xff\n")
    run.end("build")
    assert shown(tmp_path, "build") == (data + "no \ufffd\n".encode(), "")
    run.open.close()


def test_the_last_attempt_is_shown(tmp_path: Path) -> None:
    """Of a stage that was retried, what its last attempt printed is shown."""
    run = Run(tmp_path)
    run.begin("build", "01-build.log", b"first\n")
    run.end("build", Ended("failure", 1))
    run.begin("build", "01-build.2.log", b"second\n")
    run.close()
    assert shown(tmp_path, "build")[0] == b"second\n"


def test_an_unknown_stage_is_refused_with_the_nearest(tmp_path: Path) -> None:
    """A stage that the run does not have is a usage error that names the one that was meant."""
    Run(tmp_path).close()
    with pytest.raises(UsageError) as refused:
        shown(tmp_path, "biuld")
    assert "'build'" in refused.value.hint


def test_an_unknown_run_is_not_found(tmp_path: Path) -> None:
    """A run that is not there is exit code 6."""
    make_workspace(tmp_path)
    with pytest.raises(NotFound):
        shown(tmp_path)


def test_a_stage_that_has_not_run_says_so_beside_the_output(tmp_path: Path) -> None:
    """Nothing but a stage's output goes to stdout when one stage is asked for."""
    run = Run(tmp_path)
    out, err = shown(tmp_path, "build")
    run.open.close()
    assert out == b""
    assert "'build' has not run" in err


def test_a_log_that_is_gone_is_said(tmp_path: Path) -> None:
    """A log file that was deleted is told on stderr; the others are shown."""
    run = Run(tmp_path)
    run.begin("build", "01-build.log", b"x")
    run.close()
    (run.folder / "01-build.log").unlink()
    out, err = shown(tmp_path)
    assert b"==> spec-guard <==" in out
    assert "01-build.log" in err
    shutil.rmtree(run.folder)
    assert "no logs" in shown(tmp_path)[1]


def test_no_link_is_followed(tmp_path: Path) -> None:
    """A link in a log's place is refused, and what it points to is not shown."""
    run = Run(tmp_path)
    run.begin("build", "01-build.log", b"x")
    run.close()
    (tmp_path / "secret").write_text("secret")
    (run.folder / "01-build.log").unlink()
    (run.folder / "01-build.log").symlink_to(tmp_path / "secret")
    with pytest.raises(StorageError):
        shown(tmp_path, "build")


def test_a_record_cannot_point_out_of_its_folder(tmp_path: Path) -> None:
    """Of the path in a record only the name counts: it is looked for in the run's own folder."""
    (tmp_path / "secret").write_text("secret")
    run = Run(tmp_path)
    run.begin("build", "01-build.log", b"own\n")
    (command, *others) = run.open.manifest.commands
    attempt = command.attempts[-1]._replace(log_path="../../../../../../secret")
    run.save(run.open.manifest._replace(commands=(command._replace(attempts=(attempt,)), *others)))
    run.open.close()
    out, err = shown(tmp_path, "build")
    assert (out, "is gone: secret" in err) == (b"", True)


def test_the_environments_logs_of_its_last_making(tmp_path: Path) -> None:
    """``environment`` shows what making the environment printed in the last attempt that made it, and comes first."""
    run = Run(tmp_path)
    for name, text in (("", b"old make\n"), (".2", b"old install\n"), (".3", b"make\n"), (".4", b"install\n")):
        (run.folder / f"00-environment{name}.log").write_bytes(text)
    run.close()
    assert shown(tmp_path, "environment")[0] == b"make\ninstall\n"
    assert shown(tmp_path)[0].startswith(b"==> environment <==\nmake\ninstall\n==> build <==")


def test_an_environment_that_was_not_made_is_no_stage_of_the_others(tmp_path: Path) -> None:
    """Where nothing was made there is no header for it; asked for, it says so."""
    Run(tmp_path).close()
    assert b"environment" not in shown(tmp_path)[0]
    out, err = shown(tmp_path, "environment")
    assert out == b""
    assert "environment" in err


def test_following_goes_on_until_the_stage_has_ended(tmp_path: Path) -> None:
    """A running stage's output is shown as it comes, its retry's after it, until it has ended."""
    run = Run(tmp_path)
    run.begin("build", "01-build.log", b"one\n")

    def go_on() -> None:
        time.sleep(0.3)
        with (run.folder / "01-build.log").open("ab") as log:
            log.write(b"two\n")
        run.retry("build", "01-build.2.log", b"again\n")
        time.sleep(0.3)
        run.end("build", left_out=7)

    worker = threading.Thread(target=go_on)
    worker.start()
    out, err = shown(tmp_path, "build", follow=True)
    worker.join()
    run.open.close()
    assert out == b"one\ntwo\nagain\n"
    assert "log_limit" in err


def test_following_a_run_shows_the_stages_in_order(tmp_path: Path) -> None:
    """Without a stage, following goes from one stage to the next, to the end of the run."""
    run = Run(tmp_path)

    def go_on() -> None:
        time.sleep(0.3)
        run.begin("build", "01-build.log", b"built\n")
        run.end("build")
        run.begin("spec-guard", "02-spec-guard.log", b"guarded\n")
        run.end("spec-guard")
        run.close()

    worker = threading.Thread(target=go_on)
    worker.start()
    out = shown(tmp_path, follow=True)[0]
    worker.join()
    assert out == b"==> build <==\nbuilt\n==> spec-guard <==\nguarded\n"


def test_following_ends_when_the_run_dies(tmp_path: Path) -> None:
    """A stage that will never end, as its run has died, is not waited for."""
    run = Run(tmp_path)
    run.begin("build", "01-build.log", b"x\n")
    threading.Timer(0.3, run.open.close).start()
    assert shown(tmp_path, "build", follow=True)[0] == b"x\n"


def test_following_ends_when_its_reader_goes(tmp_path: Path) -> None:
    """A pipe that is closed at the other end ends it, though the stage goes on and prints nothing."""
    run = Run(tmp_path)
    run.begin("build", "01-build.log", b"x\n")
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stdout:
        threading.Timer(0.3, os.close, (reader,)).start()
        context = Context(str(tmp_path), {}, stdout, io.StringIO(), FakeClock())
        assert logs(context, run=RUN, stage="build", follow=True).exit_code == 0
    run.open.close()


def test_a_closed_reader_ends_a_long_log(tmp_path: Path) -> None:
    """Writing to a pipe that nobody reads stops quietly."""
    run = Run(tmp_path)
    run.begin("build", "01-build.log", b"x" * 2_000_000)
    run.close()
    reader, writer = os.pipe()
    os.close(reader)
    stdout = os.fdopen(writer, "w")
    assert logs(Context(str(tmp_path), {}, stdout, io.StringIO(), FakeClock()), run=RUN).exit_code == 0
    with contextlib.suppress(OSError):
        stdout.close()


def on_terminal(root: Path, **options: Any) -> bytes:
    """Return what ``logs`` writes to a terminal."""
    main, side = os.openpty()
    seen = bytearray()

    def read() -> None:
        with contextlib.suppress(OSError):
            while data := os.read(main, 4096):
                seen.extend(data)

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(side, "w") as stdout:
        logs(Context(str(root), {"TERM": "xterm"}, stdout, io.StringIO(), FakeClock()), run=RUN, **options)
    reader.join()
    os.close(main)
    return bytes(seen)


def test_output_cannot_steer_a_terminal(tmp_path: Path) -> None:
    """On a terminal colours stay, and what moves the cursor, clears or sets a title does not get through."""
    run = Run(tmp_path)
    run.begin("build", "01-build.log", b"\x1b[31mred\x1b[2J\x1b]0;title\x07 still red")
    run.close()
    seen = on_terminal(tmp_path)
    assert b"\x1b[31mred still red\x1b[0m" in seen
    assert b"\x1b[2J" not in seen
    assert b"title" not in seen
    assert seen.count(b"\r\n==> spec-guard <==") == 1


@pytest.fixture
def old_workspace(tmp_path: Path) -> Path:
    """A workspace with the runs of the early version."""
    make_workspace(tmp_path)
    shutil.copytree(SAMPLES, tmp_path / ".runs", symlinks=True)
    return tmp_path


def test_old_logs_are_decoded(old_workspace: Path) -> None:
    """The events of a version-1 log become the text that the last attempt printed."""
    resumed = "2026-11-22T10-05-47-732Z-f3d12e41"
    assert shown(old_workspace, "test", resumed)[0] == b"12 passed\n"
    everything = shown(old_workspace, None, resumed)[0]
    assert everything.startswith(b"==> build <==\nbuilt\n==> lint <==\nno problems\n")


def test_the_killed_old_run_is_followed_to_its_end(old_workspace: Path) -> None:
    """Following a version-1 run that was killed ends at once."""
    out = shown(old_workspace, None, "2026-11-22T10-06-32-641Z-478d5061", follow=True)[0]
    assert out == b"==> build <==\nbuilt\n==> test <==\n"


def test_an_old_log_with_torn_lines_is_shown_as_it_is(old_workspace: Path) -> None:
    """What is no event in a version-1 log is not lost."""
    killed = old_workspace / ".runs/0101-billing/cli/2026-11-22T10-06-32-641Z-478d5061"
    log = killed / "commands" / "01-build.ndjson"
    log.chmod(0o644)
    log.write_bytes(b'{"type":"command:stdout","data":"a\\ud800"}\n{"type":3}\n[]\n{"type":"command:st')
    assert shown(old_workspace, "build", killed.name)[0] == b'a?[]\n{"type":"command:st'


def test_the_program_shows_an_old_log(old_workspace: Path, home: Path) -> None:
    """The console script writes a log to stdout and nothing else; an unknown stage is exit code 2."""
    orchestrate = Orchestrator(old_workspace, clean_environ(home))
    done = orchestrate("logs", "2026-11-22T10-05-47-732Z", "--stage", "test")
    assert (done.code, done.stdout, done.stderr) == (0, "12 passed\n", "")
    refused = orchestrate("logs", "2026-11-22T10-05-47-732Z", "--stage", "tset")
    assert (refused.code, refused.stdout) == (2, "")
    assert "'test'" in refused.stderr
