"""The program, held loaded by the guard of a fleet: each child run is a copy of a process that has imported it all.

What an interpreter imports is most of what a short run takes (docs/performance.md), and the same for each child. The
guard loads what an up-to-date child needs; what children load besides, the first of them report by a pipe, and the
guard has it loaded before it makes the next.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib import import_module

from orchestrator.base import signals
from orchestrator.base.module_finder import install
from orchestrator.runner.stage_command import child_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import NoReturn

_FIRST = ("orchestrator.cli.console", "orchestrator.commands.run.up_to_date_child")
"""What every child needs, with what these import."""

_REPORT = 3
"""The descriptor at which a child reports what it had to load."""
_AT_ONCE = 4096
"""Bytes of a pipe that are written as a whole or not at all (PIPE_BUF of Linux)."""
_PIPE_BYTES = 1 << 16
_ENGINE = "orchestrator.cloud"
"""The engine's client makes threads, of which a copy of a process has none."""


class LoadedProgram:
    """The program of child runs (``process.guard.launch.Program``)."""

    def __init__(self) -> None:
        self._words = [os.fsencode(word) for word in child_program()]
        self._reports, self._reported = os.pipe()
        os.set_blocking(self._reports, False)
        os.set_blocking(self._reported, False)
        self._is_single = True
        self._load(_FIRST)
        with suppress(Exception):  # the child that needs it reports it
            import_module(_FIRST[-1]).load()
        _main_module()

    def is_ready(self) -> bool:
        """Load what children reported that they loaded; False once this process can't be copied any more."""
        with suppress(BlockingIOError):
            names = os.read(self._reports, _PIPE_BYTES).decode().split()
            if "nox.sessions" in names:
                from orchestrator.runner.environment.nox import check_session

                with suppress(Exception):  # the child that needs it reports it
                    check_session("fleet", os.sep)
            self._load(name for name in names if _may_load(name))
        return self._is_single

    def is_called_by(self, argv: list[bytes]) -> bool:
        """Tell whether a command is that of a child run."""
        return argv[: len(self._words)] == self._words

    def run(self, argv: list[bytes], env: dict[bytes, bytes]) -> NoReturn:
        """Be the child: what an interpreter makes of its process at its start is made anew, then ``main`` is called."""
        code = 1
        try:
            os.dup2(self._reported, _REPORT, inheritable=False)
            _close_above(_REPORT)
            self._begin(argv, env)
            before = frozenset(sys.modules)
            code = self._exit_code(_main_module().main)
            _end()
            self._report(name for name in sys.modules if name not in before)
        finally:
            os._exit(code)

    def _begin(self, argv: list[bytes], env: dict[bytes, bytes]) -> None:
        """Make arguments, environment, streams and signals those of an interpreter that was started with them."""
        words = [os.fsdecode(word) for word in argv]
        sys.orig_argv = words
        sys.argv = [str(_main_module().__file__), *words[len(child_program()) :]]
        _set_environ(env)
        time.tzset()
        for number in (signals.SIGPIPE, signals.SIGXFSZ):
            signals.signal(number, signals.SIG_IGN)
        signals.signal(signals.SIGCHLD, signals.SIG_DFL)
        signals.signal(signals.SIGINT, signals.default_int_handler)
        for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
            old = getattr(sys, f"__{name}__")  # the other one may have been replaced (``cli.streams``)
            encoding, errors = old.encoding, old.errors
            stream = open(fd, mode, encoding=encoding, errors=errors, closefd=False)  # noqa: SIM115 -- lives as the process
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
        gc.enable()

    def _exit_code(self, main: Callable[[], int]) -> int:
        """Return the exit code of ``main``; what escapes from it is printed as an interpreter prints it."""
        try:
            return int(main())
        except SystemExit as ended:
            if ended.code is None or isinstance(ended.code, int):
                return ended.code or 0
            sys.stderr.write(f"{ended.code}\n")
        except BaseException:
            sys.excepthook(*sys.exc_info())
        return 1

    def _load(self, names: Iterable[str]) -> None:
        for name in names:
            with suppress(Exception):  # the child that needs it reports it
                import_module(name)
        gc.collect()
        gc.freeze()  # a copy shares what the collector does not touch
        self._is_single = self._is_single and len(os.listdir("/proc/self/task")) == 1

    def _report(self, names: Iterable[str]) -> None:
        with suppress(OSError):
            for part in _parts(names):
                os.write(_REPORT, part)


def load() -> LoadedProgram:
    """Return the program, with this process changed into one that can be copied. Raises OSError."""
    install("orchestrator")
    sys.path.pop()  # the guard's own folder
    return LoadedProgram()


def copied() -> LoadedProgram:
    """Return the program in a copy of a process that runs it, which is changed into one that can be copied itself."""
    if not sys.flags.safe_path:
        sys.path.pop(0)  # the folder of the script or, with -m, the current one: children are started without
    return LoadedProgram()


def _may_load(name: str) -> bool:
    top = name.partition(".")[0]
    if top == "orchestrator":
        return name != "orchestrator.__main__" and not f"{name}.".startswith(f"{_ENGINE}.")
    return top in sys.stdlib_module_names


def _parts(names: Iterable[str]) -> Iterator[bytes]:
    """Yield names as lines, as many as can be written at once."""
    part = b""
    for name in names:
        line = f"{name}\n".encode()
        if len(part) + len(line) > _AT_ONCE:
            yield part
            part = b""
        part += line
    if part:
        yield part


def _close_above(last: int) -> None:
    for name in os.listdir("/dev/fd"):
        if int(name) > last:
            with suppress(OSError):  # the listing's own descriptor
                os.close(int(name))


def _set_environ(env: dict[bytes, bytes]) -> None:
    """Make this process's variables those of ``env``; most of a child's are its fleet's."""
    before = dict(os.environb)
    for name in before.keys() - env.keys():
        del os.environb[name]
    for name, value in env.items():
        if before.get(name) != value:
            os.environb[name] = value


def _main_module() -> ModuleType:
    """Return what ``python -m`` runs of the program: it stands above all other modules."""
    return import_module("orchestrator.__main__")


def _end() -> None:
    """Do what an interpreter does at its end that can be seen outside of it."""
    import atexit

    threading = sys.modules.get("threading")
    if threading is not None:
        threading._shutdown()  # as multiprocessing ends its copies
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
