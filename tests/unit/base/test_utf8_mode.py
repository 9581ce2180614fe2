"""A command line that is executed again in UTF-8 mode."""

from __future__ import annotations

import sys

from orchestrator.base import utf8_mode


def test_the_same_command_line_in_utf8() -> None:
    """Its arguments are the same text, or the same bytes where they were none; the streams keep their encoding."""
    called: list[tuple[bytes, list[bytes], dict[bytes, bytes]]] = []
    argv = ["python", "-I", "-m", "orchestrator", "ü", "\udcfc"]
    utf8_mode.start_again(argv, {b"A": b"\xfc"}, lambda *words: called.append(words))
    ((program, words, env),) = called
    assert program.decode() == sys.executable
    assert words == [program, b"-X", b"utf8", b"-I", b"-m", b"orchestrator", "ü".encode(), b"\xfc"]
    assert (env[b"A"], env[b"PYTHONUTF8"]) == (b"\xfc", b"1")
    assert env[b"PYTHONIOENCODING"].endswith(b":backslashreplace")


def test_an_interpreter_that_cannot_be_executed_goes_on() -> None:
    """The command is carried out as it was started then."""

    def refuse(*_: object) -> None:
        raise PermissionError

    utf8_mode.start_again(["python"], {}, refuse)
