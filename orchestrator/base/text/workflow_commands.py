"""GitHub's workflow commands: written with what is theirs escaped, and made harmless where a stage prints them.

Source: GitHub Docs, "Workflow commands for GitHub Actions"; the escapes are those of actions/toolkit. The runner takes
``::name …::`` at a line's start, after white space, and the older ``##[name]`` anywhere in a line; Azure Pipelines,
which reads the same logs, takes ``##vso[``.
"""

from __future__ import annotations

import re

HARMLESS = ("error", "warning", "notice", "debug")
"""Commands by which a stage reports its own findings; they change nothing in the job."""

ADD_MASK = "add-mask"

_OLD_FORM = re.compile(r"##(?=\[|vso\[)", re.IGNORECASE)
_COMMAND = re.compile(r"::(?P<name>[A-Za-z-]+)(?: (?P<properties>[^\r\n]*?))?::(?P<message>[^\r\n]*)")


def workflow_command(name: str, message: str = "", **properties: object) -> str:
    """Return the line, without its end, of a command; a property that is None is left out."""
    given = ",".join(f"{key}={_property(str(value))}" for key, value in properties.items() if value is not None)
    return f"::{name}{' ' if given else ''}{given}::{_message(message)}"


def command_name(line: str) -> str | None:
    """Return the name, in lower case, of the command that a line gives at its very start; None when it gives none."""
    found = _COMMAND.match(line)
    return found["name"].lower() if found else None


def made_harmless(line: str) -> str:
    """Return a line, without its end, that gives no command wherever it stands: what would be one is shown as text."""
    line = _OLD_FORM.sub("# #", line)
    return f"| {line}" if line.lstrip().startswith("::") else line


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
