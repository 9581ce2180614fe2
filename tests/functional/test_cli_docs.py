"""``docs/commands.md`` says what the program's own help says: every command, option and exit code."""

from __future__ import annotations

import re

from orchestrator.cli.command_table import COMMANDS
from tests.harness import REPOSITORY, Orchestrator

ROW = re.compile(r"\| (.+?) \| (.+) \|")


def documented() -> dict[str, str]:
    """Return the sections of the page by their titles; a group's is empty."""
    page = (REPOSITORY / "docs" / "commands.md").read_text(encoding="utf-8")
    sections = re.split(r"^##+ ", page, flags=re.M)[1:]
    return {title: body for title, _, body in (section.partition("\n") for section in sections)}


def rows(section: str) -> dict[str, str]:
    """Return the table rows of a section, left to right cell."""
    found = {match[1]: match[2] for match in map(ROW.fullmatch, section.splitlines()) if match is not None}
    return {left.strip("`"): right for left, right in found.items() if left not in ("---", "option", "exit code")}


def listed(help_text: str, title: str) -> dict[str, str]:
    """Return the two columns below ``title`` in a help text, with wrapped lines joined."""
    block = help_text.split(f"\n{title}:\n", 1)[1].split("\n\n", 1)[0]
    joined = re.sub(r"\n {5,}", " ", block)
    return dict(re.split(r" {3,}", line.strip(), maxsplit=1) for line in joined.splitlines())


def test_commands_and_exit_codes(orchestrate: Orchestrator) -> None:
    """The page has the groups and commands of --help in its order, and the same core options and exit codes."""
    shown = orchestrate("--help").stdout
    sections = documented()
    groups = [title for title in sections if f"\n{title}:\n  " in shown]
    assert groups == ["Run", "Look", "Review", "Set up", "Maintain"]
    expected = [title for group in groups for title in (group, *listed(shown, group))]
    assert [title for title in sections if title in expected] == expected
    assert set(COMMANDS) < set(expected)
    assert listed(shown, "Options").items() <= rows(sections["The command line"]).items()
    assert listed(shown, "Exit codes") == rows(sections["Output"])


def test_options_of_each_command(orchestrate: Orchestrator) -> None:
    """The page's table of a command has exactly the options of its --help, in the same words."""
    sections = documented()
    for name in COMMANDS:
        shown = orchestrate(name, "--help").stdout
        summary, usage = (line.removeprefix("Usage: ") for line in shown.splitlines()[:3:2])
        options = listed(shown, "Options")
        del options["--help, -h"]
        documented_options = {left: right for left, right in rows(sections[name]).items() if left.startswith("--")}
        assert documented_options == options
        assert sections[name].startswith(f"\n`{usage}`\n\n{summary}\n")
