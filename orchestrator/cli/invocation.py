"""One call at the edge: a command function's answer becomes output and an exit code, and so does its refusal."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping, Sequence

from orchestrator.base.errors import (
    EXIT_BUG,
    EXIT_DONE,
    EXIT_SIGNAL_BASE,
    EXIT_STORAGE,
    Refusal,
    StorageError,
    UsageError,
)
from orchestrator.base.files import MissingError
from orchestrator.base.json_values import shown_json
from orchestrator.base.record import Record
from orchestrator.base.text.appearance import is_terminal
from orchestrator.base.text.safe_text import safe_text
from orchestrator.cli import streams
from orchestrator.cli.options import Command, Commands, Given
from orchestrator.cli.parser import wants_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from orchestrator.commands.context import Answer, Context

PROGRAM = "codex-orchestrator"
EXIT_INTERRUPTED = EXIT_SIGNAL_BASE + 2

_STORAGE_FAULTS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})


class Invocation(Record):
    """Where a call came in: its words (without the program's name), its streams, and how its context is made."""

    words: tuple[str, ...]
    stdout: TextIO
    stderr: TextIO
    make_context: Callable[[], Context]

    @classmethod
    def of_process(cls, words: Sequence[str]) -> Invocation:
        """Return the invocation of this process, with its standard streams made safe to write to."""
        import sys

        streams.open_missing()
        return cls(tuple(words), sys.stdout, sys.stderr, _process_context)


def answer(invocation: Invocation, commands: Commands, command: Command, given: Given, *, dry: bool = False) -> int:
    """Call a command's function with what was given, print its answer and return the exit code.

    Raises what the function raises, and UsageError for options that can't be read.
    """
    if dry:
        command, given = _dry_form(commands, command, given)
    arguments = command.arguments(given)
    function = command.load()
    result = function(invocation.make_context(), **arguments)
    code = _print(invocation, result, str(arguments.get("format", "text")))
    if result.after is not None:
        result.after()
    return code


def guarded(invocation: Invocation, action: Callable[[], int]) -> int:
    """Return the exit code of ``action``; what it raises is reported on its streams, never as a traceback."""
    try:
        code = action()
    except Refusal as refusal:
        code = _report(invocation, refusal)
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except BrokenPipeError as error:
        # Who closed the pipe has seen enough; a pipe of our own that broke is a bug.
        code = EXIT_DONE if streams.reader_gone(invocation.stdout) else _report_bug(invocation, error)
    except OSError as error:
        fault = _is_storage_fault(error)
        code = _report(invocation, _storage_error(error)) if fault else _report_bug(invocation, error)
    except Exception as error:  # the last place that can tell a bug from a refusal
        code = _report_bug(invocation, error)
    streams.settle(invocation.stdout)
    streams.settle(invocation.stderr)
    return code


def _dry_form(commands: Commands, command: Command, given: Given) -> tuple[Command, Given]:
    if not command.dry_as:
        able = ", ".join(f"'{known.name}'" for known in commands.values() if known.dry_as not in ("", known.name))
        raise UsageError(
            f"'{command.name}' has no dry form" + (f"; {able} has" if able else ""),
            hint=f"leave --dry out, or see {PROGRAM} {command.name} --help",
            code="no-dry-form",
        )
    other = commands[command.dry_as]
    return other, {option.name: given[option.name] for option in other.options if option.name in given}


def _print(invocation: Invocation, result: Answer, form: str) -> int:
    """Print an answer. In json it is the document; what people read goes to stderr when something is wrong."""
    failed = None
    if form == "text" or result.document is None:
        stream = streams.raw(invocation.stdout) if result.is_data else invocation.stdout
        failed = streams.emit(stream, _lines(result.text))
    elif form == "json":
        failed = streams.emit(
            invocation.stdout, _json(result.document, indent=2 if is_terminal(invocation.stdout) else None)
        )
    if form != "text" and result.document is not None and result.exit_code != EXIT_DONE:
        streams.emit(invocation.stderr, _lines(result.text))
    if failed is not None and failed.errno in _STORAGE_FAULTS:
        _report_to_people(invocation, StorageError(f"the answer could not be written: {failed.strerror}"))
        return result.exit_code or EXIT_STORAGE
    return result.exit_code


def _json(document: Mapping[str, object], *, indent: int | None = None) -> str:
    """Return the document escaped to ASCII: nothing in it acts on a terminal, and any encoding can carry it."""
    return shown_json(document, indent=indent) + "\n"


def _lines(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


def _report(invocation: Invocation, refusal: Refusal) -> int:
    if wants_json(invocation.words):
        streams.emit(invocation.stdout, _json(refusal.as_json()))
    else:
        _report_to_people(invocation, refusal)
    return refusal.exit_code


def _report_to_people(invocation: Invocation, refusal: Refusal) -> None:
    hint = f"hint: {refusal.hint}\n" if refusal.hint else ""
    streams.emit(invocation.stderr, safe_text(f"{PROGRAM}: error: {refusal.message}\n{hint}", lines=True))


def _report_bug(invocation: Invocation, error: Exception) -> int:
    """Write the report, name it in one line on stderr, and in JSON on stdout too; return the exit code."""
    from orchestrator.cli.crash_report import write_report

    context = None
    try:
        context = invocation.make_context()
        path = write_report(error, invocation.words, context)
    except Exception:  # a report that fails must not hide what it was about
        path = ""
    report = f"the report is '{path}'" if path else "no report could be written"
    bug = _Bug(f"this is a bug in {PROGRAM} ({type(error).__name__}); {report}", code="bug")
    _report_to_people(invocation, bug)
    if wants_json(invocation.words):
        streams.emit(invocation.stdout, _json(bug.as_json()))
    return EXIT_BUG


class _Bug(Refusal):
    """Not a refusal, but printed in the same shape."""

    exit_code = EXIT_BUG


def _is_storage_fault(error: OSError) -> bool:
    return error.errno in _STORAGE_FAULTS or isinstance(error, MissingError)


def _storage_error(error: OSError) -> StorageError:
    where = f"'{os.fsdecode(error.filename)}': " if isinstance(error.filename, str | bytes) else ""
    return StorageError(f"{where}{error.strerror or error}")


def _process_context() -> Context:
    from orchestrator.commands.context import Context

    try:
        return Context.of_process()
    except FileNotFoundError:
        raise UsageError(
            "the current folder does not exist any more", hint="go to a folder that exists", code="no-folder"
        ) from None
