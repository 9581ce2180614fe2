"""The console script's command line: what words mean, and which are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.errors import UsageError
from orchestrator.cli.command_table import COMMANDS
from orchestrator.cli.options import Command
from orchestrator.cli.parser import CORE_FLAGS, parse, wants_json


def refusal(*words: str) -> UsageError:
    """Return why the words are refused."""
    with pytest.raises(UsageError) as caught:
        parse(words, COMMANDS)
    return caught.value


def given_to(*words: str) -> dict[str, object]:
    """Return what the words give for the command's options."""
    return parse(words, COMMANDS).given


@pytest.mark.parametrize(
    ("words", "option", "value"),
    [
        (["start", "smoke"], "pipeline", "smoke"),
        (["start", "--project", "x", "smoke"], "pipeline", "smoke"),
        (["start", "status"], "pipeline", "status"),
        (["resume", "2026"], "run", "2026"),
        (["status", "latest"], "run", "latest"),
        (["logs", "--follow", "latest"], "run", "latest"),
        (["plan", "smoke"], "pipeline", "smoke"),
        (["schema", "manifest"], "name", "manifest"),
        (["status", "-"], "run", "-"),
        (["status", ""], "run", ""),
        (["status", "--", "-rf"], "run", "-rf"),
        (["start", "--project", "x", "--", "status"], "pipeline", "status"),
    ],
)
def test_first_bare_word_is_the_positional(words: list[str], option: str, value: str) -> None:
    """The first bare word after a command is its positional, wherever it stands among the options."""
    assert given_to(*words)[option] == value


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--reason", "two words"], "two words"),
        (["--reason=two words"], "two words"),
        (["--reason", ""], ""),
        (["--reason="], ""),
        (["--reason=a=b"], "a=b"),
        (["--reason", "a=b"], "a=b"),
        (["--reason", "-x"], "-x"),
        (["--reason=--token"], "--token"),
        (["--reason=--help"], "--help"),
        (["--reason", "start"], "start"),
        (["--reason", "a\nb"], "a\nb"),
    ],
)
def test_values_are_taken_as_they_are(words: list[str], value: str) -> None:
    """A value may be empty, have spaces, begin with a dash or contain an equals sign."""
    assert given_to("resume", "latest", *words)["reason"] == value


@pytest.mark.parametrize(
    ("words", "code", "message", "hint"),
    [
        (["strat"], "unknown-command", "there is no command 'strat'", "did you mean 'start'?"),
        ([""], "unknown-command", "there is no command ''", "known: "),
        (["start", "--projct", "x"], "unknown-option", "'start' has no option '--projct'", "did you mean '--project'?"),
        (["start", "--PROJECT", "x"], "unknown-option", "'--PROJECT'", "did you mean '--project'?"),
        (["start", "-p", "x"], "unknown-option", "'start' has no option '-p'", "--"),
        (["start", "-5"], "unknown-option", "'-5'", "--"),
        (["start", "--proj", "x"], "unknown-option", "'--proj'", "did you mean '--project'?"),
        (["start", "--pty"], "unknown-option", "'--pty'", "--"),
        (["--pty", "start"], "unknown-option", "'--pty'", "--help"),
        (["--project", "x", "start"], "unknown-option", "--project stands before the command", "after it"),
        (["start", "--project"], "missing-value", "--project needs a value", "--project=NAME"),
        (["start", "--project", "--task", "t"], "missing-value", "--project needs a value", "--project=NAME"),
        (["start", "--project", "--task=t"], "missing-value", "--project needs a value", "--project=NAME"),
        (["start", "--project", "--help"], "missing-value", "--project needs a value", ""),
        (["start", "--project", "--", "x"], "missing-value", "--project needs a value", ""),
        (["start", "--detach=no"], "usage", "--detach takes no value", "--detach alone"),
        (["start", "--help=x"], "usage", "--help takes no value", ""),
        (["start", "--jobs", "2", "--jobs", "3"], "given-twice", "--jobs is given twice", "once"),
        (["start", "smoke", "--pipeline", "x"], "given-twice", "--pipeline is given twice", "once"),
        (["start", "a", "b"], "given-twice", "--pipeline is given twice", "once"),
        (["start", "--project", "x", "status"], "second-command", "one command a call", "--pipeline=status"),
        (["start", "smoke", "status"], "second-command", "one command a call", "--pipeline=status"),
        (["spec-guard", "x"], "extra-word", "'spec-guard' takes no bare words, and 'x' is one", "--"),
        (["--"], "no-command", "no command is named", "known: "),
    ],
)
def test_refused_lines(words: list[str], code: str, message: str, hint: str) -> None:
    """What can't be meant is refused with the reason and the nearest right word."""
    error = refusal(*words)
    assert (error.exit_code, error.code) == (2, code)
    assert message in error.message
    assert hint in error.hint


def test_a_token_is_not_repeated_in_a_refusal() -> None:
    """A refusal of an option given twice shows neither value: one may be a secret."""
    error = refusal("resume", "latest", "--token", "first-secret", "--token=second-secret")
    assert "secret" not in error.message + error.hint


def test_override_may_be_repeated() -> None:
    """Each --override counts, in order; a switch given twice is the same as once."""
    given_options = given_to("start", "--override", "a=1", "--override=b=2", "--detach", "--detach")
    assert given_options == {"override": ["a=1", "b=2"], "detach": True}


@pytest.mark.parametrize("words", [["--help", "start"], ["start", "-h"], ["start", "--project", "x", "--help"]])
def test_core_flags_stand_anywhere(words: list[str]) -> None:
    """--help before or after the command asks for that command's help."""
    request = parse(words, COMMANDS)
    assert request.core == {"help"}
    assert request.command is COMMANDS["start"]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["start", "--format", "json"], True),
        (["--format=ndjson"], True),
        (["start", "--format", "text"], False),
        (["start", "--format"], False),
        (["start", "json"], False),
    ],
)
def test_json_is_noticed_on_any_line(words: list[str], wanted: bool) -> None:
    """Whether errors are JSON is told without parsing, so that parse errors are JSON too."""
    assert wants_json(words) is wanted


@given(
    st.lists(st.one_of(st.text(), st.sampled_from([*COMMANDS, *CORE_FLAGS, "--", "-", "--format", "--run=", "--x=y"])))
)
def test_any_line_is_read_or_refused(words: list[str]) -> None:
    """No line ends in anything but a request or a UsageError."""
    try:
        request = parse(words, COMMANDS)
    except UsageError:
        return
    assert request.command is not None or request.core or not words


@st.composite
def command_lines(draw: st.DrawFn) -> tuple[Command, dict[str, object], list[str]]:
    """Draw a command, values for some of its options, and a line that gives them in any order and form."""
    command = draw(st.sampled_from(list(COMMANDS.values())))
    options = draw(st.permutations([option for option in command.options if draw(st.booleans())]))
    expected: dict[str, object] = {}
    line: list[str] = []
    for option in options:
        if not option.value:
            expected[option.name] = True
            line.append(option.flag)
            continue
        value = draw(st.text())
        expected[option.name] = [value] if option.repeatable else value
        is_flag = value.startswith("-")
        line += [f"{option.flag}={value}"] if is_flag or draw(st.booleans()) else [option.flag, value]
    return command, expected, [command.name, *line]


@given(command_lines())
def test_what_is_written_is_what_is_read(drawn: tuple[Command, dict[str, object], list[str]]) -> None:
    """Options in any order, as two words or one, give back exactly the values that were written."""
    command, expected, line = drawn
    request = parse(line, COMMANDS)
    assert request.command is command
    assert request.given == expected


def test_a_command_that_takes_several_words_takes_names_of_commands_too() -> None:
    """An item of a checklist may be called as a command is."""
    request = parse(["checklist", "tick", "review", "--run", "latest"], COMMANDS)
    assert request.given == {"words": ["tick", "review"], "run": "latest"}
