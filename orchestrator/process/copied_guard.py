"""A guard that is a copy of its owner, which has loaded most of what the guard is to hold loaded.

It leaves behind what is the owner's, as one that was executed does: session, signals, descriptors. Nothing of the
owner's is taken apart in it (no finalizer runs, no stack unwinds), since what that closes is not its own.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from importlib import import_module

from orchestrator.process.copies import may_be_copied
from orchestrator.process.guard.launch import Program
from orchestrator.process.guard.main import serve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_PROGRAM = "orchestrator.__main__"
_SCRIPT = "codex-orchestrator"


def may_copy() -> bool:
    """Tell whether this process is the program's own, started as its children are, and can be copied.

    It is Linux's (elsewhere a copy can't use all of a system), has one thread, no interpreter's options but ``-P``, and
    is no other program that calls this one, as nox and pytest do.
    """
    if sys.platform != "linux" or None in (sys.__stdin__, sys.__stdout__, sys.__stderr__):
        return False
    main = sys.modules["__main__"]
    if main.__spec__ is not None:
        words = [word for word in sys.orig_argv[1:3] if word != "-P"]
        is_ours = main.__spec__.name == _PROGRAM and words[:1] == ["-m"]
    else:
        is_ours = os.path.basename(getattr(main, "__file__", "")) == _SCRIPT and sys.orig_argv[1][:1] != "-"
    return is_ours and may_be_copied()


def copy_guard(sock: int, trees: str, program: str | None) -> int:
    """Start a guard as a copy of this process, and return its process id. Raises OSError when none can be made.

    ``sock`` is the socket to its owner, ``trees`` tells how it finds trees, ``program`` is the module whose ``copied``
    returns the program that it holds loaded.
    """
    # Signals wait until the copy has left the terminal's session.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
    except OSError:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        raise
    if pid == 0:
        _be_guard(sock, trees, program)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def _be_guard(sock: int, trees: str, program: str | None) -> NoReturn:
    try:
        gc.freeze()
        signal.set_wakeup_fd(-1)
        os.dup2(sock, 0)
        serve(trees, None if program is None else lambda: _loaded(program))
    finally:
        os._exit(1)


def _loaded(program: str) -> Program:
    loaded: Program = import_module(program).copied()
    return loaded
