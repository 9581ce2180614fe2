"""The declared options are what the commands' functions take."""

from __future__ import annotations

import inspect

import pytest

from orchestrator.cli.command_table import COMMANDS
from orchestrator.commands.run import requests

REQUESTS = {"start": requests.StartRequest, "resume": requests.ResumeRequest}
"""Functions that take their options as the fields of a class."""
OF_OTHERS = {"start": {"command"}}
"""Fields by which another command asks for the same: the words of ``exec``."""
NO_OPTIONS = {"context", "sleep"}
"""Parameters for the world around a command: its streams and folders, and time."""


@pytest.mark.parametrize("name", COMMANDS)
def test_declared_options_are_the_parameters(name: str) -> None:
    """Every option has a parameter and every parameter an option, with the same default."""
    command = COMMANDS[name]
    function = REQUESTS.get(name) or command.load()
    taken = {
        name: one.default for name, one in inspect.signature(function).parameters.items() if name not in NO_OPTIONS
    }
    required = {option.name: (*option.choices, "x")[0] for option in command.options if option.required}
    declared = command.arguments(required)
    assert set(taken) - OF_OTHERS.get(name, set()) == set(declared)
    for option in command.options:
        if not option.required and taken[option.keyword] is not inspect.Parameter.empty:
            assert taken[option.keyword] == declared[option.keyword]
