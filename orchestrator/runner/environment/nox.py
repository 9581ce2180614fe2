"""The single module that makes nox's private calls: one session in this process, without a second interpreter.

Measured with nox 2026.10.20 (CPU time beyond what is imported anyway): importing nox whole and running an
empty session costs about 80 ms, this way about 10 ms.
Three things make the difference, each covered by a contract test against the installed nox:

- nox's ``__init__`` (command line, noxfile loader, listings), what nox marks as lazy and its log are put off until
  somebody asks for them (``nox_imports``).
- the options of a session are a small object that asks nox's own option set only for what it doesn't know.
- the session has no environment of nox's making, so nox need not look for ``uv`` by starting it.

When private names have moved, ``NoxUnavailable`` says so before the body ran, and ``session_command``
gives the nox process to start instead.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

from orchestrator.base.errors import NoxUnavailable
from orchestrator.base.record import Record
from orchestrator.base.workspace import NOX_FOLDER
from orchestrator.runner.environment.nox_imports import little_of_nox, silenced

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, TypeAlias

    from nox.sessions import Session, SessionRunner

SessionStatus: TypeAlias = "Literal['success', 'failed', 'aborted', 'skipped']"

_REGISTERING = "orchestrator.nox_session"
"""The module whose ``register`` gives a noxfile the projects' sessions."""


class EnvironmentNotMade(Exception):  # noqa: N818 - named by what happened, as in errors
    """A virtual environment could not be made; the text is the cause in one line."""


class SessionResult(Record):
    """How a session ended, in nox's words.

    ``reason`` is what ``session.error`` or ``session.skip`` said, or the exception in one line, else
    empty. ``error`` is the exception that the body raised, None when it raised none.
    """

    status: SessionStatus
    reason: str = ""
    error: Exception | None = None


def run_session(name: str, body: Callable[[Session], None], *, root: str, tags: Sequence[str] = ()) -> SessionResult:
    """Run ``body`` as the nox session ``name`` with ``root`` as the current folder, and return how it ended.

    ``body`` gets nox's session object. The current folder is put back afterwards, also when the old one
    was moved meanwhile. nox's log goes nowhere. KeyboardInterrupt, SystemExit and other BaseExceptions
    of the body pass through; its Exceptions are the result's ``error``.

    Raises NoxUnavailable when nox can't do it, in which case the body was not started.
    """
    call = _Body(body)
    root = os.path.abspath(root)
    with _current_folder(root), silenced():
        with _moved_names(), _any_home():
            runner = _runner(name, call, root, tags)
        result = runner.execute()
    if not call.started:
        raise NoxUnavailable(f"nox did not start the session: {result.reason or result.status}")
    status: Any = result.status.name.lower()
    return SessionResult(status, _reason(result.reason, call.error), call.error)


def check_session(name: str, root: str) -> None:
    """Raise NoxUnavailable when a session can't be prepared in this process: known before a run is opened for it."""
    with _current_folder(root), silenced(), _moved_names(), _any_home():
        _runner(name, _Body(lambda session: None), root, ())


def session_command(root: str, noxfile: str, name: str) -> list[str]:
    """Return the command line of a nox process that runs the session ``name`` of ``noxfile``.

    A missing interpreter is an error and not a skipped session with exit code 0 (nox's default outside
    CI). The process's environment should be that of ``scrubbed``.
    """
    return [
        *(sys.executable, "-P", "-m", "nox", "--noxfile", noxfile, "--envdir", os.path.join(root, NOX_FOLDER)),
        *("--error-on-missing-interpreters", "--session", name),
    ]


@contextlib.contextmanager
def _moved_names() -> Iterator[None]:
    try:
        yield
    except (AttributeError, ImportError, TypeError, ValueError) as error:
        raise NoxUnavailable(f"nox has changed: {type(error).__name__}: {error}") from error


def noxfile_for(root: str) -> str:
    """Return the workspace's noxfile when it registers the projects' sessions, else the one in this package."""
    own = os.path.join(root, "noxfile.py")
    with contextlib.suppress(OSError), open(own, "rb") as file:
        if _registers(file.read(1 << 20)):
            return own
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return os.path.join(package, "cli", "packaged_noxfile.py")


def _registers(noxfile: bytes) -> bool:
    """Tell whether a noxfile imports ``orchestrator.nox_session``: a comment or a text that names it is not enough."""
    if b"nox_session" not in noxfile:
        return False
    import ast

    try:
        tree = ast.parse(noxfile)
    except (SyntaxError, ValueError, RecursionError):
        return False
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and any(name.name == _REGISTERING for name in node.names):
            return True
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            named = {f"{node.module}.{name.name}" for name in node.names}
            if node.module == _REGISTERING or _REGISTERING in named:
                return True
    return False


def scrubbed(environ: Mapping[str, str]) -> dict[str, str]:
    """Return ``environ`` without ``NOX*``, with which a shell selects sessions and sets nox's options.

    A user who has no home folder at all gets one that is not theirs: nox can't be imported otherwise.
    """
    home = {} if os.path.expanduser("~") != "~" else {"HOME": os.sep}
    return {**home, **{name: value for name, value in environ.items() if not name.startswith("NOX")}}


def make_virtualenv(folder: str, *, backends: Sequence[str], python: str | None) -> str:
    """Make the virtual environment ``folder`` anew as nox would, and return the backend that made it.

    The first of the ``backends`` (nox's names) that is present is taken. ``python`` is nox's word for an
    interpreter, None for the one that runs this. A missing one is downloaded where the backend can (nox's
    default). Commands and their output go to stderr as nox logs them.

    Raises EnvironmentNotMade with the cause.
    """
    with _any_home():
        from nox.command import CommandFailed
        from nox.logger import setup_logging
        from nox.virtualenv import InterpreterNotFound, get_virtualenv

    setup_logging(color=False)
    try:
        environment = get_virtualenv(
            *backends, download_python="auto", envdir=folder, reuse_existing=False, interpreter=python
        )
        environment.create()
    except InterpreterNotFound as error:
        raise EnvironmentNotMade(
            f"Python {error.interpreter} was not found on this machine, and it could not be downloaded"
        ) from error
    except CommandFailed as error:
        raise EnvironmentNotMade(f"the command that makes it failed: {error.reason or 'no cause given'}") from error
    except (OSError, ValueError) as error:
        raise EnvironmentNotMade(str(error)) from error
    return environment.venv_backend


def uv_program() -> str | None:
    """Return the ``uv`` that nox would take, None where there is none. Starts it once to see that it works."""
    with _any_home():
        from nox.virtualenv import find_uv

    present, program, _ = find_uv()
    return program if present else None


class _Body:
    """The session's function for nox; remembers whether it ran and what it raised."""

    def __init__(self, body: Callable[[Session], None]) -> None:
        self.body = body
        self.started = False
        self.error: Exception | None = None

    def __call__(self, session: Session) -> None:
        self.started = True
        try:
            self.body(session)
        except Exception as error:
            self.error = error
            raise


class _Options:
    """The options that a session reads, as nox's command line would set them; others are nox's defaults.

    nox's own option set reads ``NOX*`` and ``CI`` of the shell and takes 30 ms to import.
    """

    def __init__(self, root: str) -> None:
        self.noxfile = os.path.join(root, "noxfile.py")
        self.envdir = os.path.join(root, NOX_FOLDER)
        self.invoked_from = root
        self.posargs: list[str] = []
        self.no_dependencies = False
        self.error_on_missing_interpreters = True

    def __getattr__(self, option: str) -> Any:
        if option.startswith("__"):
            raise AttributeError(option)
        from nox._options import options

        return getattr(options.namespace(), option)


@contextlib.contextmanager
def _any_home() -> Iterator[None]:
    """Let nox be imported by a user without ``$HOME`` and without an entry among the system's users.

    ``nox.virtualenv`` asks for the home folder at its import, to name a place for Pythons that it downloads.
    """
    if os.path.expanduser("~") != "~":
        yield
        return
    os.environ["HOME"] = os.sep
    try:
        yield
    finally:
        del os.environ["HOME"]


def _runner(name: str, call: _Body, root: str, tags: Sequence[str]) -> SessionRunner:
    with little_of_nox():
        from nox._decorators import Func
        from nox.manifest import Manifest
        from nox.sessions import SessionRunner
        from nox.virtualenv import PassthroughEnv

    class Runner(SessionRunner):
        """A session whose environment is not nox's affair."""

        def _create_venv(self) -> None:
            self.venv = PassthroughEnv()

    def session_body(session: Session) -> None:
        call(session)

    options: Any = _Options(root)
    function = Func(session_body, None, name=name, venv_backend="none", tags=list(tags))
    manifest = Manifest({}, options)
    runner = Runner(name, [name], function, options, manifest)
    manifest.add_session(runner)
    return next(manifest)


def _reason(said: str | None, error: Exception | None) -> str:
    if said:
        return said
    if error is None:
        return ""
    text = str(error).strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextlib.contextmanager
def _current_folder(root: str) -> Iterator[None]:
    before = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chdir(root)
        yield
    finally:
        os.fchdir(before)
        os.close(before)
