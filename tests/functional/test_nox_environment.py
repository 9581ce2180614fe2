"""The contract with the installed nox: what its private names do, and what happens when they have moved."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.base.errors import NoxUnavailable
from orchestrator.base.workspace import NOX_FOLDER
from orchestrator.model.plan import SessionPlan
from orchestrator.runner.environment import environment_folder
from orchestrator.runner.environment.nox import (
    SessionResult,
    noxfile_for,
    run_session,
    scrubbed,
    session_command,
)

if TYPE_CHECKING:
    from nox.sessions import Session

SOURCES = str(Path(__file__).resolve().parents[2])


def python(program: str, *, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run ``program`` in an interpreter that has imported nothing yet."""
    env = {**os.environ, "PYTHONPATH": SOURCES, **environ}
    command = [sys.executable, "-P", "-c", textwrap.dedent(program)]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_a_body_runs_as_a_session(tmp_path: Path) -> None:
    """The body gets nox's session, in the workspace's folder; afterwards the old folder is current again."""
    before = os.getcwd()
    seen: list[object] = []

    def body(session: Session) -> None:
        seen.extend([session.name, os.getcwd(), session.venv_backend, session.env["NOX_CURRENT_SESSION"]])

    assert run_session("diagnostics-x", body, root=str(tmp_path), tags=["x"]) == SessionResult("success")
    assert seen == ["diagnostics-x", str(tmp_path.resolve()), "none", "diagnostics-x"]
    assert os.getcwd() == before


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (lambda session: session.error("no luck"), "aborted", "no luck"),
        (lambda session: session.skip("not today"), "skipped", "not today"),
        (lambda session: session.run("false", external=True, log=False), "failed", "CommandFailed: Returned code 1"),
    ],
)
def test_noxs_own_verdicts(tmp_path: Path, body: Callable[[Session], None], status: str, reason: str) -> None:
    """What a session says through nox comes back in nox's words."""
    result = run_session("x", body, root=str(tmp_path))
    assert (result.status, result.reason) == (status, reason)


def test_an_exception_comes_back_as_a_value(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """An exception of the body is the result's, and nox prints nothing about it."""

    def body(_: Session) -> None:
        raise LookupError("gone")

    result = run_session("x", body, root=str(tmp_path))
    assert (result.status, result.reason) == ("failed", "LookupError: gone")
    assert isinstance(result.error, LookupError)
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


@pytest.mark.parametrize("signal", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_interrupts_pass_through(tmp_path: Path, signal: type[BaseException]) -> None:
    """Ctrl-C and the like leave the session at once, with the old folder current again."""
    before = os.getcwd()

    def body(_: Session) -> None:
        raise signal

    with pytest.raises(signal):
        run_session("x", body, root=str(tmp_path))
    assert os.getcwd() == before


def test_a_body_may_lose_the_callers_folder(tmp_path: Path) -> None:
    """A session that succeeded stays one, although the folder that it was called from is gone."""
    result = python(
        """
        import os
        from orchestrator.runner.environment.nox import run_session
        os.mkdir("gone"); os.chdir("gone")
        print(run_session("x", lambda session: os.rmdir(os.getcwd() + "/gone"), root="..").status)
        """,
        cwd=tmp_path,
    )
    assert (result.stdout, result.stderr) == ("success\n", "")


def test_the_users_shell_selects_nothing(tmp_path: Path) -> None:
    """``NOX*`` and CI in the shell neither keep the session from running nor change its interpreter."""
    result = python(
        """
        from orchestrator.runner.environment.nox import run_session
        print(run_session("x", lambda session: print(session.python, session.posargs), root="."))
        """,
        cwd=tmp_path,
        NOXSESSION="other",
        NOXFORCEPYTHON="3.99",
        NOX_DEFAULT_VENV_BACKEND="conda",
        CI="1",
    )
    assert result.stdout == "None []\nSessionResult(status='success', reason='', error=None)\n"


def test_little_of_nox_is_imported_and_no_uv_is_started(tmp_path: Path) -> None:
    """An empty session needs nothing of nox's command line, options, log or lazy imports, and starts no process."""
    result = python(
        """
        import subprocess, sys
        from orchestrator.runner.environment.nox import run_session
        def refuse(*args, **kwargs): raise AssertionError(args)
        subprocess.Popen.__init__ = refuse
        before = set(sys.modules)
        run_session("x", lambda session: None, root=".")
        from orchestrator.runner.environment.nox_imports import LAZY
        unused = {"nox._cli", "nox._options", "nox.tasks", "importlib.metadata", "argparse", "nox.logger", "logging"}
        print(sorted((unused | set(LAZY) - before) & set(sys.modules)))
        """,
        cwd=tmp_path,
    )
    assert (result.stdout, result.stderr) == ("[]\n", "")


def test_nox_is_whole_for_who_asks(tmp_path: Path) -> None:
    """Inside the session all of nox is there: its decorator, its options, those of the session too."""
    result = python(
        """
        from orchestrator.runner.environment.nox import run_session
        def body(session):
            import nox
            from nox import options, project
            @nox.session
            def inner(session): pass
            session.run("true", external=True, silent=True)
            print(nox.options is options, inner.name, session.interactive, sorted(nox.__all__)[:2])
            try: nox.nothing
            except AttributeError as error: print(error)
        result = run_session("x", body, root=".")
        print(result)
        """,
        cwd=tmp_path,
    )
    assert result.stdout.splitlines() == [
        "True inner False ['Session', 'main']",
        "module 'nox' has no attribute 'nothing'",
        "SessionResult(status='success', reason='', error=None)",
    ]


def test_noxs_log_and_lazy_imports_are_there_for_who_asks(tmp_path: Path) -> None:
    """Where nox's log was set up, its modules write to it; and what they import lazily works."""
    result = python(
        """
        from orchestrator.runner.environment.nox import run_session
        run_session("x", lambda session: session.warn("nobody listens"), root=".")
        from nox.logger import setup_logging
        setup_logging(color=False)
        import nox.virtualenv, nox.sessions
        nox.virtualenv.logger.warning("seen")
        run_session("x", lambda session: session.warn("silenced"), root=".")
        print(nox.sessions._normalize_path("/w", "p" * 200), nox.sessions._duration_str(90, "{time}"))
        """,
        cwd=tmp_path,
    )
    folder = hashlib.sha1(b"p" * 200).hexdigest()[:8]
    assert result.stdout == f"/w/{folder} 2 minutes\n"
    assert result.stderr == "nox > seen\nnox > The virtualenv name was hashed to avoid being too long.\n"


@pytest.mark.parametrize(
    "change",
    [
        "import nox.sessions; del nox.sessions.SessionRunner",
        "import nox.manifest; nox.manifest.Manifest = lambda: None",
        "import sys; sys.modules['nox._decorators'] = None",
        "import nox.sessions as s; s.SessionRunner.execute = lambda r: s.Result(r, s.Status.SUCCESS)",
    ],
)
def test_a_changed_nox_is_noticed_before_the_body(tmp_path: Path, change: str) -> None:
    """When private names have moved, the body has not run and the caller can start a nox process instead."""
    result = python(
        f"""
        from orchestrator.runner.environment.nox import run_session
        from orchestrator.base.errors import NoxUnavailable
        {change}
        try: run_session("x", lambda session: print("ran"), root=".")
        except NoxUnavailable as error: print("unavailable:", error)
        """,
        cwd=tmp_path,
    )
    assert result.stdout.startswith("unavailable: ")


def test_a_missing_workspace_is_noticed_before_the_body(tmp_path: Path) -> None:
    """A root that is not there is an error of the operating system, and the old folder stays current."""
    before = os.getcwd()
    with pytest.raises((FileNotFoundError, NoxUnavailable)):
        run_session("x", lambda _: None, root=str(tmp_path / "gone"))
    assert os.getcwd() == before


@pytest.mark.parametrize("name", ["diagnostics-hello-python", "smoke-my.lib_2", "a-b", f"{'p' * 64}-{'q' * 64}"])
def test_the_environments_folder_is_noxs(name: str) -> None:
    """Our rule for the folder's name is that of the installed nox, also for names that it hashes."""
    from nox.sessions import _normalize_path

    folder = environment_folder("/w/.nox", SessionPlan(name=name, backend="uv"))
    assert folder == os.path.join("/w", _normalize_path(NOX_FOLDER, name))


def test_a_process_does_the_same(tmp_path: Path) -> None:
    """The command line for a nox process runs one session of a noxfile and fails when it fails."""
    noxfile = tmp_path / "noxfile.py"
    noxfile.write_text(
        "import nox\n"
        "@nox.session(venv_backend='none')\ndef good(session): print('ran')\n"
        "@nox.session(python='3.99')\ndef bad(session): print('ran')\n"
    )
    codes = []
    for name in ("good", "bad", "unknown"):
        command = session_command(str(tmp_path), str(noxfile), name)
        env = scrubbed({**os.environ, "NOXSESSION": "good", "UV_PYTHON_DOWNLOADS": "never"})
        env.pop("CI", None)
        codes.append(subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, check=False).returncode)
    assert codes[0] == 0
    assert 0 not in codes[1:]


def test_the_workspaces_noxfile_is_taken_when_it_is_ours(tmp_path: Path) -> None:
    """A noxfile that registers the sessions is used; none, or one that knows nothing of them, is replaced."""
    packaged = noxfile_for(str(tmp_path))
    assert Path(packaged).read_text().count("register()") == 1
    own = tmp_path / "noxfile.py"
    own.write_text("import nox\n")
    assert noxfile_for(str(tmp_path)) == packaged
    own.write_text("from orchestrator.nox_session import register\nregister()\n")
    assert noxfile_for(str(tmp_path)) == str(own)


def test_noxs_variables_are_scrubbed() -> None:
    """Everything that begins with NOX goes, everything else stays."""
    assert scrubbed({"NOXSESSION": "a", "NOX_X": "b", "PATH": "c", "nox": "d"}) == {"PATH": "c", "nox": "d"}
