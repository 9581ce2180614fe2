"""Names of files, arguments and variables as UTF-8, whatever the locale: configs and records are UTF-8."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence

_UTF8 = "utf-8"


def is_needed() -> bool:
    """Tell whether this process takes names for another encoding: an 8-bit locale, or C with PYTHONUTF8=0."""
    return sys.getfilesystemencoding().lower() != _UTF8 and not sys.flags.utf8_mode


def start_again(
    argv: Sequence[str] | None = None,
    environ: Mapping[bytes, bytes] | None = None,
    execute: Callable[[bytes, list[bytes], dict[bytes, bytes]], object] = os.execve,
) -> None:
    """Execute this process's command line again in Python's UTF-8 mode (PEP 540), before it has done anything.

    The arguments are the same text, in UTF-8; the standard streams keep the encoding that the terminal expects.
    Returns where the interpreter is not known or can't be executed.
    """
    arguments = [word.encode(_UTF8, "surrogateescape") for word in (sys.orig_argv if argv is None else argv)[1:]]
    env = dict(os.environb if environ is None else environ)
    env[b"PYTHONUTF8"] = b"1"
    encoding = getattr(sys.stdout, "encoding", None) or _UTF8
    env.setdefault(b"PYTHONIOENCODING", f"{encoding}:backslashreplace".encode())
    if sys.executable:
        program = os.fsencode(sys.executable)
        try:
            execute(program, [program, b"-X", b"utf8", *arguments], env)
        except OSError:
            return
