"""Declared options: from what was given to the arguments of a command's function."""

from __future__ import annotations

import pytest

from orchestrator.base.errors import UsageError
from orchestrator.cli.command_table import COMMANDS
from orchestrator.cli.help_text import command_help
from orchestrator.cli.options import Command, Late


def refusal(command: str, **given: object) -> UsageError:
    """Return why what was given is refused."""
    with pytest.raises(UsageError) as caught:
        COMMANDS[command].arguments({name.replace("_", "-"): value for name, value in given.items()})
    return caught.value


@pytest.mark.parametrize("flag", ["min-coverage", "sla-budget"])
def test_the_hint_for_a_share_is_the_usual_one(flag: str) -> None:
    """Who takes the hint gets the gate that holds when the option is left out, and no weaker one."""
    usual = {"min-coverage": "0.9", "sla-budget": "0.1"}[flag]
    assert refusal("metrics", **{flag.replace("-", "_"): "-1"}).hint == f"--{flag} {usual}"


@pytest.mark.parametrize("width", range(40, 101))
def test_help_breaks_no_value_in_two(width: int) -> None:
    """A value with a dash in it stands on one line of the help, as it is to be typed."""
    assert "in- toto" not in " ".join(command_help("x", COMMANDS["export"], width).split())


def test_defaults_of_start() -> None:
    """With nothing given, every parameter of the contract's signature is there with its default."""
    assert COMMANDS["start"].arguments({}) == {
        "pipeline": "diagnostics",
        "project": None,
        "task": None,
        "parent_run": None,
        "jobs": None,
        "actor": None,
        "approval_policy": None,
        "mode": "local",
        "overrides": (),
        "override_reason": None,
        "no_cache": False,
        "key": None,
        "priority": 0,
        "wait": None,
        "no_wait": False,
        "detach": False,
        "everything": False,
        "projects": None,
        "affected": False,
        "base": None,
        "no_dependents": False,
        "owners": (),
        "tags": (),
        "exclude": None,
        "failed": False,
        "shard": None,
        "fail_fast": False,
        "format": "text",
    }


def test_given_values_are_read() -> None:
    """Texts become numbers and tuples, switches become truth values, and the command's own names are used."""
    arguments = COMMANDS["start"].arguments({"jobs": "4", "override": ["a=1", "b="], "detach": True, "parent-run": "r"})
    assert (arguments["jobs"], arguments["overrides"]) == (4, ("a=1", "b="))
    assert (arguments["detach"], arguments["parent_run"]) == (True, "r")
    assert COMMANDS["status"].arguments({"interval": "0.5"})["interval"] == 0.5


@pytest.mark.parametrize("text", ["0", "-1", "x", "", "1.5", "1_0", " 1", "1e3", "٣", "9999999"])
def test_jobs_is_a_whole_number_from_one(text: str) -> None:
    """--jobs takes ASCII digits only, from 1."""
    error = refusal("start", jobs=text)
    assert error.message.startswith("--jobs is a whole number from 1 to 999999")
    assert error.exit_code == 2


@pytest.mark.parametrize("text", ["0", "-1", "x", "", "nan", "inf", "1_0", "0.01", "1e9"])
def test_interval_is_at_least_a_tenth_of_a_second(text: str) -> None:
    """--interval takes a plain, positive number: nothing polls without a pause, or never again."""
    assert refusal("status", interval=text).message.startswith("--interval is a number of seconds from 0.1 up")


@pytest.mark.parametrize(
    ("command", "text", "message"),
    [
        ("start", "yaml", "--format is 'text' or 'json' or 'ndjson', not 'yaml'"),
        ("status", "ndjson", "--format is 'text' or 'json', not 'ndjson'"),
        ("status", "", "--format is 'text' or 'json', not ''"),
    ],
)
def test_format_is_one_of_the_declared(command: str, text: str, message: str) -> None:
    """A format that the command doesn't have is refused with those that it has."""
    assert refusal(command, format=text).message == message


def test_near_match_of_a_choice() -> None:
    """A choice that is almost right gets the right one as its hint."""
    assert refusal("start", mode="locale").hint == "did you mean 'local'?"


@pytest.mark.parametrize("text", ["", "a", "=1"])
def test_override_needs_a_key(text: str) -> None:
    """--override has the form KEY=VALUE, with a key."""
    assert "KEY=VALUE" in refusal("start", override=[text]).message


def test_hostile_text_is_shown_harmless() -> None:
    """What was given is quoted in a message without control characters and cut to a readable length."""
    message = refusal("start", jobs="\x1b[2J" + "9" * 300).message
    assert "\x1b" not in message
    assert len(message) < 200


@pytest.mark.parametrize("command", ["resume", "logs"])
def test_needed_option_is_named(command: str) -> None:
    """A command that needs a run says so when none is given."""
    error = refusal(command)
    assert (error.code, error.message) == ("missing-option", f"'{command}' needs --run RUN")


def test_what_takes_all_bare_words_is_asked_for_behind_the_dashes() -> None:
    """``exec`` without a command names the form that people type, not the option that Invoke has for it."""
    with pytest.raises(UsageError) as caught:
        COMMANDS["exec"].arguments({})
    assert caught.value.message == "'exec' needs -- WORD …"


def test_every_declaration_is_sound() -> None:
    """Positionals and dry forms name what exists, and no option's parameter is used twice."""
    for command in COMMANDS.values():
        keywords = [option.keyword for option in command.options]
        assert len(set(keywords)) == len(keywords)
        assert command.positional == "" or command.option(command.positional) is not None
        assert command.dry_as == "" or command.dry_as in COMMANDS
        assert command.summary.endswith(".")


def test_functions_are_loaded_when_called() -> None:
    """A command's module is imported when the command is called, not when it is declared."""
    command = Command("x", "X.", Late("no.such.module", "x"))
    with pytest.raises(ModuleNotFoundError):
        command.load()
