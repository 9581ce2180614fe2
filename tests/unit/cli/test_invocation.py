"""The edge with commands that do nothing: what is printed where, and with which exit code a call ends."""

from __future__ import annotations

import errno
import io
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from invoke.program import Program

from orchestrator.base.errors import DamagedRecord, Refused, UsageError
from orchestrator.cli.console import run
from orchestrator.cli.crash_report import REPORTS, REPORTS_KEPT
from orchestrator.cli.invocation import Invocation
from orchestrator.cli.invoke_tasks import collection, process_collection
from orchestrator.cli.options import Command, Commands, OneOf, Option, count, table
from orchestrator.commands.context import Answer, Context

FORMATS = Option("format", "how", "FORMAT", default="text", read=OneOf("text", "json", "ndjson"))


@dataclass
class Asked:
    """A command function that notes how it was called, and answers or raises what it was told to."""

    answer: Answer = field(default_factory=lambda: Answer(0, {"done": "é\x9b"}, "done"))
    error: BaseException | None = None
    calls: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, context: Context, **arguments: Any) -> Answer:
        self.calls.append(arguments)
        if self.error is not None:
            raise self.error
        return self.answer


@dataclass(frozen=True)
class Commanded:
    """A table of fake commands: ``go`` (with a dry form), ``show`` and ``plan``."""

    go: Asked = field(default_factory=Asked)
    show: Asked = field(default_factory=Asked)
    plan: Asked = field(default_factory=Asked)

    def table(self) -> Commands:
        """Return the commands as they would be declared."""
        target = Option("target", "what", "NAME", default="all")
        jobs = Option("at-once", "how many", "N", read=count)
        pair = Option("override", "pairs", "K=V", repeatable=True, parameter="overrides")
        loud = Option("loud", "louder")
        return table(
            Command("go", "Go.", lambda: self.go, (target, jobs, pair, loud, FORMATS), "target", dry_as="plan"),
            Command("show", "Show.", lambda: self.show, (target, FORMATS), "target", dry_as="show"),
            Command("plan", "Plan.", lambda: self.plan, (target, FORMATS), "target", dry_as="plan"),
            Command("stop", "Stop.", lambda: self.go, (Option("run", "which", "RUN", required=True),), "run"),
        )


@dataclass(frozen=True)
class Ended:
    """How a call at the edge ended."""

    code: int
    stdout: str
    stderr: str


class BrokenStream(io.StringIO):
    """A stream whose every flush fails with ``number``."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def flush(self) -> None:
        """Fail as a closed pipe or a full disk does."""
        raise OSError(self.number, "cannot write")


def invocation_of(words: Sequence[str], folder: Path, stdout: io.StringIO | None = None) -> Invocation:
    """Return a invocation with streams of its own, in a workspace in ``folder``."""
    (folder / "project_configs").mkdir(exist_ok=True)
    out, err = stdout or io.StringIO(), io.StringIO()
    return Invocation(tuple(words), out, err, lambda: Context(str(folder), {"DEPLOY_TOKEN": "s3cr3t-env"}, out, err))


def console(words: Sequence[str], commands: Commanded, folder: Path, stdout: io.StringIO | None = None) -> Ended:
    """Call the console script's edge."""
    invocation = invocation_of(words, folder, stdout)
    code = run(invocation.words, commands.table(), invocation)
    return Ended(code, *_outputs(invocation))


def invoked(words: Sequence[str], commands: Commanded, folder: Path) -> Ended:
    """Call the tasks as the ``invoke`` command does: its own program and parser."""
    invocation = invocation_of(words, folder)
    program = Program(namespace=collection(commands.table(), lambda: invocation))
    code: object = 0
    try:
        program.run(["invoke", *words])
    except SystemExit as ended:
        code = ended.code
    assert isinstance(code, int)
    return Ended(code, *_outputs(invocation))


def _outputs(invocation: Invocation) -> tuple[str, str]:
    assert isinstance(invocation.stdout, io.StringIO)
    assert isinstance(invocation.stderr, io.StringIO)
    return invocation.stdout.getvalue(), invocation.stderr.getvalue()


DOORS = pytest.mark.parametrize("call", [console, invoked])
Call = Callable[[Sequence[str], Commanded, Path], Ended]


@DOORS
def test_options_reach_the_function(call: Call, tmp_path: Path) -> None:
    """Both entry points call the function with the same arguments: what was given, and declared defaults."""
    commands = Commanded()
    words = ["go", "--target", "x", "--at-once=2", "--override", "a=1", "--override", "b=2", "--loud"]
    assert call(words, commands, tmp_path).code == 0
    assert call(["go"], commands, tmp_path).code == 0
    given = {"target": "x", "at_once": 2, "overrides": ("a=1", "b=2"), "loud": True, "format": "text"}
    left_out = {"target": "all", "at_once": None, "overrides": (), "loud": False, "format": "text"}
    assert commands.go.calls == [given, left_out]


@pytest.mark.parametrize("value", ["", "two words", "-x", "--loud", "--help", "a=b", "plan"])
@pytest.mark.parametrize("command", ["go", "show"])
def test_any_value_passes_through_invoke(command: str, value: str, tmp_path: Path) -> None:
    """A value of any form reaches the function unchanged, with Invoke in between and without."""
    commands = Commanded()
    assert console([command, f"--target={value}"], commands, tmp_path).code == 0
    assert (commands.go.calls or commands.show.calls)[0]["target"] == value


@pytest.mark.parametrize("command", ["go", "show"])
def test_positional(command: str, tmp_path: Path) -> None:
    """The console script takes the first bare word as the command's positional."""
    commands = Commanded()
    assert console([command, "plan"], commands, tmp_path).code == 0
    assert (commands.go.calls or commands.show.calls)[0]["target"] == "plan"


@DOORS
def test_text_goes_to_stdout(call: Call, tmp_path: Path) -> None:
    """An answer's text is printed with a newline at its end, and nothing goes to stderr."""
    assert call(["go"], Commanded(), tmp_path) == Ended(0, "done\n", "")
    quiet = Commanded(go=Asked(Answer(0, None, "")))
    assert call(["go"], quiet, tmp_path) == Ended(0, "", "")


@DOORS
def test_json_is_one_document(call: Call, tmp_path: Path) -> None:
    """With --format json stdout holds one document in ASCII, and nothing else."""
    ended = call(["go", "--format", "json"], Commanded(), tmp_path)
    assert json.loads(ended.stdout) == {"done": "é\x9b"}
    assert ended.stdout.isascii()
    assert ended.stderr == ""


@DOORS
def test_failed_answer_in_json(call: Call, tmp_path: Path) -> None:
    """When an answer is not good, its document is on stdout, its text on stderr, and its exit code stands."""
    failed = Commanded(go=Asked(Answer(3, {"status": "failed"}, "stage 'build' failed")))
    ended = call(["go", "--format", "json"], failed, tmp_path)
    assert ended == Ended(3, '{"status": "failed"}\n', "stage 'build' failed\n")


@DOORS
def test_ndjson_is_the_events_only(call: Call, tmp_path: Path) -> None:
    """With --format ndjson stdout belongs to the events that the command wrote."""
    assert call(["go", "--format=ndjson"], Commanded(), tmp_path) == Ended(0, "", "")


@DOORS
@pytest.mark.parametrize(
    ("error", "code"), [(UsageError("bad"), 2), (Refused("alive"), 5), (DamagedRecord("cut off"), 7)]
)
def test_refusals(call: Call, error: Exception, code: int, tmp_path: Path) -> None:
    """A refusal is one message on stderr, and its exit code is ours in both entry points."""
    ended = call(["go"], Commanded(go=Asked(error=error)), tmp_path)
    assert ended == Ended(code, "", f"codex-orchestrator: error: {error}\n")


@DOORS
def test_refusal_with_a_hint(call: Call, tmp_path: Path) -> None:
    """A hint has a line of its own; in JSON it is a key, and stderr stays empty."""
    commands = Commanded(go=Asked(error=Refused("alive", hint="wait", code="run-alive")))
    assert call(["go"], commands, tmp_path).stderr == "codex-orchestrator: error: alive\nhint: wait\n"
    ended = call(["go", "--format=json"], commands, tmp_path)
    assert json.loads(ended.stdout) == {"error": {"code": "run-alive", "message": "alive", "hint": "wait"}}
    assert (ended.code, ended.stderr) == (5, "")


@DOORS
def test_refusal_cannot_act_on_the_terminal(call: Call, tmp_path: Path) -> None:
    """Foreign text in a message can't move the cursor, clear the screen or set a title."""
    commands = Commanded(go=Asked(error=DamagedRecord("cut \x1b[2J\x1b]0;title\x07 off")))
    ended = call(["go"], commands, tmp_path)
    assert "\x1b[2J" not in ended.stderr
    assert "\x1b]" not in ended.stderr
    assert "\x07" not in ended.stderr


@DOORS
@pytest.mark.parametrize("words", [["go", "--at-once", "x"], ["go", "--format", "yaml"], ["stop"]])
def test_values_that_cannot_be_read(call: Call, words: list[str], tmp_path: Path) -> None:
    """A value of the wrong kind is refused with exit code 2 in both entry points, and the command is not called."""
    commands = Commanded()
    ended = call(words, commands, tmp_path)
    assert (ended.code, ended.stdout, commands.go.calls) == (2, "", [])
    assert ended.stderr.startswith("codex-orchestrator: error: ")


def test_lines_that_cannot_be_parsed(tmp_path: Path) -> None:
    """The console script's parse errors have exit code 2, as text and as JSON."""
    ended = console(["goo"], Commanded(), tmp_path)
    assert ended.code == 2
    assert ended.stderr == "codex-orchestrator: error: there is no command 'goo'\nhint: did you mean 'go'?\n"
    ended = console(["show", "--targt", "x", "--format", "json"], Commanded(), tmp_path)
    assert json.loads(ended.stdout)["error"]["hint"] == "did you mean '--target'?"
    assert (ended.code, ended.stderr) == (2, "")


def test_invoke_speaks_about_its_own_parse_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Below ``invoke`` an unknown option is Invoke's parse error, with its exit code 1."""
    assert invoked(["go", "--nope"], Commanded(), tmp_path).code == 1
    assert "No idea what '--nope' is!" in capsys.readouterr().err


@DOORS
@pytest.mark.parametrize("words", [["--dry", "go", "--target", "x"], ["go", "--dry", "--target", "x", "--loud"]])
def test_dry_answers_with_the_plan(call: Call, words: list[str], tmp_path: Path) -> None:
    """--dry calls the declared other command, with the options that both have."""
    commands = Commanded()
    assert call(words, commands, tmp_path).code == 0
    assert commands.go.calls == []
    assert commands.plan.calls == [{"target": "x", "format": "text"}]


def test_settings_of_invoke_are_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below the console script, the environment that configures the ``invoke`` command has no say."""
    monkeypatch.setenv("INVOKE_RUN_DRY", "1")
    commands = Commanded()
    assert console(["go"], commands, tmp_path).code == 0
    assert len(commands.go.calls) == 1


@DOORS
def test_dry_is_refused_where_there_is_no_dry_form(call: Call, tmp_path: Path) -> None:
    """A command that writes and has no dry form refuses --dry; one that only reads answers as ever."""
    commands = Commanded()
    ended = call(["--dry", "stop", "--run", "x"], commands, tmp_path)
    assert (ended.code, commands.go.calls) == (2, [])
    assert "'stop' has no dry form; 'go' has" in ended.stderr
    assert call(["--dry", "show"], commands, tmp_path).stdout == "done\n"


@DOORS
def test_a_bug_is_reported(call: Call, tmp_path: Path) -> None:
    """Any other exception ends in exit code 1, one line on stderr, and a report without secrets."""
    commands = Commanded(go=Asked(error=ZeroDivisionError("with s3cr3t-env and s3cr3t-word")))
    words = ["go", "--override", "API_KEY=s3cr3t-word", "--target", "visible"]
    ended = call(words, commands, tmp_path)
    assert (ended.code, ended.stdout) == (1, "")
    (report,) = (tmp_path / ".runs" / ".reports").iterdir()
    told = "codex-orchestrator: error: this is a bug in codex-orchestrator (ZeroDivisionError)"
    assert ended.stderr == f"{told}; the report is '{report.relative_to(tmp_path)}'\n"
    text = report.read_text()
    assert "Traceback" in text
    assert "codex-orchestrator 0." in text
    assert "visible" in text
    assert "s3cr3t" not in text


def test_a_bug_in_json(tmp_path: Path) -> None:
    """With --format json a bug is an error document with the code ``bug``, and still one line on stderr."""
    ended = console(["show", "--format", "json"], Commanded(show=Asked(error=KeyError("x"))), tmp_path)
    assert json.loads(ended.stdout)["error"]["code"] == "bug"
    assert ended.code == 1
    assert ended.stderr.count("\n") == 1


def test_a_bug_outside_of_a_workspace(tmp_path: Path) -> None:
    """Where no workspace is, the report goes to the temporary folder and is named by its whole path."""
    invocation = invocation_of(["show"], tmp_path)
    (tmp_path / "project_configs").rmdir()
    code = run(invocation.words, Commanded(show=Asked(error=KeyError("x"))).table(), invocation)
    path = Path(_outputs(invocation)[1].split("'")[1])
    assert (code, path.is_absolute()) == (1, True)
    assert "KeyError: 'x'" in path.read_text()
    path.unlink()


def test_a_report_goes_through_no_link(tmp_path: Path) -> None:
    """A link planted in the place of the reports is not written through."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / ".runs").mkdir()
    (tmp_path / ".runs" / ".reports").symlink_to(elsewhere)
    ended = console(["show"], Commanded(show=Asked(error=KeyError("x"))), tmp_path)
    assert ended.code == 1
    assert list(elsewhere.iterdir()) == []
    Path(ended.stderr.split("'")[1]).unlink()


def test_old_reports_make_room(tmp_path: Path) -> None:
    """Only the newest reports are kept, and nothing else in their folder is touched."""
    folder = tmp_path / ".runs" / REPORTS
    folder.mkdir(parents=True)
    for day in range(1, REPORTS_KEPT + 3):
        (folder / f"bug-2020-01-{day:02d}.txt").touch()
    (folder / "a note").touch()
    console(["show"], Commanded(show=Asked(error=KeyError("x"))), tmp_path)
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) == REPORTS_KEPT + 1
    assert names[:2] == ["a note", "bug-2020-01-04.txt"]
    assert "KeyError" in (folder / names[-1]).read_text()


@DOORS
def test_interrupts_are_quiet(call: Call, tmp_path: Path) -> None:
    """An interrupt outside a run ends with 130 and says nothing."""
    assert call(["go"], Commanded(go=Asked(error=KeyboardInterrupt())), tmp_path) == Ended(130, "", "")


def test_interrupt_inside_invoke(tmp_path: Path) -> None:
    """An interrupt that Invoke's own program meets ends with 130 too, not with Invoke's 1."""

    class Interrupted(io.StringIO):
        def write(self, text: str) -> int:
            if text:
                raise KeyboardInterrupt
            return 0

    assert run(["--help"], Commanded().table(), invocation_of(["--help"], tmp_path, Interrupted())) == 130


@pytest.mark.parametrize("code", [0, 3])
@pytest.mark.parametrize("form", ["text", "json"])
def test_closed_stdout_leaves_the_code(code: int, form: str, tmp_path: Path) -> None:
    """When nobody reads stdout, the exit code is the command's, and nothing is said about it."""
    commands = Commanded(show=Asked(Answer(code, {}, "")))
    ended = console(["show", f"--format={form}"], commands, tmp_path, BrokenStream(errno.EPIPE))
    assert (ended.code, ended.stderr) == (code, "")


@pytest.mark.parametrize(("code", "expected"), [(0, 8), (3, 3)])
def test_full_disk_below_stdout(code: int, expected: int, tmp_path: Path) -> None:
    """An answer that a full disk cuts off is no success; a worse exit code stands."""
    commands = Commanded(show=Asked(Answer(code, {}, "text")))
    ended = console(["show"], commands, tmp_path, BrokenStream(errno.ENOSPC))
    assert ended.code == expected
    assert "the answer could not be written" in ended.stderr


def test_disk_errors_of_a_command_are_storage_errors(tmp_path: Path) -> None:
    """A full or read-only disk that a command did not expect is exit code 8, not a bug."""
    error = OSError(errno.ENOSPC, "No space left on device", "/some/file")
    ended = console(["show"], Commanded(show=Asked(error=error)), tmp_path)
    assert ended == Ended(8, "", "codex-orchestrator: error: '/some/file': No space left on device\n")


def test_help_and_list(tmp_path: Path) -> None:
    """--help, a command's --help and --list go to stdout with exit code 0, and call nothing."""
    commands = Commanded()
    overall = console(["--help"], commands, tmp_path)
    assert console([], commands, tmp_path) == overall
    assert "\n\nUsage: codex-orchestrator <command> [options]\n" in overall.stdout
    assert "--echo" not in overall.stdout
    one = console(["show", "--help"], commands, tmp_path)
    assert one.stdout.startswith("Show.\n\nUsage: codex-orchestrator show [NAME] [options]\n")
    assert console(["--help", "show"], commands, tmp_path) == one
    assert "--target NAME     what (default: all)\n" in one.stdout
    assert "go     Go.\n" in console(["--list"], commands, tmp_path).stdout
    assert console(["stop", "-h"], commands, tmp_path).stdout.startswith(
        "Stop.\n\nUsage: codex-orchestrator stop RUN [options]\n"
    )
    assert (commands.go.calls, commands.show.calls) == ([], [])


def test_bytecode_is_written_again(tmp_path: Path) -> None:
    """Invoke's switch that forbids bytecode does not outlast its parser, in neither invocation."""
    commands = Commanded()
    console(["go"], commands, tmp_path)
    asked_for = bool(sys.flags.dont_write_bytecode)
    assert sys.dont_write_bytecode == asked_for
    sys.dont_write_bytecode = True
    process_collection(commands.table())
    assert sys.dont_write_bytecode == asked_for
