"""Why a command could not be started, in a sentence."""

from __future__ import annotations

import errno
import os

from orchestrator.process.messages import SpawnFault


def sentence(command: str, cwd: str, reason: SpawnFault, number: int, more: str) -> str:
    """Return what people read about a command that did not start.

    ``number`` is the system's error number, 0 when there was none; ``more`` is what else is known, or empty.
    """
    shown = f"'{_printable(command)}'"
    why = os.strerror(number) if number else "it could not be started"
    if reason == "bad-cwd":
        return f"the working folder '{_printable(cwd)}' can't be used: {more or why}"
    if reason == "not-found":
        if not command:
            return "the command is empty"
        return f"{shown} does not exist" if "/" in command else f"{shown} was not found on the stage's PATH"
    if reason == "not-executable":
        return f"{shown} can't be executed: {more or _not_executable(number, why)}"
    if number == errno.EAGAIN:
        return f"{shown} could not be started: this user or machine has no more processes (see 'ulimit -u')"
    return f"{shown} could not be started: {why if number else more or why}"


def _printable(text: str) -> str:
    """Return text that can be written as UTF-8: an argument's bytes may be anything."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _not_executable(number: int, why: str) -> str:
    if number in (errno.ENOENT, errno.ENOTDIR):
        return "the interpreter that its first line names does not exist"
    if number == errno.ENOEXEC:
        return "it is neither a program nor a script with an interpreter in its first line"
    if number == errno.EACCES:
        return "permission denied (is it marked as executable?)"
    return why
